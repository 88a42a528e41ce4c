"""A stream means the same at every cut of its bytes, and a part of it is never taken for the whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ...errors import ChatportError
from ...events import Finished
from ..performance import events_of
from .subject import ConformanceTests, get_weather, values_of

__all__ = ["StreamTests"]

_PROMPTS = {
    "text": ("think: hm\nsay: one two", None),
    "call": ('think: hm\ncall: get_weather {"city": "Oslo"}', [get_weather]),
    "letters": ("think: größer 🧠\nsay: é👩‍👧 שלום e\u0301", None),
}
_TEXTS = {
    "blanks": "  two  blanks \t a tab ",
    "new lines": "\n\n",
    "lines": "\n# Title\n\n    code\n- item\n\n",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🇳🇴 👍🏽",
    "right to left": "שלום עולם \u200f\u0645\u0631\u062d\u0628\u0627\u200e",
    "combining": "e\u0301 n\u0303 क्षि ก็ \u1112\u1161\u11ab",
    "signs": 'a "quote" \\ back\\slash {"json": [1]} data: [DONE] <think> &amp; \u2028 \x00',
}
_KEEP_STATE = "keep what is needed between chunks in `state`, and decode each chunk by itself"


class StreamTests(ConformanceTests):
    """The emulator's own streams, cut in two, byte by byte, and ended early: see `_places`."""

    @pytest.mark.parametrize("kind", list(_PROMPTS))
    def test_a_stream_means_the_same_however_its_bytes_are_cut(self, kind: str) -> None:
        it, body = self.subject, self.subject.streamed(*_PROMPTS[kind])
        with it.trying("decode_chunk", body[-300:], "decode what the emulator streams"):
            whole = it.events([body])
            it.check_sum(whole)
            bytewise = it.events([body[place : place + 1] for place in range(len(body))])
            it.check(bytewise == whole, "decode_chunk", body, "byte by byte it means something else", _KEEP_STATE)
            for place in _places(body) if kind != "letters" else _inside_letters(body):
                if it.events([body[:place], body[place:]]) != whole:
                    it.fail(
                        "decode_chunk", _cut(body, place), f"cut at byte {place} it means something else", _KEEP_STATE
                    )

    @pytest.mark.parametrize("kind", ["text", "call"])
    def test_a_stream_that_is_cut_is_never_a_whole_answer(self, kind: str) -> None:
        it, body = self.subject, self.subject.streamed(*_PROMPTS[kind])
        whole = it.events([body])[-1]
        assert isinstance(whole, Finished)
        for place in (0, *_places(body)):
            try:
                last = it.events([body[:place]])[-1]
            except ChatportError as error:
                text = error.partial.text if error.partial else ""
                found = f"ended at byte {place} the partial text {text!r} is no beginning of {whole.reply.text!r}"
                it.check(whole.reply.text.startswith(text), "decode_chunk", _cut(body, place), found, _KEEP_STATE)
            else:
                same = isinstance(last, Finished) and _content(last) == _content(whole)
                found = f"ended at byte {place}, a part was taken for the whole answer"
                change = "report FinishReported only for a finish that the vendor has sent"
                it.check(same, "decode_chunk", _cut(body, place), found, change)

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("kind", list(_TEXTS))
    def test_a_text_comes_as_it_was_written(self, kind: str, stream: bool) -> None:
        """Nothing is stripped, joined, or taken for a mark of the protocol."""
        it, text, hook = self.subject, _TEXTS[kind], "decode_chunk" if stream else "decode_reply"
        done = it.exchange("say: x", stream, reasoning="none", says={"text": text})
        assert done.reply is not None
        if json.dumps(text, ensure_ascii=False)[1:-1].encode() not in _pieces(done.answered):
            pytest.skip(f"the emulator of {it.name} does not write its script's text as it is")
        change = "give the text as it came: neither stripped nor changed"
        it.check(done.reply.text == text, hook, repr(text), f"the text became {done.reply.text!r}", change)

    def test_heartbeats_and_line_ends_mean_nothing(self) -> None:
        """Comments, events without data, and the three line ends of event streams, anywhere between the events."""
        it, body = self.subject, self.subject.streamed(*_PROMPTS["text"])
        whole = it.events([body])
        events = events_of(body)
        for name, changed in {
            "comments": b": keep-alive\n\n".join([b"", *events]),
            "blank lines": b"\n\n".join([b"", *events]),
            "CRLF": body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        }.items():
            with it.trying("decode_chunk", name, "take what has no data for a heartbeat"):
                same = it.events([changed]) == whole
            it.check(same, "decode_chunk", changed[:600], f"with {name} between its events it means something else")

    def test_a_second_choice_does_not_mix_with_the_first(self) -> None:
        """As `n=2` is answered: the chunks of two choices in turns."""
        it, body = self.subject, self.subject.streamed("say: one two", None)
        doubled = list(_with_second_choice(body))
        if doubled == events_of(body):
            pytest.skip(f"the chunks of {it.name} have no `choices`")
        with it.trying("decode_chunk", doubled, "look at the index of each choice"):
            last = it.events([b"".join(doubled)])[-1]
        assert isinstance(last, Finished)
        it.check(last.reply.text == "one two", "decode_chunk", doubled, f"the text became {last.reply.text!r}")
        others = [choice.text for choice in last.reply.alternatives]
        it.check(others == ["ONE TWO"], "decode_chunk", doubled, f"the other choice became {others}", "give `choice=`")

    def test_an_answer_without_an_end_is_broken_off(self) -> None:
        """Without the finish and the end event that the vendor sends, whatever came before."""
        it, body = self.subject, self.subject.streamed("say: one two", None)
        events = [event for event in events_of(body) if b"one" in event or b" two" in event]
        events = [event for event in events if not re.search(_SAYS_THE_END, event)]  # some say both at once
        with_text = events_of(body)[: events_of(body).index(events[-1]) + 1] if events else []
        said = "one two" if b" two" in b"".join(with_text) else "one"  # the rest came in one event with the end
        try:
            it.events([b"".join(with_text)])
        except ChatportError as error:
            kept = error.partial is not None and error.partial.text == said
            it.check(kept, "decode_chunk", with_text, "what had come was lost", "give each piece as it comes")
        else:
            it.fail(
                "decode_chunk", with_text, "a stream without its end was taken as whole", "set no finish of your own"
            )


