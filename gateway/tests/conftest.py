"""What the tests share: the gateway on a free port of this machine, in front of emulated vendors, in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings, make_server

VENDORS = {
    "openai": "gpt-6-sol",
    "anthropic": "claude-opus-4-8",
    "deepseek": "deepseek-flash",
    "qwen": "qwen3.7-plus",
}


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Keep this machine's environment and folder out."""
    monkeypatch.chdir(tmp_path)


class Served:
    """A gateway that answers at `url`, and the emulator behind it."""

    def __init__(self, url: str, gateway: Gateway, emulator: Emulator, server: Any, thread: threading.Thread) -> None:
        self.url, self.gateway, self.emulator, self.server, self._thread = url, gateway, emulator, server, thread

    def stop(self) -> None:
        """Let it end as Ctrl-C would, and wait until it has."""
        self.server.handle_exit(2, None)
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def served(
    vendor: str = "deepseek",
    *,
    settings: GatewaySettings | None = None,
    emulator: Emulator | None = None,
    observers: Any = (),
    on_a_port: bool = False,
    **tables: Any,
) -> Iterator[Served]:
    """Serve one vendor's model as `main`, until the block is left."""
    emulator = emulator or Emulator(vendor)
    if on_a_port:
        emulator.start()
    config = {**emulator.config(), "aliases": {"main": [f"{vendor}:{VENDORS[vendor]}"]}, **tables}
    client = chatport.AsyncClient(config, transport=None if on_a_port else emulator, observers=observers)
    gateway = Gateway(client=client, settings=settings or GatewaySettings(port=0))
    server = make_server(gateway)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    made = Served(f"http://127.0.0.1:{port}", gateway, emulator, server, thread)
    try:
        yield made
    finally:
        made.stop()
        if on_a_port:
            emulator.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Return a function that serves until the end of the test."""
    with ExitStack() as opened:
        yield lambda *args, **options: opened.enter_context(served(*args, **options))
