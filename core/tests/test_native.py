"""A call that came in one protocol: its own words go where they are understood, and chunks come back as they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from chatport import (
    ChunkSeen,
    Client,
    Finished,
    ImagePart,
    MalformedReplyError,
    Message,
    Native,
    Protocol,
    Provider,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    VendorPart,
)
from chatport.decoding.collector import Collector
from chatport.engine.delivery import Delivery
from chatport.helpers import jsoncodec
from chatport.testing import Emulator, faults

MARK = {"cache_control": {"type": "ephemeral"}}
PROVIDER = Provider(
    "acme",
    "Acme",
    "https://acme.example/v1",
    protocols=(
        Protocol("loud", lambda provider: provider, native=True),
        Protocol("quiet", lambda provider: provider),
    ),
)


@pytest.fixture
def emulator() -> Emulator:
    return Emulator("compatible")


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator.config(), transport=emulator) as client:
        yield client


def explained(native: Native, messages: Any = "hi", **options: Any) -> Any:
    with Client({"providers": {"acme": {"api_key": "k"}}}, providers=[PROVIDER]) as client:
        return client.explain(messages, model="acme:m", native=native, **options)


def everything() -> tuple[list[Message], dict[str, Any]]:
    """Return a call with words of a protocol's own in every place that can have some."""
    call = ToolCall("c", "look", "{}", extra={"caller": "x"})
    messages = [
        Message("user", (TextPart("a", MARK), VendorPart({"type": "search_result"}), ImagePart("https://a.example/b"))),
        attrs.evolve(Message.assistant(tool_calls=(call,)), extra={"phase": "commentary"}),
        Message.tool("c", "r"),
    ]
    return messages, {"tools": [Tool("look", extra=MARK), {"type": "web_search"}]}


def test_words_of_the_vendors_own_protocol_go_out() -> None:
    messages, options = everything()
    native = Native("chat", {"context_management": {"edits": []}})
    shown = explained(native, messages, extra={"user": "said otherwise"}, **options)
    assert shown.body["context_management"] == {"edits": []}
    assert "user" not in shown.body
    assert shown.body["messages"][0]["content"][0] == {"type": "text", "text": "a", **MARK}
    assert shown.body["messages"][0]["content"][1] == {"type": "search_result"}
    assert {"type": "web_search"} in shown.body["tools"]
    assert shown.adjustments == ()


def test_another_vendor_gets_none_of_them_and_each_is_told() -> None:
    messages, options = everything()
    native = Native("messages", {"context_management": {}, "thinking": {}}, told=frozenset({"thinking"}))
    shown = explained(native, messages, extra={"user": "u"}, **options)
    assert shown.body["user"] == "u"
    assert not shown.body.keys() & {"context_management", "thinking"}
    assert [part["type"] for part in shown.body["messages"][0]["content"]] == ["text", "image_url"]
    assert "cache_control" not in str(shown.body)
    assert [tool["function"]["name"] for tool in shown.body["tools"]] == ["look"]
    assert sorted((note.kind, note.field) for note in shown.adjustments) == [
        ("dropped", "context_management"),
        ("dropped", "messages.content.cache_control"),
        ("dropped", "messages.content.search_result"),
        ("dropped", "messages.phase"),
        ("dropped", "messages.tool_calls.caller"),
        ("dropped", "tools.cache_control"),
        ("dropped", "tools.web_search"),
    ]


def test_a_choice_in_its_words_is_one_of_them() -> None:
    choice = {"type": "tool", "name": "web_search"}
    options: Any = {"tools": [Tool("look"), {"type": "web_search", "name": "web_search"}], "tool_choice": choice}
    assert explained(Native("chat"), **options).body["tool_choice"] == choice
    shown = explained(Native("messages"), **options)
    assert "tool_choice" not in shown.body
    assert ("dropped", "tool_choice") in [(note.kind, note.field) for note in shown.adjustments]


def test_a_turn_of_which_nothing_is_left_is_left_out() -> None:
    thought = Message("assistant", (VendorPart({"type": "thinking", "thinking": "hm"}),))
    shown = explained(Native("messages"), ["a", thought, "b"])
    assert [message["content"] for message in shown.body["messages"]] == ["a", "b"]


def test_a_turn_that_only_another_provider_could_read_is_left_out() -> None:
    thought = Message("assistant", reasoning="hm", origin="elsewhere", opaque={"turn": {}})
    item = Message("user", (VendorPart({"type": "shell_call_output"}),), opaque={"items": []})
    shown = explained(Native("responses"), ["a", thought, item, "b"])
    assert [message["content"] for message in shown.body["messages"]] == ["a", "b"]


def test_an_answer_that_goes_on_behind_its_calls_is_one_elsewhere() -> None:
    """Who speaks the protocol gets the blocks in their order, in turns that follow each other."""
    calls = [ToolCall(name, "look", "{}") for name in "xy"]
    answer = [Message.assistant("t", tool_calls=(calls[0],)), Message.assistant("u", tool_calls=(calls[1],))]
    talk = [
        "a",
        *answer,
        Message.tool("x", "1"),
        Message.tool("y", "2"),
        Message.assistant("b"),
        Message.assistant("c"),
    ]
    roles = [message["role"] for message in explained(Native("messages"), talk).body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "assistant"]
    sent = explained(Native("messages"), talk).body["messages"][1]
    assert sent["content"] in ("tu", [{"type": "text", "text": "t"}, {"type": "text", "text": "u"}])
    assert [call["id"] for call in sent["tool_calls"]] == ["x", "y"]
    assert [message["role"] for message in explained(Native("chat"), talk).body["messages"]][1:3] == ["assistant"] * 2


