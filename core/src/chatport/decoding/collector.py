"""Events in, a `Reply` out: what was received so far, at any moment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from .. import events as ev, jsoncodec
from ..basics.pieces import join_small
from ..basics.sizes import Limits
from ..errors import MalformedReplyError, over_limit
from ..standard.endings import UNKNOWN
from ..standard.unread import MESSAGE_KEYS, merge_keys, merged_keys
from ..types import Alternative, Citation, FinishReason, Media, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from .citations import Citations

__all__ = ["Collector"]

_EVENTS: tuple[type, ...] = get_args(ev.Event)


class _Choice:
    __slots__ = (
        "audio",
        "calls",
        "ended",
        "finish",
        "logprobs",
        "media",
        "opaque",
        "raw_finish",
        "reasoning",
        "refusal",
        "text",
        "told_calls",
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        # Lists from the first piece on: a process may hold thousands of streams, and most have neither.
        self.reasoning: list[str] | tuple[()] = ()
        self.refusal: list[str] | tuple[()] = ()
        self.media: list[Media] | tuple[()] = ()
        self.calls: dict[int, _Call] = {}
        self.logprobs: Any = None
        self.opaque: dict[str, Any] = {}
        self.audio: dict[str, list[str]] = {}
        self.finish: str | None = None
        self.raw_finish: str | None = None
        self.ended = False
        self.told_calls = False

    @property
    def reason(self) -> FinishReason:
        """Our finish reason: calls decide, not the vendor's word, where the word is an ordinary stop (OA-S6)."""
        if self.calls and self.finish in ("stop", "other", UNKNOWN, None) and self.ended:
            return "tool_calls"
        if self.finish == UNKNOWN:
            return "other"
        return self.finish or ("other" if self.ended else "error")  # type: ignore[return-value]  # checked by tests

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Return the calls; of an answer that was cut the last is not complete, of one that was broken off none is."""
        if not self.calls:
            return ()
        cut = not self.ended or self.finish in ("length", "content_filter")
        first_cut = -1 if self.finish == "error" else max(self.calls) if cut else math.inf
        return tuple(
            ToolCall(
                call.id,
                call.name,
                call.text(index >= first_cut),
                index < first_cut,
                merged_keys(call.extra) if call.extra else {},
            )
            for index, call in sorted(self.calls.items())
        )

    def all_media(self) -> tuple[Media, ...]:
        """Return what came whole, and then what was spoken in pieces."""
        if not self.audio:
            return tuple(self.media)
        from ..standard.media import audio_of  # few answers are spoken

        spoken = audio_of("".join(self.audio.get("data", ())))
        return (*self.media, *(() if spoken is None else (spoken,)))


class _Call:
    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self) -> None:
        self.extra: dict[str, Any] | None = None
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def text(self, cut: bool) -> str:
        text = "".join(self.arguments)
        return text if cut or text.strip() else "{}"  # a call without arguments: QW-S5, OR-S10


class Collector:
    """Gather the events of one attempt. Text is kept as a list of pieces and joined once, when asked for."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.call_count = 0
        self.choices: dict[int, _Choice] = {}
        self.citations: Citations | None = None
        self.usage: Usage | None = None
        self.id: str | None = None
        self.model: str | None = None
        self.envelope: dict[str, Any] = {}
        self.error: ev.ErrorReported | None = None
        self._own_error: ev.ErrorReported | None = None
        self.has_content = False

    def add(self, event: ev.Event) -> bool:
        """Take an event; return whether it is content, that is, whether handing it over commits the call."""
        if type(event) is ev.TextDelta:
            choice = self.choices.get(event.choice) or self._choice(event)
            choice.text.append(event.text)
        elif type(event) is ev.ReasoningDelta:
            choice = self.choices.get(event.choice) or self._choice(event)
            choice.reasoning = choice.reasoning or []
            choice.reasoning.append(event.text)
        elif type(event) is ev.ToolCallDelta:
            self._add_to_call(event)
        else:
            return self._add_rare(event)
        self.has_content = True
        return True

    def _add_to_call(self, event: ev.ToolCallDelta) -> None:
        choice = self.choices.get(event.choice) or self._choice(event)
        call = choice.calls.get(event.index)
        if choice.ended and (event.arguments or call is None):
            if choice.calls or choice.finish not in ("stop", "tool_calls"):
                raise MalformedReplyError("A piece of a tool call came after the end of the call.")
            choice.ended = choice.told_calls = False  # the text of a turn that was split had its end, the calls follow
        if call is None:
            self.call_count += 1
            if self.call_count > self.limits.tool_calls:
                raise over_limit("The reply", self.limits.tool_calls, "tool calls", "tool_calls")
            call = choice.calls[event.index] = _Call()
        call.id, call.name = event.id or call.id, event.name or call.name
        call.arguments.append(event.arguments)

    def _choice(self, event: Any) -> _Choice:
        choice = self.choices.get(event.choice)
        if choice is None:
            if len(self.choices) >= self.limits.choices:
                raise over_limit("The reply", self.limits.choices, "choices", "choices")
            choice = self.choices[event.choice] = _Choice()
        return choice

    def _pieces(self) -> Iterator[list[str]]:
        for choice in self.choices.values():
            yield from (choice.text, choice.reasoning or [], choice.refusal or [], *choice.audio.values())
            for call in choice.calls.values():
                yield call.arguments

    def compact(self) -> None:
        """Join small pieces to blocks."""
        for pieces in self._pieces():
            join_small(pieces)

    def weight(self) -> tuple[int, int]:
        """Return the characters held, those of the vendor's own values as JSON included, and how many values these are.

        Values count apart: many take much memory for little text.
        """
        size = sum(len(piece) for pieces in self._pieces() for piece in pieces)
        size += sum(len(part.data or part.url or "") for choice in self.choices.values() for part in choice.media)
        values = 0
        if self.citations is not None:
            size, values = size + self.citations.size, self.citations.values
        own = [value for choice in self.choices.values() for value in (choice.logprobs, choice.opaque)]
        own += [call.extra for choice in self.choices.values() for call in choice.calls.values()]
        for value in filter(None, (self.envelope, *own)):
            encoded = jsoncodec.encode_anything(value)
            size += len(encoded)
            values += jsoncodec.count_values(encoded)
        return size, values

    def _add_rare(self, event: ev.Event) -> bool:
        match event:
            case ev.UsageReported():
                self.usage = event.usage
            case ev.ReplyStarted():
                self.id, self.model = self.id or _whole(event.id), self.model or _whole(event.model)
                self.envelope.update(event.envelope or {})
            case ev.FinishReported():
                self._end_choice(self.choices.get(event.choice) or self._choice(event), event)
            case ev.LogprobsReported():
                choice = self._choice(event)
                choice.logprobs = _joined(choice.logprobs, event.entries)
            case ev.OpaqueReported():
                self._add_opaque(event)
            case ev.ErrorReported():
                if self.error is None or self.error is self._own_error:  # the vendor's own words say more
                    self.error = event
            case _:
                return self._add_content(event)
        return False

    def _add_content(self, event: ev.Event) -> bool:
        match event:
            case ev.ToolCallDelta():  # of a plugin's own class
                self._add_to_call(event)
            case ev.RefusalDelta():
                choice = self._choice(event)
                choice.refusal = choice.refusal or []
                choice.refusal.append(event.text)
            case ev.AudioDelta():
                self._audio(self._choice(event).audio, event)
            case ev.MediaAdded():
                self._add_media(self._choice(event), event.media)
            case ev.ServerStep():  # it is paid for, so a further attempt is no longer for nothing
                self._choice(event)
            case _ if not isinstance(event, _EVENTS):
                raise TypeError(f"{type(event).__name__} is not an event")
            case _:
                return False
        self.has_content = True
        return True

    def _add_media(self, choice: _Choice, media: Media) -> None:
        if len(choice.media) >= self.limits.parts:
            raise over_limit("The reply", self.limits.parts, "pictures and files", "parts")
        choice.media = choice.media or []
        choice.media.append(media)

    def _end_choice(self, choice: _Choice, event: ev.FinishReported) -> None:
        if choice.ended:
            return
        choice.finish, choice.raw_finish, choice.ended = event.reason, _whole(event.raw), True
        words = f"the answer was broken off with finish_reason {choice.raw_finish!r}"
        if event.reason == UNKNOWN and any(not jsoncodec.is_object(call.text(False)) for call in choice.calls.values()):
            choice.finish = "error"  # it was stopped from outside, it seems, and half a call must not be run
            words = f"the answer ended with {choice.raw_finish!r}, which is no known end, inside a tool call"
        if choice.finish == "error" and self.error is None:
            error = {"message": words, "type": "server_error", "code": choice.raw_finish}
            self.error = self._own_error = ev.ErrorReported({"error": error})

    def cite(self, event: ev.CitationReported) -> ev.CitationAdded | None:
        """Take a source; return what the caller gets of it, None where it was told before."""
        if self.citations is None:
            from .citations import Citations  # few answers name sources

            self.citations = Citations(self.limits.parts)
        choice = self.choices.get(event.choice)
        at = sum(map(len, choice.text)) if event.here and choice is not None else 0
        return self.citations.take(event, at)

    def _add_opaque(self, event: ev.OpaqueReported) -> None:
        choice = self._choice(event)
        if event.call is not None:
            call = choice.calls.get(event.call)
            if call is not None and isinstance(event.value, Mapping):
                call.extra = call.extra or {}
                merge_keys(call.extra, event.value)
        elif event.key == MESSAGE_KEYS and isinstance(event.value, Mapping):
            merge_keys(choice.opaque.setdefault(event.key, {}), event.value)
        else:
            _extend(choice.opaque, event.key, event.value)

    @staticmethod
    def _audio(held: dict[str, list[str]], event: ev.AudioDelta) -> None:
        for name, piece in (("data", event.data), ("transcript", event.transcript)):
            held.setdefault(name, []).append(piece)
        if event.id:
            held["id"] = [event.id]

    @property
    def is_finished(self) -> bool:
        """Whether every choice that was begun has told its end."""
        return bool(self.choices) and all(choice.ended for choice in self.choices.values())

    def end(self) -> Sequence[int]:
        """Take the vendor's own end event as the end of choices that never told a reason (OR-S13); return these."""
        still_open = []
        for index, choice in self.choices.items():
            if not choice.ended:
                choice.ended = True
                still_open.append(index)
        if not self.choices:
            self.choices = {0: _Choice()}
            self.choices[0].ended = True
        return still_open

    def ended_calls(self, index: int) -> list[ev.ToolCallEnded]:
        """Return the complete calls of a choice, as events, once: a vendor may repeat the end of a choice."""
        choice = self.choices[index]
        is_told, choice.told_calls = choice.told_calls, True
        if is_told or not choice.calls:
            return []
        return [
            ev.ToolCallEnded(number, call.id, call.name, call.arguments, index)
            for number, call in enumerate(choice.tool_calls())
            if call.complete
        ]

    @property
    def first(self) -> _Choice:
        """The choice that the reply is made of: the lowest, since some servers count from 1."""
        return self.choices[min(self.choices)] if self.choices else _Choice()

    def reply(self, *, raw: Any = None, **known: Any) -> Reply:
        """Return all that came as a Reply. `known` are the fields that the engine adds."""
        first = self.first
        others = sorted(self.choices)[1:]
        return Reply(
            text="".join(first.text),
            reasoning="".join(first.reasoning) or None,
            tool_calls=first.tool_calls() if first.calls else (),
            finish_reason=first.reason,
            raw_finish_reason=first.raw_finish,
            usage=self.usage or Usage(),
            refusal="".join(first.refusal) or None,
            id=self.id,
            alternatives=tuple([self._alternative(key) for key in others]) if others else (),
            logprobs=first.logprobs,
            audio={name: "".join(pieces) for name, pieces in first.audio.items()} if first.audio else None,
            opaque=_plain(first.opaque) if first.opaque else first.opaque,
            citations=() if self.citations is None else self._citations(min(self.choices, default=0)),
            media=first.all_media() if first.media or first.audio else (),
            raw=self.envelope if raw is None else raw,
            **known,
        )

    def _citations(self, choice: int) -> tuple[Citation, ...]:
        return (
            () if self.citations is None else self.citations.of(choice, is_first=choice == min(self.choices, default=0))
        )

    def _alternative(self, key: int) -> Alternative:
        choice = self.choices[key]
        return Alternative(
            "".join(choice.text),
            "".join(choice.reasoning) or None,
            choice.tool_calls(),
            choice.reason,
            choice.raw_finish,
            "".join(choice.refusal) or None,
            choice.logprobs,
            self._citations(key),
            choice.all_media(),
        )


def _plain(opaque: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept for the vendor, with the keys of the message that no hook has reported as its own."""
    if MESSAGE_KEYS not in opaque:
        return opaque
    unread = {key: value for key, value in opaque[MESSAGE_KEYS].items() if key not in opaque}
    rest = {key: value for key, value in opaque.items() if key != MESSAGE_KEYS}
    return {**rest, MESSAGE_KEYS: merged_keys(unread)} if unread else rest


def _whole(text: str | None) -> str | None:
    return text if text is None or text.isascii() else jsoncodec.whole(text)


def _joined(held: Any, new: Any) -> Any:
    """Append the lists inside two logprobs objects of the same shape; another shape replaces."""
    if not isinstance(new, Mapping):
        return new
    if not isinstance(held, dict):
        held = {}
    for name, value in new.items():
        if value is not None or name not in held:
            _extend(held, name, value)
    return held


def _extend(held: dict[str, Any], name: str, value: Any) -> None:
    """Append a list to the list of that name, which is ours: appending in place takes no time with the square."""
    old = held.get(name)
    if isinstance(old, list) and isinstance(value, list):
        old.extend(value)
    else:
        held[name] = list(value) if isinstance(value, list) else value
