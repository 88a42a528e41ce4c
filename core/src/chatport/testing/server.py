"""Run an emulator: in process, as a transport, or on a loopback port for any client at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import anyio.lowlevel

from ..engine.commands import Head, HttpRequest
from ..errors import ConfigurationError
from ..registry import load_provider
from .emulator import EmulatedRequest, EmulatedResponse, VendorEmulator

__all__ = ["Emulator", "InProcessExchange"]


class Emulator:
    """A vendor's twin.

    `with Emulator("deepseek") as emulator:` serves it on `emulator.base_url` (127.0.0.1, a free port or `port`); a
    client is pointed there by `config=emulator.config()`. Without the block it is a transport for both kinds of
    client: `Client(config=emulator.config(), transport=Emulator("deepseek"))`, and no socket is opened.

    `pace_seconds` is a pause after each piece of a stream on the port, for people who watch.
    `settings` go to the vendor's emulator, such as `api_key` or `models`. `requests` lists what came.
    """

    def __init__(self, provider: str, *, port: int = 0, pace_seconds: float = 0.0, **settings: Any) -> None:
        self.provider = provider
        self.pace_seconds = pace_seconds
        self.vendor = _vendor(provider, settings)
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def requests(self) -> list[EmulatedRequest]:
        """The requests that came so far."""
        return self.vendor.requests

    @property
    def base_url(self) -> str:
        """Where it is served; in process any address will do."""
        if self._server is None:
            return "http://127.0.0.1:9/v1"
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def config(self, **more: Any) -> dict[str, Any]:
        """Return a client configuration that sends this provider's calls here; `more` are further tables."""
        table: dict[str, Any] = {"base_url": self.base_url, "api_key": self.vendor.api_key or "emulated-key"}
        if self.provider == "compatible":
            table["kind"] = "compatible"
        return {"providers": {self.provider: table}, **more}

    # --- on a loopback port

    def start(self) -> Self:
        """Serve it from a thread until `stop`."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.vendor = self.vendor
        self._server.pace_seconds = self.pace_seconds
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=f"emulate {self.provider}", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- in process: both transport protocols

    def _answer(self, request: HttpRequest) -> InProcessExchange:
        headers = {name.lower(): value for name, value in request.all_headers()}
        parts = urlsplit(request.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return InProcessExchange(self.vendor.respond(EmulatedRequest(request.method, path, headers, request.content)))

    def asynchronous(self) -> InProcessTransport:
        """Return a transport for `AsyncClient`."""
        return InProcessTransport(self)

    def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> InProcessExchange:
        """Answer a request of the synchronous client."""
        return self._answer(request)

    def close(self) -> None:
        """Nothing is open."""


class InProcessTransport:
    """An emulator as the transport of an asynchronous client."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> AsyncInProcessExchange:
        """Answer a request."""
        await anyio.lowlevel.checkpoint()
        return AsyncInProcessExchange(self._emulator._answer(request))

    async def aclose(self) -> None:
        """Nothing is open."""


class InProcessExchange:
    """A response that is already there, given out piece by piece."""

    def __init__(self, response: EmulatedResponse) -> None:
        self.head = Head(response.status, {name.lower(): value for name, value in response.headers.items()})
        self._pieces: Iterator[bytes] = iter(response.pieces)

    def read(self, seconds: float | None) -> bytes:
        """Return the next piece, b"" at the end."""
        return next(self._pieces, b"")

    def close(self) -> None:
        """Drop the rest."""
        self._pieces = iter(())


class AsyncInProcessExchange:
    """The same for an asynchronous client."""

    def __init__(self, exchange: InProcessExchange) -> None:
        self.head = exchange.head
        self._exchange = exchange

    async def read(self, seconds: float | None) -> bytes:
        """Return the next piece, b"" at the end."""
        await anyio.lowlevel.checkpoint()  # so that a call can be cancelled here as on a network
        return self._exchange.read(seconds)

    async def aclose(self) -> None:
        """Drop the rest."""
        self._exchange.close()


def _vendor(provider: str, settings: dict[str, Any]) -> VendorEmulator:
    if provider == "compatible":
        return VendorEmulator(**settings)
    reference = load_provider(provider).emulator
    if reference is None:
        raise ConfigurationError(f"The provider {provider!r} ships no emulator.", provider=provider)
    module, _, name = reference.partition(":")
    vendor: VendorEmulator = getattr(import_module(module), name)(**settings)
    return vendor


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    vendor: VendorEmulator
    pace_seconds: float = 0.0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves is an ordinary event here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""

    def _respond(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = EmulatedRequest(self.command, self.path, headers, self.rfile.read(length))
        response = self.server.vendor.respond(request)
        self.send_response_only(response.status)  # the vendor's own headers, and no others
        streamed = len(response.pieces) != 1
        for name, value in response.headers.items():
            self.send_header(name, value)
        if streamed:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        for piece in response.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if streamed else piece)
            self.wfile.flush()
            if streamed and self.server.pace_seconds:
                time.sleep(self.server.pace_seconds)
        if streamed:
            self.wfile.write(b"0\r\n\r\n")
