"""Standard `decode_chunk`: one `chat.completion.chunk` to events, tolerant of what compatible servers really send.

The rules, with the vendors' tables as witness: usage replaces and never adds (OA-P3); `choices` may be empty, null or
missing (OA-P1); tool fragments are joined by id, then index, then order (OA-P2); an empty id or name never
overwrites one (QW-S3); the first finish reason counts, and an empty one is none (OR-S4). Sources and pictures are read
wherever they stand (`citations`, `media`). A turn that some gateways split, its text in one choice and its calls in
another, is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from .. import jsoncodec
from ..basics.pieces import join_small
from ..basics.sizes import Limits
from ..call import Chunk, Context, StreamState, WireRequest
from ..errors import over_limit
from ..events import (
    AudioDelta,
    ErrorReported,
    Event,
    FinishReported,
    LogprobsReported,
    MediaAdded,
    OpaqueReported,
    ReasoningDelta,
    RefusalDelta,
    ReplyStarted,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from ..hooks import hookimpl
from .calls import CallCount, Calls, CallState
from .citations import SOURCES, is_citation, references, sources, sources_in
from .endings import end_word, finish_reason
from .unread import CALL_KEYS, MESSAGE_KEYS, READ_OF_MESSAGE, leave_out, left_out, unread
from .usage import vendors_usage
from .usual_chunks import usual_events

_Piece: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta

__all__ = [
    "ChoiceState",
    "beside_choices",
    "check_choices",
    "choice_events",
    "decode_chunk",
    "finish_reason",
    "is_error",
    "join_small",
    "over_limit",
]

_BESIDE = frozenset((*SOURCES, "images"))
"""Members of a message, and of a reply, that hold what is neither its text nor its calls."""
_ERROR_WORDS = ("message", "detail", "error_msg", "error_message", "errors")
"""Where an error in a flat form has its text."""


@hookimpl
def decode_chunk(
    chunk: Chunk, state: StreamState, context: Context, request: WireRequest | None = None
) -> Sequence[Event]:
    # All arguments of the hook are named, in its order: so the plan is this very function, and nothing around it.
    if state.uncommon:
        state.uncommon -= 1
    elif state.named and chunk.event == "message":
        common = usual_events(chunk, state)
        if common is not None:
            return common
    raw = chunk.raw
    if raw[:1] != b"{":
        trimmed = raw.strip()
        if trimmed == b"[DONE]":
            state.ended = True
            return ()
        if not trimmed:  # an event with no data is a heartbeat
            return ()
    data = chunk.data
    if not isinstance(data, dict):
        return (ErrorReported(data),)
    if chunk.event != "message" and chunk.event != "error" and "choices" not in data:
        return ()  # a named event of the server's own, such as a tool run on its side (MR-S1)
    events: list[Event] = []
    is_first = not state.started
    choices = data.get("choices")
    if not state.named:
        state.started, state.named = True, bool(choices or data.get("model"))
        events.append(_started(data))
    if isinstance(choices, list):
        check_choices(choices, context)
        for position, choice in enumerate(choices if len(choices) < 2 else _last_ends(choices)):
            if isinstance(choice, dict):
                _decode_choice(choice, position, state, context, events, request)
    if data.get("usage") is not None or not choices:
        _decode_tail(data, context, events)
    elif events and type(events[-1]) is FinishReported:
        _decode_own_usage(data, context, events)
    if is_first or not _BESIDE.isdisjoint(data):
        _beside(data, state, events)
    if is_error(data, chunk.event):
        events.append(ErrorReported(data))
    return events


def is_error(data: Mapping[str, Any], event: str = "message") -> bool:
    """Whether a 200 body or chunk reports an error: an `error` member, the event name, or an error's flat form."""
    if data.get("error") or event == "error":
        return True
    if "choices" in data and data["choices"] is not None:
        return False
    if data.get("object") == "error" or ("message" in data and "code" in data):
        return True
    return "choices" not in data and any(data.get(name) and isinstance(data[name], str | list) for name in _ERROR_WORDS)


def _started(data: Mapping[str, Any]) -> ReplyStarted:
    envelope = {name: value for name, value in data.items() if name not in ("choices", "usage")}
    reply_id, model = data.get("id"), data.get("model")
    return ReplyStarted(
        reply_id if isinstance(reply_id, str) else None, model if isinstance(model, str) else None, envelope
    )


