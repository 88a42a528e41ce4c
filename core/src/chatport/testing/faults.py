"""Faults for emulators: how a vendor, or the network on the way to it, can go wrong.

    from chatport.testing import Emulator, faults

    Emulator("deepseek", faults=[faults.status(503), None, faults.cut(after_events=2)])

Each request takes the next entry; None, and all that follow the last, are answered as the vendor does. A fault of your
own is a function from a `Scene` to a `Performance`. Sizes are made while they are sent, never held in memory.
"""

from __future__ import annotations

import json
import math
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import wraps
from itertools import chain
from typing import Any, Literal, ParamSpec, TypeAlias

import attrs

from ..basics.typed import expect
from ..errors import ConfigurationError
from .emulator import EmulatedRequest, sse
from .performance import FOR_EVER, Break, Pause, Performance, Scene, Step, events_of

__all__ = [
    "Fault",
    "Faults",
    "cut",
    "deep_json",
    "drop_done",
    "drop_finish",
    "echo_key",
    "empty_deltas_for_ever",
    "endless_header",
    "error_event",
    "gzip_bomb",
    "gzip_cut",
    "heartbeats_only",
    "html_page",
    "huge_line",
    "json_instead_of_stream",
    "malformed_chunk",
    "missing_last_chunk",
    "rate_limited",
    "redirect",
    "refuse_connection",
    "reset_before_head",
    "short_content_length",
    "slow",
    "stall",
    "status",
    "two_objects_on_a_line",
    "wrong_content_type",
]

Play: TypeAlias = Callable[[Scene], Performance]
P = ParamSpec("P")

_MEBIBYTE = 1024 * 1024


@attrs.frozen
class Fault:
    """One way to misbehave. `name` says which, and tells faults apart; `play` makes of a `Scene` what is sent."""

    name: str
    play: Play = attrs.field(repr=False, eq=False)


Faults: TypeAlias = Sequence[Fault | None] | Callable[[int, EmulatedRequest], Fault | None]
"""The faults of the requests in their order, or a function of a request's number (1 is the first) and the request."""


class FaultList:
    """Which fault is next. Safe to ask from several threads."""

    def __init__(self, faults: Faults = (), *, repeat: bool = False) -> None:
        what = "faults are a list of Fault values, or a function of a request's number and the request"
        if not callable(faults):
            expect(faults, (list, tuple), what, ConfigurationError)
            for fault in faults:
                expect(fault, (Fault, type(None)), what, ConfigurationError)
        self._faults: Faults = faults if callable(faults) else tuple(faults)
        self._repeat = repeat
        self._number = 0
        self._lock = threading.Lock()

    def next(self, request: EmulatedRequest) -> Fault | None:
        """Return the fault of this request, None if it shall be answered as it should."""
        with self._lock:
            self._number += 1
            number = self._number
        if callable(self._faults):
            return self._faults(number, request)
        place = (number - 1) % max(len(self._faults), 1) if self._repeat else number - 1
        return self._faults[place] if place < len(self._faults) else None


def _fault(make: Callable[P, Play]) -> Callable[P, Fault]:
    """Make a constructor of faults from one of plays: the fault is named as it was called."""

    @wraps(make)
    def construct(*args: P.args, **kwargs: P.kwargs) -> Fault:
        given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        return Fault(f"{make.__name__}({', '.join(given)})", make(*args, **kwargs))

    return construct


# --- errors the vendor reports


