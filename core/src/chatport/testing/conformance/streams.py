"""A stream means the same at every cut of its bytes, and a part of it is never taken for the whole."""

from __future__ import annotations

import pytest

from ...errors import ChatportError
from ...events import Finished
from .subject import ConformanceTests, get_weather

__all__ = ["StreamTests"]

_PROMPTS = {
    "text": ("think: hm\nsay: one two", None),
    "call": ('think: hm\ncall: get_weather {"city": "Oslo"}', [get_weather]),
}
_KEEP_STATE = "keep what is needed between chunks in `state`, and decode each chunk by itself"


class StreamTests(ConformanceTests):
    """The emulator's own streams, in every cut: in two pieces at each byte, byte by byte, and ended at each byte."""

    @pytest.mark.parametrize("kind", list(_PROMPTS))
    def test_a_stream_means_the_same_however_its_bytes_are_cut(self, kind: str) -> None:
        it, body = self.subject, self.subject.streamed(*_PROMPTS[kind])
        with it.trying("decode_chunk", body[-300:], "decode what the emulator streams"):
            whole = it.events([body])
            it.check_sum(whole)
            bytewise = it.events([body[place : place + 1] for place in range(len(body))])
            it.check(bytewise == whole, "decode_chunk", body, "byte by byte it means something else", _KEEP_STATE)
            for place in range(1, len(body)):
                if it.events([body[:place], body[place:]]) != whole:
                    it.fail(
                        "decode_chunk", _cut(body, place), f"cut at byte {place} it means something else", _KEEP_STATE
                    )

    @pytest.mark.parametrize("kind", list(_PROMPTS))
    def test_a_stream_that_is_cut_is_never_a_whole_answer(self, kind: str) -> None:
        it, body = self.subject, self.subject.streamed(*_PROMPTS[kind])
        whole = it.events([body])[-1]
        assert isinstance(whole, Finished)
        for place in range(len(body)):
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


def _content(finished: Finished) -> object:
    reply = finished.reply
    return reply.text, reply.reasoning, [(call.name, call.arguments) for call in reply.tool_calls]


def _cut(body: bytes, place: int) -> str:
    return f"{body[max(place - 60, 0) : place]!r} | {body[place : place + 60]!r}"