def _decode_tail(data: dict[str, Any], context: Context, events: list[Event]) -> None:
    usage = vendors_usage(data.get("usage"), context)
    if usage is not None:
        events.append(UsageReported(usage))
    if not data.get("choices"):
        rest = {name: value for name, value in data.items() if name not in ("choices", "usage", "error")}
        events.append(ReplyStarted(envelope=rest))


def _decode_own_usage(data: dict[str, Any], context: Context, events: list[Event]) -> None:
    """Take the counts of a last chunk that has them inside an object of the server's own (GQ-S4)."""
    for value in data.values():
        usage = vendors_usage(value.get("usage"), context) if isinstance(value, dict) else None
        if usage is not None:
            events.append(UsageReported(usage))
            return


def _decode_choice(
    choice: dict[str, Any],
    position: int,
    state: StreamState,
    context: Context,
    events: list[Event],
    request: WireRequest | None,
) -> None:
    index = choice.get("index")
    if not isinstance(index, int):
        index = position
    delta = choice.get("delta")
    if not isinstance(delta, dict):  # a whole message where a delta is due
        delta = choice.get("message")
    known = state.choices.get(index)
    if known is None:
        if state.choices and _asked_for_one(request):
            if not (_says(delta) or choice.get("finish_reason")):
                return  # it is told what it is when it says something
            known = _split_off(delta, state)
        known = state.choices[index] = known or _new_choice(index, state, context)
    if isinstance(delta, dict):
        known.delta_events(delta, events)
    index = known.index
    logprobs = choice.get("logprobs")
    if logprobs:
        events.append(LogprobsReported(logprobs, index))
    if choice.get("usage") is not None:  # one of the places vendors have found for it
        usage = vendors_usage(choice["usage"], context)
        if usage is not None:
            events.append(UsageReported(usage))
    reason = choice.get("finish_reason")
    if reason and not known.finished:
        word = end_word(reason)
        if word is not None:
            known.finished = True
            events.extend(known.flush())
            events.append(FinishReported(finish_reason(word, context), word, index))
    if choice.get("error"):
        events.append(ErrorReported({"error": choice["error"]}))


def _says(delta: Any) -> bool:
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")


def _last_ends(choices: list[Any]) -> Sequence[Any]:
    from .split_turns import last_ends  # few answers have several choices

    return last_ends(choices)


def _asked_for_one(request: WireRequest | None) -> bool:
    from .split_turns import asked_for_one

    return asked_for_one(request)


def _split_off(delta: Any, state: StreamState) -> ChoiceState | None:
    """Return the choice to which a new one belongs, None if it stands for itself."""
    from .split_turns import has_only_calls

    first: ChoiceState = next(iter(state.choices.values()))
    return first if has_only_calls(delta) and not len(first.calls) else None


def _beside(data: Mapping[str, Any], state: StreamState, events: list[Event]) -> None:
    """Take what is told beside the choices. Some tell it again with every chunk."""
    told = [data.get(name) for name in _BESIDE]
    if told != state.beside:
        state.beside = told
        events.extend(beside_choices(data))


def beside_choices(data: Mapping[str, Any]) -> Sequence[Event]:
    """Return what a reply or a chunk tells beside its choices: sources, and the pictures that a search has found."""
    return (*sources(data), *(_images(data) if data.get("images") else ()))


def _images(holder: Mapping[str, Any], choice: int = 0) -> Iterator[MediaAdded]:
    images = holder.get("images")
    from .media import media_of  # few answers have media

    for image in images if isinstance(images, list) else ():
        media = media_of(image, "image")
        if media is not None:
            yield MediaAdded(media, choice)


def _new_choice(index: int, state: StreamState, context: Context) -> ChoiceState:
    limits = context.limits
    if len(state.choices) >= limits.choices:
        raise over_limit("The stream", limits.choices, "choices", "choices")
    if state.call_count is None:
        state.call_count = CallCount(limits.tool_calls)
    return ChoiceState(index, state.call_count, limits.parts, left_out(context))


def check_choices(choices: Sequence[Any], context: Context) -> None:
    """Raise MalformedReplyError if a chunk or a reply lists more choices than are accepted."""
    if len(choices) > context.limits.choices:
        raise over_limit("The reply", context.limits.choices, "choices", "choices")


