"""What the tests share: the gateway on a free port of this machine, in front of emulated vendors, in a thread."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
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


class Listening:
    """A gateway that answers at `url`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.server = make_server(gateway)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self.server.started
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Let it end as Ctrl-C would, and wait until it has."""
        self.server.handle_exit(2, None)
        self._thread.join(20)
        assert not self._thread.is_alive()


class Served(Listening):
    """One with the emulator behind it."""

    def __init__(self, gateway: Gateway, emulator: Emulator) -> None:
        super().__init__(gateway)
        self.emulator = emulator


@contextmanager
def listening(config: Any, settings: GatewaySettings | None = None, **options: Any) -> Iterator[Listening]:
    """Serve a configuration until the block is left; `options` are those of the client."""
    made = Listening(
        Gateway(client=chatport.AsyncClient(config, **options), settings=settings or GatewaySettings(port=0))
    )
    try:
        yield made
    finally:
        made.stop()


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
    made = Served(Gateway(client=client, settings=settings or GatewaySettings(port=0)), emulator)
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


@pytest.fixture(scope="session")
def llamacpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real llama.cpp server with a tiny model, and return its address. Skips where it is not installed."""
    llamacpp_server, tiny_model = _demo("llamacpp_server"), _demo("tiny_model")
    if not llamacpp_server.available():
        pytest.skip("xllamacpp is not installed")
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny_model.write_gguf(path)
    with llamacpp_server.running_llamacpp(path) as server:
        yield server.base_url


def _demo(name: str) -> Any:
    """Return a script of the demo as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).resolve().parents[2] / "demo" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module
