"""What the machine may ask its driver for, and what the driver may answer.

The machine is a generator. It yields a command and is resumed with its result, or with one of the two exceptions
below thrown in. It never does I/O, sleeps, or asks for the time except through `Clock`. Commands are structs, like the
events: two of them are made for every read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import urlencode

import attrs
import msgspec

from ..basics.secret import Revealed, Secret
from ..basics.values import Value
from ..events import Event
from ..types import Reply

__all__ = [
    "Beside",
    "Block",
    "Clock",
    "Close",
    "Command",
    "Deliver",
    "Head",
    "HttpRequest",
    "Machine",
    "Pause",
    "Read",
    "Send",
    "TimerExpired",
    "TransportFailure",
    "Wait",
]


@attrs.frozen(eq=False, repr=False)
class HttpRequest(Value):
    """A request ready to be sent. The key is apart, so that no repr of a request can show it.

    `auth` is (header name, prefix, key), None where no key is sent. `secret_headers` and `secret_query` are what else
    must not be seen; `url` is without the latter.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    content: bytes = attrs.field(repr=False)
    auth: tuple[str, str, Secret] | None = None
    secret_headers: tuple[tuple[str, Secret], ...] = ()
    secret_query: tuple[tuple[str, Secret], ...] = ()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The key, and whatever else must not be seen."""
        key = () if self.auth is None else (self.auth[2],)
        return (*key, *(secret for _, secret in (*self.secret_headers, *self.secret_query)))

    def revealed_key(self) -> Revealed:
        """Return the key, "" where none is sent, or several: to hide it in what the vendor wrote."""
        if not (self.secret_headers or self.secret_query):
            return "" if self.auth is None else self.auth[2].reveal()
        return tuple(secret.reveal() for secret in self.secrets)

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers with the key in its place. For the transport only."""
        more = [(name, secret.reveal()) for name, secret in self.secret_headers]
        if self.auth is not None:
            name, prefix, key = self.auth
            more.append((name, prefix + key.reveal()))
        return [*self.headers, *more]

    def whole_url(self) -> str:
        """Return the URL with all of its query. For the transport only."""
        return self._url_with([(name, secret.reveal()) for name, secret in self.secret_query])

    @property
    def shown_url(self) -> str:
        """The URL for people: with the names of the secret parts of its query, and stars for their values."""
        return self._url_with([(name, "***") for name, _ in self.secret_query])

    def _url_with(self, query: Sequence[tuple[str, str]]) -> str:
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(query, safe='*')}" if query else self.url


class Head(msgspec.Struct, frozen=True):
    """Status and headers of a response; header names are lower case, repeated ones joined by a comma."""

    status: int
    headers: Mapping[str, str]


class Send(msgspec.Struct, frozen=True):
    """Send a request and give the `Head` of its response. The exchange stays open until `Close`."""

    request: HttpRequest
    connect_seconds: float | None
    head_seconds: float | None


class Read(msgspec.Struct, frozen=True):
    """Give the next bytes of the body as they were sent (still compressed), b"" at its proved end."""

    seconds: float | None


class Close(msgspec.Struct, frozen=True):
    """Give the exchange back. A body not read to its end costs the connection.

    `is_sound`: whether its server kept its word. One that cut an answer in good order may close the connection next.
    """

    is_sound: bool = True


class Wait(msgspec.Struct, frozen=True):
    """Sleep."""

    seconds: float


class Pause(msgspec.Struct, frozen=True):
    """Wait until woken, at most so many seconds (None: until woken). `arm` is given the function that wakes.

    That function may be called at once, later, from any thread, or never.
    """

    arm: Callable[[Callable[[], None]], None]
    seconds: float | None


class Deliver(msgspec.Struct, frozen=True):
    """Hand events to the caller; resume when it wants more."""

    events: list[Event]


class Block(msgspec.Struct, frozen=True):
    """Run a function that may block, such as the search for a local server, off the event loop; give its result.

    Whoever asks for the same `name` meanwhile waits for the same run of it. Gives up after so many seconds. `ahead` is
    what an event loop awaits before, within the same time; a driver without one leaves it out.
    """

    name: Hashable
    function: Callable[[], Any]
    seconds: float | None
    ahead: Callable[[], Awaitable[None]] | None = None


class Beside(msgspec.Struct, frozen=True):
    """Let another machine run beside this one, to its own end, which nobody waits for."""

    machine: Machine


Command: TypeAlias = Send | Read | Close | Wait | Pause | Deliver | Block | Beside


class TransportFailure(Exception):
    """The exchange failed. `stage`: connect (nothing was sent), send, head, or body; `kind` is a short word."""

    def __init__(self, message: str, *, stage: Literal["connect", "send", "head", "body"], kind: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.kind = kind


class TimerExpired(Exception):
    """The time given with a command is over. `stage` is connect, or io for everything after it."""

    def __init__(self, stage: Literal["connect", "io"] = "io") -> None:
        super().__init__(stage)
        self.stage = stage


class Machine(Protocol):
    """What a driver runs. `is_quiet`: its end is not to be told."""

    is_quiet: bool

    @property
    def clock(self) -> Clock:
        """The clock that drivers sleep by."""

    def run(self) -> Generator[Command, Any, Reply]:
        """Run; the generator's value is the reply."""

    def partial(self) -> Reply:
        """Return what has been received so far."""


@attrs.frozen(eq=False, repr=False)
class Clock(Value):
    """The machine's sources of time and chance, so that tests can pass their own.

    `monotonic` gives seconds; `utcnow` an aware datetime, for HTTP dates and prices; `random` a number in [0, 1).
    `sleep` takes the place of a driver's real sleep: it lets so many seconds of this clock pass, and returns at once.
    """

    monotonic: Callable[[], float]
    utcnow: Callable[[], datetime]
    random: Callable[[], float]
    sleep: Callable[[float], None] | None = None
