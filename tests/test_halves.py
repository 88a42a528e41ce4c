"""Half an emoji in any text that a caller gives, for every vendor: it is sent as U+FFFD, and the warning says where."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

import chatport
from chatport import BadRequestError, ConfigurationError, Message, Tool, ToolCall
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator

from .in_chat_words import in_chat_words

HALF = "a\ud83d"
WHOLE = "a\ufffd"
CHOSEN = {"openai": "gpt-4o"}
PROVIDERS = ["compatible", *(name for name in installed_providers() if load_provider(name).emulator is not None)]
CALL = ToolCall("c1", "look", "{}")


def asked(*more: Any) -> list[Any]:
    return [*more, Message.user("say: fine")]


def tool(schema: Any, name: str = "look", description: str = "Look.") -> dict[str, Any]:
    return {"messages": asked(), "tools": [Tool(name, description, schema)]}


def having(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


PLACES: dict[str, dict[str, Any]] = {
    "messages[0].content[0].text": {"messages": asked(Message.user(HALF), Message.assistant("b"))},
    "messages[1].content[1].text": {
        "messages": asked("x", {"role": "assistant", "content": [{"type": "text", "text": "a"}, HALF]})
    },
    "messages[2].content[0].text": {
        "messages": asked("x", Message.assistant(tool_calls=(CALL,)), Message.tool(CALL, HALF)),
        "tools": [Tool("look")],
    },
    "tools.look.description": tool(having({"type": "string"}), description=HALF),
    "tools.look.parameters.properties.a.description": tool(having({"type": "string", "description": HALF})),
    "tools.look.parameters.properties.a.enum[1]": tool(having({"type": "string", "enum": ["b", HALF]})),
    f"tools.look.parameters.properties.{WHOLE}": tool({"type": "object", "properties": {HALF: {"type": "string"}}}),
    "stop[0]": {"messages": asked(), "stop": [HALF]},
    "extra.metadata.a[0]": {"messages": asked(), "extra": {"metadata": {"a": [HALF]}}},
    f"extra.metadata.{WHOLE}": {"messages": asked(), "extra": {"metadata": {HALF: "x"}}},
    "output.properties.a.description": {
        "messages": asked(), "output": having({"type": "string", "description": HALF})
    },
}  # fmt: skip


@cache
def client(name: str) -> tuple[chatport.Client, Emulator, str]:
    emulator = Emulator(name)
    model = CHOSEN.get(name) or emulator.vendor.models[0]
    return chatport.Client(config=emulator.config(), transport=emulator), emulator, f"{name}:{model}"


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("place", PLACES)
def test_half_an_emoji_is_replaced_wherever_it_stands(name: str, place: str) -> None:
    explained = client(name)[0].explain(model=client(name)[2], max_tokens=100, **PLACES[place])
    json.dumps(explained.body, ensure_ascii=False).encode("utf-8")
    told = [note.field for note in explained.adjustments if note.kind == "invalid"]
    field = {"e": "metadata", "s": "stop"}.get(place[0], "messages")
    sent = in_chat_words(explained.body)
    assert told == [place] * (field in sent or "stop_sequences" in sent)  # where it is taken at all


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "local"])  # which stands for any of the servers
def test_such_a_call_is_answered(name: str) -> None:
    """A tool is known to its caller under its own name, whatever it is sent as."""
    caller, _, model = client(name)
    tools = [Tool(f"look{HALF}", HALF)]
    asking: Any = [Message.system(HALF), Message.user(f"say: {HALF}")]
    with caller.stream(asking, model=model, tools=tools, max_tokens=4000) as stream:
        assert [*stream]
    assert stream.reply.text.rstrip() == WHOLE
    sent = next(note for note in stream.reply.warnings if note.kind == "renamed" and note.field.startswith("tools."))
    made = caller.chat(f"call: {sent.reason.split(chr(39))[1]} {{}}", model=model, tools=tools, max_tokens=4000)
    assert [call.name for call in made.tool_calls] == [f"look{HALF}"]
    assert chatport.run_tool(made.tool_calls[0], [Tool(f"look{HALF}", function=lambda: {"a": HALF})]) == '{"a":"a�"}'


def test_many_places_are_told_in_few_warnings() -> None:
    caller, _, model = client("compatible")
    explained = caller.explain([Message.user(HALF)] * 30, model=model, on_unsupported="raise")
    assert len(explained.adjustments) == 9
    assert "so in 22 places" in explained.adjustments[-1].reason
    assert [message["content"] for message in explained.body["messages"]] == [WHOLE] * 30


def test_the_condition_of_a_target_counts_such_a_call() -> None:
    _, emulator, model = client("compatible")
    alias = {"small": {"targets": [{"target": model, "when": {"below_input_tokens": 1000}}]}}
    own = chatport.Client(config={**emulator.config(), "aliases": alias}, transport=emulator)
    schema = having({"type": "string", "description": HALF})
    assert own.chat("say: counted", model="small", tools=[Tool("look", "", schema)]).text == "counted"


def test_a_text_to_be_embedded_is_named() -> None:
    """There is no reply to carry a warning."""
    caller = client("openai")[0]
    with pytest.raises(BadRequestError, match=r"input\[1\] has half of a surrogate pair"):
        caller.embed(["a", HALF], model="openai:text-embedding-3-small")


def test_no_model_has_half_an_emoji_in_its_name() -> None:
    with pytest.raises(ConfigurationError, match="half of a surrogate pair"):
        client("compatible")[0].chat("hi", model=f"compatible:{HALF}")


def test_what_can_be_written_is_not_looked_through() -> None:
    """A text in any script is nobody's half."""
    caller, _, model = client("compatible")
    explained = caller.explain("Grüße, 你好 😀", model=model, stop=["é"])
    assert explained.adjustments == ()
    assert explained.body["messages"][0]["content"] == "Grüße, 你好 😀"