def _text_or_none(value: Any) -> str | None:
    return jsoncodec.whole(value) if isinstance(value, str) else None


class ChoiceState:
    """What must be remembered of one choice: its tool calls so far, and half an emoji if a chunk ended in one."""

    __slots__ = ("calls", "finished", "halves", "index", "left_out", "most_parts", "unread")

    def __init__(
        self,
        index: int,
        count: CallCount | None = None,
        most_parts: int = Limits().parts,
        left_out: Sequence[str] = (),
    ) -> None:
        """`count` is that of the answer, which may have other choices; `left_out` are keys that are not kept."""
        self.left_out = left_out
        self.index = index
        self.calls = Calls(count)
        self.most_parts = most_parts
        self.finished = False
        self.unread: dict[str, Any] = {}  # the keys of the last delta that has some which nobody reads
        self.halves: dict[Any, str] = {}  # high surrogates that wait for their low halves, by event class or call

    def delta_events(self, delta: Mapping[str, Any], events: list[Event]) -> None:
        """Append what a delta (or a whole message: it is the same shape) says, reasoning first."""
        content = delta.get("content")
        if len(delta) <= 2 and type(content) is str and ("role" in delta or len(delta) == 1):
            if content:  # the common case, on the shortest way
                self._piece(TextDelta, content, events)
            return
        self._reasoning(delta, events)
        if content:
            self._content(content, events)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._piece(RefusalDelta, refusal, events)
        calls = delta.get("tool_calls")
        if calls:
            self._tool_calls(calls, events)
        elif isinstance(delta.get("function_call"), dict) and any(delta["function_call"].values()):
            self._tool_calls([{"index": 0, "function": delta["function_call"]}], events)
        if not _BESIDE.isdisjoint(delta):
            self._beside(delta, events)
        audio = delta.get("audio")
        if isinstance(audio, dict) and any(audio.values()):  # some servers fill both with nothing, beside every answer
            data, transcript, audio_id = (_text_or_none(audio.get(name)) for name in ("data", "transcript", "id"))
            events.append(AudioDelta(data or "", transcript or "", audio_id, self.index))
        if not READ_OF_MESSAGE.issuperset(delta):
            self._unread(delta, events)

    def more_arguments(self, index: int, text: str) -> ToolCallDelta | None:
        """Take a piece of the arguments of the last call; None if a fragment of this index, and no more, is not its."""
        call = self.calls.newest
        if call is None or self.halves or call.wire_index != index:
            return None
        self.calls.last_used = call
        if text and call.nesting is not None:
            call.unseen.append(text)
        return ToolCallDelta(call.index, call.id, call.name, text, self.index)

    def flush(self) -> Iterable[Event]:
        """Return what was held back, at the end of the choice."""
        halves, self.halves = self.halves, {}
        return [
            ToolCallDelta(kind.index, kind.id, kind.name, "\ufffd", self.index)
            if isinstance(kind, CallState)
            else kind("\ufffd", self.index)
            for kind in halves
        ]

    def compact(self) -> None:
        """Hold what is kept of the calls in few pieces."""
        self.calls.compact()

    def _unread(self, delta: Mapping[str, Any], events: list[Event]) -> None:
        """Tell the keys that nobody here reads. Some vendors repeat them with every piece: once will do."""
        found = unread(delta, READ_OF_MESSAGE)
        leave_out(found, self.left_out)
        if found and found != self.unread:
            self.unread = found
            events.append(OpaqueReported(MESSAGE_KEYS, found, self.index))

    def _piece(self, kind: type[_Piece], text: str, events: list[Event]) -> None:
        if self.halves or "\ud800" <= text[-1] <= "\udfff" or "\ud800" <= text[0] <= "\udfff":
            text = self._joined(kind, text)
            if not text:
                return
        events.append(kind(text, self.index))

    def _joined(self, kind: Any, text: str) -> str:
        """Return the text with whole surrogate pairs only, keeping back a half that the next chunk may complete."""
        text = self.halves.pop(kind, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.halves[kind] = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _reasoning(self, delta: Mapping[str, Any], events: list[Event]) -> None:
        """Take one of the two fields: servers in transition send the same text in both (VL-R1)."""
        text = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if text and isinstance(text, str):
            self._piece(ReasoningDelta, text, events)
        elif isinstance(details, list) and not text:
            for detail in self._parts(details):
                shown = isinstance(detail, dict) and (detail.get("text") or detail.get("summary"))
                if isinstance(shown, str) and shown:
                    self._piece(ReasoningDelta, shown, events)
        if isinstance(details, list) and details:
            events.append(OpaqueReported("reasoning_details", details, self.index))

    def _content(self, content: Any, events: list[Event]) -> None:
        if isinstance(content, str):
            self._piece(TextDelta, content, events)
        elif isinstance(content, list) and all(map(_is_part, content)):
            for part in self._parts(content):
                self._part(part, events)
        else:  # a server that hands structured output over decoded
            events.append(TextDelta(jsoncodec.encode_anything(content).decode(), self.index))

    def _parts(self, parts: list[Any]) -> list[Any]:
        if len(parts) > self.most_parts:
            raise over_limit("A list of the answer", self.most_parts, "parts", "parts")
        return parts

    def _part(self, part: Any, events: list[Event]) -> None:
        if isinstance(part, str) and part:
            self._piece(TextDelta, part, events)
        elif isinstance(part, dict):
            thinking = part.get("thinking")
            if isinstance(thinking, list):
                text = "".join(str(item.get("text") or "") for item in thinking if isinstance(item, dict))
                if text:
                    self._piece(ReasoningDelta, text, events)
                events.extend(
                    cited for item in thinking if isinstance(item, dict) for cited in sources_in(item, self.index)
                )
            elif isinstance(thinking, str) and thinking:
                self._piece(ReasoningDelta, thinking, events)
            elif isinstance(part.get("text"), str) and part["text"]:
                self._piece(TextDelta, part["text"], events)
                events.extend(references(part, self.index))
            elif part.get("type") != "text":
                from .media import media_of

                media = media_of(part)
                events.extend(references(part, self.index) if media is None else (MediaAdded(media, self.index),))

    def _beside(self, delta: Mapping[str, Any], events: list[Event]) -> None:
        """Take sources and pictures; notes of another kind go back as they are."""
        events.extend(sources(delta, self.index))
        events.extend(_images(delta, self.index))
        notes = delta.get("annotations")
        others = [note for note in notes if not is_citation(note)] if isinstance(notes, list) else ()
        if others:
            events.append(OpaqueReported("annotations", others, self.index))

    def _tool_calls(self, fragments: Any, events: list[Event]) -> None:
        if self.finished and not len(self.calls):  # the text of a split turn has told its end, the calls will
            self.finished = False
        for call, piece in self.calls.take_all(fragments):
            if piece and (self.halves or "\ud800" <= piece[-1] <= "\udfff" or "\ud800" <= piece[0] <= "\udfff"):
                piece = self._joined(call, piece)
            events.append(ToolCallDelta(call.index, call.id, call.name, piece, self.index))
            if call.unread:
                events.append(OpaqueReported(CALL_KEYS, call.unread, self.index, call.index))
                call.unread = None


def _is_part(item: Any) -> bool:
    """Whether an item of a content list is a part of a message, and not of a value of the model's own."""
    return isinstance(item, str) or (isinstance(item, dict) and ("type" in item or "text" in item))


def choice_events(
    choice: Mapping[str, Any], position: int, context: Context, count: CallCount | None = None
) -> list[Event]:
    """Return the events of one choice of a whole reply. `count` is that of the calls of all its choices."""
    index = choice.get("index")
    count = count or CallCount(context.limits.tool_calls)
    place = index if isinstance(index, int) else position
    state = ChoiceState(place, count, context.limits.parts, left_out(context))
    events: list[Event] = []
    message = choice.get("message")
    if isinstance(message, dict):
        calls = message.get("tool_calls")
        if isinstance(calls, list):  # separate by position, whatever their index
            numbered = [{**call, "index": n} for n, call in enumerate(calls) if isinstance(call, dict)]
            message = {**message, "tool_calls": numbered}
        state.delta_events(message, events)
    elif choice.get("text") and isinstance(choice["text"], str):
        state.delta_events({"content": choice["text"]}, events)
    if state.halves:
        events.extend(state.flush())
    if choice.get("logprobs"):
        events.append(LogprobsReported(choice["logprobs"], state.index))
    word = end_word(choice.get("finish_reason"))
    if word is not None:
        events.append(FinishReported(finish_reason(word, context), word, state.index))
    if choice.get("error"):
        events.append(ErrorReported({"error": choice["error"]}))
    return events
