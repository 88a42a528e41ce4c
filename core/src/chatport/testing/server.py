"""Run an emulator: in process, as a transport, or on a loopback port for any client at all."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from itertools import chain
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import anyio.lowlevel

from ..basics.typed import expect
from ..engine.commands import Head, HttpRequest, TimerExpired, TransportFailure
from ..errors import ConfigurationError, PluginError
from ..plugins.registry import load_provider
from ..provider import Provider
from .answers import AnswerList, Answers, NoAnswerError
from .clock import VirtualClock
from .emulator import EmulatedRequest, VendorEmulator
from .facts_emulator import FactsEmulator
from .fault_words import fault_of
from .faults import Fault, FaultList, Faults
from .performance import FOR_EVER, Break, Pause, Performance, Scene, Step
from .request_log import LogTarget, RequestLog

__all__ = ["Emulator", "InProcessExchange"]


class Emulator:
    """A vendor's twin.

    `with Emulator("deepseek") as emulator:` serves it on `emulator.base_url` (127.0.0.1, a free port or `port`); a
    client is pointed there by `config=emulator.config()`. Without the block it is a transport for both kinds of
    client: `Client(config=emulator.config(), transport=Emulator("deepseek"))`, and no socket is opened.

    `provider` is an installed provider's name, a `Provider` value (the client gets it too: `providers=[value]`), or
    "compatible", the plain standard. For a provider without an emulator of its own one is made of its facts:
    it refuses what they say that the vendor refuses. `settings` go to the vendor's emulator, such as `api_key`.
    `pace_seconds` is a pause after each piece of a stream on the port, for people who watch.
    `faults` (see `chatport.testing.faults`; a text such as "status(503)" names one) are played one for each request,
    from the start again with `repeat`.
    `answers` is what the model says, one answer for each request that it gets (see `chatport.testing.answers`); asked
    once more, it raises NoAnswerError. `answers_left` is how many nobody has asked for.
    `clock` is the time that a silent emulator lets pass in process; give its `clock` to the client too.
    `requests` lists what came, and `log` gets a line for each: an open file, a path, or a function that takes a line.
    Keys are never in it, and what was said only with `log_content`.
    """

    def __init__(
        self,
        provider: str | Provider,
        *,
        port: int = 0,
        pace_seconds: float = 0.0,
        faults: Faults | Sequence[Fault | str | None] = (),
        answers: Answers | None = None,
        repeat: bool = False,
        clock: VirtualClock | None = None,
        log: LogTarget | None = None,
        log_content: bool = False,
        **settings: Any,
    ) -> None:
        expect(provider, (str, Provider), "provider is a name or a Provider", ConfigurationError)
        expect(port, int, "port is a whole number", ConfigurationError)
        expect(pace_seconds, (int, float), "pace_seconds is a number", ConfigurationError)
        if isinstance(port, bool) or not 0 <= port <= 65535:
            raise ConfigurationError(f"port is a number from 0 (a free one) to 65535, not {port}.")
        if isinstance(pace_seconds, bool) or not 0 <= pace_seconds <= 3600:  # not for NaN
            raise ConfigurationError(f"pace_seconds is a number of seconds from 0 to 3600, not {pace_seconds}.")
        expect(clock, (VirtualClock, type(None)), "clock is a VirtualClock", ConfigurationError)
        self.provider = provider if isinstance(provider, str) else provider.name
        self._log = None if log is None else RequestLog(log, content=log_content)
        self.pace_seconds = pace_seconds
        self.clock = clock
        self.vendor = _vendor(provider, settings)
        self._faults = FaultList(_read(faults), repeat=repeat)
        self._answers = self.vendor.answers = None if answers is None else AnswerList(answers, repeat=repeat)
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def requests(self) -> list[EmulatedRequest]:
        """The requests that came so far."""
        return self.vendor.requests

    @property
    def answers_left(self) -> int:
        """How many of its answers nobody has asked for yet."""
        return 0 if self._answers is None else self._answers.left

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

    def misbehave(self, faults: Faults | Sequence[Fault | str | None], *, repeat: bool = False) -> None:
        """Play these faults from the next request on, in place of what is left of those before."""
        self._faults = FaultList(_read(faults), repeat=repeat)

    def perform(self, request: EmulatedRequest) -> Performance:
        """Return what goes over the wire in answer to a request."""
        if self._answers is None:
            response, fault = self.vendor.respond(request), self._faults.next(request)
        else:
            response, fault = self._answers.respond(self.vendor, request, self._faults)
        now = datetime.now(UTC) if self.clock is None else self.clock.now()
        if fault is None:
            performance = Performance.of(response)
        else:
            performance = fault.play(Scene(request, response, self.vendor, now))
        if self._log is not None:
            comes = not any(isinstance(step, Break) for step in _known(performance.before))
            answer = b"".join(step for step in _known(performance.body) if isinstance(step, bytes))
            status = performance.status if comes else None
            self._log.write(request, status, answer or None, "" if fault is None else fault.name, now)
        return performance

    # --- on a loopback port

    def start(self) -> Self:
        """Serve it from a thread until `stop`."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.emulator = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=f"emulate {self.provider}", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.stopping.set()
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

    def _answer(self, request: HttpRequest, head_seconds: float | None) -> InProcessExchange:
        headers = {name.lower(): value for name, value in request.all_headers()}
        parts = urlsplit(request.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        performance = self.perform(EmulatedRequest(request.method, path, headers, request.content))
        return InProcessExchange(performance, self.clock, head_seconds)

    def asynchronous(self) -> InProcessTransport:
        """Return a transport for `AsyncClient`."""
        return InProcessTransport(self)

    def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> InProcessExchange:
        """Answer a request of the synchronous client."""
        return self._answer(request, head_seconds)

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
        return AsyncInProcessExchange(self._emulator._answer(request, head_seconds))

    async def aclose(self) -> None:
        """Nothing is open."""


class InProcessExchange:
    """A response given out piece by piece. Its silences move the clock and take no time.

    Raises what a real transport would: TimerExpired, and TransportFailure where the connection breaks.
    """

    def __init__(
        self, performance: Performance, clock: VirtualClock | None = None, head_seconds: float | None = None
    ) -> None:
        self._clock = clock
        self._stage: Literal["head", "body"] = "head"
        self._steps: Iterator[Step] = iter(performance.before)
        if self.read(head_seconds):
            raise TransportFailure("What came is no HTTP head", stage="head", kind="RemoteProtocolError")
        self.head = Head(performance.status, {name.lower(): value for name, value in performance.headers.items()})
        self._stage, self._steps = "body", iter(performance.body)

    def read(self, seconds: float | None) -> bytes:
        """Return the next piece, b"" at the end."""
        for step in self._steps:
            if isinstance(step, Pause):
                seconds = self._pass(step, seconds)
            elif isinstance(step, Break):
                self._steps = chain([step], self._steps)  # a broken connection stays broken
                raise _failure(step, self._stage)
            elif step:
                return step
        return b""

    def _pass(self, pause: Pause, seconds: float | None) -> float | None:
        """Let a pause pass; return what is left of `seconds`. Raises TimerExpired if it is not enough."""
        if self._clock is None:
            raise ConfigurationError("Silence in process needs a clock: Emulator(..., clock=VirtualClock()).")
        if pause.seconds <= (FOR_EVER if seconds is None else seconds) and pause.seconds != FOR_EVER:
            self._clock.advance(pause.seconds)
            return None if seconds is None else seconds - pause.seconds
        if seconds is None:
            raise ConfigurationError("The emulator is silent for ever, and every timer is off: set one in `timeouts`.")
        self._clock.advance(seconds)
        self._steps = chain([Pause(pause.seconds - seconds)], self._steps)
        raise TimerExpired("io")

    def close(self) -> None:
        """Drop the rest."""
        self._steps = iter(())


def _failure(broken: Break, stage: Literal["head", "body"]) -> TransportFailure:
    """Return what the transport over httpx makes of a broken connection."""
    if broken.how == "refused":
        return TransportFailure("No connection: refused", stage="connect", kind="connect")
    if broken.how == "reset":
        return TransportFailure("Connection reset by peer", stage=stage, kind="ReadError")
    words = "Server disconnected without sending a response" if stage == "head" else "The body is not complete"
    return TransportFailure(words, stage=stage, kind="RemoteProtocolError")


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


def _read(faults: Faults | Sequence[Fault | str | None]) -> Faults:
    """Return faults with those that are only named made."""
    if callable(faults):
        return faults
    expect(faults, (list, tuple), "faults is a list of faults, or a function", ConfigurationError)
    return [fault_of(fault) if isinstance(fault, str) else fault for fault in faults]


def _known(steps: Iterable[Step]) -> Iterable[Step]:
    """Return the steps that are there already: what is made while it is sent can be taken only once."""
    return steps if isinstance(steps, list | tuple) else ()


def _vendor(provider: str | Provider, settings: dict[str, Any]) -> VendorEmulator:
    if provider == "compatible":
        return VendorEmulator(**settings)
    value = load_provider(provider) if isinstance(provider, str) else provider
    reference = value.emulator
    if reference is None:
        return FactsEmulator(value, **settings)
    module, _, name = reference.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginError(f"The emulator {reference!r} of {value.name} cannot be loaded: {error}.") from error
    vendor: VendorEmulator = make(**settings)
    return vendor


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    emulator: Emulator

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that leaves, which is ordinary here; a fault that fails is shown on stderr."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


_JSON = {"content-type": "application/json"}
_UNREADABLE = Performance(400, {"connection": "close"}, (), content_length_bytes=0)
"""The answer to a request whose body has no end that could be found."""


class _Broken(Exception):
    """The connection was broken on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""

    def _respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = self._content()
        if content is None:
            self.close_connection = True
            self._send_head(_UNREADABLE)
            return
        performance = self._perform(EmulatedRequest(self.command, self.path, headers, content))
        try:
            self._write(performance.before, chunked=False)
            self._send_head(performance)
            self._write_body(performance)
        except _Broken:
            self.close_connection = True

    def _content(self) -> bytes | None:
        """Return the body, by its length or in chunks (RFC 9112, 6 and 7); None if neither can be read."""
        if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
            return self._chunks()
        length = (self.headers.get("content-length") or "0").strip()
        return self.rfile.read(int(length)) if length.isascii() and length.isdigit() and len(length) < 12 else None

    def _chunks(self) -> bytes | None:
        found: list[bytes] = []
        while True:
            size = self.rfile.readline(1000).split(b";")[0].strip()
            if not size or len(size) > 8 or not all(digit in b"0123456789abcdefABCDEF" for digit in size):
                return None
            if not int(size, 16):
                break
            found.append(self.rfile.read(int(size, 16)))
            self.rfile.readline(1000)
        while self.rfile.readline(1000).strip():  # trailers, up to the blank line
            pass
        return b"".join(found)

    def _perform(self, request: EmulatedRequest) -> Performance:
        """Return the answer; a mistake of the emulator is a 500 that says whose it is, and a traceback on stderr."""
        try:
            return self.server.emulator.perform(request)
        except NoAnswerError as error:
            content = json.dumps({"error": {"message": str(error), "type": "emulator_error"}}).encode()
            return Performance(500, {**_JSON, "x-should-retry": "false"}, [content], content_length_bytes=len(content))
        except Exception as error:
            traceback.print_exc()
            words = f"The emulator of {self.server.emulator.provider} failed, not your program: {error!r}"
            content = json.dumps({"error": {"message": words, "type": "emulator_error"}}).encode()
            return Performance(500, _JSON, [content], content_length_bytes=len(content))

    def _send_head(self, performance: Performance) -> None:
        self.send_response_only(performance.status)  # the vendor's own headers, and no others
        for name, value in performance.headers.items():
            self.send_header(name, value)
        if performance.content_length_bytes is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(performance.content_length_bytes))
        self.end_headers()

    def _write_body(self, performance: Performance) -> None:
        chunked = performance.content_length_bytes is None
        self._write(performance.body, chunked=chunked, pace_seconds=self.server.emulator.pace_seconds)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, steps: Iterable[Step], *, chunked: bool, pace_seconds: float = 0.0) -> None:
        for step in steps:
            if isinstance(step, Pause):
                self._wait(step.seconds)
            elif isinstance(step, Break):
                self._break(step)
            elif step:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
                if chunked and pace_seconds:
                    self._wait(pace_seconds)

    def _wait(self, seconds: float) -> None:
        if self.server.stopping.wait(None if seconds == FOR_EVER else seconds):
            raise _Broken

    def _break(self, broken: Break) -> None:
        if broken.how != "closed":  # closed at once and without waiting for what is unsent: a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        raise _Broken
