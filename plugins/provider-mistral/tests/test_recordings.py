"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ModelNotFoundError,
    ServerError,
    UnsupportedFeatureError,
)
from chatport.testing import EmulatedRequest, replay
from chatport_mistral.emulator import MistralEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "mistral"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
FAILED = {name for name, trace in TRACES.items() if (trace["response"]["status"] or 200) >= 400}


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    return replay("mistral", status=response["status"], headers=response["headers"], body=body, stream=streamed)


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(content: Any, kind: str) -> str:
    """Return the text of a content, or its thoughts."""
    if not isinstance(content, list):
        return (content or "") if kind == "text" else ""
    parts = [part[kind] for part in content if part["type"] == kind]
    return "".join(part if isinstance(part, str) else said(part, "text") for part in parts)


def expected(name) -> tuple[str, str, list[tuple[str, str, str]], str, int | None]:
    """Read a recording by the plainest means: text, thoughts, calls, finish reason, output tokens."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        reply = json.loads(response["body_text"])
        chunks = [{**reply, "choices": [{**choice, "delta": choice["message"]} for choice in reply["choices"]]}]
    else:
        chunks = chunks_of(response["sse_text"])
    text = thoughts = finish = ""
    tokens, calls = None, []
    for chunk in chunks:
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice["finish_reason"] or finish
            text, thoughts = (
                text + said(delta.get("content"), "text"),
                thoughts + said(delta.get("content"), "thinking"),
            )
            found = delta.get("tool_calls") or ()
            calls += [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in found]
    return text, thoughts, calls, finish, tokens


@pytest.mark.parametrize("name", sorted(set(TRACES) - FAILED))
def test_recorded_replies_decode(name):
    """MI-S1 to MI-S3, MI-S5, MI-T9, MI-T10, MI-R3, MI-R5, MI-U1, MI-U2, MI-I1, MI-H1, MI-H2, MI-L1"""
    reply = decoded(name)
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    found = (reply.text, reply.reasoning or "", calls, reply.raw_finish_reason, reply.usage.output_tokens)
    assert found == expected(name)
    headers = TRACES[name]["response"]["headers"]
    told = headers.get("mistral-correlation-id") or headers.get("x-kong-request-id")
    assert reply.request_id == told
    limits = reply.rate_limits
    assert (limits is None) is not any("-tokens-minute" in header or "-req-" in header for header in headers)


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    """MI-X1 to MI-X4, MI-X11, MI-M7, MI-P5, MI-H1"""
    response = TRACES[name]["response"]
    kind = {401: AuthenticationError, 500: ServerError}.get(response["status"], BadRequestError)
    for words, meant in (("Invalid model", ModelNotFoundError), ("not enabled", UnsupportedFeatureError)):
        kind = meant if words in response["body_text"] else kind
    with pytest.raises(kind) as caught:
        decoded(name)
    assert type(caught.value) is kind
    assert caught.value.retryable is (kind is ServerError)
    assert caught.value.request_id == response["headers"]["mistral-correlation-id"]


# --- the emulator against the recordings


def emulate(body, **settings):
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return MistralEmulator(models=sorted(NAMES), **settings).respond(request)


NAMES = {trace["request"]["body"]["model"] for trace in TRACES.values()} - {"bad model"}
SENT = [name for name, trace in TRACES.items() if trace["response"]["status"] != 401]


@pytest.mark.parametrize("name", SENT)
def test_emulator_agrees_with_the_vendor(name):
    """What the vendor took is taken; what it refused is refused, with the same status, type and words."""
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
    """MI-S1, MI-S2, MI-S3, MI-S5, MI-T10, MI-U1: nothing made up."""
    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name in set(TRACES) - FAILED:
        streamed = TRACES[name]["response"].get("sse_text")
        kind = "chunk" if streamed else "reply"
        for _, value in values_of(streamed or TRACES[name]["response"]["body_text"], kind):
            known[kind].update(paths(value))
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for text in ("say: a b\nthink: c", 'call: f {"a": 1}\ncall: f {}'):
        for more in ({}, {"max_tokens": 1}, {"tools": [tool]}, {"reasoning_effort": "high"}):
            body = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": text}], **more}
            for kind, asked in (("reply", {}), ("chunk", {"stream": True})):
                for _, value in values_of(emulate({**body, **asked}).body.decode(), kind):
                    made[kind].update(paths(value))
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {"reply": [], "chunk": []}
