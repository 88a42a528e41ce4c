"""Recorded exchanges, of both protocols: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatport import AuthenticationError
from chatport.testing import EmulatedRequest, decode_events, replay
from chatport_xai.emulator import XAIEmulator

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
FILES = {
    f"{path.parent.parent.name}/{path.stem}": path
    for path in sorted(SHARED.glob("traces*/xai/*.json"))
    if path.name[:3].isdigit()
}
if not FILES:
    pytest.skip("no recorded exchanges beside this checkout", allow_module_level=True)

RECORDS: dict[str, Any] = {name: json.loads(path.read_text("utf-8")) for name, path in FILES.items()}
BAD = [name for name, record in RECORDS.items() if (record["response"]["status"] or 200) >= 400]
GOOD = [name for name in RECORDS if name not in BAD]
STREAMS = [name for name in GOOD if "sse_text" in RECORDS[name]["response"]]


def path_of(name: str) -> str:
    return "/v1/responses" if "responses" in name else "/v1/chat/completions"


def answer(name: str) -> dict[str, Any]:
    response, request = RECORDS[name]["response"], RECORDS[name]["request"]["body"]
    streamed = "sse_text" in response
    return {
        "status": response["status"],
        "headers": response.get("headers") or {},
        "body": response["sse_text"] if streamed else response["body_text"],
        "stream": streamed,
        "model": request.get("model"),
        "request": request,
        "path": path_of(name),
    }


def objects(name: str) -> Iterator[dict[str, Any]]:
    """Give the JSON objects of an answer: one, or one for each event."""
    response = RECORDS[name]["response"]
    if "sse_text" not in response:
        yield json.loads(response["body_text"])
        return
    for line in response["sse_text"].splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def chat_reading(name: str) -> tuple[Any, ...]:
    """Read a chat answer by the plainest means: text, reasoning, calls, usage."""
    text = reasoning = ""
    calls: list[tuple[str, str, str]] = []
    usage: dict[str, Any] = {}
    for data in objects(name):
        usage = data.get("usage") or usage
        for choice in data["choices"]:
            piece = choice.get("delta") or choice.get("message") or {}
            text += piece.get("content") or ""
            reasoning += piece.get("reasoning_content") or ""
            calls += [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in piece.get("tool_calls", ())]
    details = usage["completion_tokens_details"]["reasoning_tokens"]
    return text, reasoning, calls, usage, usage["completion_tokens"] + details, usage["prompt_tokens"]


def items_reading(name: str) -> tuple[Any, ...]:
    """Read an answer in items by the plainest means."""
    *_, last = objects(name)
    whole = last.get("response", last)
    parts = [part for item in whole["output"] if item["type"] == "message" for part in item["content"]]
    thoughts = [p["text"] for item in whole["output"] if item["type"] == "reasoning" for p in item["summary"]]
    calls = [(i["call_id"], i["name"], i["arguments"]) for i in whole["output"] if i["type"] == "function_call"]
    usage = whole["usage"]
    text = "".join(part["text"] for part in parts)
    return text, "\n\n".join(thoughts), calls, usage, usage["output_tokens"], usage["input_tokens"]


@pytest.mark.parametrize("name", GOOD)
def test_recorded_replies_decode(name):
    """XA-1, XA-S1 to XA-S6, XA-S9, XA-R3, XA-U1, XA-U2, XA-U3, XA-I2, XA-I7"""
    reply = replay("xai", **answer(name))
    text, reasoning, calls, usage, output, prompt = (items_reading if "responses" in name else chat_reading)(name)
    assert (reply.text, reply.reasoning or "") == (text, reasoning)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [call[1:] for call in calls]
    if len({call[0] for call in calls}) == len(calls):
        assert [call.id for call in reply.tool_calls] == [call[0] for call in calls]
    assert reply.finish_reason == ("tool_calls" if calls else "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (prompt, output)
    assert prompt + output == usage["total_tokens"]
    if "cost_in_usd_ticks" in usage:
        assert reply.cost.amount == pytest.approx(usage["cost_in_usd_ticks"] / 1e10)
    assert reply.warnings == ()


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_decode_the_same_byte_by_byte(name):
    """XA-S5"""
    given = answer(name)
    text = given.pop("body").encode()
    pieces = decode_events("xai", body=(text[at : at + 1] for at in range(len(text))), **given)
    assert pieces[-1] == decode_events("xai", body=text, **given)[-1]


@pytest.mark.parametrize("name", BAD)
def test_recorded_errors_decode(name):
    """XA-X2"""
    with pytest.raises(AuthenticationError):
        replay("xai", **answer(name))


def test_a_charge_is_what_the_tokens_cost():
    """XA-U3: ticks against the list price of grok-4.3, cached input apart."""
    name = next(name for name in GOOD if "responses" in name and "/001-" in name)
    usage = items_reading(name)[3]
    cached = usage["input_tokens_details"]["cached_tokens"]
    dollars = (usage["input_tokens"] - cached) * 1.25 + cached * 0.2 + usage["output_tokens"] * 2.5
    assert usage["cost_in_usd_ticks"] / 1e4 == pytest.approx(dollars, rel=0.01)


# --- the emulator against the recordings


def has_seals(name: str) -> bool:
    """Whether a request brings back sealed thoughts, which only the vendor can read."""
    return any("encrypted_content" in item for item in RECORDS[name]["request"]["body"].get("input", ()))


@pytest.mark.parametrize("name", [name for name in GOOD if not has_seals(name)])
def test_emulator_takes_what_the_vendor_took(name):
    """XA-D1: most of these names are answered as another model's."""
    body = json.dumps(RECORDS[name]["request"]["body"]).encode()
    taken = XAIEmulator().respond(EmulatedRequest("POST", path_of(name), {"authorization": "Bearer k"}, body))
    assert taken.status == 200, taken.body


def shapes(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a value, with the JSON type at its end."""
    yield place, {int: "number", float: "number"}.get(type(value), type(value).__name__)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not place.endswith((".parameters", ".schema")):
                yield from shapes(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from shapes(inner, f"{place}[]")


TOOL = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
SAID = ["say: one two", "think: hm\nsay: two", "call: look {}", "call: look {}\ncall: look {}"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_every_shape_of_the_emulator_is_on_record(path, said, stream):
    """XA-S1 to XA-S6, XA-U1 to XA-U3"""
    if path == "/v1/responses":
        body = {"input": said, "tools": [{"type": "function", "strict": False, **TOOL}], "store": False}
        body["include"] = ["reasoning.encrypted_content"]
    else:
        body = {"messages": [{"role": "user", "content": said}], "tools": [{"type": "function", "function": TOOL}]}
        body |= {"stream_options": {"include_usage": True}} if stream else {}
    body |= {"model": "grok-4.3", "stream": stream}
    request = EmulatedRequest("POST", path, {"authorization": "Bearer k"}, json.dumps(body).encode())
    emitted = set()
    for piece in XAIEmulator().respond(request).pieces:
        for line in piece.decode().splitlines():
            text = line.removeprefix("data: ").strip()
            emitted |= set(shapes(json.loads(text))) if text.startswith("{") else set()
    recorded = {
        shape
        for name in GOOD
        if path_of(name) == path and (name in STREAMS) is stream
        for data in objects(name)
        for shape in shapes(data)
    }
    assert emitted
    assert emitted - recorded == set()
