"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from functools import cache
from typing import Any

import pytest

from chatport import BadRequestError, ModelNotFoundError, RateLimitError
from chatport.standard.details import merged
from chatport.testing import EmulatedRequest, replay
from chatport_openrouter.emulator import OpenRouterEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "openrouter"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
ERRORS = {"244": ModelNotFoundError, "245": RateLimitError, "246": RateLimitError, "247": BadRequestError}
GOOD = sorted(name for name in TRACES if name[:3] not in ERRORS)


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    return replay("openrouter", status=response["status"], headers=response["headers"], body=body, stream=streamed)


@cache
def values(name) -> list[Any]:
    """Return the chunks of a recording, or its whole reply as the only value."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        return [json.loads(response["body_text"])]
    lines = [line[5:].strip() for line in response["sse_text"].splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@cache
def expected(name):
    """Read a recording by the plainest means: text, reasoning, arguments, finish reason, tokens, details."""
    text = reasoning = ""
    finish, tokens, arguments, details = None, None, defaultdict(str), []
    for value in values(name):
        tokens = (value.get("usage") or {}).get("completion_tokens", tokens)
        for choice in value.get("choices") or ():
            if choice.get("index", 0):
                continue
            part = choice.get("delta") or choice.get("message") or {}
            finish = finish or choice.get("finish_reason")
            text, reasoning = text + (part.get("content") or ""), reasoning + (part.get("reasoning") or "")
            details += part.get("reasoning_details") or []
            for number, call in enumerate(part.get("tool_calls") or ()):
                arguments[call.get("index", number)] += call["function"].get("arguments") or ""
    calls = [arguments[index] or "{}" for index in sorted(arguments)]
    return text, reasoning, calls, finish, tokens, details


def test_recorded_replies_decode():
    """All of them; OR-S2, OR-S3, OR-S9, OR-U2: reasoning may count more than the whole."""
    for name in GOOD:
        reply, (text, reasoning, calls, finish, tokens, details) = decoded(name), expected(name)
        assert (reply.text, reply.reasoning or "") == (text, reasoning), name
        assert [call.arguments for call in reply.tool_calls] == calls, name
        assert reply.finish_reason == ("tool_calls" if calls and finish == "stop" else finish or "other"), name
        assert (reply.usage.output_tokens, reply.opaque.get("reasoning_details") or []) == (tokens, details), name


def test_recorded_details_merge():
    """OR-S8, OR-R3: one item for each type and index, nothing of it lost."""
    seen = set()
    for name in GOOD:
        details = expected(name)[5]
        items = merged(details)
        keys = [(item["type"], item["index"]) for item in items]
        assert len(keys) == len(set(keys)), name
        assert merged(items) == items, name
        for field in ("text", "summary", "data", "signature"):
            pieces = ["".join(item.get(field) or "" for item in each) for each in (details, items)]
            assert len(pieces[0]) == len(pieces[1]), name
        seen |= {(item["type"], item.get("format")) for item in items}
    assert len(seen) > 6


@pytest.mark.parametrize("number", sorted(ERRORS))
def test_recorded_errors_decode(number):
    """OR-X10, OR-X21, OR-S7, OR-H1, OR-I6"""
    name = next(name for name in TRACES if name.startswith(number))
    with pytest.raises(ERRORS[number]) as caught:
        decoded(name)
    assert type(caught.value) is ERRORS[number]
    assert caught.value.retryable is (ERRORS[number] is RateLimitError)
    if number == "245":
        assert "Google: google/gemini-2.0-flash-exp:free is temporarily rate-limited" in str(caught.value)
    if number == "246":
        assert caught.value.retry_after_seconds == 26
    if number == "247":  # the error comes after a finish reason
        assert caught.value.partial.reasoning == "We need to respond to a greeting. The user"


# --- the emulator against the recordings


def paths(value: Any, place: str = "") -> set[tuple[str, str]]:
    """Return every key path of a JSON value, with the type that is found there."""
    found = {(place, type(value).__name__)}
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else (("[]", item) for item in value):
            found |= paths(item, f"{place}.{key}")
    return found


def emulated(body: dict[str, Any]) -> list[Any]:
    content = json.dumps({"tools": [TOOL], **body}).encode()
    answer = OpenRouterEmulator().respond(EmulatedRequest("POST", "/chat/completions", {"authorization": "k"}, content))
    if not body.get("stream"):
        return [json.loads(answer.body)]
    lines = [line for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line[6:]) for line in lines]


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def test_emulated_shapes_are_the_recorded_ones():
    """OR-S2, OR-S3, OR-S9, OR-S10, OR-R1, OR-U1, OR-X1, OR-X3"""
    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name in TRACES:
        kind = "chunk" if TRACES[name]["response"].get("sse_text") is not None else "reply"
        for value in values(name):
            known["error" if "error" in value else kind] |= paths(value)
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for model in OpenRouterEmulator.models:
        for text in ("say: a", 'call: f {"a": 1}\ncall: f {}', "say: a b c d"):
            for more in ({}, {"reasoning": {"effort": "low"}}, {"max_tokens": 2}):
                body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
                for kind in ("reply", "chunk"):
                    for value in emulated({**body, "stream": kind == "chunk"}):
                        made[kind] |= paths(value)
    for status in (400, 401, 402, 403, 404, 429, 500, 502, 503):
        for value in emulated({"messages": [{"role": "user", "content": f"error: {status}"}]}):
            made["error"] |= paths(value)
    assert {kind: sorted(made[kind] - known[kind]) for kind in ("reply", "chunk")} == {"reply": [], "chunk": []}
    assert made["error"] - known["error"] == {(".error.metadata.error_type", "str")}  # OR-X4: from the documentation
