"""What a caller sees is the same on every way, and every option is taken, changed with a note, or refused unsent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from ...call import Tool
from ...client.aio import AsyncClient
from ...errors import ChatportError, UnsupportedFeatureError
from ...types import Message, Reply
from .subject import ConformanceTests, get_weather

__all__ = ["AnswerTests"]

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "temperature": {"temperature": 0.4},
    "top_p": {"top_p": 0.9},
    "max_tokens": {"max_tokens": 900},
    "stop": {"stop": ["###"]},
    "seed": {"seed": 7},
    "reasoning off": {"reasoning": "none"},
    "reasoning low": {"reasoning": "low"},
    "reasoning high": {"reasoning": "high"},
    "a budget": {"reasoning": 2048},
    "everything": {"temperature": 1, "top_p": 1, "max_tokens": 4000, "seed": 1, "reasoning": "high"},
}
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
_LOWER = "drop or lower what the vendor does not take, with a note (WireRequest.drop, .lower)"
_DECODE = "decode what the emulator writes, or mend the emulator if the vendor writes something else"


class AnswerTests(ConformanceTests):
    """The emulator refuses what the vendor refuses; so whatever is sent to it must be what the vendor takes."""

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
    def test_an_answer_is_the_same_on_every_way(self, way: str, stream: bool) -> None:
        it, given = self.subject, f"say: one two three ({way}, {'stream' if stream else 'plain'})"
        hook = "decode_chunk" if stream else "decode_reply"
        with it.trying(hook, given, _DECODE):
            reply = self._answer(way, "say: one two three", stream=stream)
        it.check(reply.text == "one two three", hook, given, f"the text became {reply.text!r}", _DECODE)
        it.check(reply.finish_reason == "stop", hook, given, f"finish_reason became {reply.finish_reason!r}", _DECODE)
        it.check(reply.provider == it.name, hook, given, f"the reply says provider {reply.provider!r}")
        it.check(reply.usage.output_tokens, hook, given, "the usage of the emulator was not read", _DECODE)

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
    def test_no_option_makes_the_vendor_refuse(self, options: Any) -> None:
        """What this vendor does not take is left out or changed, with a warning; or refused before it is sent."""
        reply = self._taken("say: fine", options, **options)
        if reply is not None:
            self.subject.check(
                reply.text == "fine", "decode_reply", options, f"the text became {reply.text!r}", _DECODE
            )

    def test_the_roles_of_the_standard_are_accepted(self) -> None:
        it = self.subject
        messages = [
            Message.system("Be brief."),
            Message.developer("Be kind."),
            Message.user("hello"),
            Message.assistant("Hello!"),
            Message.user("say: well"),
        ]
        given = "a history of system, developer, user, assistant and user"
        with it.trying("shape_request", given, "send the roles as the vendor names them (Dialect.developer_role, …)"):
            reply = it.client(it.emulator()).chat(messages, model=it.target)
        it.check(reply.text == "well", "shape_request", given, f"the answer became {reply.text!r}")

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_a_tool_goes_there_and_back(self, stream: bool) -> None:
        """The call is whole, its result is accepted, and so is the whole history one turn later."""
        it, tools = self.subject, [get_weather]
        client = it.client(it.emulator())
        messages: list[Any] = [Message.user('call: get_weather {"city": "Oslo"}')]
        with it.trying("translate_tools", messages, "send tools, calls and results as the vendor takes them"):
            reply = it.ask(client, messages, stream, tools=tools)
            self._check_call(reply, stream)
            messages += [reply, Message.tool(reply.tool_calls[0], "sunny")]
            answer = it.ask(client, messages, stream, tools=tools)
            it.check("sunny" in answer.text, "shape_request", messages, "the tool's result did not reach the model")
            messages += [answer, Message.user("say: again")]
            later = it.ask(client, messages, stream, tools=tools)
        it.check(later.text == "again", "shape_request", messages, f"one turn later the answer became {later.text!r}")

    def _check_call(self, reply: Reply, stream: bool) -> None:
        it, hook = self.subject, "decode_chunk" if stream else "decode_reply"
        given = 'call: get_weather {"city": "Oslo"}'
        with it.trying(hook, given, _DECODE):
            calls = [(call.name, call.parsed()) for call in reply.tool_calls]
        it.check(calls == [("get_weather", {"city": "Oslo"})], hook, given, f"the calls became {calls}", _DECODE)
        it.check(
            reply.finish_reason == "tool_calls", hook, given, f"finish_reason became {reply.finish_reason!r}", _DECODE
        )
        it.check(reply.tool_calls[0].id, hook, given, "the call has no id", _DECODE)

    @pytest.mark.parametrize("choice", ["auto", "none", "required", "get_weather"])
    def test_every_tool_choice_is_sent_lowered_or_refused(self, choice: str) -> None:
        reply = self._taken("Weather?", f"tool_choice={choice!r}", tools=[get_weather], tool_choice=choice)
        if reply is None:
            return
        lowered = any("tool" in note.field or "thinking" in note.field for note in reply.warnings)
        given, change = f"tool_choice={choice!r}", "send the choice, or lower it with a note"
        if choice == "none":
            self.subject.check(not reply.tool_calls, "translate_tools", given, "a tool was called", change)
        elif choice != "auto" and not lowered:
            self.subject.check(reply.tool_calls, "translate_tools", given, "no tool was called, without a note", change)

    def test_a_structure_is_kept_or_the_loss_is_said(self) -> None:
        reply = self._taken("Fill it in.", "output= a schema with city and days", output=_SCHEMA)
        if reply is None or any("response_format" in note.field or "output" in note.field for note in reply.warnings):
            return
        found, change = f"the structure was lost without a note: {reply.text!r}", "send the schema, or lower it"
        try:
            kept = set(reply.parsed()) == {"city", "days"}
        except (ValueError, ChatportError):
            kept = False
        self.subject.check(kept, "shape_request", _SCHEMA, found, change)

    def test_names_no_vendor_takes_are_shortened_and_come_back(self) -> None:
        it, name = self.subject, "weather.now/" + "x" * 150
        emulator = it.emulator()
        with it.trying("translate_tools", f"a tool called {name}", "send a name the vendor takes; see WireTools.names"):
            reply = it.client(emulator).chat("Weather?", model=it.target, tools=[Tool(name, "Tell the weather.")])
        back = all(call.name == name for call in reply.tool_calls)
        it.check(back, "translate_tools", name, "the call came back under another name", "fill WireTools.names")
        sent = emulator.requests[-1].content.decode()
        it.check(name not in sent, "translate_tools", name, "the name was sent as it is", "shorten it")

    # --- tools for the tests

    def _taken(self, prompt: str, given: object, **options: Any) -> Reply | None:
        """Return the reply; None where the call was refused before a byte was sent."""
        it, emulator = self.subject, self.subject.emulator()
        try:
            with it.client(emulator) as client:
                return client.chat(prompt, model=it.target, **options)
        except UnsupportedFeatureError as error:
            late = f"it was refused after it had been sent: {error}"
            it.check(not emulator.requests, "shape_request", given, late, "raise it while the request is shaped")
            return None
        except Exception as error:
            it.fail("shape_request", given, f"{type(error).__name__}: {error}", _LOWER)

    def _answer(self, way: str, text: str, *, stream: bool) -> Reply:
        it, emulator = self.subject, self.subject.emulator()
        if way == "sync":
            return it.ask(it.client(emulator), text, stream)

        async def main() -> Reply:
            async with AsyncClient(config=it.config(emulator), transport=emulator, providers=it.providers) as client:
                if not stream:
                    return await client.chat(text, model=it.target)
                async with client.stream(text, model=it.target) as events:
                    async for _ in events:
                        pass
                return events.reply

        return anyio.run(main, backend=way)
