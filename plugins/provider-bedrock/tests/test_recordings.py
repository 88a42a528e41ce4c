"""Recorded exchanges with the vendor: our decoding of them, over both protocols, and the emulator held against them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatport.testing import EmulatedRequest, decode_events, replay
from chatport_bedrock.emulator import BedrockEmulator

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
FILES = [path for name in ("traces", "traces-responses") for path in sorted((SHARED / name / "bedrock").glob("*.json"))]
if not FILES:
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {f"{path.parts[-3]}/{path.stem}": json.loads(path.read_text("utf-8")) for path in FILES}
CHAT = sorted(name for name in TRACES if name.startswith("traces/"))
RESPONSES = sorted(name for name in TRACES if name.startswith("traces-responses/"))
OPEN, CLOSE = "<reasoning>", "</reasoning>"


def arguments(name: str) -> dict[str, Any]:
    request, response = TRACES[name]["request"], TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    return {
        "status": response["status"], "headers": response["headers"], "stream": streamed,
        "body": response["sse_text"] if streamed else response["body_text"],
        "model": request["body"]["model"], "path": urlsplit(request["url"]).path,
    }  # fmt: skip


def objects(name: str) -> Iterator[Any]:
    """Give the JSON objects of an answer: one, or one for each chunk."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        yield json.loads(response["body_text"])
        return
    for line in response["sse_text"].splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("name", CHAT)
def test_recorded_replies_decode(name):
    """BR-S1, BR-S2, BR-S3, BR-T1, BR-U1"""
    reply = replay("bedrock", **arguments(name))
    text, reasoning, finish, calls, usage = "", "", "", {}, {}
    for data in objects(name):
        usage = data.get("usage") or usage
        for choice in data["choices"]:
            said, finish = choice.get("delta") or choice.get("message") or {}, choice["finish_reason"] or finish
            text, reasoning = text + (said.get("content") or ""), reasoning + (said.get("reasoning") or "")
            for call in said.get("tool_calls") or ():
                held = calls.setdefault(call["index"], ["", "", ""])
                held[0] += call["id"] or ""
                held[1] += call["function"]["name"] or ""
                held[2] += call["function"]["arguments"] or ""
    if "bedrock-runtime" in TRACES[name]["request"]["url"]:
        assert text.startswith(OPEN)
        while text.startswith(OPEN):  # it may come in several pieces, each between tags of its own
            thought, _, text = text.removeprefix(OPEN).partition(CLOSE)
            reasoning += thought
    assert (reply.text, reply.reasoning or "", reply.raw_finish_reason) == (text, reasoning, finish)
    assert [[call.id, call.name, call.arguments] for call in reply.tool_calls] == list(calls.values())
    assert reply.usage.output_tokens == usage.get("completion_tokens")
    assert reply.usage.reasoning_tokens is None


@pytest.mark.parametrize("name", RESPONSES)
def test_recorded_responses_decode(name):
    """BR-S4, BR-R2, BR-T2, BR-U1"""
    reply = replay("bedrock", **arguments(name))
    last = list(objects(name))[-1]
    whole = last.get("response", last)
    found: dict[str, list[Any]] = {}
    for item in whole["output"]:
        found.setdefault(item["type"], []).append(item)
    parts = [part["text"] for item in found.get("message", ()) for part in item["content"]]
    thoughts = [part["text"] for item in found.get("reasoning", ()) for part in item.get("content", ())]
    assert (reply.text, reply.reasoning or "") == ("".join(parts), "".join(thoughts))
    ids = [f"{whole['id']}:{item['call_id']}" for item in found.get("function_call", ())]
    assert [call.id for call in reply.tool_calls] == ids
    assert reply.usage.reasoning_tokens == whole["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert reply.usage.cache_write_tokens == whole["usage"]["input_tokens_details"].get("cache_write_tokens")
    sent = json.dumps(TRACES[name]["request"]["body"])
    assert not ids or "call_0" in ids[0]
    assert "resp_" not in sent or ":call_" in sent  # so another client sends them, and the vendor takes them


@pytest.mark.parametrize("name", [name for name in (*CHAT, *RESPONSES) if "stream" in name])
def test_a_recorded_stream_decodes_the_same_byte_by_byte(name):
    given = arguments(name)
    content = given.pop("body").encode()
    whole = decode_events("bedrock", body=content, **given)
    assert decode_events("bedrock", body=(content[at : at + 1] for at in range(len(content))), **given) == whole


@pytest.mark.parametrize("name", [*CHAT, *RESPONSES])
def test_the_emulator_takes_what_the_vendor_took(name):
    request = TRACES[name]["request"]
    parts = urlsplit(request["url"])
    endpoint = "runtime" if "bedrock-runtime" in parts.netloc else "mantle"
    twin = BedrockEmulator(models=(request["body"]["model"],), endpoint=endpoint, strict_paths=True)
    content = json.dumps(request["body"]).encode()
    answer = twin.respond(EmulatedRequest("POST", parts.path, {"authorization": "Bearer k"}, content))
    assert answer.status == 200 or b"encrypted content" in answer.body  # sealed by the vendor itself


def test_emulated_shapes_are_the_recorded_ones():
    """BR-S1 to BR-S3, BR-T1: nothing made up, but for keys that the recording client has left out."""

    def keys(values: Any) -> set[str]:
        return {
            key for value in values for choice in value["choices"] for key in (*choice, *(choice.get("delta") or ()))
        }

    known = keys(data for name in CHAT if "stream" in name for data in objects(name))
    made = set()
    for endpoint in ("mantle", "runtime"):
        for prompt in ("think: a b\nsay: c d", 'call: f {"a": 1}'):
            tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
            body = {"model": "openai.gpt-oss-20b", "messages": [{"role": "user", "content": prompt}], "stream": True}
            content = json.dumps({**body, "tools": [tool]}).encode()
            request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, content)
            lines = BedrockEmulator(endpoint=endpoint).respond(request).body.decode().splitlines()
            made |= keys(json.loads(line[6:]) for line in lines if line.startswith("data: {"))
    assert made - known == set()
