"""An answer in chat completions: chunks as the events come, or one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport import (
    Alternative,
    AudioDelta,
    ChatportError,
    Citation,
    CitationAdded,
    Event,
    Finished,
    Media,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnded,
    Usage,
)
from chatport.helpers import jsoncodec

from ..failures import told
from ..sse import DONE, chunk
from ..state import state_of
from ..surface import Answer, Asked, SurfaceContext, Writer
from .errors import error_body
from .request import STATE_FORMAT

__all__ = ["ChatWriter"]

_TEXTS = {TextDelta: "content", ReasoningDelta: "reasoning_content", RefusalDelta: "refusal"}
_REASONS = ("stop", "length", "tool_calls", "content_filter")
_ENVELOPE = ("system_fingerprint", "service_tier")


class ChatWriter(Writer):
    """Writes one answer. Pieces of every choice go out as they come: the protocol tells them by their index."""

    def __init__(self, asked: Asked, context: SurfaceContext) -> None:
        self._context = context
        self._id = context.new_id("chatcmpl-")
        self._created = context.unix_seconds()
        self._model = asked.model
        options = asked.body.get("stream_options")
        self._tells_usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
        self._begun: set[int] = set()
        self._told: dict[tuple[int, int], int] = {}  # of each call: how many characters of its arguments
        self._around: tuple[bytes, bytes] | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the chunks that the events mean."""
        chunks: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and event.choice == 0 and 0 in self._begun:
                before, after = self._around or self._text_chunk()
                chunks += (before, jsoncodec.encode(event.text), after)
            else:
                chunks += self._event(event)
        return b"".join(chunks)

    def _text_chunk(self) -> tuple[bytes, bytes]:
        """Return what stands around the text in nearly every chunk: made once, it takes a tenth of the time."""
        before, _, after = self._delta({"content": "@"}, 0).rpartition(b'"@"')
        self._around = (before, after)
        return self._around

    def fail(self, error: ChatportError) -> bytes:
        """Return the error as the last event: without `[DONE]`, so that nobody takes the answer for whole."""
        return chunk(error_body(told(error)))

    # --- a stream

    def _event(self, event: Event) -> Iterator[bytes]:
        field = _TEXTS.get(type(event))
        if field is not None:
            yield self._delta({field: event.text}, event.choice)  # type: ignore[union-attr]  # these three have both
            return
        match event:
            case ToolCallDelta():
                yield self._call(event, event.arguments)
            case ToolCallEnded():
                rest = event.arguments[self._told.get((event.choice, event.index), 0) :]
                if rest or (event.choice, event.index) not in self._told:
                    yield self._call(event, rest)
            case AudioDelta():
                audio = {"id": event.id, "data": event.data or None, "transcript": event.transcript or None}
                yield self._delta({"audio": {name: value for name, value in audio.items() if value}}, event.choice)
            case MediaAdded() if event.media.kind == "image":
                yield self._delta({"images": [_image(event.media)]}, event.choice)
            case CitationAdded():
                yield self._delta({"annotations": [_annotation(event.citation)]}, event.choice)
            case Finished():
                yield from self._end(event.reply)

    def _call(self, event: ToolCallDelta | ToolCallEnded, arguments: str) -> bytes:
        """Return a piece of a call: the first has its id and name, the others only what is new."""
        key = (event.choice, event.index)
        known = self._told.get(key)
        self._told[key] = (known or 0) + len(arguments)
        call: dict[str, Any] = {"index": event.index}
        if known is None:
            call |= {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": arguments}}
        else:
            call["function"] = {"arguments": arguments}
        return self._delta({"tool_calls": [call]}, event.choice)

    def _delta(self, delta: dict[str, Any], choice: int) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", "content": "", **delta}
        return self._chunk([{"index": choice, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        usage = {"usage": None} if self._tells_usage else {}
        return chunk({**self._head("chat.completion.chunk"), "choices": choices, **usage, **more})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

    def _end(self, reply: Reply) -> Iterator[bytes]:
        state = _details(reply, self._context)
        if state or not self._begun:
            yield self._delta(state, 0)
        envelope = _envelope(reply)
        for index, choice in enumerate(_choices(reply)):
            end = {"index": index, "delta": {}, "logprobs": choice.logprobs, "finish_reason": _reason(choice)}
            yield self._chunk([end], **envelope)
        if self._tells_usage:
            yield self._chunk([], usage=_usage(reply.usage))
        yield DONE

    # --- a whole

    def whole(self, reply: Reply) -> Answer:
        """Return the answer as one object."""
        choices = [self._choice(index, choice) for index, choice in enumerate(_choices(reply))]
        choices[0]["message"] |= _details(reply, self._context)
        head = self._head("chat.completion")
        return Answer.of_json({**head, "choices": choices, "usage": _usage(reply.usage), **_envelope(reply)})

    def _choice(self, index: int, choice: Reply | Alternative) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": choice.text or (None if choice.tool_calls or choice.refusal else ""),
            "refusal": choice.refusal,
            "annotations": [_annotation(citation) for citation in choice.citations],
        }
        if choice.reasoning:
            message["reasoning_content"] = choice.reasoning
        if choice.tool_calls:
            message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
        images = [_image(media) for media in choice.media if media.kind == "image"]
        if images:
            message["images"] = images
        if isinstance(choice, Reply) and choice.audio:
            message["audio"] = {"expires_at": 0, **choice.audio}
        return {"index": index, "message": message, "logprobs": choice.logprobs, "finish_reason": _reason(choice)}


def _choices(reply: Reply) -> list[Reply | Alternative]:
    return [reply, *reply.alternatives]


def _reason(choice: Reply | Alternative) -> str:
    return choice.finish_reason if choice.finish_reason in _REASONS else choice.raw_finish_reason or "stop"


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _details(reply: Reply, context: SurfaceContext) -> dict[str, Any]:
    """Return the member that carries what the vendor wants back; none where that is nothing."""
    state = state_of(reply, context.seal)
    if state is None:
        return {}
    return {"reasoning_details": [{"type": "reasoning.encrypted", "format": STATE_FORMAT, "data": state}]}


def _envelope(reply: Reply) -> dict[str, Any]:
    raw = reply.raw if isinstance(reply.raw, Mapping) else {}
    return {name: raw[name] for name in _ENVELOPE if isinstance(raw.get(name), str)}


def _annotation(citation: Citation) -> dict[str, Any]:
    start, end = citation.span or (0, 0)
    known = {"url": citation.url or "", "title": citation.title or "", "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": known}


def _image(media: Media) -> dict[str, Any]:
    url = media.url or f"data:{media.media_type or 'image/png'};base64,{media.data or ''}"
    return {"type": "image_url", "image_url": {"url": url}}


def _usage(usage: Usage) -> dict[str, Any] | None:
    """Return the counts, None where the vendor has told none."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    told: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }
    return told
