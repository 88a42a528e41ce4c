"""A whole answer: the vendor's own in this protocol, and made of a reply where another was spoken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import Citation, Media, Reply, ToolCall, Usage
from chatport.testing import Emulator
from chatport_surfaces import Asked, Seal, SurfaceContext
from chatport_surfaces.messages import surface

from .asking import MODELS, SECRET, ask


def context() -> SurfaceContext:
    return SurfaceContext(Seal(SECRET), lambda: 0, lambda prefix: f"{prefix}new", lambda model: ("acme",))


def whole(**fields: Any) -> Any:
    answer = surface.writer(Asked("chat", "m"), context()).whole(Reply(**{"provider": "acme", "model": "m", **fields}))
    assert dict(answer.headers)["content-type"] == "application/json"
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("other", "end_turn"),
    ],
)
def test_reasons(reason: Any, told: Any) -> None:
    assert whole(finish_reason=reason)["stop_reason"] == told
    own = whole(finish_reason=reason, raw_finish_reason="pause_turn", protocol="messages")
    assert own["stop_reason"] == "pause_turn"
    assert whole(finish_reason=reason, raw_finish_reason="newer", protocol="messages")["stop_reason"] == told


def test_the_matched_stop_sequence_of_a_vendor_that_tells_it() -> None:
    fields = {"raw_finish_reason": "stop_sequence", "protocol": "messages", "raw": {"stop_sequence": "zzz"}}
    assert whole(**fields)["stop_sequence"] == "zzz"


def test_a_refusal() -> None:
    message = whole(refusal="I won't.", finish_reason="content_filter")
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"] == {"type": "refusal", "category": None, "explanation": "I won't."}
    assert [block["text"] for block in message["content"]] == ["I won't."]


def test_blocks_in_their_order() -> None:
    message = whole(
        text="t",
        reasoning="hm",
        tool_calls=(ToolCall("c", "f", '{"a": [1]}', extra={"signed": "s"}), ToolCall("d", "g", '{"a', complete=False)),
        citations=(Citation(url="https://a.example", title="A", text="q"),),
        media=(Media("image", "image/png", data="AAAA"), Media("image", url="https://b.example/i.png")),
        opaque={"k": 1},
        usage=Usage(10, 2),
    )
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["thinking", "text", "text", "text", "tool_use"]
    sealed = Seal(SECRET).open(message["content"][0]["signature"])
    assert sealed is not None
    assert (sealed.origin, sealed.opaque, sealed.calls) == ("acme", {"k": 1}, {"c": {"signed": "s"}})
    assert message["content"][1]["citations"][0]["url"] == "https://a.example"
    assert "image/png" in message["content"][2]["text"]
    assert message["content"][3]["text"] == "![image](https://b.example/i.png)"
    assert message["content"][4]["input"] == {"a": [1]}  # and the call that was cut must not be made


@pytest.mark.parametrize(
    ("arguments", "value"), [("", {}), ("null", {}), ("[1]", {"arguments": [1]}), ("{x", {"arguments": "{x"})]
)
def test_the_input_of_a_call_is_an_object(arguments: Any, value: Any) -> None:
    assert whole(tool_calls=(ToolCall("c", "f", arguments),))["content"][0]["input"] == value


RAW: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "x", "encrypted_content": "ENC"}]},
        {"type": "text", "text": "t", "citations": [{"type": "c", "encrypted_index": "IDX"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "sent_as", "input": {}},
    ],
    "stop_reason": "tool_use",
    "newer": 1,
    "usage": {"input_tokens": 1, "output_tokens": 2, "iterations": []},
}


def test_a_vendors_own_message_is_not_translated() -> None:
    """Server tools, sources and what is newer pass; opaque texts are sealed; a tool has the client's own name."""
    message = whole(protocol="messages", raw=RAW, text="t", tool_calls=(ToolCall("toolu_1", "own name", "{}"),))
    assert message["newer"] == 1
    assert message["usage"]["iterations"] == []
    assert [block["type"] for block in message["content"]] == [block["type"] for block in RAW["content"]]
    assert message["content"][1] == RAW["content"][1]
    assert message["content"][4]["name"] == "own name"
    text = json.dumps(message)
    assert not any(f'"{word}"' in text for word in ("SIG", "ENC", "IDX"))
    opened = Seal(SECRET).open(message["content"][2]["content"][0]["encrypted_content"])
    assert opened is not None
    assert (opened.origin, opened.text) == ("acme", "ENC")


@pytest.mark.parametrize(
    "raw", [None, {"type": "message"}, {**RAW, "content": []}, {**RAW, "content": ["x"]}, {"id": 1}]
)
def test_what_is_left_of_a_streamed_answer_is_no_message(raw: Any) -> None:
    message = whole(protocol="messages", raw=raw, text="t")
    assert [block["text"] for block in message["content"]] == ["t"]


@pytest.mark.parametrize("vendor", MODELS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_names_that_a_vendor_does_not_take_come_back(vendor: Any, stream: Any) -> None:
    """Then a vendor of this protocol is translated too: its events have the names as they were sent."""
    tool = {"name": "a.b/c", "input_schema": {"type": "object", "properties": {}}}
    body = {"max_tokens": 500, "messages": [{"role": "user", "content": "call: a.b/c {}"}], "tools": [tool]}
    answer = ask(Emulator(vendor), {**body, "model": f"{vendor}:{MODELS[vendor]}", "stream": stream})
    assert answer.status == 200, answer.body
    assert [block["name"] for block in answer.content if block["type"] == "tool_use"] in (["a.b/c"], [])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refusal_of_a_vendor(stream: Any) -> None:
    for vendor in ("openai", "anthropic"):
        body = {"max_tokens": 500, "messages": [{"role": "user", "content": "refuse: no"}], "stream": stream}
        answer = ask(Emulator(vendor), {**body, "model": f"{vendor}:{MODELS[vendor]}"})
        end = (
            answer.json
            if not stream
            else next(data["delta"] for name, data in answer.events if name == "message_delta")
        )
        assert end["stop_reason"] == "refusal"
        assert end["stop_details"]["explanation"] == "no"
