"""What the tests of this package share: clients that send nothing, clients of the twins, and small real servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chatport import Client
from chatport.client.explain import Explanation
from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator
from chatport.testing.pytest_plugin import isolated_fixture, notes_fixture

isolated = isolated_fixture("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local")
notes = notes_fixture()


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call to a provider would send; `settings` are keys of its table."""

    def explain(
        provider: str, messages: Any = "hello", *, settings: dict[str, Any] | None = None, **options: Any
    ) -> Explanation:
        table = {**({"base_url": "http://127.0.0.1:9/v1"} if provider == "local" else {}), **(settings or {})}
        client = Client(config={"providers": {provider: table}})
        return client.explain(messages, **{"model": f"{provider}:some-model", **options})

    return explain


@pytest.fixture
def emulated() -> Callable[..., tuple[Client, Emulator]]:
    """Return a client of a provider's twin, and the twin; `table` has more keys of the provider's table."""

    def emulated(
        provider: str, *, table: dict[str, Any] | None = None, attempts: int = 1, **settings: Any
    ) -> tuple[Client, Emulator]:
        emulator = Emulator(provider, **settings)
        config = emulator.config(retry={"attempts": attempts})
        config["providers"][provider] |= table or {}
        return Client(config=config, transport=emulator), emulator

    return emulated


Respond = Callable[[EmulatedRequest], EmulatedResponse]


class _Handler(BaseHTTPRequestHandler):
    """Writes an emulated response with its own headers, and no others."""

    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = self.rfile.read(int(headers.get("content-length", 0)))
        response = self.server.respond(EmulatedRequest(self.command, self.path, headers, content))  # type: ignore[attr-defined]
        self.send_response_only(response.status)
        for name, value in {**response.headers, "content-length": str(len(response.body))}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Return a function that serves responses on a free port of 127.0.0.1 and gives the port."""
    with ExitStack() as stack:

        def serve(respond: Respond, *, version: str = "HTTP/1.1") -> int:
            handler = type("_Versioned", (_Handler,), {"protocol_version": version})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = True
            server.respond = respond  # type: ignore[attr-defined]
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server.server_address[1]

        yield serve
