"""What a vendor wants back rides in the client's own opaque fields: to it alone, unchanged, and never forged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import Message, TextPart, ToolCall, VendorPart
from chatport.testing import Emulator
from chatport_surfaces import Seal
from chatport_surfaces.messages.opaque import closed
from chatport_surfaces.sealing import Sealed

from .asking import MODELS, SECRET, Answered, ask, read

CALL = 'think: Rome first.\ncall: look {"city": "Rome"}'
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
on_vendors = pytest.mark.parametrize("vendor", MODELS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def first(
    emulator: Emulator, vendor: str, *, stream: bool, model: str = "", **fields: Any
) -> tuple[dict[str, Any], Answered]:
    """Ask for a tool call with thinking; return the body and the answer."""
    body = {
        "model": f"{vendor}:{model or MODELS[vendor]}",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": CALL}],
        "tools": [TOOL],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "stream": stream,
        **fields,
    }
    answer = ask(emulator, body)
    assert answer.status == 200, answer.body
    return body, answer


def second(body: dict[str, Any], content: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the request that goes on with an answer and the results of its calls."""
    used = [block["id"] for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": name, "content": "sunny"} for name in used]
    turns = [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return {**body, "messages": [*body["messages"], *turns]}


def thoughts(vendor: str, sent: dict[str, Any]) -> list[Any]:
    """Return what of earlier thinking a vendor was sent."""
    match vendor:
        case "openai":
            return [item["encrypted_content"] for item in sent["input"] if item.get("type") == "reasoning"]
        case "deepseek":
            return [
                turn["reasoning_content"] for turn in sent["messages"] if (turn.get("reasoning_content") or " ").strip()
            ]
    blocks = [block for turn in sent["messages"] for block in turn["content"]]
    return [block.get("signature") or block["data"] for block in blocks if "thinking" in block["type"]]


@on_vendors
@both_ways
def test_thinking_goes_back_to_its_vendor(vendor: Any, stream: Any) -> None:
    emulator = Emulator(vendor)
    body, answer = first(emulator, vendor, stream=stream)
    assert "cp1." in json.dumps(answer.content)
    after = ask(emulator, second(body, answer.content))
    assert after.status == 200, after.body
    sent = emulator.requests[-1].json()
    assert len(thoughts(vendor, sent)) == 1
    assert "cp1." not in json.dumps(sent)


@on_vendors
@both_ways
def test_the_last_block_is_what_was_said(vendor: str, stream: bool) -> None:
    """Clients take it for the answer, so that what is to go back stands before it, and does go back."""
    emulator = Emulator(vendor)
    asked = {"role": "user", "content": "think: So it is.\nsay: Here it is."}
    body, answer = first(emulator, vendor, stream=stream, messages=[asked])
    assert answer.content[-1]["text"] == "Here it is."
    turns = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "say: And on."}]
    after = ask(emulator, {**body, "messages": [asked, *turns]})
    assert after.status == 200, after.body
    assert len(thoughts(vendor, emulator.requests[-1].json())) == 1


@both_ways
def test_encrypted_thinking_too(stream: Any) -> None:
    emulator = Emulator("anthropic", redacts=True)
    body, answer = first(emulator, "anthropic", stream=stream)
    assert answer.content[0]["type"] == "redacted_thinking"
    assert answer.content[0]["data"].startswith("cp1.")
    assert ask(emulator, second(body, answer.content)).status == 200
    assert len(thoughts("anthropic", emulator.requests[-1].json())) == 1


@both_ways
def test_thinking_that_is_bound_to_its_conversation_still_fits(stream: Any) -> None:
    """AN-K7: the newest models refuse it behind anything else than what was sent before."""
    emulator = Emulator("anthropic")
    body, answer = first(emulator, "anthropic", stream=stream, model="claude-opus-5-5")
    for _ in range(2):
        body = second(body, answer.content)
        body["messages"][-1]["content"].append({"type": "text", "text": CALL})
        answer = ask(emulator, body)
        assert answer.status == 200, answer.body
    assert len(thoughts("anthropic", emulator.requests[-1].json())) == 2


@on_vendors
@pytest.mark.parametrize("other", MODELS)
def test_another_vendor_gets_none_of_it(vendor: Any, other: Any) -> None:
    if vendor == other:
        pytest.skip("the same vendor")
    body, answer = first(Emulator(vendor), vendor, stream=True)
    emulator = Emulator(other)
    after = ask(emulator, {**second(body, answer.content), "model": f"{other}:{MODELS[other]}", "stream": False})
    assert after.status == 200, after.body
    sent = emulator.requests[-1].json()
    assert thoughts(other, sent) == []
    assert "cp1." not in json.dumps(sent)


def changed(value: Any) -> Any:
    """Return an answer with each sealed text changed in one place."""
    if isinstance(value, dict):
        return {name: changed(field) for name, field in value.items()}
    if isinstance(value, list):
        return [changed(item) for item in value]
    if isinstance(value, str) and Seal.is_sealed(value):
        return value[:-5] + ("A" if value[-5] != "A" else "B") + value[-4:]
    return value


