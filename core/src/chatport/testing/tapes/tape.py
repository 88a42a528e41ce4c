"""A tape: the transport that records what a client and its vendors say, and plays it again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast, get_args

from ...basics.secret import Secret
from ...basics.typed import expect
from ...client.base import is_httpx
from ...engine.commands import HttpRequest, TimerExpired, TransportFailure
from ...errors import ConfigurationError
from ...transport import AsyncTransport, Transport
from ..clock import VirtualClock
from .errors import TapeUnusedError
from .hiding import Hider
from .playing import AsyncPlayedExchange, PlayedExchange, Player
from .recording import AsyncRecordedExchange, RecordedExchange, Recorder, uncompressed

__all__ = ["VARIABLE", "AsyncTape", "Mode", "Tape", "mode_of"]

Mode: TypeAlias = Literal["replay", "record", "once"]
VARIABLE = "CHATPORT_TAPE"


def mode_of(given: str | None) -> Mode:
    """Return the mode that is given, or else the variable's, or else `replay`. Raises ConfigurationError for others."""
    where = "mode" if given is not None else f"${VARIABLE}"
    word = (given if given is not None else os.environ.get(VARIABLE, "")).strip() or "replay"
    if word not in get_args(Mode):
        raise ConfigurationError(f"{where} of a tape is one of {', '.join(get_args(Mode))}, not {word[:40]!r}.")
    return cast(Mode, word)