@_fault
def status(code: int, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Play:
    """An HTTP error, by default with the vendor's own body; `body` is bytes, text, or a value sent as JSON."""

    def play(scene: Scene) -> Performance:
        response = scene.error(code)
        content = response.body if body is None else _bytes_of(body)
        named = {name.lower(): value for name, value in (*response.headers.items(), *(headers or {}).items())}
        return Performance(code, named, [content], content_length_bytes=len(content))

    return play


HintForm: TypeAlias = Literal[
    "seconds", "milliseconds", "date", "rfc850", "asctime", "duration", "iso", "epoch", "epoch_milliseconds"
]

_HINTS: Mapping[HintForm, tuple[str, Callable[[float, datetime], str]]] = {
    "seconds": ("retry-after", lambda seconds, _: f"{seconds:g}"),
    "milliseconds": ("retry-after-ms", lambda seconds, _: f"{seconds * 1000:.0f}"),
    "date": ("retry-after", lambda seconds, now: format_datetime(_second(now, seconds), usegmt=True)),
    "rfc850": ("retry-after", lambda seconds, now: f"{_second(now, seconds):%A, %d-%b-%y %H:%M:%S GMT}"),
    "asctime": ("retry-after", lambda seconds, now: _second(now, seconds).ctime()),
    "duration": ("x-ratelimit-reset-requests", lambda seconds, _: f"{int(seconds // 60)}m{seconds % 60:g}s"),
    "iso": ("x-ratelimit-reset-requests", lambda seconds, now: f"{_second(now, seconds):%Y-%m-%dT%H:%M:%SZ}"),
    "epoch": ("x-ratelimit-reset", lambda seconds, now: f"{_second(now, seconds).timestamp():.0f}"),
    "epoch_milliseconds": ("x-ratelimit-reset", lambda seconds, now: f"{(now.timestamp() + seconds) * 1000:.0f}"),
}


@_fault
def rate_limited(retry_after: float | str | None = None, *, form: HintForm = "seconds") -> Play:
    """The vendor's 429. `retry_after` is its hint in seconds, written in a `form`; a text is sent as it is.

    The forms: `retry-after` in seconds or as one of the three HTTP dates (RFC 9110, 5.6.7), `retry-after-ms`, and
    the reset headers that vendors use in place of it, as a duration, an ISO 8601 time, or seconds or milliseconds
    since 1970. Times are rounded up to whole seconds where the form has no parts of one. Without a hint none is
    sent, whatever the vendor's own error has.
    """
    own = {"retry-after", "retry-after-ms"}

    def play(scene: Scene) -> Performance:
        response = scene.error(429)
        headers = {name: value for name, value in response.headers.items() if name.lower() not in own}
        if isinstance(retry_after, str):
            headers["retry-after"] = retry_after
        elif retry_after is not None:
            name, written = _HINTS[form]
            headers[name] = written(retry_after, scene.now)
        return Performance(429, headers, response.pieces, content_length_bytes=len(response.body))

    return play


@_fault
def error_event(after_events: int = 0, *, status: int = 500, body: Any = None) -> Play:
    """An error inside a 200: the vendor's own of this `status`, or a `body`, as an event; then the stream ends."""

    def play(scene: Scene) -> Performance:
        first, rest = _place(scene, None, after_events)
        error = scene.error_body(status) if body is None else body
        if not scene.streams:
            return scene.with_body([_bytes_of(error)])
        named = any(event.startswith(b"event:") for event in (*first, *rest))
        return scene.with_body([*first, sse(error, "error" if named else None)])

    return play


@_fault
def echo_key() -> Play:
    """The vendor's 401, with the key in its text, as some vendors do."""

    def play(scene: Scene) -> Performance:
        names = ("authorization", "x-api-key", "api-key")
        sent = " ".join(scene.request.headers[name] for name in names if name in scene.request.headers)
        body = _bytes_of(_worded(scene.error_body(401), f"Incorrect API key provided: {sent}"))
        headers = scene.error(401).headers
        return Performance(401, headers, [body], content_length_bytes=len(body))

    return play


# --- no answer


@_fault
def refuse_connection() -> Play:
    """Nobody listens. The emulator lists the request all the same, so that attempts can be counted.

    On a port, where the connection stands before the emulator hears of it, this is a reset before the head.
    """
    return lambda scene: attrs.evolve(Performance.of(scene.response), before=[Break("refused")])


@_fault
def reset_before_head() -> Play:
    """The connection is reset in place of an answer."""
    return lambda scene: attrs.evolve(Performance.of(scene.response), before=[Break("reset")])


@_fault
def stall(
    where: Literal["before_head", "before_first_event"] | None = None,
    *,
    at_byte: int | None = None,
    after_events: int | None = None,
    seconds: float = FOR_EVER,
) -> Play:
    """Silence at one place, for ever or for so many seconds; then the answer goes on."""
    _check_one_place(where, at_byte, after_events)

    def play(scene: Scene) -> Performance:
        pause = Pause(seconds)
        if where == "before_head":
            return attrs.evolve(Performance.of(scene.response), before=[pause])
        first, rest = _place(scene, 0 if where else at_byte, after_events)
        return scene.with_body([*first, pause, *rest])

    return play


@_fault
def slow(*, bytes_per_second: float = 1.0) -> Play:
    """The body trickles, evenly."""
    step_bytes = max(int(bytes_per_second / 20), 1)  # no more than twenty writes a second

    def play(scene: Scene) -> Performance:
        def body() -> Iterator[Step]:
            content = scene.response.body
            for start in range(0, len(content), step_bytes):
                piece = content[start : start + step_bytes]
                yield Pause(len(piece) / bytes_per_second)
                yield piece

        return scene.with_body(body())

    return play


@_fault
def heartbeats_only(*, every_seconds: float = 10.0) -> Play:
    """A head, and then comments for ever (blank lines, if no stream was asked for), but no answer."""

    def play(scene: Scene) -> Performance:
        return scene.with_body(_for_ever(every_seconds, b": heartbeat\n\n" if scene.streams else b"\n"))

    return play


@_fault
def empty_deltas_for_ever(*, every_seconds: float = 1.0) -> Play:
    """The first event of the stream again and again, its deltas emptied (blank lines, if no stream was asked for)."""

    def play(scene: Scene) -> Performance:
        piece = _emptied(next(filter(_data_of, scene.events))) if scene.streams else b"\n"
        return scene.with_body(_for_ever(every_seconds, piece))

    return play


# --- a part of an answer


@_fault
def cut(
    *,
    at_byte: int | None = None,
    after_events: int | None = None,
    how: Literal["clean", "reset", "closed"] = "clean",
) -> Play:
    """The body ends early: as HTTP says (clean), by a reset, or by a connection closed inside the message.

    `at_byte` counts the bytes of the body that still come, `after_events` the events. A plain reply, which has no
    events, is cut in its middle.
    """
    _check_one_place(None, at_byte, after_events)
    end: list[Step] = [] if how == "clean" else [Break(how)]
    return lambda scene: scene.with_body([*_place(scene, at_byte, after_events)[0], *end])


@_fault
def drop_done() -> Play:
    """The end event is missing: `[DONE]`, or the last event of a stream whose events have names."""

    def play(scene: Scene) -> Performance:
        last = scene.events[-1] if scene.streams else b""
        ends = last.startswith(b"event:") or _data_of(last) == b"[DONE]"
        return scene.with_body(scene.events[:-1] if ends else scene.events)

    return play


@_fault
def drop_finish() -> Play:
    """The finish reason is missing, and all else is there, the end event too."""
    return lambda scene: scene.with_body([_edited(event, _without_finish) for event in scene.events])


@_fault
def short_content_length() -> Play:
    """The head announces twice the bytes that come before the connection is closed: half of the body."""

    def play(scene: Scene) -> Performance:
        content = scene.response.body
        half = content[: len(content) // 2]
        return scene.with_body([half, Break("closed")], content_length_bytes=len(content))

    return play


@_fault
def missing_last_chunk() -> Play:
    """The whole body comes in chunks, but not the last, empty chunk that proves it: the connection is closed."""
    return lambda scene: scene.with_body([*scene.response.pieces, Break("closed")])


@_fault
def gzip_cut() -> Play:
    """The body is compressed, and HTTP ends it as it should after its first half, inside the compression."""

    def play(scene: Scene) -> Performance:
        pieces = list(_gzip(scene.events))
        if not scene.streams:
            pieces = [pieces[0][: len(pieces[0]) // 2]]
        return _gzipped(scene.with_body(pieces[: max(len(pieces) // 2, 1)]))

    return play


# --- an answer that cannot be read


@_fault
def malformed_chunk(after_events: int = 1) -> Play:
    """The JSON of one event is broken off, and the stream goes on. A plain reply is broken off in its middle."""

    def play(scene: Scene) -> Performance:
        first, rest = _place(scene, None, after_events)
        if not scene.streams:
            return scene.with_body(first)
        broken, *others = rest or [b'data: {"choices": []}\n\n']
        line = broken.rstrip()
        return scene.with_body([*first, line[: len(line) * 2 // 3] + b"\n\n", *others])

    return play


@_fault
def two_objects_on_a_line() -> Play:
    """The data of the first two events stand on one line. A plain reply comes twice."""

    def play(scene: Scene) -> Performance:
        if not scene.streams:
            return scene.with_body([scene.response.body * 2])
        one, other, *rest = filter(_data_of, scene.events)
        return scene.with_body([one.rstrip() + _data_of(other) + b"\n\n", *rest])

    return play


@_fault
def html_page(
    code: int = 200, body: str = "<html><head><title>Sorry</title></head><body>We are down.</body></html>"
) -> Play:
    """A web page, from something in front of the vendor."""

    def play(scene: Scene) -> Performance:
        page = body.encode()
        return Performance(code, {"content-type": "text/html"}, [page], content_length_bytes=len(page))

    return play


@_fault
def json_instead_of_stream(*, status: int = 500, body: Any = None) -> Play:
    """JSON with HTTP 200 in place of the answer: the vendor's own error of a `status`, or a `body`."""

    def play(scene: Scene) -> Performance:
        content = _bytes_of(scene.error_body(status) if body is None else body)
        return scene.with_body([content], "application/json", content_length_bytes=len(content))

    return play


@_fault
def wrong_content_type(content_type: str = "text/plain") -> Play:
    """The right answer under a wrong name."""
    return lambda scene: scene.with_body(scene.response.pieces, content_type)


@_fault
def redirect(to: str, *, code: int = 307) -> Play:
    """A redirect to another address."""
    return lambda scene: Performance(code, {"location": to}, [b""], content_length_bytes=0)


# --- too much


@_fault
def gzip_bomb(mebibytes: float) -> Play:
    """A small body that is so large when it is unpacked."""
    return lambda scene: _gzipped(scene.with_body(_gzip(scene.as_data(_text(mebibytes)))))


@_fault
def huge_line(mebibytes: float) -> Play:
    """One line, or one plain reply, of this size."""
    return lambda scene: scene.with_body(scene.as_data(_text(mebibytes)))


@_fault
def deep_json(depth: int) -> Play:
    """JSON lists, so many inside one another."""
    return lambda scene: scene.with_body(scene.as_data(chain(_repeated(b"[", depth), _repeated(b"]", depth))))


@_fault
def endless_header() -> Play:
    """A head that does not end."""

    def lines() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        number = 0
        while True:
            number += 1
            yield b"x-more-%d: %b\r\n" % (number, b"a" * 4096)

    return lambda scene: attrs.evolve(Performance.of(scene.response), before=lines())


# --- tools


def _second(now: datetime, seconds: float) -> datetime:
    """Return the first whole second at which a wait is over, in UTC."""
    return datetime.fromtimestamp(math.ceil(now.timestamp() + seconds), UTC)


def _bytes_of(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def _check_one_place(*places: Any) -> None:
    if sum(place is not None for place in places) != 1:
        raise TypeError("A fault needs exactly one place, such as after_events=2.")


def _place(scene: Scene, at_byte: int | None, after_events: int | None) -> tuple[list[bytes], list[bytes]]:
    """Return the body up to a place and behind it, both in events."""
    content = scene.response.body
    if after_events is not None and not scene.streams:
        at_byte = len(content) // 2
    if at_byte is not None:
        return events_of(content[:at_byte]), events_of(content[at_byte:])
    first: list[bytes] = []
    rest = list(scene.events)
    while rest and (after_events or not _data_of(rest[0])):
        after_events = (after_events or 0) - bool(_data_of(rest[0]))
        first.append(rest.pop(0))
    return first, rest


def _data_of(event: bytes) -> bytes:
    """Return an event's data, b"" for a comment."""
    return b"".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))


def _edited(event: bytes, edit: Callable[[Any], Any]) -> bytes:
    """Return an event, or a plain reply, with its JSON edited; one without JSON as it is."""
    data = _data_of(event) or event
    try:
        value = json.loads(data)
    except ValueError:
        return event
    return event.replace(data, json.dumps(edit(value), ensure_ascii=False).encode())


def _without_finish(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_finish(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: None if name.endswith(("finish_reason", "stop_reason")) else _without_finish(item)
        for name, item in value.items()
    }


def _worded(body: Any, text: str) -> Any:
    """Return a vendor's error with other words, wherever in its shape they stand."""
    if not isinstance(body, dict):
        return text if isinstance(body, str) else body
    words = ("error", "message", "msg", "error_msg", "detail")
    return {name: _worded(item, text) if name in words else item for name, item in body.items()}


def _emptied(event: bytes) -> bytes:
    def edit(value: Any) -> Any:
        for choice in value.get("choices") or ():
            choice["delta"] = {"content": ""}
        return value

    return _edited(event, edit)


def _for_ever(every_seconds: float, piece: bytes) -> Iterator[Step]:
    while True:
        yield piece
        yield Pause(every_seconds)


def _repeated(unit: bytes, count: int) -> Iterator[bytes]:
    for start in range(0, count, 65536):
        yield unit * min(65536, count - start)


def _text(mebibytes: float) -> Iterator[bytes]:
    """Give a JSON text of this size."""
    yield b'"'
    for start in range(math.ceil(mebibytes * 16)):
        yield b"a" * min(65536, int(mebibytes * _MEBIBYTE) - start * 65536)
    yield b'"'


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress, and flush behind each piece, as a server does that streams."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def _gzipped(performance: Performance) -> Performance:
    return attrs.evolve(performance, headers={**performance.headers, "content-encoding": "gzip"})
