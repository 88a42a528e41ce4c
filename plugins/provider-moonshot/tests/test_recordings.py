"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from typing import Any

import pytest

from chatport import QuotaExceededError, StreamInterruptedError
from chatport.testing import EmulatedRequest, replay
from chatport_moonshot.emulator import MoonshotEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "moonshot"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem[:3]: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
CITED = {  # shapes that the few recordings lack, and the fact that says so
    "chunk": {
        ".choices[].delta.tool_calls": "MS-S6",
        ".usage.cached_tokens": "MS-U1",
    },
    "reply": {
        ".choices[].message.reasoning_content": "MS-R1",
        ".usage.completion_tokens_details": "MS-R4",
        ".usage.cached_tokens": "MS-U1",
    },
    "error": {},
}
UNMADE = {".system_fingerprint"}  # in one fragment of a stream only (recording 004)


def decoded(name):
    response = TRACES[name]["response"]
    streamed = "sse_text" in response
    body = response["sse_text" if streamed else "body_text"]
    return replay("moonshot", status=response["status"], headers=response["headers"], body=body, stream=streamed)


RECORDED = [
    ("001", "Hello, world!", None, [], "stop", 9, 5),
    ("002", "", None, [("call_abc123", "get_weather", '{"city":"Paris"}')], "tool_calls", 30, 12),
    ("003", "你好。", None, [], "stop", 19, 13),  # MS-S4: usage inside the choice
    ("005", "Hello!", "Thinking aloud. ", [], "stop", 9, 12),
]


@pytest.mark.parametrize(("name", "text", "reasoning", "calls", "finish", "asked", "answered"), RECORDED)
def test_recorded_replies_decode(name, text, reasoning, calls, finish, asked, answered):
    """MS-S1, MS-S2, MS-S3, MS-S4, MS-S8"""
    reply = decoded(name)
    assert (reply.text, reply.reasoning, reply.finish_reason) == (text, reasoning, finish)
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == calls
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (asked, answered)
    assert reply.usage.reasoning_tokens == (7 if reasoning else None)
    assert reply.usage.cached_input_tokens is None


def test_a_recording_without_its_end():
    with pytest.raises(StreamInterruptedError):
        decoded("004")


def test_a_recorded_error():
    """MS-E8: the 429 that no waiting helps."""
    with pytest.raises(QuotaExceededError) as caught:
        decoded("006")
    assert not caught.value.retryable


# --- the emulator against the recordings


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def paths(value: Any, place: str = "") -> set[str]:
    """Return every key path of a JSON value."""
    found = {place}
    for key, item in value.items() if isinstance(value, dict) else ():
        found |= paths(item, f"{place}.{key}")
    for item in value if isinstance(value, list) else ():
        found |= paths(item, f"{place}[]")
    return found


def emulate(text: str, **fields: Any) -> bytes:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    body = {"model": "kimi-k3", "messages": [{"role": "user", "content": text}], "tools": tools, **fields}
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return MoonshotEmulator(usage_form="both", cached_tokens=3).respond(request).body


def test_emulated_shapes_are_the_recorded_ones():
    """MS-S2, MS-S4, MS-S6: each key the emulator writes was seen, or is in the vendor's documentation."""
    known, made = defaultdict(set), defaultdict(set)
    for trace in TRACES.values():
        response = trace["response"]
        for chunk in chunks_of(response.get("sse_text", "")):
            known["chunk"] |= paths(chunk)
        if "body_text" in response:
            known["error" if response["status"] >= 400 else "reply"] |= paths(json.loads(response["body_text"]))
    for text in ("say: a b", 'call: f {"a": 1}\ncall: f {}'):
        made["reply"] |= paths(json.loads(emulate(text)))
        for chunk in chunks_of(emulate(text, stream=True, stream_options={"include_usage": True}).decode()):
            made["chunk"] |= paths(chunk)
    for status in (400, 401, 429, 500):
        made["error"] |= paths(json.loads(emulate(f"error: {status}")))
    for kind, cited in CITED.items():
        new = {path for path in made[kind] - known[kind] if not path.startswith(tuple(cited) or ("\0",))}
        assert new == set(), kind
        assert known[kind] - made[kind] <= UNMADE, "the emulator leaves something out"
