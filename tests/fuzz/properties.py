"""What must hold whatever a vendor sends. One function for hypothesis, the fuzzer and the kept corpus alike."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from unicodedata import category

import chatport
from chatport import ChatportError, PluginError, Reply
from chatport.basics.display import clean, clean_json, one_line
from chatport.engine.commands import Head, HttpRequest
from chatport.engine.route import Route
from chatport.events import Event, Finished, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, ToolCallEnded
from chatport.plugins.installed import installed_providers
from chatport.testing.recordings import play, route_of

from .exchange import Exchange
from .schemas import check_schema

__all__ = ["ENDS", "PROVIDERS", "check", "check_shown", "outcome_of"]

PROVIDERS: tuple[str, ...] = ("compatible", *installed_providers())
ENDS = (b"finish_reason", b"[DONE]", b"message_stop", b"stop_reason", b"tool_use_failed")
"""What the proofs of an end are made of, in every dialect: a stream without any of these is not whole."""
REASONS = ("stop", "length", "tool_calls", "content_filter", "other")


def check(provider: str, exchange: Exchange) -> Any:
    """Hold the decoding of an exchange against every property; return what came of it. Raises AssertionError."""
    if exchange.kind == "schema":
        return check_schema(provider, exchange.body)
    if exchange.kind == "terminal":
        return check_shown(exchange.body.decode("utf-8", "surrogateescape"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a hook that only looks on has failed
        result = outcome_of(provider, exchange)
        for pieces in _cuts(exchange.body):
            assert _shown(outcome_of(provider, exchange, pieces)) == _shown(result), f"other pieces: {len(pieces)}"
    if isinstance(result, ChatportError):
        _check_error(result)
    elif exchange.kind == "models":
        assert all(type(info.id) is str and type(info.owned_by) in (str, type(None)) for info in result)
    elif exchange.kind in ("stream", "whole"):
        _check_events(*result)
        if exchange.kind == "stream" and exchange.status < 300 and _is_event_stream(exchange):
            assert any(end in exchange.body for end in ENDS) or b"\\u" in exchange.body, "a reply without its end"
    return result


def check_shown(text: str) -> str:
    """Hold what a terminal gets of a text against every property of it; return it. Raises AssertionError."""
    shown = clean(text)
    directing = [c for c in shown if (category(c) in ("Cc", "Cs") and c not in "\n\t") or c in TURNING]
    assert not directing, f"the terminal gets {directing[0]!a}"
    for at in {*range(min(len(text), 40)), len(text) // 2}:
        assert clean(text[:at]) + clean(text[at:]) == shown, f"cut at {at}"
    assert clean(shown) == shown
    assert "".join(c for c in text if clean(c) == c) == "".join(c for c in text if c == "\n" or is_ordinary(c))
    line = one_line(text)
    assert line.isprintable() or not any(category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in line)
    paired = text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "surrogatepass"
    )  # JSON cannot tell the halves apart
    value = json.dumps(paired, ensure_ascii=False)
    assert json.loads(clean_json(value)) == json.loads(value)
    assert all(is_ordinary(c) for c in clean_json(value))
    return shown


TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_ordinary(character: str) -> bool:
    """Whether a character is shown, or belongs to how others are, and does nothing else."""
    return character == "\t" or (category(character) not in ("Cc", "Cs") and character not in TURNING)


def outcome_of(provider: str, exchange: Exchange, pieces: Sequence[bytes] | None = None) -> Any:
    """Return events and reply, the models, the embeddings, or the error of ours; another error is let through."""
    sent = [exchange.body] if pieces is None else list(pieces)
    head = Head(exchange.status, dict(exchange.headers))
    try:
        if exchange.kind in ("stream", "whole"):
            return play(_route(provider, exchange.kind == "stream"), head, sent, deliver=True)
        client, transport = _client(provider)
        transport.head, transport.pieces = head, sent
        if exchange.kind == "models":
            return client.models(provider)
        return client.embed(["a text", "another"], model=f"{provider}:m")  # as many as the seed has vectors
    except ChatportError as error:
        if isinstance(error, PluginError):
            raise AssertionError(f"a hook failed: {error}") from error
        return error


@cache
def _route(provider: str, stream: bool) -> Route:
    return route_of(provider, "recorded", stream)


class _Recorded:
    """A transport, and its own exchange, that gives the bytes it was told."""

    def __init__(self) -> None:
        self.head = Head(200, {})
        self.pieces: list[bytes] = []
        self._left: Iterator[bytes] = iter(())

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> _Recorded:
        self._left = iter([piece for piece in self.pieces if piece])
        return self

    def read(self, seconds: float | None) -> bytes:
        return next(self._left, b"")

    def close(self) -> None:
        pass


@cache
def _client(provider: str) -> tuple[chatport.Client, _Recorded]:
    table = {"api_key": "recorded-no-key", "base_url": "https://recorded.invalid/v1"}
    if provider == "compatible":
        table["kind"] = "compatible"
    transport = _Recorded()
    config = {"providers": {provider: table}, "retry": {"attempts": 1}}
    return chatport.Client(config, transport=transport), transport


def _cuts(body: bytes) -> Iterator[list[bytes]]:
    """Yield the body in other pieces: byte by byte, and cut at places that depend on nothing but the body."""
    if len(body) <= 300:
        yield [body[at : at + 1] for at in range(len(body))]
    digest = hashlib.sha256(body).digest()
    for seed in range(2):
        at = int.from_bytes(digest[seed * 8 : seed * 8 + 8], "big") % (len(body) + 1)
        yield [body[:at], body[at:]]


def _is_event_stream(exchange: Exchange) -> bool:
    return exchange.body.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] not in (b"{", b"[", b"<")


def _shown(result: Any) -> Any:
    """Return something to compare: errors are equal by what they say and hold."""
    return (type(result), str(result), result.partial) if isinstance(result, ChatportError) else result


def _check_error(error: ChatportError) -> None:
    str(error).encode()
    seconds = error.retry_after_seconds
    assert seconds is None or 0 <= seconds < math.inf, f"retry_after_seconds = {seconds}"
    assert isinstance(error.retryable, bool)
    assert len(error.message) < 10_000
    if error.partial is not None:
        _check_reply(error.partial)


def _check_events(events: list[Event], reply: Reply) -> None:
    """The events add up to the reply."""
    assert [type(event) for event in events].count(Finished) == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].reply == reply
    _check_reply(reply)
    choices = sorted({event.choice for event in events if isinstance(event, _OF_CHOICES)})
    first = choices[0] if choices and not reply.alternatives else None
    if first is None:
        return
    own = [event for event in events if isinstance(event, _OF_CHOICES) and event.choice == first]
    assert "".join(event.text for event in own if isinstance(event, TextDelta)) == reply.text
    assert "".join(event.text for event in own if isinstance(event, ReasoningDelta)) == (reply.reasoning or "")
    assert "".join(event.text for event in own if isinstance(event, RefusalDelta)) == (reply.refusal or "")
    for index, call in enumerate(reply.tool_calls):
        pieces = [event for event in own if isinstance(event, ToolCallDelta) and event.index == index]
        told = "".join(piece.arguments for piece in pieces)
        assert call.arguments == (told if told.strip() or not call.complete else "{}")
    ended = {event.index: event.arguments for event in own if isinstance(event, ToolCallEnded)}
    assert all(reply.tool_calls[index].arguments == arguments for index, arguments in ended.items())


_OF_CHOICES = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta, ToolCallEnded)


def _check_reply(reply: Reply) -> None:
    for text in (reply.text, reply.reasoning or "", reply.refusal or "", reply.model):
        text.encode()
    for call in reply.tool_calls:
        (call.id + call.name + call.arguments).encode()
    assert reply.finish_reason in (*REASONS, "error")
    counts = (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_input_tokens)
    assert all(count is None or 0 <= count < 2**63 for count in counts), counts
    assert reply.cost is None or 0 <= reply.cost.amount < math.inf