def test_a_part_of_another_providers_answer_stays_at_home() -> None:
    thought = VendorPart({"type": "thinking"})
    own, other = (Message("assistant", (thought, TextPart("t")), origin=origin) for origin in ("acme", "elsewhere"))
    shown = explained(Native("chat"), ["a", own, "b", other, "c"])
    assert shown.body["messages"][1]["content"] == [{"type": "thinking"}, {"type": "text", "text": "t"}]
    assert shown.body["messages"][3]["content"] == "t"


def test_a_call_goes_out_in_the_protocol_it_came_in_where_the_vendor_speaks_it() -> None:
    shown = explained(Native("loud"))
    assert (shown.protocol, shown.protocol_reason) == ("loud", "the call came in it")
    assert explained(Native("quiet")).protocol == explained(Native("unheard-of")).protocol == "chat"


@pytest.mark.parametrize("tools", [False, True])
def test_chunks_are_handed_over_before_what_they_mean(client: Client, *, tools: bool) -> None:
    """All of them, as they came, the end mark too."""
    options: Any = {"tools": [{"type": "function", "function": {"name": "look"}}]} if tools else {}
    prompt = "call: look {}" if tools else "say: one two three"
    events = list(client.stream(prompt, model="compatible:emulated-model", native=Native("chat"), **options))
    chunks = [event for event in events if isinstance(event, ChunkSeen)]
    assert b"".join(chunk.raw for chunk in chunks).count(b"chat.completion.chunk") == len(chunks) - 1
    assert chunks[-1].raw == b"[DONE]"
    assert {chunk.provider for chunk in chunks} == {"compatible"}
    first = next(at for at, event in enumerate(events) if isinstance(event, TextDelta | ToolCallDelta))
    assert isinstance(events[first - 1], ChunkSeen)
    assert isinstance(events[-1], Finished)


def test_a_chunk_that_cannot_be_read_is_not_handed_over() -> None:
    emulator = Emulator("compatible", faults=[faults.malformed_chunk(3)])
    seen: list[Any] = []
    with (
        Client({**emulator.config(), "retry": {"attempts": 1}}, transport=emulator) as client,
        client.stream("say: one two three four", model="compatible:emulated-model", native=Native("chat")) as stream,
        pytest.raises(MalformedReplyError),
    ):
        seen.extend(stream)
    chunks = [event.raw for event in seen if isinstance(event, ChunkSeen)]
    assert chunks
    assert all(jsoncodec.decode(raw) for raw in chunks)


def test_there_are_none_for_another_protocol_or_unasked(client: Client) -> None:
    for native in (None, Native("messages")):
        events = list(client.stream("say: one", model="compatible:emulated-model", native=native))
        assert not [event for event in events if isinstance(event, ChunkSeen)]


def test_the_reply_says_in_which_protocol_its_vendor_was_asked(client: Client) -> None:
    assert client.chat("say: one", model="compatible:emulated-model").protocol == "chat"
    with client.stream("say: one", model="compatible:emulated-model") as stream:
        next(stream)
        assert stream.partial.protocol == "chat"


def test_what_comes_before_any_content_is_bounded() -> None:
    """Chunks that say nothing are held until one says something: not without end."""
    delivery = Delivery(Collector(), takes_events=True)
    chunk = ChunkSeen("message", b" " * 2000)
    for _ in range(500):
        assert delivery.ready([chunk], None) == []
    with pytest.raises(MalformedReplyError, match="no content"):
        delivery.ready([chunk] * 100, None)
    assert delivery.is_begun is False


def test_the_targets_of_a_name() -> None:
    config: Any = {"providers": {"acme": {"api_key": "k"}}, "aliases": {"fast": ["acme:a", "acme:b"]}, "model": "fast"}
    with Client(config, providers=[PROVIDER]) as client:
        assert client.targets() == client.targets("fast") == ("acme:a", "acme:b")
        assert client.targets("acme:c") == ("acme:c",)


def test_a_budget_of_thought_is_an_effort_where_there_are_none() -> None:
    """Who calls in a protocol of budgets cannot know it; who calls here is told to use an effort."""
    facts = {"models": {"acme:m": {"reasoning": True, "efforts": ["low", "medium", "high"]}}}
    tables = {"providers": {"acme": {"api_key": "k"}}, **facts}
    with Client(tables, providers=[PROVIDER]) as client:
        own = client.explain("hi", model="acme:m", reasoning=4096)
        came = client.explain("hi", model="acme:m", reasoning=4096, native=Native("messages"))
    assert "reasoning_effort" not in own.body
    assert came.body["reasoning_effort"] == "medium"
    assert [(note.kind, note.field) for note in came.adjustments] == [("lowered", "reasoning")]
