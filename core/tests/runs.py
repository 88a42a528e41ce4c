"""A model that says what a test wants, and runs of it on asyncio, on trio and without a loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio

import chatport
from chatport.testing import Emulator, Script, VendorEmulator

__all__ = ["BACKENDS", "MODEL", "Scripted", "play", "stream"]

BACKENDS = ("asyncio", "trio", "sync")
MODEL = "compatible:emulated-model"

Calls = Sequence[tuple[str, Any]]


class Scripted(VendorEmulator):
    """Answers with these calls, step by step, and with "done" after the last; the step is told by the conversation."""

    def __init__(self, steps: Sequence[Calls] = (), endless: Calls = ()) -> None:
        super().__init__()
        self.steps = list(steps)
        self.endless = endless
        self._step = 0

    def script(self, body: Mapping[str, Any]) -> Script:
        step = self._step = sum(message["role"] == "assistant" for message in body["messages"])
        calls = self.steps[step] if step < len(self.steps) else self.endless
        if not calls:
            return Script("done", input_tokens=10)
        texts = tuple((name, given if isinstance(given, str) else json.dumps(given)) for name, given in calls)
        return Script(calls=texts, finish="tool_calls", input_tokens=100)

    def call_id(self, number: int) -> str:
        return f"call_{self._step}_{number}"  # the same in each run of the same steps

    def emulator(self) -> Emulator:
        emulator = Emulator("compatible")
        emulator.vendor = self
        return emulator


def play(backend: str, model: Scripted | Emulator, messages: Any = "go", **options: Any) -> chatport.Run:
    """Run it to its end."""
    emulator = model.emulator() if isinstance(model, Scripted) else model
    clock = options.pop("clock", None)
    options = {"model": MODEL, **options}
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator, clock=clock) as client:
            return client.run(messages, **options)

    async def main() -> chatport.Run:
        async with chatport.AsyncClient(emulator.config(), transport=emulator, clock=clock) as client:
            return await client.run(messages, **options)

    return anyio.run(main, backend=backend)


def stream(
    backend: str,
    model: Scripted,
    messages: Any = "go",
    stop: Callable[[Any], bool] = lambda event: False,
    **options: Any,
) -> tuple[list[Any], chatport.Run]:
    """Return the events until one that is to be the last, and what there was then."""
    emulator, seen = model.emulator(), list[Any]()
    options = {"model": MODEL, **options}
    if backend == "sync":
        with (
            chatport.Client(emulator.config(), transport=emulator) as client,
            client.run_stream(messages, **options) as running,
        ):
            for event in running:
                seen.append(event)
                if stop(event):
                    break
        return seen, running.run

    async def main() -> chatport.Run:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            async with client.run_stream(messages, **options) as running:
                async for event in running:
                    seen.append(event)
                    if stop(event):
                        break
            return running.run

    return seen, anyio.run(main, backend=backend)