_SAYS_THE_END = rb'"finish_reason": ?"|"type": ?"response\.completed"'


def _places(body: bytes) -> list[int]:
    """Return where a stream is cut: at each byte near the end of a line, and in its first and last ones.

    Inside a line it is cut at every 13th byte: no hook sees a part of one, and the framing, which does, is the core's,
    whose tests cut recordings of all vendors at each byte. Where there are few lines each byte is a place.
    """
    ends = [place for place, byte in enumerate(body, 1) if byte == 10]
    if len(ends) * 400 < len(body):
        return list(range(1, len(body)))
    near = {end + distance for end in ends for distance in range(-_NEAR, _NEAR + 1)}
    edges = {*range(64), *range(len(body) - 64, len(body))}
    return sorted(place for place in near | edges | {*range(0, len(body), 13)} if 0 < place < len(body))


_NEAR = 7
"""Bytes: as long as `data: ` and the first of its content."""


def _inside_letters(body: bytes) -> list[int]:
    """Return the places in a body where a cut would go through a letter."""
    return [place for place in range(1, len(body)) if 0x80 <= body[place] < 0xC0]


def _pieces(answered: bytes) -> bytes:
    """Return the texts of an answer's pieces as one."""
    return b"".join(json.dumps(text, ensure_ascii=False).encode()[1:-1] for text in _contents(values_of(answered)))


def _contents(value: Any) -> Iterator[str]:
    """Give what stands under `content` or `text`, in its order."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("content", "text") and isinstance(inner, str):
                yield inner
            else:
                yield from _contents(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _contents(inner)


def _with_second_choice(body: bytes) -> Iterator[bytes]:
    """Give the events of a stream, each that has a choice followed by the same in capitals for a second one."""
    for event in events_of(body):
        yield event
        try:
            data = json.loads(event.partition(b"data:")[2])
            (choice,) = data["choices"]
            delta = dict(choice["delta"])
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(delta.get("content"), str):
            delta["content"] = delta["content"].upper()
        other = {name: value for name, value in data.items() if name != "usage"}
        other["choices"] = [{**choice, "index": 1, "delta": delta}]
        yield b"data: " + json.dumps(other).encode() + b"\n\n"


def _content(finished: Finished) -> object:
    reply = finished.reply
    return reply.text, reply.reasoning, [(call.name, call.arguments) for call in reply.tool_calls]


def _cut(body: bytes, place: int) -> str:
    return f"{body[max(place - 60, 0) : place]!r} | {body[place : place + 60]!r}"
