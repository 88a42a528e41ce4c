"""Keys that nobody here reads: a caller's go out, an answer's come back to its vendor, and what is lost is told.

Over every provider, plain and streamed, with the stream cut at every byte.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport import Message, Reply, ToolCall, UnsupportedFeatureError
from chatport.engine.commands import Head
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator, replay
from chatport.testing.recordings import play, route_of

NATIVE = "anthropic"  # whose own protocol has content blocks
CLOSED = ("fireworks", "mistral", "cerebras")  # facts: no message, part, tool or call may have a further key
JOINED = {"deepseek": ["x_part"]}  # DS-P17: text goes there without its marks
CHOSEN = {"openai": "gpt-6-sol"}
STANDARD = [name for name in ("compatible", *installed_providers()) if name not in (NATIVE, "local")]
SIGNATURE = {"google": {"thought_signature": "SIG=="}}
META = {"vendor": {"trace": ["a", "b"], "score": 7}}
SEEN = ("SIG==", "trace", "inner-key")
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}', "inner": "inner-key"},
    "extra_content": SIGNATURE,
}
TOOL = {
    "type": "function",
    "cache_control": {"type": "ephemeral"},
    "defer_loading": True,
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "input_examples": [{"city": "Rome"}],
    },
}
TOOL_KEYS = ("cache_control", "defer_loading", "input_examples")


def body_of(stream: bool) -> bytes:
    message = {"role": "assistant", "content": None, "x_meta": META, "tool_calls": [CALL]}
    if not stream:
        return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "", "x_meta": {"vendor": {"trace": ["a"]}}},
        {"tool_calls": [begun]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ' "Oslo"}', "inner": "inner"}}]},
        {"tool_calls": [{"index": 0, "function": {"inner": "-key"}}]},
        {"tool_calls": [{"index": 0, "extra_content": SIGNATURE}]},
        {"x_meta": {"vendor": {"trace": ["b"], "score": 7}}},
    ]
    chunks: list[Any] = [{"model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def blocks_of(stream: bool) -> bytes:
    """The same of the native protocol, where a call's key stands in its block."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "caller": {"type": "SIG=="}}
    if not stream:
        content = [{**block, "input": {"city": "Oslo"}}]
        return json.dumps({"type": "message", "model": "m", "content": content, "stop_reason": "tool_use"}).encode()
    piece = {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "x", "model": "m", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": piece},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def model_of(name: str) -> str:
    if name == "compatible":
        return "acme:m"
    return f"{name}:{CHOSEN.get(name) or Emulator(name).vendor.models[0]}"


def explained(name: str, messages: Any, **options: Any) -> Any:
    providers: dict[str, Any] = {"acme": {"kind": "compatible", "base_url": "https://acme.example/v1"}}
    if name != "compatible":
        value = load_provider(name)
        providers[name] = {"api_key": "k", **({} if value.base_url else {"base_url": "https://x.example/v1"})}
        providers[name] |= {"protocol": value.protocol} if value.protocols else {}  # others have tests of their own
    with chatport.Client(config={"providers": providers}) as client:
        return client.explain(messages, model=model_of(name), **options)


def history(reply: Reply | Message) -> list[Any]:
    return ["Weather?", reply, Message.tool(reply.tool_calls[0], "sunny")]


def of(name: str, reply: Reply) -> Message:
    """Return the answer as the provider's own: a recorded one of `compatible` has no name of its own."""
    import attrs

    return attrs.evolve(reply.message, origin="acme" if name == "compatible" else name)


def told(explanation: Any) -> str:
    return " ".join(str(note) for note in explanation.adjustments)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", STANDARD)
def test_keys_of_an_answer_come_back_to_its_provider(name: str, stream: bool) -> None:
    reply = replay(name, body=body_of(stream), stream=stream)
    assert reply.opaque["message"] == {"x_meta": META}
    assert reply.tool_calls[0].extra == {"extra_content": SIGNATURE, "function": {"inner": "inner-key"}}
    body = explained(name, history(of(name, reply)), tools=[TOOL]).body
    answer = next(message for message in body["messages"] if message.get("tool_calls"))
    if name in CLOSED:
        assert not any(key in json.dumps(body["messages"]) for key in SEEN)
        return
    assert answer["x_meta"] == META
    assert answer["tool_calls"][0]["extra_content"] == SIGNATURE
    assert answer["tool_calls"][0]["function"]["inner"] == "inner-key"


@pytest.mark.parametrize("name", STANDARD)
def test_an_answer_of_ones_own_is_no_loss(name: str) -> None:
    """Who asked for an error where something is lost can go on with the vendor's own answer, closed or not."""
    reply = replay(name, body=body_of(False), stream=False)
    explained(name, history(of(name, reply)), on_unsupported="raise")


@pytest.mark.parametrize("name", [*STANDARD, NATIVE])
def test_keys_of_an_answer_go_to_no_other_provider(name: str) -> None:
    reply = replay("compatible", body=body_of(True), stream=True)
    foreign = of("elsewhere", reply)
    shown = explained(name, history(foreign))
    assert not any(key in json.dumps(shown.body["messages"]) for key in SEEN)
    for key in ("x_meta", "extra_content", "inner"):
        assert key in told(shown)
    assert "elsewhere" in told(shown)
    with pytest.raises(UnsupportedFeatureError, match="extra_content"):
        explained(name, history(foreign), on_unsupported="raise")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_key_of_a_native_call_comes_back(stream: bool) -> None:
    """AN-T8: who made the call stands in its block."""
    reply = replay(NATIVE, body=blocks_of(stream), stream=stream)
    assert reply.tool_calls[0].extra == {"caller": {"type": "SIG=="}}
    body = explained(NATIVE, history(reply)).body
    assert body["messages"][1]["content"][0]["caller"] == {"type": "SIG=="}


@pytest.mark.parametrize(("name", "body"), [("compatible", body_of(True)), (NATIVE, blocks_of(True))])
def test_keys_survive_every_cut_of_a_stream(name: str, body: bytes) -> None:
    route, head = route_of(name, "recorded", True), Head(200, {"content-type": "text/event-stream"})

    def kept(*pieces: bytes) -> object:
        reply = play(route, head, list(pieces), deliver=True)[1]
        return reply.opaque, reply.tool_calls

    whole = kept(body)
    for at in range(1, len(body)):
        assert kept(body[:at], body[at:]) == whole, at
    assert kept(*(body[at : at + 1] for at in range(len(body)))) == whole


def test_a_stream_that_is_cut_keeps_the_keys_it_had() -> None:
    body = body_of(True)
    at = body.index(b'"score"')
    with pytest.raises(chatport.StreamInterruptedError) as caught:
        replay("compatible", body=body[: body.rindex(b"data: {", 0, at)], stream=True)
    partial = caught.value.partial
    assert partial is not None
    assert partial.tool_calls[0].extra["extra_content"] == SIGNATURE
    assert partial.opaque["message"] == {"x_meta": {"vendor": {"trace": ["a"]}}}


@pytest.mark.parametrize("name", [*STANDARD, NATIVE])
def test_keys_that_a_caller_writes_go_out_or_are_told(name: str) -> None:
    """On a message, a part, a tool, its function, a call and its function: in dicts, which have no origin."""
    part = {"type": "text", "text": "Weather?", "x_part": "part-key"}
    messages = [
        {"role": "user", "content": [part, {"type": "text", "text": "Now."}], "x_message": "message-key"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    shown = explained(name, messages, tools=[TOOL])
    sent, lost = json.dumps(shown.body), []
    keys = {"x_part": "part-key", "x_message": "message-key", "extra_content": "SIG==", "inner": "inner-key"}
    for key, value in {**keys, **dict.fromkeys(TOOL_KEYS, "")}.items():
        if f'"{key}"' in sent and value in sent:
            continue
        lost.append(key)
        assert key in told(shown), key
    if lost:
        with pytest.raises(UnsupportedFeatureError, match=lost[0]):
            explained(name, messages, tools=[TOOL], on_unsupported="raise")
    assert name in (*CLOSED, NATIVE) or lost == JOINED.get(name, [])


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_that_a_caller_writes_goes_out_as_written_or_is_told(field: str) -> None:
    """To a vendor of which nothing is known; one whose facts have no field for it does not get it."""
    messages = ["q", {"role": "assistant", "content": "so", field: "hm"}, "and?"]
    assert explained("compatible", messages).body["messages"][1] == {"role": "assistant", "content": "so", field: "hm"}
    assert "reasoning_content" in told(explained("openai", messages))
    odd = ["q", {"role": "assistant", "content": "so", field: {"x": 1}}, "and?"]
    assert explained("compatible", odd).body["messages"][1][field] == {"x": 1}


def test_keys_of_a_tool_stand_where_they_stood() -> None:
    (sent,) = explained("compatible", "hi", tools=[TOOL]).body["tools"]
    assert sent == TOOL
    (flat,) = explained("compatible", "hi", tools=[{"name": "f", "input_schema": TOOL["function"], "x": 1}]).body[
        "tools"
    ]
    assert flat == {"type": "function", "x": 1, "function": {"name": "f", "parameters": TOOL["function"]}}


def test_native_tools_have_their_own_keys_and_no_others() -> None:
    """AN-T1: wherever they stood in the tool."""
    shown = explained(NATIVE, "hi", tools=[{**TOOL, "x_other": 1}])
    (sent,) = shown.body["tools"]
    assert {key: sent[key] for key in TOOL_KEYS} == {
        "cache_control": {"type": "ephemeral"}, "defer_loading": True, "input_examples": [{"city": "Rome"}],
    }  # fmt: skip
    assert "x_other" not in sent
    assert "dropped tools.get_weather.x_other" in told(shown)


def test_constant_keys_are_kept_once_and_pieces_are_joined() -> None:
    deltas = [
        {"content": "a", "mark": "m", "text_of_its_own": "one "},
        {"content": "b", "mark": "m", "text_of_its_own": "two "},
        {"content": "c", "mark": "m", "text_of_its_own": "three", "empty": "", "none": None, "zero": 0},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    reply = replay("compatible", body=body, stream=True)
    assert reply.text == "abc"
    assert reply.opaque["message"] == {"mark": "m", "text_of_its_own": "one two three", "zero": 0}


def test_a_call_may_be_hashed_and_compared_with_its_keys() -> None:
    plain, signed = ToolCall("c", "f", "{}"), ToolCall("c", "f", "{}", extra={"extra_content": SIGNATURE})
    assert plain != signed
    assert len({plain, signed, ToolCall("c", "f", "{}", extra={"extra_content": SIGNATURE})}) == 2
    with pytest.raises(TypeError):
        signed.extra["x"] = 1  # type: ignore[index]  # which is what is tested
