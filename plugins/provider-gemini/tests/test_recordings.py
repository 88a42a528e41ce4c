"""Recorded and pasted replies of the vendor: our decoding of them, and the emulator's shapes against theirs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import StreamInterruptedError
from chatport.testing import EmulatedRequest, replay
from chatport_gemini.emulator import GeminiEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "gemini"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
PLAIN = "001-plain-tool-result-gemini-2-5-pro-preview-05-06"


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    told = {"status": response["status"], "headers": response["headers"]}
    return replay("gemini", body=body, stream=streamed, model="gemini-2.5-pro", **told)


def chunks_of(name) -> list[Any]:
    lines = TRACES[name]["response"]["sse_text"].splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and "[DONE]" not in line]


def test_a_marked_message_is_the_answer():
    """GM-R5, GM-R6, GM-U1"""
    reply = decoded(PLAIN)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("The current time is Noon.", None, "stop")
    usage = reply.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (66, 34, 28)
    kept = reply.message.opaque["message"]
    assert kept["extra_content"]["google"].keys() == {"thought_signature"}


def test_marked_pieces_are_thoughts():
    """GM-S1, GM-S4: a stream that was cut inside them."""
    with pytest.raises(StreamInterruptedError) as caught:
        decoded("002-stream-reasoning-pasted-gemini-2-5-flash")
    texts = [c["choices"][0]["delta"]["content"] for c in chunks_of("002-stream-reasoning-pasted-gemini-2-5-flash")]
    partial = caught.value.partial
    assert (partial.text, partial.reasoning) == ("", "".join(texts).removeprefix("<thought>"))


def test_a_call_without_index_and_id():
    """GM-T3, GM-T4, GM-U1"""
    reply = decoded("003-stream-tools-pasted-gemini-2-5-flash")
    [call] = reply.tool_calls
    assert (call.name, call.parsed(), bool(call.id)) == ("get_current_weather", {"location": "New York, NY"}, True)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (99, 78)


def test_the_last_piece_has_all():
    """GM-S1, GM-S2, GM-U1"""
    reply = decoded("004-stream-pasted-gemini-2-5-flash")
    assert (reply.text, reply.finish_reason) == ("No, 391 = 17 \u00d7 23.", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.reasoning_tokens) == (11, 550, 526)


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def emulated(model: str, text: str, **body: Any) -> bytes:
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **body}
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(asked).encode())
    return GeminiEmulator(models=[model]).respond(request).body


def test_emulated_shapes_are_the_recorded_ones():
    """GM-S1, GM-S2, GM-T3, GM-R5, GM-U1: nothing made up."""
    recorded = json.loads(TRACES[PLAIN]["response"]["body_text"])
    assert set(paths(json.loads(emulated("gemini-2.5-pro", "hello")))) == set(paths(recorded))
    known = {path for name in TRACES if "stream" in name for chunk in chunks_of(name) for path in paths(chunk)}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    thoughts = {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}
    made = set()
    for text, more in (("call: f {}", {"tools": [tool]}), ("think: a\ncall: f {}", {"tools": [tool], **thoughts})):
        body = emulated("gemini-2.5-flash", text, stream=True, **more).decode()
        lines = [line[5:] for line in body.splitlines() if line.startswith("data:") and "[DONE]" not in line]
        made |= {path for line in lines for path in paths(json.loads(line))}
    assert made == known


def test_the_recorded_request_is_taken():
    """GM-T8: of a client that sends ids of its own, and no signature to a model of 2.5."""
    body = TRACES[PLAIN]["request"]["body"]
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    assert GeminiEmulator(models=[body["model"]]).respond(request).status == 200
