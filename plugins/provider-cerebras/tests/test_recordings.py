"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import PermissionDeniedError
from chatport.testing import EmulatedRequest, replay
from chatport_cerebras.emulator import CerebrasEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "cerebras"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
FAILED = {name for name, trace in TRACES.items() if (trace["response"]["status"] or 200) >= 400}
NAMES = {trace["request"]["body"]["model"] for trace in TRACES.values()}


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    return replay("cerebras", status=response["status"], headers=response["headers"], body=body, stream=streamed)


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def expected(name) -> tuple[Any, ...]:
    """Read a recording by the plainest means: text, reasoning, calls, finish reason, and three counts."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        reply = json.loads(response["body_text"])
        chunks = [{**reply, "choices": [{**choice, "delta": choice["message"]} for choice in reply["choices"]]}]
    else:
        chunks = chunks_of(response["sse_text"])
    text = reasoning = finish = ""
    calls, usage = [], {}
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice.get("finish_reason") or finish
            text, reasoning = text + (delta.get("content") or ""), reasoning + (delta.get("reasoning") or "")
            found = delta.get("tool_calls") or ()
            calls += [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in found]
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return text, reasoning, calls, finish, usage["completion_tokens"], thought, cached


@pytest.mark.parametrize("name", sorted(set(TRACES) - FAILED))
def test_recorded_replies_decode(name):
    """CB-S1 to CB-S6, CB-T4, CB-R2, CB-R6, CB-R7, CB-U1, CB-U2, CB-H1, CB-H2"""
    reply = decoded(name)
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    usage = reply.usage
    counts = usage.output_tokens, usage.reasoning_tokens, usage.cached_input_tokens
    assert (reply.text, reply.reasoning or "", calls, reply.raw_finish_reason, *counts) == expected(name)
    assert reply.rate_limits.tokens_limit in (60_000, 500_000, 1_000_000)
    assert (reply.request_id is None) is ("x-request-id" not in TRACES[name]["response"]["headers"])


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    """CB-M2, CB-X5, CB-X20"""
    with pytest.raises(PermissionDeniedError, match="Multimodal is not enabled") as caught:
        decoded(name)
    assert not caught.value.retryable


# --- the emulator against the recordings


def emulate(body):
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return CerebrasEmulator(models=sorted(NAMES)).respond(request)


@pytest.mark.parametrize("name", TRACES)
def test_emulator_agrees_with_the_vendor(name):
    """CB-0: what the vendor took is taken; what it refused is refused, with the same status and body."""
    response = TRACES[name]["response"]
    answer = emulate(TRACES[name]["request"]["body"])
    assert answer.status == (response["status"] or 200), answer.body
    if answer.status >= 400:
        assert json.loads(answer.body) == json.loads(response["body_text"])


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def values_of(text: str, kind: str) -> list[tuple[str, Any]]:
    return [("chunk", chunk) for chunk in chunks_of(text)] if kind == "chunk" else [(kind, json.loads(text))]


def test_emulated_shapes_are_the_recorded_ones():
    """CB-S1, CB-S2, CB-S4, CB-S5, CB-T4, CB-U1: nothing made up."""
    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name in set(TRACES) - FAILED:
        streamed = TRACES[name]["response"].get("sse_text")
        kind = "chunk" if streamed else "reply"
        for _, value in values_of(streamed or TRACES[name]["response"]["body_text"], kind):
            known[kind].update(paths(value))
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for text in ("say: a b\nthink: c", 'call: f {"a": 1}\ncall: f {}'):
        for more in ({}, {"max_completion_tokens": 1}, {"tools": [tool]}, {"model": "gemma-4-31b"}):
            body = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": text}], **more}
            for kind, asked in (("reply", {}), ("chunk", {"stream": True})):
                for _, value in values_of(emulate({**body, **asked}).body.decode(), kind):
                    made[kind].update(paths(value))
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {"reply": [], "chunk": []}
