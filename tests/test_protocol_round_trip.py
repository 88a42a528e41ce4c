"""A conversation with tools and reasoning moves over three protocols and four vendors, and each gets what is its own.

The emulators refuse what the vendors refuse: a thought without what it led to, one that is missing or not from there, a
result without its call. So a request that is answered was one that the vendor would have taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator

CITY = '{"city": "Oslo"}'


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Stop:
    """A vendor, spoken to in one protocol: its emulator, and a client of it."""

    def __init__(self, name: str, protocol: str, model: str, **options: Any) -> None:
        self.emulator = Emulator(name)
        config = self.emulator.config()
        config["providers"][name] |= {"protocol": protocol}
        self.client = chatport.Client(config=config, transport=self.emulator)
        self.label, self.target = f"{name} by {protocol}", f"{name}:{model}"
        self.options = {"tools": [get_weather], "max_tokens": 4000, **options}

    def ask(self, messages: Sequence[Any], stream: bool, **more: Any) -> chatport.Reply:
        """Return the reply."""
        options = {**self.options, **more}
        if not stream:
            return self.client.chat(messages, model=self.target, **options)
        with self.client.stream(messages, model=self.target, **options) as events:
            for _ in events:
                pass
        return events.reply

    def body(self, back: int = 1) -> dict[str, Any]:
        """Return the last request that was sent, or an earlier one."""
        body: dict[str, Any] = self.emulator.requests[-back].json()
        return body


def journey() -> list[Stop]:
    """Return the stops: chat, responses, messages and chat again, by their vendors."""
    return [
        Stop("deepseek", "chat", "deepseek-flash", reasoning="high"),
        Stop("openai", "responses", "gpt-6-sol", reasoning="high"),
        Stop("anthropic", "messages", "claude-sonnet-4-6", reasoning="high"),
        Stop("qwen", "chat", "qwen3.7-plus", reasoning="high"),
        Stop("deepseek", "responses", "deepseek-flash", reasoning="high"),
        Stop("openai", "chat", "gpt-6-sol"),
        Stop("anthropic", "chat", "claude-sonnet-4-6"),
    ]


def turn(stop: Stop, talk: list[Any], stream: bool, thought: str) -> None:
    """Let a vendor think, call the tool, and tell its result; each request is answered, or the test fails."""
    talk.append(chatport.Message.user(f"think: {thought}\ncall: get_weather {CITY}"))
    called = stop.ask(talk, stream)
    assert [(call.name, call.arguments) for call in called.tool_calls] == [("get_weather", CITY)], stop.label
    talk += [called, chatport.Message.tool(called.tool_calls[0], f"sunny after {thought}")]
    told = stop.ask(talk, stream)
    assert told.text == f"The tool says: sunny after {thought}", stop.label
    talk.append(told)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_through_all_protocols_and_back(stream: bool) -> None:
    """Twice round, so that each vendor meets its own turns again, among those of all the others."""
    stops, talk = journey(), [chatport.Message.system("You are brief.")]
    for number in range(2):
        for place, stop in enumerate(stops):
            turn(stop, talk, stream, f"Thought{number}{place}")
    check_what_went_back(stops, talk)


def check_what_went_back(stops: Sequence[Stop], talk: Sequence[Any]) -> None:
    """Hold the last request of each stop against what its vendor wants back, and what it must not get."""
    deepseek, openai, claude, qwen, deepseek_items, openai_chat, claude_chat = stops
    assert thoughts_of_chat(deepseek.body(), "reasoning_content") >= {"Thought00", "Thought10", "Thought04"}
    assert not thoughts_of_chat(deepseek.body(), "reasoning_content") & {"Thought01", "Thought02", "Thought03"}
    sealed = [item for item in openai.body()["input"] if item.get("type") == "reasoning"]
    assert len(sealed) == 3, "of its three answers by Responses so far"
    assert all(set(item) == {"type", "summary", "encrypted_content"} for item in sealed)
    signed = [
        block for message in claude.body()["messages"] for block in blocks(message) if block["type"] == "thinking"
    ]
    assert {block["thinking"] for block in signed} >= {"Thought12"}
    assert all(block["signature"] for block in signed)
    assert not thoughts_of_chat(qwen.body(), "reasoning_content") & {"Thought00", "Thought01", "Thought02", "Thought04"}
    opened = [item for item in deepseek_items.body()["input"] if item.get("type") == "reasoning"]
    said = {part["text"] for item in opened for part in item["content"]}
    assert said - {" "} >= {"Thought04", "Thought14"}
    assert said.isdisjoint({"Thought01", "Thought02", "Thought03"})
    for stop in (openai_chat, claude_chat):
        assert "reasoning_content" not in json.dumps(stop.body()), stop.label
        assert "encrypted_content" not in json.dumps(stop.body()), stop.label
    assert len([message for message in talk if not isinstance(message, chatport.Message)]) == 4 * len(stops)


def thoughts_of_chat(body: Mapping[str, Any], field: str) -> set[str]:
    return {message[field] for message in body["messages"] if message.get(field)}


def blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return message["content"] if isinstance(message["content"], list) else []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.5", "gpt-6-sol", "gpt-6.2-sol"])
def test_openai_thinks_beside_tools_for_three_turns_and_on_elsewhere(model: str, stream: bool) -> None:
    """OA-T15: reasoning stays on, sealed thoughts go back without a warning; then three others go on, and it again."""
    openai = Stop("openai", "auto", model, reasoning="high")
    talk: list[Any] = []
    for number in range(3):
        turn(openai, talk, stream, f"Thought{number}")
    for reply in talk:
        if isinstance(reply, chatport.Reply):
            assert reply.warnings == ()
            assert reply.usage.reasoning_tokens
    assert {request.path for request in openai.emulator.requests} == {"/v1/responses"}
    body = openai.body()
    assert (body["reasoning"]["effort"], body["store"]) == ("high", False)
    kinds = [item.get("type", item.get("role")) for item in body["input"]]
    one = ["user", "reasoning", "function_call", "function_call_output"]
    assert kinds == [*one, "reasoning", "message", *one, "reasoning", "message", *one]
    assert all(item["encrypted_content"] for item in body["input"] if item.get("type") == "reasoning")
    others = (
        Stop("deepseek", "auto", "deepseek-flash", reasoning="high"),
        Stop("anthropic", "auto", "claude-sonnet-4-6", reasoning="high"),
        Stop("qwen", "auto", "qwen3.7-plus", reasoning="high"),
    )
    for number, other in enumerate(others):
        turn(other, talk, stream, f"Elsewhere{number}")
        assert "encrypted_content" not in json.dumps(other.body()), other.label
    turn(openai, talk, stream, "Home")
    sealed = [item["encrypted_content"] for item in openai.body()["input"] if item.get("type") == "reasoning"]
    assert len(sealed) == 7, "the six of its three turns, and the one of the call in its fourth"


def test_a_summary_that_was_shown_goes_back_with_its_seal() -> None:
    openai = Stop("openai", "auto", "gpt-6-sol", reasoning="high", extra={"reasoning": {"summary": "auto"}})
    talk: list[Any] = []
    turn(openai, talk, True, "Shown")
    assert talk[1].reasoning == "Shown"
    (first,) = [item for item in openai.body()["input"] if item.get("type") == "reasoning"]
    assert first["summary"] == [{"type": "summary_text", "text": "Shown"}]
    turn(openai, talk, False, "Again")
