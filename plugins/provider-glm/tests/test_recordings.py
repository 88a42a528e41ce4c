"""The vendor's recorded exchanges: all decode, the emulator takes what was taken, and has no shape of its own."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

import chatport
from chatport.testing import EmulatedRequest, decode_events, replay
from chatport_glm.emulator import GlmEmulator

TRACES = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "zhipu"
if not TRACES.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

RECORDED = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(TRACES.glob("*.json"))}
GOOD = [name for name, trace in RECORDED.items() if "error" not in trace["kind"]]


def answer(trace: dict[str, Any]) -> dict[str, Any]:
    response = trace["response"]
    body = response.get("sse_text") or response["body_text"]
    return {
        "status": response["status"],
        "headers": response["headers"],
        "body": body,
        "stream": "sse_text" in response,
    }


def chunks(text: str) -> list[Any]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("name", GOOD)
def test_every_exchange_decodes(name):  # GL-S1, GL-S2, GL-S3, GL-S4, GL-R1, GL-U1, GL-T4
    trace, model = RECORDED[name], "glm-4.7-flash"
    reply = replay("glm", **answer(trace), model=model)
    if "sse_text" in trace["response"]:
        values = chunks(trace["response"]["sse_text"])
        parts = [chunk["choices"][0]["delta"] for chunk in values]
        text, thought = ("".join(p.get(k) or "" for p in parts) for k in ("content", "reasoning_content"))
        calls = [call for part in parts for call in part.get("tool_calls", ())]
        usage = values[-1]["usage"]
        data = trace["response"]["sse_text"].encode()
        for size in (7, 999):
            pieces = [data[start : start + size] for start in range(0, len(data), size)]
            assert decode_events("glm", **{**answer(trace), "body": pieces}, model=model)[-1].reply == reply
    else:
        data = json.loads(trace["response"]["body_text"])
        message, usage = data["choices"][0]["message"], data["usage"]
        text, thought, calls = message["content"], message["reasoning_content"], message.get("tool_calls", [])
    assert (reply.text, reply.reasoning) == (text, thought)
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]
    assert reply.usage.output_tokens == usage["completion_tokens"]
    assert reply.usage.reasoning_tokens == usage["completion_tokens_details"]["reasoning_tokens"]
    assert reply.usage.cached_input_tokens == usage["prompt_tokens_details"]["cached_tokens"]
    assert reply.cost.amount == 0
    assert reply.finish_reason == ("tool_calls" if calls else "stop")


def test_the_recorded_error():  # GL-E3, GL-X3
    (trace,) = (trace for name, trace in RECORDED.items() if name not in GOOD)
    with pytest.raises(chatport.QuotaExceededError) as caught:
        replay("glm", **answer(trace))
    assert (caught.value.code, caught.value.retryable) == ("1113", False)
    assert respond({"model": "glm-5.2", "messages": [{"role": "user", "content": "error: 1113"}]})[1] == json.loads(
        trace["response"]["body_text"]
    )


def respond(body: dict[str, Any]) -> tuple[Any, Any]:
    request = EmulatedRequest("POST", "/v4/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    response = GlmEmulator().respond(request)
    text = response.body.decode()
    return response, chunks(text) if body.get("stream") else json.loads(text)


@pytest.mark.parametrize("name", GOOD)
def test_what_was_taken_is_taken(name):
    """A forced choice among them (GL-T2), and an effort for a model that has none (GL-P11)."""
    trace = RECORDED[name]
    response, _ = respond(trace["request"]["body"])
    assert (response.status, dict(response.headers)) == (200, trace["response"]["headers"])


def shapes(value: Any, path: str = "") -> set[str]:
    """Return every path of keys in a JSON value, with the type that lies there."""
    if isinstance(value, dict):
        return {f"{path}:object"}.union(*(shapes(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return {f"{path}:array"}.union(*(shapes(item, f"{path}[]") for item in value))
    return {f"{path}:{type(value).__name__}"}


def deltas(values: list[Any]) -> set[tuple[str, ...]]:
    """Return which keys stand together in a delta and its choice, and whether usage is beside them."""
    found = set()
    for value in values:
        choice = value["choices"][0]
        found.add((*sorted(choice), *sorted(choice["delta"]), *(["usage"] if "usage" in value else [])))
    return found


def test_the_emulator_has_the_recorded_shapes():  # GL-S2, GL-S3, GL-S4, GL-S5, GL-L3
    known: dict[bool, list[Any]] = {True: [], False: []}
    for name in GOOD:
        response = RECORDED[name]["response"]
        streams = "sse_text" in response
        known[streams] += chunks(response["sse_text"]) if streams else [json.loads(response["body_text"])]
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    for streams, recorded in known.items():
        made = []
        for content in ("say: some words", 'call: f {"a": 1}\ncall: f {}', "say: a\ncall: f {}"):
            body = {"model": "glm-4.7-flash", "messages": [{"role": "user", "content": content}], "tools": [tool]}
            _, data = respond({**body, "stream": streams})
            made += data if streams else [data]
        assert set().union(*map(shapes, made)) == set().union(*map(shapes, recorded))
        if streams:
            assert deltas(made) == deltas(recorded)
