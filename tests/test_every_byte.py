"""Every recorded stream, of every protocol we speak, means the same however its bytes arrive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from chatport import ChatportError, Reply, StreamInterruptedError
from chatport.engine.commands import Head
from chatport.engine.route import Route
from chatport.plugins.installed import installed_providers
from chatport.testing.recordings import play, route_of

TRACES = Path(__file__).resolve().parents[1].parent / "shared" / "traces"
if not TRACES.is_dir():
    pytest.skip("no recordings: ../shared/traces is not there", allow_module_level=True)

SPEAKERS = {"openai-chat": "compatible", "anthropic-messages": "anthropic"}
FOLDERS = sorted(path.name for path in TRACES.iterdir() if path.is_dir())
SHORT_BYTES = 3_000


@attrs.frozen
class Stream:
    """A recorded stream."""

    name: str
    provider: str
    head: Head
    body: bytes


@cache
def streams_of(folder: str) -> tuple[Stream, ...]:
    return tuple(filter(None, (_stream(path) for path in sorted((TRACES / folder).glob("*.json")))))


def _stream(path: Path) -> Stream | None:
    recorded = json.loads(path.read_text("utf-8"))
    response = recorded["response"]
    provider = SPEAKERS[recorded["protocol"]]
    if response.get("sse_text") is None or provider not in ("compatible", *installed_providers()):
        return None
    headers = {name.lower(): value for name, value in (response["headers"] or {}).items()}
    head = Head(response["status"] or 200, headers)
    return Stream(f"{path.parent.name}/{path.stem}", provider, head, response["sse_text"].encode())


def short_streams(most: int) -> list[Stream]:
    """Return that many short streams, from as many vendors as there are, in an order that is fixed."""
    ranked: list[tuple[int, bytes, Stream]] = []
    for folder in FOLDERS:
        short = [stream for stream in streams_of(folder) if 0 < len(stream.body) <= SHORT_BYTES]
        short.sort(key=lambda stream: hashlib.sha256(stream.name.encode()).digest())
        ranked += [(place, hashlib.sha256(s.name.encode()).digest(), s) for place, s in enumerate(short)]
    return [stream for _, _, stream in sorted(ranked, key=lambda item: item[:2])[:most]]


@cache
def _route(provider: str) -> Route:
    return route_of(provider, "recorded", True)


def outcome(stream: Stream, pieces: list[bytes]) -> Any:
    """Return the events, or the error with its text and what had been received."""
    try:
        return play(_route(stream.provider), stream.head, pieces, deliver=True)[0]
    except ChatportError as error:
        return type(error), str(error), error.partial


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_stream_means_the_same_byte_by_byte(folder: str) -> None:
    different = [
        stream.name
        for stream in streams_of(folder)
        if outcome(stream, [stream.body[at : at + 1] for at in range(len(stream.body))])
        != outcome(stream, [stream.body])
    ]
    assert not different


SHORT = short_streams(50)


@pytest.mark.parametrize("stream", SHORT, ids=[stream.name for stream in SHORT])
def test_a_short_stream_means_the_same_cut_at_every_byte(stream: Stream) -> None:
    whole = outcome(stream, [stream.body])
    body = stream.body
    wrong = [at for at in range(1, len(body)) if outcome(stream, [body[:at], body[at:]]) != whole]
    assert not wrong, f"cut in two at {wrong[:20]} the events differ"


@pytest.mark.parametrize("end", ["clean", "reset"])
@pytest.mark.parametrize("stream", SHORT, ids=[stream.name for stream in SHORT])
def test_a_short_stream_that_ends_at_any_byte_is_whole_or_an_error(
    stream: Stream, end: Literal["clean", "reset"]
) -> None:
    """Never a part that passes for the whole: an equal reply, or an error with exactly the beginning that had come."""
    whole = ending(stream, stream.body, "clean")
    problems = [
        f"{at}: {problem}"
        for at in range(len(stream.body))
        for problem in problems_of(whole, ending(stream, stream.body[:at], end))
    ]
    assert not problems, f"ended early ({end}): " + "; ".join(problems[:10])


def ending(stream: Stream, body: bytes, end: Literal["clean", "reset"]) -> Reply | ChatportError:
    try:
        return play(_route(stream.provider), stream.head, [body], deliver=True, end=end)[1]
    except ChatportError as error:
        return error


def problems_of(whole: Reply | ChatportError, cut: Reply | ChatportError) -> Iterator[str]:
    """Yield what is wrong with the outcome of a stream that ended early, given that of the whole stream."""
    meant = whole if isinstance(whole, Reply) else whole.partial or Reply()
    if isinstance(cut, Reply):
        if isinstance(whole, ChatportError):
            yield f"a reply, though the whole stream is {type(whole).__name__}"
        elif content(cut) != content(whole):
            yield f"a reply that is not the whole one: {content(cut)}"
        elif cut.usage != whole.usage and not any(note.kind == "missing" for note in cut.warnings):
            yield "other counts, and no word of it"
        return
    part = cut.partial
    if not isinstance(cut, StreamInterruptedError) and isinstance(whole, Reply) and part is not None:
        yield f"{type(cut).__name__} after a part of the answer"
    if part is None:
        return
    if not (meant.text.startswith(part.text) and (meant.reasoning or "").startswith(part.reasoning or "")):
        yield f"no beginning: {part.text!r}, {part.reasoning!r}"
    for call, due in zip(part.tool_calls, meant.tool_calls, strict=False):
        if not due.arguments.startswith(call.arguments) or (call.complete and call != due):
            yield f"no beginning of a call: {call}"


def content(reply: Reply) -> Any:
    """Return what an answer says, without what is counted or warned of."""
    return reply.text, reply.reasoning, reply.tool_calls, reply.finish_reason, reply.refusal, reply.raw_finish_reason


def test_there_are_fifty_short_streams_of_many_vendors() -> None:
    """The sample is what it claims to be."""
    assert len(SHORT) == 50
    assert len({stream.name.partition("/")[0] for stream in SHORT}) >= 20
