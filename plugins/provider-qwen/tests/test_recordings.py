"""The vendor's recorded exchanges: all of them decode, and the twin speaks in no shape that they do not have."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

import chatport
from chatport.testing import EmulatedRequest, Emulator, decode_events, replay

TRACES = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "qwen"
if not TRACES.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

FILES = sorted(TRACES.glob("*.json"))
RECORDED = [json.loads(file.read_text("utf-8")) for file in FILES]


def answer(trace: dict[str, Any]) -> dict[str, Any]:
    response = trace["response"]
    return {
        "status": response["status"],
        "headers": response["headers"],
        "body": response.get("sse_text") or response["body_text"],
        "stream": "sse_text" in response,
        "model": trace["request"]["body"]["model"],
    }


@pytest.mark.parametrize("trace", RECORDED, ids=[file.stem for file in FILES])
def test_every_exchange_decodes(trace):  # QW-S7, QW-E5
    if "error" in trace["kind"]:
        with pytest.raises(chatport.BadRequestError) as caught:
            replay("qwen", **answer(trace))
        assert caught.value.code == "invalid_parameter_error"
        assert caught.value.retryable is False
        return
    reply = replay("qwen", **answer(trace))
    assert reply.usage.output_tokens is not None
    assert bool(reply.reasoning) == ("reasoning" in trace["kind"])
    assert bool(reply.tool_calls) == bool({"tools", "parallel-tools"} & set(trace["kind"]))
    assert (reply.finish_reason == "length") == ("length" in trace["kind"])
    assert all(isinstance(call.parsed(), dict) and call.id for call in reply.tool_calls)
    if "structured" in trace["kind"]:
        assert reply.parsed() == {"is_fruit": True}


@pytest.mark.parametrize("trace", [t for t in RECORDED if "sse_text" in t["response"] and "error" not in t["kind"]])
def test_a_stream_means_the_same_in_any_pieces(trace):  # QW-S1
    whole = answer(trace)
    data = whole["body"].encode()
    expected = decode_events("qwen", **whole)[-1].reply
    for size in (1, 7, 4096):
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert decode_events("qwen", **{**whole, "body": pieces})[-1].reply == expected


def test_what_was_recorded_as_accepted_the_twin_accepts_and_what_was_refused_it_refuses():
    """The requests of the recordings, sent as they are. Pictures that could not be fetched are the one exception."""
    emulator = Emulator("qwen")
    for trace in RECORDED:
        if "image-in" in trace["kind"]:
            continue
        content = json.dumps(trace["request"]["body"]).encode()
        request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, content)
        got = emulator.vendor.respond(request)
        assert got.status == trace["response"]["status"], trace["source"]["path"]
        if got.status == 400:
            recorded, emulated = json.loads(trace["response"]["body_text"]), json.loads(got.body)
            assert emulated["error"] == recorded["error"]


def shapes(value: Any, path: str = "") -> set[str]:
    """Return every path of keys in a JSON value, with the type that lies there."""
    if isinstance(value, dict):
        return {f"{path}:object"}.union(*(shapes(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return {f"{path}:array"}.union(*(shapes(item, f"{path}[]") for item in value))
    kind = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}[type(value)]
    return {f"{path}:{kind}"}


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def recorded_shapes() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"stream": set(), "plain": set(), "error": set()}
    for trace in RECORDED:
        response = trace["response"]
        if "sse_text" in response:
            found["stream"].update(*map(shapes, events(response["sse_text"])))
        else:
            found["error" if response["status"] >= 400 else "plain"] |= shapes(json.loads(response["body_text"]))
    return found


# Shapes that the recordings lack and the vendor's pages describe.
CITED: dict[str, str] = {}

BODIES = [
    {"model": model, "messages": [{"role": "user", "content": content}], **more}
    for model, more in (
        ("qwen-max", {}),
        ("qwen3.7-plus", {}),
        ("qwen3.8-max", {"reasoning_effort": "low"}),
        ("qwen3-vl-flash", {"enable_thinking": False}),
    )
    for content in ("say: some words here", 'call: f {"number": 12}\ncall: f {}', "say: x", "error: 400", "error: 429")
]
TOOLS = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "parallel_tool_calls": True}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("body", BODIES)
def test_the_twin_has_no_shape_of_its_own(body, streams):  # QW-E17
    emulator = Emulator("qwen")
    whole = {**body, **({"stream": True, "stream_options": {"include_usage": True}} if streams else {})}
    if "call:" in body["messages"][0]["content"]:
        whole |= TOOLS
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(whole).encode())
    response = emulator.vendor.respond(request)
    known = recorded_shapes()
    if response.status >= 400:
        emitted, kind = shapes(json.loads(response.body)), "error"
    elif streams:
        emitted, kind = set().union(*map(shapes, events(response.body.decode()))), "stream"
    else:
        emitted, kind = shapes(json.loads(response.body)), "plain"
    assert emitted - known[kind] - set(CITED) == set()
