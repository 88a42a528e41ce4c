"""Runs with tools of MCP servers, on asyncio, on trio and without a loop, with a model that says what a test wants."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from core.tests.runs import BACKENDS, MODEL, Calls, Scripted

import chatport
from chatport_mcp import McpTools

__all__ = ["BACKENDS", "OLD", "SERVER", "inside", "is_alive", "outcomes", "play", "serving"]

HERE = Path(__file__).resolve().parent
SERVER = [sys.executable, str(HERE / "server.py")]
OLD = [sys.executable, str(HERE / "old_server.py")]


def play(backend: str, tools: McpTools, steps: Sequence[Calls], *, beside: Sequence[Any] = (), **options: Any) -> Any:
    """Open the tools, run to the end, and close them; return the run and the model that was asked."""
    model = Scripted(steps)
    emulator = model.emulator()
    options = {"model": MODEL, **options}
    if backend == "sync":
        with tools, chatport.Client(emulator.config(), transport=emulator) as client:
            return client.run("go", tools=tools + beside if beside else tools, **options), model

    async def main() -> chatport.Run:
        async with tools, chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            return await client.run("go", tools=tools + beside if beside else tools, **options)

    return anyio.run(main, backend=backend), model


def inside(backend: str, tools: McpTools, do: Callable[[Callable[..., Any]], Any]) -> Any:
    """Open the tools and `do` something with a function that calls a tool by its name; plain on each backend."""
    if backend == "sync":
        with tools:
            return do(lambda name, **given: _function(tools, name)(**given))

    async def main() -> Any:
        async with tools:
            call = lambda name, **given: anyio.from_thread.run(lambda: _function(tools, name)(**given))  # noqa: E731
            return await anyio.to_thread.run_sync(do, call)

    return anyio.run(main, backend=backend)


def _function(tools: McpTools, name: str) -> Callable[..., Any]:
    function = next(tool.function for tool in tools if tool.name == name)
    assert function is not None
    return function


def outcomes(run: chatport.Run, step: int = 0) -> list[tuple[str, str]]:
    return [(result.outcome, result.content) for result in run.steps[step].results]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def serving() -> Iterator[str]:
    """Give the address of the SDK's server over HTTP."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    with subprocess.Popen([*SERVER, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()
