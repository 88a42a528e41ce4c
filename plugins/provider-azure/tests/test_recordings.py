"""Recorded exchanges with the vendor: our decoding of them, over both protocols, and the emulator held against them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import chatport
from chatport.testing import EmulatedRequest, decode_events, replay
from chatport_azure.emulator import AzureEmulator

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
FILES = [
    path for folder in ("traces", "traces-responses") for path in sorted((SHARED / folder / "azure").glob("*.json"))
]
if not FILES:
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {f"{path.parts[-3]}/{path.stem}": json.loads(path.read_text("utf-8")) for path in FILES}
FAILED = {name for name in TRACES if "/067-error" in name or "/068-error" in name}
CHAT = sorted(name for name in TRACES if name.startswith("traces/") and name not in FAILED)
RESPONSES = sorted(name for name in TRACES if name.startswith("traces-responses/"))


def arguments(name: str) -> dict[str, Any]:
    request, response = TRACES[name]["request"], TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    parts = urlsplit(request["url"])
    return {
        "status": response["status"], "headers": response["headers"], "stream": streamed,
        "body": response["sse_text"] if streamed else response["body_text"],
        "model": request["body"]["model"], "path": parts.path,
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
    """AZ-S1 to AZ-S3, AZ-T1, AZ-R1, AZ-U1, AZ-C1, AZ-C2"""
    reply = replay("azure", **arguments(name))
    text, finish, calls, usage, model = "", "", {}, {}, ""
    for data in objects(name):
        usage, model = data.get("usage") or usage, model or data["model"]
        for choice in data["choices"]:
            said, finish = choice.get("delta") or choice.get("message") or {}, choice["finish_reason"] or finish
            text += said.get("content") or ""
            for number, call in enumerate(said.get("tool_calls") or ()):
                held = calls.setdefault(call.get("index", number), ["", ""])
                held[0] += call["function"].get("name") or ""
                held[1] += call["function"]["arguments"]
    assert (reply.text, reply.raw_finish_reason, reply.model) == (text, finish, model)
    assert [[call.name, call.arguments] for call in reply.tool_calls] == list(calls.values())
    assert reply.usage.output_tokens == usage.get("completion_tokens")
    assert reply.usage.reasoning_tokens == (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    assert reply.reasoning is None


@pytest.mark.parametrize("name", RESPONSES)
def test_recorded_responses_decode(name):
    """AZ-S6, AZ-R2, AZ-C4"""
    reply = replay("azure", **arguments(name))
    last = list(objects(name))[-1]
    whole = last.get("response", last)
    parts = [part for item in whole["output"] if item["type"] == "message" for part in item["content"]]
    assert reply.text == "".join(part["text"] for part in parts)
    calls = [(item["name"], item["arguments"]) for item in whole["output"] if item["type"] == "function_call"]
    assert [(call.name, call.arguments) for call in reply.tool_calls] == calls
    assert reply.usage.reasoning_tokens == whole["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert reply.raw.get("content_filters") == whole.get("content_filters")
    ended = [data["item"] for data in objects(name) if data.get("type") == "response.output_item.done"]  # RS-S1
    kept = str(reply.message.opaque.get("items"))
    assert all(item["encrypted_content"] in kept for item in ended or whole["output"] if item.get("encrypted_content"))


@pytest.mark.parametrize("name", [name for name in (*CHAT, *RESPONSES) if "stream" in name][::4])
def test_a_recorded_stream_decodes_the_same_byte_by_byte(name):
    given = arguments(name)
    content = given.pop("body").encode()
    whole = decode_events("azure", body=content, **given)
    assert decode_events("azure", body=(content[at : at + 1] for at in range(len(content))), **given) == whole


def test_what_the_filter_found_is_told_the_same_plain_and_streamed():
    """AZ-C1, AZ-S2"""
    streams = [name for name in CHAT if "stream" in name and "openllmetry" in name]
    for name in (*streams, *(name for name in CHAT if "plain-openllmetry" in name)):
        found = replay("azure", **arguments(name)).raw["choices"][0]["content_filter_results"]
        assert found["hate"] == {"filtered": False, "severity": "safe"}, name
    assert len(streams) > 5


def test_a_blocked_answer_is_on_record():
    """AZ-C2: without a message, and 19 tokens all the same."""
    (name,) = (name for name in CHAT if "content-filter" in name)
    reply = replay("azure", **arguments(name))
    assert (reply.text, reply.finish_reason, reply.usage.output_tokens) == ("", "content_filter", 19)
    assert reply.raw["choices"][0]["content_filter_results"]["hate"]["filtered"] is True


def test_recorded_errors_decode():
    """AZ-X14, AZ-C3"""
    kinds = {}
    for name in FAILED:
        with pytest.raises(chatport.ChatportError) as caught:
            replay("azure", **arguments(name))
        kinds[type(caught.value)] = str(caught.value)
    assert kinds.keys() == {chatport.ModelNotFoundError, chatport.ContentFilterError}
    assert "filtered: hate: high, self-harm: high, violence: medium" in kinds[chatport.ContentFilterError]


def test_headroom_is_read_from_recorded_headers():
    """AZ-H1: not all on each reply."""
    limits = {name: replay("azure", **arguments(name)).rate_limits for name in TRACES if name not in FAILED}
    known = [found for found in limits.values() if found is not None]
    assert {(found.requests_limit, found.requests_remaining) for found in known} >= {(250, 249), (None, 119)}


# --- the emulator against the recordings


def emulate(name: str) -> tuple[int, list[Any]]:
    request = TRACES[name]["request"]
    parts = urlsplit(request["url"])
    sent = EmulatedRequest(
        "POST", f"{parts.path}?{parts.query}", {"api-key": "k"}, json.dumps(request["body"]).encode()
    )
    answer = AzureEmulator(models=(request["body"]["model"],)).respond(sent)
    lines = answer.body.decode().splitlines() if request["body"].get("stream") else [f"data: {answer.body.decode()}"]
    return answer.status, [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, {int: "number", float: "number"}.get(type(value), type(value).__name__)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


@pytest.mark.parametrize("stream", [False, True])
def test_emulated_shapes_are_the_recorded_ones(stream):
    """AZ-S1 to AZ-S3, AZ-C1, AZ-U1: nothing made up; what the vendor took is taken."""
    names = [name for name in CHAT if (TRACES[name]["response"].get("sse_text") is not None) is stream]
    known = {path for name in names for data in objects(name) for path in paths(data)}
    made = set()
    for name in names:
        status, values = emulate(name)
        assert status == 200, (name, values)
        made.update(path for value in values for path in paths(value))
    assert sorted(made - known) == []


@pytest.mark.parametrize("name", RESPONSES)
def test_the_emulator_takes_recorded_responses(name):
    status, values = emulate(name)
    assert status == 200 or "encrypted content" in str(values)  # sealed by the vendor, which the twin cannot open
