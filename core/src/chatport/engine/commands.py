"""What the machine may ask its driver for, and what the driver may answer.

The machine is a generator. It yields a command and is resumed with its result, or with one of the two exceptions
below thrown in. It never does I/O, sleeps, or asks for the time except through `Clock`. Commands are structs, like the
events: two of them are made for every read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

import attrs
import msgspec

from ..basics.secret import Secret
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


@attrs.frozen
class HttpRequest:
    """A request ready to be sent. The key is apart, so that no repr of a request can show it.

    `auth` is (header name, prefix, key), None where no key is sent.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    content: bytes = attrs.field(repr=False)
    auth: tuple[str, str, Secret] | None = None

    def revealed_key(self) -> str:
        """Return the key, "" where none is sent: to hide it in what the vendor wrote."""
        return "" if self.auth is None else self.auth[2].reveal()

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers with the key in its place. For the transport only."""
        if self.auth is None:
            return list(self.headers)
        name, prefix, key = self.auth
        return [*self.headers, (name, prefix + key.reveal())]


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

    Whoever asks for the same `name` meanwhile waits for the same run of it. Gives up after so many seconds.
    """

    name: Hashable
    function: Callable[[], Any]
    seconds: float | None


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


@attrs.frozen
class Clock:
    """The machine's sources of time and chance, so that tests can pass their own.

    `monotonic` gives seconds; `utcnow` an aware datetime, for HTTP dates and prices; `random` a number in [0, 1).
    `sleep` takes the place of a driver's real sleep: it lets so many seconds of this clock pass, and returns at once.
    """

    monotonic: Callable[[], float]
    utcnow: Callable[[], datetime]
    random: Callable[[], float]
    sleep: Callable[[float], None] | None = None