class Tape:
    """Records exchanges with real servers in a file, and plays them again: a transport for both kinds of client.

        with Tape("tapes/weather.jsonl") as tape, chatport.Client(transport=tape) as client:
            reply = client.chat("hello", model="deepseek:deepseek-flash")

    `mode`: `replay` (nothing is ever sent, and no key is needed), `record` (all is sent, and the file replaced), or
    `once` (`record` if there is no file, else `replay`). Without one, $CHATPORT_TAPE says it, else it is `replay`.

    A request is matched by its method, its address and its body; asked again, it gets the answer that was recorded
    next. One that is not on the tape is a TapeMissError, which says what differs from the nearest one; should somebody
    swallow that, `close` raises it again. `must_use_all` makes exchanges that nobody asked for a TapeUnusedError.
    `ignore` names fields of bodies that are not compared, such as "user" or "metadata.run". `repeat`: when all answers
    to a request were given, the first comes again.

    `transport` is what records: as a client's, or an Emulator. The file holds the bodies, and of headers and query
    only what is listed (`keep_headers` and `keep_query` add patterns). The keys of all requests, and `secrets`, are put
    under stars wherever they stand.

    With `times` it is kept how long each piece took, and played so, really or by a `clock`. `close` closes what was
    opened, and must be called unless the tape is used as `with`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Mode | None = None,
        transport: Any = None,
        ignore: Sequence[str] = (),
        repeat: bool = False,
        must_use_all: bool = False,
        keep_headers: Sequence[str] = (),
        keep_query: Sequence[str] = (),
        secrets: Sequence[str | Secret] = (),
        times: bool = False,
        clock: VirtualClock | None = None,
    ) -> None:
        expect(path, (str, os.PathLike), "The path of a tape is a text or a Path", ConfigurationError)
        lists = {"ignore": ignore, "keep_headers": keep_headers, "keep_query": keep_query, "secrets": secrets}
        for name, value in lists.items():
            expect(value, (list, tuple), f"{name} is a list of texts", ConfigurationError)
        expect(clock, (VirtualClock, type(None)), "clock is a VirtualClock", ConfigurationError)
        self.path = Path(path)
        self.mode = mode_of(mode)
        self._given = transport
        self._opened: Transport | None = None
        self._must_use_all = must_use_all
        hider = Hider(secrets, keep_headers, keep_query)
        self._sleep = (time.sleep if clock is None else clock.advance) if times else None
        self._recorder: Recorder | None = None
        self._player: Player | None = None
        if self.mode == "record" or (self.mode == "once" and not self.path.exists()):
            now = (time.monotonic if clock is None else clock.clock.monotonic) if times else None
            self._recorder = Recorder(self.path, hider, now)
        elif not self.path.exists():
            raise ConfigurationError(
                f"There is no tape at {self.path}, and it is to be replayed. To record one, set {VARIABLE}=once, or "
                'give mode="once".'
            )
        else:
            self._player = Player(self.path, hider, tuple(ignore), repeat=repeat)

    def __repr__(self) -> str:
        return f"<chatport.testing.Tape {self.path} {'recording' if self.is_recording else 'replaying'}>"

    @property
    def is_recording(self) -> bool:
        """Whether requests are sent, and their answers recorded."""
        return self._recorder is not None

    @property
    def needs_no_key(self) -> bool:
        """Whether clients need no key, since nothing is sent: they read none then."""
        return self._player is not None

    @property
    def unused(self) -> list[str]:
        """The exchanges on the tape that nobody has asked for yet: numbers and addresses. None while it is recorded."""
        return [] if self._player is None else self._player.unused

    # --- the end

    def close(self) -> None:
        """Write what is not written, close what was opened, and raise what was swallowed.

        Raises TapeMissError, and TapeUnusedError if all is to be used. Safe to call twice.
        """
        self._close()
        if self._player is not None and self._player.misses:
            misses, self._player.misses = self._player.misses, []
            raise misses[0]
        if self._must_use_all and self.unused:
            lines = "".join(f"\n  {line}" for line in self.unused)
            raise TapeUnusedError(f"The tape {self.path} has exchanges that nobody asked for:{lines}")

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None and opened is not self._given:
            opened.close()
        if self._recorder is not None:
            self._recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:  # which says more than what could be said here
            self._close()

    # --- a transport

    def asynchronous(self) -> AsyncTape:
        """Return a transport for `AsyncClient`, which closes it."""
        return AsyncTape(self)

    def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> RecordedExchange | PlayedExchange:
        """Send a request of the synchronous client, or answer it from the tape."""
        if self._player is not None:
            return PlayedExchange(self._player.next(request), self._player, head_seconds, self._sleep)
        assert self._recorder is not None
        transport = self._transport()
        taking = self._recorder.begin(request)
        try:
            exchange = transport.send(uncompressed(request), connect_seconds, head_seconds)
        except (TransportFailure, TimerExpired) as error:
            taking.went_wrong(error)
            raise
        except BaseException:
            self._recorder.drop(taking)
            raise
        taking.answered(exchange.head)
        return RecordedExchange(exchange, taking)

    def _transport(self) -> Transport:
        if self._opened is None:
            self._opened = _opened(self._given)
        return self._opened


class AsyncTape:
    """A tape as the transport of an asynchronous client."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._opened: AsyncTransport | None = None

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> AsyncRecordedExchange | AsyncPlayedExchange:
        """Send a request, or answer it from the tape."""
        tape = self._tape
        if tape._player is not None:
            played = AsyncPlayedExchange(tape._player.next(request), tape._player, tape._sleep)
            return await played.begin(head_seconds)
        assert tape._recorder is not None
        if self._opened is None:
            self._opened = _opened_async(tape._given)
        taking = tape._recorder.begin(request)
        try:
            exchange = await self._opened.send(uncompressed(request), connect_seconds, head_seconds)
        except (TransportFailure, TimerExpired) as error:
            taking.went_wrong(error)
            raise
        except BaseException:
            tape._recorder.drop(taking)
            raise
        taking.answered(exchange.head)
        return AsyncRecordedExchange(exchange, taking)

    async def aclose(self) -> None:
        """Close what was opened."""
        opened, self._opened = self._opened, None
        if opened is not None and opened is not self._tape._given:
            await opened.aclose()


def _opened(given: Any) -> Transport:
    """Return what records, as a client would open it."""
    if given in (None, "sockets"):
        from ...transport.sockets import open_transport

        return open_transport()
    if given == "httpx" or is_httpx(given):
        from ...transport.httpx_sync import HttpxTransport

        return HttpxTransport(None if given == "httpx" else given)
    if not (hasattr(given, "send") and hasattr(given, "close")):
        raise ConfigurationError(f"transport: {type(given).__name__} is not one that a tape can record Client with.")
    return cast(Transport, given)


def _opened_async(given: Any) -> AsyncTransport:
    given = getattr(given, "asynchronous", lambda: given)()
    if given in (None, "sockets"):
        from ...transport.sockets import open_async_transport

        return open_async_transport()
    if given == "httpx" or is_httpx(given):
        from ...transport.httpx_async import HttpxAsyncTransport

        return HttpxAsyncTransport(None if given == "httpx" else given)
    if not (hasattr(given, "send") and hasattr(given, "aclose")):
        raise ConfigurationError(f"transport: {type(given).__name__} is not one that a tape records AsyncClient with.")
    return cast(AsyncTransport, given)
