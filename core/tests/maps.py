"""A model that answers each item as a test wants, and maps over it on asyncio, on trio and without a loop."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import anyio
import attrs

import chatport
from chatport import MapProgress, MapResult
from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator, Script, VendorEmulator, VirtualClock

__all__ = ["BACKENDS", "MODEL", "Answers", "Mapped", "ask", "map_over"]

BACKENDS = ("asyncio", "trio", "sync")
MODEL = "compatible:emulated-model"
PRICES = [{"match": "*", "input": 1.0, "output": 1.0, "currency": "USD", "source": "a test"}]


def ask(item: Any) -> str:
    """What is asked about an item; the model says its number."""
    return f"item {item}"


class Answers(VendorEmulator):
    """Says "answer N" to "item N", or what `say` gives for N; holds a request back in `hold`, before any lock.

    `asked` are the items in the order in which they were asked, `most` how many were held at the same time.
    """

    def __init__(self, say: Callable[[int], Any] = lambda number: f"answer {number}", **settings: Any) -> None:
        super().__init__(**settings)
        self.say = say
        self.hold: Callable[[int], Any] = lambda number: None
        self.asked: list[int] = []
        self.most = 0
        self._held = 0
        self._counting = threading.Lock()

    def respond(self, request: EmulatedRequest) -> EmulatedResponse:
        number = self.number(request.json())
        with self._counting:
            self.asked.append(number)
            self._held += 1
            self.most = max(self.most, self._held)
        try:
            self.hold(number)
            return super().respond(request)
        finally:
            with self._counting:
                self._held -= 1

    def number(self, body: Mapping[str, Any]) -> int:
        found = re.search(r"item (-?\d+)", str(body["messages"]))
        assert found is not None, body
        return int(found[1])

    def script(self, body: Mapping[str, Any]) -> Script:
        said = self.say(self.number(body))
        if isinstance(said, int):  # a status
            raise self.error_for(said)
        return said if isinstance(said, Script) else Script(said, input_tokens=100)

    def emulator(self, clock: VirtualClock | None = None) -> Emulator:
        emulator = Emulator("compatible", clock=clock)
        emulator.vendor = self
        return emulator


@attrs.define
class Mapped:
    """What came of a map: its results until it ended or was left, what it raised, and how far it was then."""

    results: list[MapResult] = attrs.field(factory=list)
    raised: BaseException | None = None
    progress: MapProgress = attrs.field(factory=MapProgress)

    @property
    def indexes(self) -> list[int]:
        return [result.index for result in self.results]

    @property
    def texts(self) -> list[str]:
        return [result.text for result in self.results]

    @property
    def failed(self) -> list[int]:
        return [result.index for result in self.results if result.error is not None]

    def whole(self) -> Mapped:
        """Return it, where nothing was raised."""
        if self.raised is not None:
            raise AssertionError("the map was to come to its end") from self.raised
        return self


def map_over(
    backend: str,
    vendor: Answers | Emulator,
    items: Iterable[Any] | Any,
    messages: Any = ask,
    /,
    *,
    stop: Callable[[MapResult], Any] = lambda result: False,
    clock: VirtualClock | None = None,
    config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Mapped:
    """Map until the end, an error, or a result at which `stop` says so."""
    emulator = vendor.emulator(clock) if isinstance(vendor, Answers) else vendor
    options = {"model": MODEL, **options}
    mapped = Mapped()
    tables = {"retry": {"attempts": 1}, **(config or {})}
    arguments: Any = {"transport": emulator, "clock": None if clock is None else clock.clock}
    if emulator._server is not None:  # on a port
        del arguments["transport"]
    if backend == "sync":
        with chatport.Client(emulator.config(**tables), **arguments) as client:
            plain = client.map(items, messages, **options)
            try:
                with plain:
                    for result in plain:
                        mapped.results.append(result)
                        if stop(result):
                            break
            except BaseException as error:
                mapped.raised = error
            mapped.progress = plain.progress
        return mapped

    async def main() -> None:
        async with chatport.AsyncClient(emulator.config(**tables), **arguments) as client:
            stream = client.map(items, messages, **options)
            try:
                async with stream:
                    async for result in stream:
                        mapped.results.append(result)
                        if stop(result):
                            break
            except Exception as error:
                mapped.raised = error
            mapped.progress = stream.progress

    anyio.run(main, backend=backend)
    return mapped
