"""Reasoning: off stays off, what is shown reaches the caller on every way, and what is wanted back goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

from ...standard.paths import holds
from ...types import Message, Reply
from .subject import ConformanceTests, Exchange, Subject, get_weather

__all__ = ["ThinkingTests"]

_SHOWN = "Chatportthought"
_THINK = f"think: {_SHOWN}\nsay: fine"
_CALL = f'think: {_SHOWN}\ncall: get_weather {{"city": "Oslo"}}'
_WORDS = ("reasoning", "think", "effort")
_OFF = "send the vendor's own switch for off; where it has none, note that the model reasons all the same"
_BACK = "name Dialect.reasoning_field, report OpaqueReported, and put Message.opaque back into the request"


class ThinkingTests(ConformanceTests):
    """The emulator's view counts: whether it was told to reason, and what it showed."""

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_reasoning_that_is_off_stays_off(self, stream: bool) -> None:
        for it in self.subject.each():
            plain = it.exchange(_THINK, stream)
            off = it.exchange(_THINK, stream, reasoning="none")
            if off.reply is None or not (off.script.reasoning or off.reply.reasoning):
                continue
            given = f"{it.model}: reasoning='none' became {_less(off.sent)}"
            it.check(off.is_noted(*_WORDS), "shape_request", given, "the model reasons, and no note says so", _OFF)
            it.check(plain.script.reasoning, "shape_request", given, "'none' switched reasoning on", _OFF)
            it.check(
                not _lacks_off(it, off.sent), "shape_request", given, "the facts know an off, and it was not sent", _OFF
            )

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_reasoning_that_is_asked_for_is_on_or_its_loss_is_said(self, stream: bool) -> None:
        for it in self.subject.each():
            done = it.exchange(_THINK, stream, reasoning="high")
            if done.reply is not None and not done.is_noted(*_WORDS):
                given = f"{it.model}: reasoning='high' became {_less(done.sent)}"
                default = it.exchange(_THINK, stream).script.reasoning
                found = "the model does not reason, and no note says so"
                it.check(done.script.reasoning or not default, "shape_request", given, found)
                off = it.exchange(_THINK, stream, reasoning="none")
                same = off.reply is not None and _less(off.sent) == _less(done.sent) and not off.is_noted(*_WORDS)
                it.check(not same, "shape_request", given, "'high' and 'none' are sent alike, without a note", _OFF)

    @pytest.mark.parametrize("prompt", [_THINK, _CALL], ids=["text", "call"])
    def test_shown_reasoning_is_the_same_plain_and_streamed(self, prompt: str) -> None:
        tools: dict[str, Any] = {"tools": [get_weather]} if prompt is _CALL else {}
        for it in self.subject.each():
            replies = []
            for stream, hook in ((False, "decode_reply"), (True, "decode_chunk")):
                done = it.exchange(prompt, stream, reasoning="high", **tools)
                if done.reply is None:
                    break
                self._check_shown(it, hook, done)
                replies.append(done.reply)
            if len(replies) == 2:
                self._check_same(it, *replies)

    def _check_shown(self, it: Subject, hook: str, done: Exchange) -> None:
        reply = done.reply
        assert reply is not None
        if _SHOWN.encode() not in done.answered:
            return
        there = _SHOWN in (reply.reasoning or "")
        it.check(there, hook, done.answered[:600], "the reasoning that the vendor shows is lost", "give ReasoningDelta")
        it.check(_SHOWN not in reply.text, hook, done.answered[:600], "the reasoning is in the text too")

    def _check_same(self, it: Subject, plain: Reply, streamed: Reply) -> None:
        given = f"{it.model}: plain {plain!r}, streamed {streamed!r}"
        for name, one, other in (
            ("reasoning", plain.reasoning, streamed.reasoning),
            ("opaque values", set(plain.opaque), set(streamed.opaque)),
            ("finish reason", plain.finish_reason, streamed.finish_reason),
            ("calls", _calls(plain), _calls(streamed)),
            ("reasoning tokens", plain.usage.reasoning_tokens, streamed.usage.reasoning_tokens),
        ):
            found = f"{name}: {one!r} in a plain reply, {other!r} in a stream"
            it.check(one == other, "decode_chunk, decode_reply", given, found, "read both alike")

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_what_the_vendor_wants_back_goes_back(self, stream: bool) -> None:
        """In the turn after a tool's result: the reasoning in its field, and every opaque value."""
        for it in self.subject.each():
            asked = Message.user(_CALL)
            first = it.exchange([asked], stream, reasoning="high", tools=[get_weather])
            if first.reply is None or not first.reply.tool_calls:
                continue
            result = Message.tool(first.reply.tool_calls[0], "sunny")
            then = it.exchange([asked, first.reply, result], stream, reasoning="high", tools=[get_weather])
            sent = json.dumps(then.sent, ensure_ascii=False)
            given = f"{it.model}: {sent}"
            if then.reply is not None and first.reply.reasoning and self._goes_back(it):
                asked_for = json.dumps(_CALL)[1:-1]
                there = _SHOWN in sent.replace(asked_for, "")
                it.check(there, "shape_request", given, "the earlier reasoning was not sent back", _BACK)
            for text in _texts(dict(first.reply.opaque)) if then.reply is not None else ():
                kept = json.dumps(text)[1:-1] in sent or text in sent
                it.check(kept, "shape_request", given, f"{text!r} is lost", _BACK)

    def _goes_back(self, it: Subject) -> bool:
        facts = it.provider.facts
        rules = None if facts is None else facts.describe(it.model, it.provider.base_url).rules
        keeps = rules is None or rules.history is None or rules.history.keep != "none"
        return keeps and it.provider.dialect.reasoning_field is not None

    def test_the_reasoning_of_another_vendor_is_not_sent(self) -> None:
        for it in self.subject.each():
            earlier = attrs.evolve(
                Message.assistant("Hello."),
                reasoning="chatport-secret",
                origin="elsewhere",
                opaque={"x": "chatport-opaque"},
            )
            done = it.exchange([Message.user("hi"), earlier, Message.user("say: fine")])
            leaked = [word for word in ("chatport-secret", "chatport-opaque") if word in json.dumps(done.sent)]
            found = f"{leaked} of another vendor was sent to this one"
            it.check(not leaked, "shape_request", f"{it.model}: {done.sent}", found, "look at Message.origin")


def _lacks_off(it: Subject, sent: Mapping[str, Any]) -> bool:
    """Whether the facts know how this model is told not to reason, and the request does not say it."""
    if it.provider.facts is None:
        return False
    facts = it.provider.facts.describe(it.model, it.provider.base_url)
    rule = None if facts.rules is None else facts.rules.reasoning
    if rule is not None and rule.off is not None:
        return not holds(sent, rule.off)
    return "none" in facts.efforts


def _less(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("messages", "model", "tools", "input")}


def _calls(reply: Reply) -> list[tuple[str, Any]]:
    return [(call.name, call.parsed()) for call in reply.tool_calls]


def _texts(value: Any) -> Iterator[str]:
    """Give the texts of an opaque value that are long enough to be found again."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and len(value) > 12:
        yield value
