"""How an answer ends: every word of the vendor's means what it says, and an unknown one is no quiet stop."""

from __future__ import annotations

import re

import pytest

from ...errors import ChatportError
from .subject import ConformanceTests, Subject, get_weather, scripted

__all__ = ["EndingTests"]

_STANDARD = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_UNKNOWN = "chatport_unheard_of"
_FROM_OUTSIDE = ("abort", "cancelled", "timeout")
_CUT = re.compile(
    "length|max|limit|filter|sensitive|risk|moderat|error|fail|abort|cut|interrupt|insufficient|timeout|refus"
)
_MAP = "map it in Dialect.finish_reasons; `stop` is only for an answer that is whole"


class EndingTests(ConformanceTests):
    """The emulator ends with every word of the standard and of the dialect, and with one that nobody knows."""

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_an_answer_that_is_cut_at_max_tokens_says_so(self, stream: bool) -> None:
        """By the word that the emulator itself has for it."""
        for it in self.subject.each():
            prompt = "say: " + " ".join(map(str, range(400)))
            done = it.exchange(prompt, stream, max_tokens=24, reasoning="none")
            if done.reply is not None and done.script.finish == "length":
                found = f"cut at max_tokens, and finish_reason is {done.reply.finish_reason!r}"
                raw = f"{it.model}: {done.reply.raw_finish_reason!r}"
                it.check(done.reply.finish_reason == "length", "decode_chunk", raw, found, _MAP)

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_every_word_for_an_end_means_what_it_says(self, stream: bool) -> None:
        own = dict(self.subject.provider.dialect.finish_reasons)
        for word in (*_STANDARD, *own, _UNKNOWN):
            wanted = own.get(word) or _STANDARD.get(word, "other")
            if self._can_say(self.subject, word):
                self._check_end(self.subject, word, wanted, stream)
            else:
                self.subject.leave(f"the finish reason {word!r}", "the emulator cannot end with it")

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_a_call_is_not_run_where_the_answer_was_stopped_from_outside(self, stream: bool) -> None:
        """A word for that is an error beside a call, and the call is not complete."""
        it = self.subject
        own = [word for word, ours in it.provider.dialect.finish_reasons.items() if ours == "error"]
        for word in (*_FROM_OUTSIDE, *own):
            if not self._can_say(it, word):
                it.leave(f"the finish reason {word!r} beside a call", "the emulator cannot end with it")
                continue
            emulator = it.emulator()
            scripted(emulator.vendor, {"finish": word, "calls": (("get_weather", '{"city": "Oslo"}'),)})
            try:
                reply = it.ask(it.client(emulator), "Weather?", stream, tools=[get_weather])
            except ChatportError as error:
                part = error.partial
            else:
                if f'"{word}"'.encode() not in emulator.vendor.respond(emulator.requests[-1]).body:
                    continue  # beside a call it always ends with one word
                it.fail(
                    "decode_chunk, decode_reply", word, f"it became {reply.finish_reason!r}: {reply.tool_calls}", _MAP
                )
            whole = () if part is None else [call for call in part.tool_calls if call.complete]
            it.check(not whole, "decode_chunk, decode_reply", word, f"these calls could be run: {whole}", _MAP)

    def _check_end(self, it: Subject, word: str, wanted: str, stream: bool) -> None:
        emulator = it.emulator()
        scripted(emulator.vendor, {"finish": word})
        try:
            reply = it.ask(it.client(emulator), "say: fine", stream)
        except ChatportError as error:
            fine = wanted in ("error", "content_filter", "other") or "error" in str(error)
            it.check(
                fine, "decode_chunk", f"finish_reason {word!r}", f"it became {type(error).__name__}: {error}", _MAP
            )
            return
        found = f"it became {reply.finish_reason!r}, and not {wanted!r}"
        it.check(reply.finish_reason == wanted, "decode_chunk, decode_reply", f"finish_reason {word!r}", found, _MAP)
        it.check(
            reply.text == "fine", "decode_chunk", f"finish_reason {word!r}", f"the text became {reply.text!r}", _MAP
        )

    def _can_say(self, it: Subject, word: str) -> bool:
        """Whether the emulator puts a script's finish on the wire as it is: not every vendor's protocol has a place."""
        emulator = it.emulator()
        it.ask(it.client(emulator), "say: fine", False)
        scripted(emulator.vendor, {"finish": word})
        try:
            answer = emulator.vendor.respond(emulator.requests[-1])
        except (LookupError, ValueError):
            return False
        return f'"{word}"'.encode() in answer.body

    def test_no_word_for_a_cut_means_a_whole_answer(self) -> None:
        own = self.subject.provider.dialect.finish_reasons
        wrong = {
            word: ours for word, ours in own.items() if ours in ("stop", "tool_calls") and _CUT.search(word.lower())
        }
        remapped = {word: ours for word, ours in own.items() if _STANDARD.get(word, ours) != ours}
        place, found = "Dialect.finish_reasons", f"{wrong or remapped} would be taken for something else than it says"
        self.subject.check(not (wrong or remapped), place, dict(own), found, _MAP)
