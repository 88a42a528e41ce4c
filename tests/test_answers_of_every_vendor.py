"""Answers that are given: every vendor's emulator says them, word for word, in the vendor's own bytes."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport import Message, Reply, ToolCall, Usage
from chatport.plugins.installed import installed_providers
from chatport.testing import Emulator, NoAnswerError

PROVIDERS = ["compatible", *sorted(installed_providers())]
TEXT = "Two lines.\n  indented: yes.\nerror: 500"
"""What is said may look like a command, and is none."""
OSLO = ToolCall("", "get_weather", '{"city": "Oslo"}')
PARIS = ToolCall("", "get_weather", '{"city": "Paris"}')
LEAVES_CALLS_IN_TEXT = ("local",)
"""Servers that read a call only where it was forced (LP-T1)."""


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Sunny in {city}"


def asked(emulator: Emulator) -> tuple[chatport.Client, str]:
    config = emulator.config(retry={"attempts": 1})
    model = f"{emulator.provider}:{emulator.vendor.models[0]}"
    return chatport.Client(config=config, transport=emulator), model


def streamed(client: chatport.Client, messages: Any, **options: Any) -> Reply:
    with client.stream(messages, **options) as stream:
        for _ in stream:
            pass
    return stream.reply


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_vendor_says_what_is_given(provider: str) -> None:
    """Plain and streamed, whatever the request asks for, and then no more."""
    emulator = Emulator(provider, answers=[TEXT, TEXT])
    client, model = asked(emulator)
    with client:
        assert client.chat("say: something else", model=model, max_tokens=16).text == TEXT
        assert streamed(client, "error: 500", model=model).text == TEXT
        with pytest.raises(NoAnswerError, match="all 2 of its answers"):
            client.chat("hi", model=model)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in LEAVES_CALLS_IN_TEXT])
def test_every_vendor_calls_what_is_given(provider: str) -> None:
    """Plain and streamed; also where a result is the last message, behind which an emulator calls nothing by itself."""
    emulator = Emulator(provider, answers=[OSLO, [OSLO, PARIS], "Done."])
    client, model = asked(emulator)
    tools = [get_weather]
    with client:
        first = client.chat("hi", model=model, tools=tools)
        assert [(call.name, call.parsed()) for call in first.tool_calls] == [("get_weather", {"city": "Oslo"})]
        messages: list[Any] = ["hi", first, Message.tool(first.tool_calls[0], "Sunny")]
        second = streamed(client, messages, model=model, tools=tools)
        assert second.tool_calls[0].parsed() == {"city": "Oslo"}
        messages += [second, *(Message.tool(call, "Sunny") for call in second.tool_calls)]
        assert client.chat(messages, model=model, tools=tools).text == "Done."


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_vendor_tells_the_counts_of_a_reply(provider: str) -> None:
    emulator = Emulator(provider, answers=[Reply("Hello.", usage=Usage(1000, 500))])
    client, model = asked(emulator)
    with client:
        reply = client.chat("hi", model=model)
    assert (reply.text, reply.finish_reason) == ("Hello.", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1000, 500)
