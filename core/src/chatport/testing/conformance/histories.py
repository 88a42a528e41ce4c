"""Conversations that began elsewhere, and names that no vendor takes: they are sent so that they are accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ...call import Tool
from ...errors import ChatportError
from ...types import Message, ToolCall
from .subject import ConformanceTests, get_weather, values_of

__all__ = ["HistoryTests"]

_IDS = {
    "long": ("call_" + "a" * 100, "call_" + "a" * 99 + "b"),
    "with other characters": ("functions.get_weather:0", "functions.get_weather:1"),
    "of another alphabet": ("appel/é 1", "appel/é 2"),
    "numbers": ("0", "1"),
}
_REPLACE = "replace ids that are not taken (`call_ids` of the facts), in the call and in its result alike"
_NAMES = "fill WireTools.names, and send earlier calls under the names as sent"


class HistoryTests(ConformanceTests):
    """The emulator refuses results without their calls, and ids that its vendor does not take."""

    @pytest.mark.parametrize("kind", list(_IDS))
    def test_calls_with_foreign_ids_are_accepted(self, kind: str) -> None:
        calls = tuple(ToolCall(call_id, "get_weather", '{"city": "Oslo"}') for call_id in _IDS[kind])
        results = [Message.tool(call, f"chatport-{number}") for number, call in enumerate(calls)]
        messages = [Message.user("go"), Message.assistant(tool_calls=calls), *results, Message.user("say: fine")]
        for it in self.subject.each():
            done = it.exchange(messages, tools=[get_weather])
            if done.reply is None:
                continue
            given = f"{it.model}: {done.sent}"
            it.check(
                done.reply.text == "fine", "shape_request", given, f"the text became {done.reply.text!r}", _REPLACE
            )
            sent = json.dumps(done.sent)
            kept = all(f"chatport-{number}" in sent for number in range(2))
            it.check(kept, "shape_request", given, "a result was lost", _REPLACE)
            ids = [
                c.get("id")
                for m in done.sent.get("messages") or ()
                if isinstance(m, dict)
                for c in m.get("tool_calls") or ()
            ]
            it.check(len(set(ids)) == len(ids), "shape_request", given, "two calls got one id", _REPLACE)

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_a_tool_has_its_own_name_on_every_way(self, stream: bool) -> None:
        """Where it had to be changed: in the list, the choice, the answer and the history, with a note."""
        it, name = self.subject, "weather.now/" + "x" * 150
        tool = Tool(name, "Tell the weather.")
        done = it.exchange("Weather?", stream, tools=[tool])
        if done.reply is None or not done.reply.tool_calls:
            pytest.skip(f"{it.target} called no tool")
        call = done.reply.tool_calls[0]
        it.check(call.name == name, "translate_tools", name, f"the call came back as {call.name!r}", _NAMES)
        it.check(
            done.is_noted("name"), "translate_tools, shape_request", name, "the name was changed without a note", _NAMES
        )
        then = it.exchange(
            [Message.user("Weather?"), done.reply, Message.tool(call, "sunny"), Message.user("say: fine")],
            stream, tools=[tool], tool_choice="auto",
        )  # fmt: skip
        it.check(
            name not in json.dumps(then.sent), "shape_request", then.sent, "the history has the name unsent", _NAMES
        )

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_calls_made_at_once_stay_apart(self, stream: bool) -> None:
        hook = "decode_chunk" if stream else "decode_reply"
        prompt = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rom", "days": 2}'
        for it in self.subject.each():
            done = it.exchange(prompt, stream, tools=[get_weather])
            if done.reply is None or len(done.script.calls) < 2:
                continue
            given = f"{it.model}: {done.answered.decode('utf-8', 'replace')[:600]}"
            found = [(call.name, _parsed(call)) for call in done.reply.tool_calls]
            wanted = [(name, json.loads(arguments)) for name, arguments in done.script.calls]
            it.check(found == wanted, hook, given, f"the calls became {found}", "join fragments by their index")
            ids = {call.id for call in done.reply.tool_calls}
            it.check(len(ids) == len(found), hook, given, f"the ids became {ids}", "keep the id of each call")
            told = set(_call_ids(values_of(done.answered)))
            kept = len(told) < len(found) or ids == told
            it.check(kept, hook, given, f"of the ids {told} became {ids}", "keep the ids that the vendor gave")

    def test_a_retired_model_is_followed_with_a_note(self) -> None:
        it = self.subject
        today = datetime.now(UTC).date().isoformat()
        known = it.provider.facts.retired if it.provider.facts is not None else ()
        retired = [entry for entry in known if entry.since <= today]
        followed = 0
        for entry in retired:
            emulator = it.emulator()
            if entry.successor not in emulator.vendor.models:
                it.leave(f"the retired {entry.id}", f"the emulator does not have {entry.successor}")
                continue
            with it.trying("the facts file", f"retired: {entry.id}", "name a successor and options that it takes"):
                reply = it.client(emulator).chat("say: fine", model=f"{it.name}:{entry.id}")
            followed += 1
            sent = emulator.requests[-1].json().get("model")
            given = f"retired: {entry.id}"
            it.check(
                sent != entry.id, "the facts file", given, "the retired id was sent", "leave the model to the core"
            )
            told = any(note.kind == "redirected" for note in reply.warnings)
            it.check(told, "shape_request", given, "no note says that another model answers", "keep the adjustments")
        if not followed:
            pytest.skip(f"{it.name} has no retired model, of those gone by today, whose successor the emulator has")


def _parsed(call: ToolCall) -> Any:
    try:
        return call.parsed()
    except ChatportError:
        return call.arguments


def _call_ids(value: Any) -> Iterator[str]:
    """Give the ids that an answer has for its calls."""
    if isinstance(value, dict):
        if (
            value.get("id")
            and isinstance(value["id"], str)
            and ("function" in value or value.get("type") == "tool_use")
        ):
            yield value["id"]
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _call_ids(inner)
