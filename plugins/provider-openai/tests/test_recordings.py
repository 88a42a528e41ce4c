"""Recorded exchanges: every one decodes, and every shape of the emulator occurs in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.testing import decode_events, replay
from chatport.testing.emulator import EmulatedRequest
from chatport_openai.emulator import OpenAIEmulator

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "openai"
FILES = sorted(FOLDER.glob("*.json")) if FOLDER.is_dir() else []
if not FILES:
    pytest.skip("no recorded exchanges beside this checkout", allow_module_level=True)

ERRORS = {
    "invalid_api_key": chatport.AuthenticationError,
    "model_not_found": chatport.ModelNotFoundError,
    "insufficient_quota": chatport.QuotaExceededError,
}


def load(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert record["protocol"] == "openai-chat"
    return record


def is_error(record: dict[str, Any]) -> bool:
    return any(kind.startswith("error") for kind in record["kind"])


RECORDS = {path.stem: load(path) for path in FILES}
GOOD = [name for name, record in RECORDS.items() if not is_error(record)]
BAD = [name for name, record in RECORDS.items() if is_error(record)]


def decoded(name: str) -> chatport.Reply:
    response = RECORDS[name]["response"]
    streamed = "sse_text" in response
    body = response["sse_text"] if streamed else response["body_text"]
    model = request(name).get("model")
    return replay("openai", headers=response["headers"], body=body, stream=streamed, model=model)


def request(name: str) -> dict[str, Any]:
    """Return the body of a recorded request, empty where only the answer was kept."""
    return (RECORDS[name]["request"] or {}).get("body") or {}


def objects(name: str) -> Iterator[dict[str, Any]]:
    """Give the JSON objects of an answer: one, or one for each chunk."""
    response = RECORDS[name]["response"]
    if "sse_text" not in response:
        yield json.loads(response["body_text"])
        return
    for line in response["sse_text"].splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("name", GOOD)
def test_a_recorded_answer_decodes_to_what_its_bytes_say(name):
    reply = decoded(name)
    text, refusal, arguments, usage = "", "", "", None
    for data in objects(name):
        usage = data.get("usage") or usage
        for choice in data.get("choices") or ():
            piece = choice.get("delta") or choice.get("message") or {}
            if choice["index"] == 0:
                text += piece.get("content") or ""
                refusal += piece.get("refusal") or ""
                calls = piece.get("tool_calls") or ()
                arguments += "".join(call["function"]["arguments"] for call in calls)
    assert reply.text == text
    assert (reply.refusal or "") == refusal
    assert reply.reasoning is None
    if arguments:
        assert "".join(call.arguments for call in reply.tool_calls) == arguments
    if usage:
        assert reply.usage.input_tokens == usage["prompt_tokens"]
        assert reply.usage.output_tokens == usage["completion_tokens"]
        details = usage.get("completion_tokens_details") or {}
        assert reply.usage.reasoning_tokens == details.get("reasoning_tokens")
        written = (usage.get("prompt_tokens_details") or {}).get("cache_write_tokens")
        assert reply.usage.cache_write_tokens == written
    assert [note.field for note in reply.warnings] == ([] if usage else ["usage"])
    assert reply.finish_reason in ("stop", "length", "tool_calls")


@pytest.mark.parametrize("name", [name for name in GOOD if "sse_text" in RECORDS[name]["response"]][::7])
def test_a_recorded_stream_decodes_the_same_byte_by_byte(name):
    text = RECORDS[name]["response"]["sse_text"]
    bytewise = (text.encode()[at : at + 1] for at in range(len(text.encode())))
    whole, pieces = decode_events("openai", body=text), decode_events("openai", body=bytewise)
    assert whole[:-1] == pieces[:-1]
    assert whole[-1].reply.text == pieces[-1].reply.text


@pytest.mark.parametrize("name", BAD)
def test_a_recorded_error_has_its_class(name):
    response = RECORDS[name]["response"]
    details = json.loads(response["body_text"])["error"]
    status = response["status"] or (429 if details["type"] == "insufficient_quota" else 400)
    with pytest.raises(chatport.ChatportError) as caught:
        replay("openai", status=status, headers=response["headers"], body=response["body_text"], stream=False)
    assert type(caught.value) is ERRORS.get(details["code"], chatport.BadRequestError)
    assert details["message"] in caught.value.message
    assert not caught.value.retryable


def test_a_named_choice_may_end_with_stop_and_is_a_call():
    names = [name for name in GOOD if isinstance(request(name).get("tool_choice"), dict)]
    replies = [decoded(name) for name in names]
    assert {reply.raw_finish_reason for reply in replies} == {"stop", "tool_calls"}
    assert {reply.finish_reason for reply in replies} == {"tool_calls"}


def test_moderation_may_follow_the_usage():
    names = [name for name in GOOD if any("moderation" in data for data in objects(name))]
    streamed = [name for name in names if "sse_text" in RECORDS[name]["response"]]
    assert streamed
    for name in streamed:
        assert decoded(name).usage.input_tokens
        assert "moderation" in decoded(name).raw


def test_headroom_is_read_from_recorded_headers():
    names = [n for n in GOOD if "x-ratelimit-reset-requests" in (RECORDS[n]["response"]["headers"] or {})]
    limits = [decoded(name).rate_limits for name in names[::10]]
    assert names
    assert all(limit.requests_limit and limit.requests_reset_seconds is not None for limit in limits)


# --- shapes


def shapes(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a value, with the JSON type at its end."""
    if path:
        yield path, {int: "number", float: "number"}.get(type(value), type(value).__name__)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from shapes(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from shapes(inner, f"{path}[]")


def emulate(body: dict[str, Any], **settings: Any) -> Iterator[Any]:
    emulator = OpenAIEmulator(**settings)
    headers = {"authorization": "Bearer x"}
    response = emulator.respond(EmulatedRequest("POST", "/v1/chat/completions", headers, json.dumps(body).encode()))
    for piece in response.pieces:
        text = piece.decode().removeprefix("data: ").strip()
        if text.startswith("{"):
            yield json.loads(text)


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SPEC = {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
PROMPTS: list[tuple[str, dict[str, Any]]] = [
    ("hi", {}),
    ("refuse: no", {}),
    ("hi", {"tools": [TOOL]}),
    ("call: look {}\ncall: look {}", {"tools": [TOOL]}),
    ("say: well\ncall: look {}", {"tools": [TOOL]}),
    ("hi", {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}}),
    ("hi", {"response_format": {"type": "json_schema", "json_schema": SPEC}}),
    ("hi", {"n": 2}),
    ("hi", {"max_completion_tokens": 3}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("prompt", "more"), PROMPTS)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4", "gpt-6-sol"])
def test_every_shape_of_the_emulator_is_on_record(model, prompt, more, stream):
    recorded = {
        shape
        for name in GOOD
        if ("sse_text" in RECORDS[name]["response"]) is stream
        for data in objects(name)
        for shape in shapes(data)
    }
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    if model == "gpt-6-sol" and "tools" in more:
        body["reasoning_effort"] = "none"
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    emitted = {shape for data in emulate(body) for shape in shapes(data)}
    assert emitted
    assert emitted - recorded == set()


def test_errors_of_the_emulator_have_the_recorded_shape():
    recorded = {shape for name in BAD for shape in shapes(json.loads(RECORDS[name]["response"]["body_text"]))}
    for status in (400, 401, 403, 404, 429, 500, 503):
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"error: {status}"}]}
        (data,) = emulate(body)
        assert set(shapes(data)) <= recorded
