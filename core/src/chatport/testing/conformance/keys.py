"""Keys that nobody reads: the caller's go out, those of an answer come back to its vendor, and no loss is unsaid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from ...call import Tool
from ...standard.unread import MESSAGE_KEYS
from ...types import Message, Reply, TextPart, ToolCall
from ..emulator import EmulatedRequest, EmulatedResponse
from ..server import Emulator
from .subject import ConformanceTests, Exchange, Subject, get_weather

__all__ = ["KeyTests"]

_KEYS: Mapping[str, Any] = {"x_chatport_message": {"signature": "chatport-of-the-message"}}
_CALL_KEYS: Mapping[str, Any] = {"x_chatport_call": {"signature": "chatport-of-the-call"}}
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
_TOOL = Tool(
    "get_weather", "Tell the weather.", _PARAMETERS,
    extra={"x_chatport_tool": "chatport-of-the-tool", "function": {"x_chatport_function": "chatport-of-the-function"}},
)  # fmt: skip
_GO = "send the keys of `extra` as they are, or drop them with a note that names them"
_BACK = "let the standard decode unknown keys, or report them as OpaqueReported; and send back what `extra` holds"


class KeyTests(ConformanceTests):
    """Each key is found by a value that nothing else has; a vendor that refuses it must have a rule that says so."""

    @pytest.mark.parametrize("where", ["tool", "function", "message", "part", "call"])
    def test_a_key_of_the_callers_own_is_sent_or_its_loss_is_said(self, where: str) -> None:
        """And its loss is an error for those who asked for one."""
        for it in self.subject.each():
            done = it.exchange(_messages(), tools=[_TOOL])
            if done.reply is None or self._is_sent(done, where):
                continue
            given = f"{it.model}: the key x_chatport_{where} of a {where}"
            hook = "translate_tools" if where in ("tool", "function") else "shape_request"
            it.check(done.is_noted(f"x_chatport_{where}"), hook, given, "it was lost without a note", _GO)
            strict = it.exchange(_messages(), tools=[_TOOL], on_unsupported="raise")
            it.check(strict.reply is None, hook, given, "no error, though the caller asked for one", _GO)

    @staticmethod
    def _is_sent(done: Exchange, where: str) -> bool:
        return f"chatport-of-the-{where}" in json.dumps(done.sent)

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_keys_of_an_answer_come_back_to_its_vendor(self, stream: bool) -> None:
        """With the history: those of the message, and those of each call."""
        for it in self.subject.each():
            asked = it.exchange('call: get_weather {"city": "Oslo"}', stream, tools=[get_weather], emulate=_keyed)
            if asked.reply is None or not asked.reply.tool_calls:
                continue
            then = it.exchange(_history(asked.reply), stream, tools=[get_weather])
            for where in ("message", "call"):
                if then.reply is None or f"chatport-of-the-{where}" not in asked.answered.decode("utf-8", "replace"):
                    continue
                given = f"{it.model}: {asked.answered.decode('utf-8', 'replace')[:600]}"
                sent, hook = self._is_sent(then, where), "decode_chunk" if stream else "decode_reply"
                known = _is_closed(it, where) or then.is_noted(f"x_chatport_{where}")
                it.check(sent or known, f"{hook}, shape_request", given, f"the {where} lost its key", _BACK)

    def test_keys_of_an_answer_go_to_no_other_vendor(self) -> None:
        """Which would not know them; and that is said."""
        for it in self.subject.each():
            call = ToolCall("call_1", "get_weather", '{"city": "Oslo"}', extra=_CALL_KEYS)
            foreign = Message("assistant", (), (call,), origin="elsewhere", opaque={MESSAGE_KEYS: _KEYS})
            done = it.exchange(_history(foreign, call), tools=[get_weather])
            if done.reply is None:
                continue
            for where in ("message", "call"):
                given = f"{it.model}: {done.sent}"
                there = self._is_sent(done, where)
                it.check(not there, "shape_request", given, f"the key of the {where} is another vendor's", _BACK)
                told = done.is_noted(f"x_chatport_{where}")
                it.check(told, "shape_request", given, f"the key of the {where} was lost without a note", _GO)


def _messages() -> list[Message]:
    call = ToolCall("call_1", "get_weather", '{"city": "Oslo"}', extra={"x_chatport_call": "chatport-of-the-call"})
    marked = TextPart("say: fine", extra={"x_chatport_part": "chatport-of-the-part"})
    return [
        Message.user("go"),
        Message.assistant(tool_calls=(call,)),
        Message.tool(call, "sunny"),
        Message("user", (marked,), extra={"x_chatport_message": "chatport-of-the-message"}),
    ]


def _history(answer: Reply | Message, call: ToolCall | None = None) -> list[Any]:
    calls = [call] if call is not None else [*answer.tool_calls]
    return [Message.user("go"), answer, *(Message.tool(one, "sunny") for one in calls), Message.user("say: fine")]


def _is_closed(it: Subject, where: str) -> bool:
    """Whether the facts say which keys a message, or a call, may have: its own vendor refuses all others then."""
    facts = None if it.provider.facts is None else it.provider.facts.describe(it.model, it.provider.base_url)
    rules = None if facts is None or facts.rules is None else facts.rules.messages
    return rules is not None and (rules.keys if where == "message" else rules.call_keys) is not None


def _keyed(emulator: Emulator) -> None:
    """Have an emulator of the standard's shape put keys into its answers that nobody knows."""
    respond = emulator.vendor.respond

    def keyed(request: EmulatedRequest) -> EmulatedResponse:
        answer = respond(request)
        lines = b"".join(answer.pieces).split(b"\n")
        body = b"\n".join(map(_with_keys, lines))
        return attrs.evolve(answer, pieces=[body])

    emulator.vendor.respond = keyed  # type: ignore[method-assign]  # this one emulator only


def _with_keys(line: bytes) -> bytes:
    head, data = (b"data: ", line[5:]) if line.startswith(b"data:") else (b"", line)
    try:
        value = json.loads(data)
    except ValueError:
        return line
    for choice in (value.get("choices") or ()) if isinstance(value, dict) else ():
        said = choice.get("message") or choice.get("delta") or {}
        calls = [call for call in said.get("tool_calls") or () if call.get("id")]
        for call in calls:
            call.update(_CALL_KEYS)
        if calls:
            said.update(_KEYS)
    return head + json.dumps(value).encode()