@on_vendors
@both_ways
@pytest.mark.parametrize("way", ["changed", "of another secret"])
def test_what_does_not_open_goes_to_nobody(vendor: Any, stream: Any, way: Any) -> None:
    emulator = Emulator(vendor)
    body, answer = first(emulator, vendor, stream=stream)
    content = changed(answer.content) if way == "changed" else answer.content
    secret = SECRET if way == "changed" else b"quite another secret"
    after = ask(emulator, {**second(body, content), "stream": True}, secret=secret)
    assert after.status == 200, after.body
    sent = emulator.requests[-1].json()
    assert thoughts(vendor, sent) == []
    assert "cp1." not in json.dumps(sent)
    assert {field.partition(".")[0] for field in after.warned} & {"messages"}, "it is told"


def test_one_vendors_cannot_be_made_anothers() -> None:
    """Two seals of two vendors in one answer: only the first one's is taken."""
    seal = Seal(SECRET)
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": seal.close(Sealed("acme", text="A"))},
        {"type": "redacted_thinking", "data": seal.close(Sealed("other", text="B"))},
        {"type": "text", "text": "t"},
    ]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}]
    message = read({"messages": turns}).messages[1]
    assert message.origin == "acme"
    assert "B" not in [getattr(part, "value", {}).get("data") for part in message.content]


def test_what_belongs_to_a_whole_answer_is_carried_by_one_message() -> None:
    """Though blocks follow a call, and make more of them elsewhere."""
    signature = Seal(SECRET).close(Sealed("acme", {"k": "v"}, {"t2": {"sig": "S"}}))
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
        {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        {"type": "text", "text": "c"},
    ]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}]
    assert read({"messages": turns}).messages[1:] == [
        Message(
            "assistant",
            (TextPart("a"), TextPart("b"), TextPart("c")),
            (ToolCall("t1", "f", "{}"), ToolCall("t2", "g", "{}", extra={"sig": "S"})),
            reasoning="hm",
            origin="acme",
            opaque={"k": "v"},
        )
    ]


def test_a_block_that_does_not_open_is_lost_and_a_text_only_loses_its_sources() -> None:
    forged = Seal(b"quite another secret").close(Sealed("acme", text="I"))
    source = {"type": "web_search_result_location", "encrypted_index": forged, "url": "u"}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": forged}]}
    blocks = [{"type": "text", "text": "t", "citations": [source], "more": 1}, found]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}]
    (message,) = read({"messages": turns}).messages[1:]
    assert message.content == (TextPart("t", {"more": 1}), VendorPart({"not_ours": "web_search_tool_result"}))


def test_a_vendors_own_passes_to_who_speaks_the_protocol() -> None:
    """The client has talked to the vendor itself before."""
    block = {"type": "thinking", "thinking": "hm", "signature": "E" + "x" * 120}
    answer = [block, {"type": "text", "text": "t"}]
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "on"},
    ]
    for vendor, passes in (("anthropic", True), ("deepseek", False)):
        emulator = Emulator(vendor)
        body = {"model": f"{vendor}:{MODELS[vendor]}", "max_tokens": 100, "messages": turns, "stream": True}
        got = ask(emulator, body)
        assert got.status == 200, got.body
        assert (block["signature"] in json.dumps(emulator.requests[-1].json())) is passes
        assert ("messages.content.thinking" in got.warned) is not passes


def test_unsigned_thinking_belongs_to_nobody() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "t"}]
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "on"},
    ]
    for vendor in MODELS:
        emulator = Emulator(vendor)
        got = ask(
            emulator, {"model": f"{vendor}:{MODELS[vendor]}", "max_tokens": 100, "messages": turns, "stream": True}
        )
        assert got.status == 200, got.body
        assert "hm" not in json.dumps(emulator.requests[-1].json()["messages"])
        assert got.warned


def test_what_the_model_wrote_is_no_word_of_the_protocol() -> None:
    seal = Seal(SECRET)
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"signature": "s", "encrypted_content": "e"}}
    assert closed(block, seal, "acme") is block
    citation = {"type": "web_search_result_location", "encrypted_index": "i", "url": "u"}
    sealed = closed({"type": "text", "text": "signature", "citations": [citation]}, seal, "acme")
    assert sealed["citations"][0]["encrypted_index"].startswith("cp1.")
    assert sealed["text"] == "signature"
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [sealed]}]
    (part,) = read({"messages": turns}).messages[1].content
    assert part.extra == {"citations": [citation]}


def test_an_answer_that_was_streamed_inside_keeps_its_thinking() -> None:
    """AN-A7: a whole answer of so many tokens is none of the vendor's, but put together here."""
    emulator = Emulator("anthropic")
    body, answer = first(emulator, "anthropic", stream=False, max_tokens=30_000)
    assert [block["type"] for block in answer.content] == ["thinking", "tool_use"]
    after = ask(emulator, second(body, answer.content))
    assert after.status == 200, after.body
    assert thoughts("anthropic", emulator.requests[-1].json())[0].startswith("sig_")
