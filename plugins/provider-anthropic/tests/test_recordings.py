"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

import chatport
from chatport import AuthenticationError, BadRequestError, ModelNotFoundError
from chatport.testing import EmulatedRequest, replay
from chatport_anthropic.emulator import AnthropicEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

EVERY = {
    f"{path.parent.name}/{path.stem}": json.loads(path.read_text("utf-8"))
    for folder in ("anthropic", "vertex-anthropic")
    for path in sorted((FOLDER / folder).glob("*.json"))
}
TRACES = {name: trace for name, trace in EVERY.items() if trace["protocol"] == "anthropic-messages"}
FAILED = {name for name, trace in TRACES.items() if (trace["response"]["status"] or 200) >= 400}
ROUTED = {"anthropic/294-stream-length-anthropic-claude-haiku-4-5"}
"""Came through another vendor's router, with additions of its own."""
FINISH = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length"}
LENIENT = {"anthropic/073-plain-claude-sonnet-4-0"}
"""A model now retired took `temperature` and `top_p` together; later ones do not (AN-R5)."""


def decoded(trace, pieces=None):
    response = trace["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    arguments = {"status": response["status"], "headers": response["headers"], "stream": streamed}
    return replay("anthropic", body=pieces(body) if pieces else body, **arguments)


def events_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def message_of(trace) -> dict[str, Any]:
    """Read a recording by the plainest means: the whole message, as a plain reply would have it."""
    response = trace["response"]
    if response.get("sse_text") is None:
        return json.loads(response["body_text"])
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = defaultdict(str)
    for event in events_of(response["sse_text"]):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = event["content_block"]
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "input_json_delta":
                        inputs[event["index"]] += delta["partial_json"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
                    case kind:
                        name = kind.removesuffix("_delta")
                        block[name] = block.get(name, "") + delta[name]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= {name: count for name, count in event["usage"].items() if count is not None}
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text) if text else blocks[index]["input"]
    return {**message, "content": list(blocks.values())}


def by_us(trace) -> list[Any]:
    reply = decoded(trace)
    calls = [(call.id, call.name, call.parsed()) for call in reply.tool_calls if call.complete]
    usage = reply.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens)
    kept = reply.opaque.get("turn", {}).get("content")
    return [reply.text, reply.reasoning or "", calls, reply.finish_reason, reply.raw_finish_reason, counts, kept]


def by_hand(trace) -> list[Any]:
    message = message_of(trace)
    content, usage, reason = message["content"], message["usage"], message["stop_reason"]
    text = "".join(block["text"] for block in content if block["type"] == "text")
    reasoning = "".join(block["thinking"] for block in content if block["type"] == "thinking")
    calls = [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"]
    cached, written = (usage.get(f"cache_{name}_input_tokens") for name in ("read", "creation"))
    counts = (usage["input_tokens"] + (cached or 0) + (written or 0), usage["output_tokens"], cached, written)
    kept = [block for block in content if block["type"] != "thinking" or block["signature"]]
    plain = all(block["type"] in ("text", "tool_use") and not block.get("citations") for block in content)
    return [text, reasoning, calls, FINISH[reason], reason, counts, None if plain or not kept else kept]


def test_recorded_replies_decode():
    """AN-S1 to AN-S9, AN-S16, AN-U1, AN-U2: all of them, and what goes back is what came."""
    readings = {name: (by_us(trace), by_hand(trace)) for name, trace in TRACES.items() if name not in FAILED}
    assert len(readings) > 350
    assert {name: pair for name, pair in readings.items() if pair[0] != pair[1]} == {}


ERRORS = {401: AuthenticationError, 404: ModelNotFoundError, 400: BadRequestError}


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    trace = TRACES[name]
    with pytest.raises(ERRORS[trace["response"]["status"]]) as caught:
        decoded(trace)
    assert type(caught.value) is ERRORS[trace["response"]["status"]]
    assert not caught.value.retryable
    assert caught.value.request_id == json.loads(trace["response"]["body_text"])["request_id"]


def test_the_compatible_endpoint_decodes():
    """AN-C6"""
    (trace,) = (trace for trace in EVERY.values() if trace["protocol"] == "openai-chat")
    reply = decoded(trace)
    assert (reply.text, reply.usage.output_tokens) == ("4200 + 42 = 4242", 15)


def test_any_cut_gives_the_same():
    trace = TRACES["anthropic/290-stream-tools-reasoning-claude-sonnet-4-6"]
    whole = decoded(trace)
    cut = decoded(trace, lambda text: [bytes([byte]) for byte in text.encode()])
    assert isinstance(cut, chatport.Reply)
    assert (cut.text, cut.tool_calls, cut.opaque, cut.usage) == (
        whole.text,
        whole.tool_calls,
        whole.opaque,
        whole.usage,
    )


# --- the emulator against the recordings


def emulate(body, **settings):
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    request = EmulatedRequest("POST", "/v1/messages", headers, json.dumps(body).encode())
    return AnthropicEmulator(**settings).respond(request)


def sent_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the recorded requests whose signatures were not masked, under names that are served today."""
    for name, trace in TRACES.items():
        if name in ROUTED | LENIENT:
            continue
        body = (trace["request"] or {}).get("body")
        if not isinstance(body, dict) or trace["response"]["status"] == 401 or "model" not in body:
            continue
        if '"signature"' in json.dumps(body) or "redacted_thinking" in json.dumps(body):
            continue
        old = any(part in body["model"] for part in ("claude-3", "sonnet-4-0", "sonnet-4-2025"))
        yield name, {**body, "model": "claude-sonnet-4-5"} if old else body


def verdict(body) -> Any:
    answer = emulate(body)
    return (answer.status, json.loads(answer.body)["error"] if answer.status >= 400 else None)


def test_emulator_agrees_with_the_vendor():
    """What the vendor took is taken; what it refused is refused, with the same status, type and words."""
    verdicts = {}
    for name, body in sent_bodies():
        response = TRACES[name]["response"]
        error = json.loads(response["body_text"])["error"] if name in FAILED else None
        verdicts[name] = (verdict(body), (response["status"] or 200, error))
    assert len(verdicts) > 300
    assert {name: pair for name, pair in verdicts.items() if pair[0] != pair[1]} == {}


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def of_kind(value: dict[str, Any]) -> str:
    return value["type"] + value.get("delta", value.get("content_block", {})).get("type", "")


def test_emulated_shapes_are_the_recorded_ones():
    known, made = defaultdict(set), defaultdict(set)
    for name in set(TRACES) - ROUTED:
        response = TRACES[name]["response"]
        text = response.get("sse_text")
        for value in events_of(text) if text is not None else [json.loads(response["body_text"])]:
            known[of_kind(value)].update(paths(value))
    tool = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    for text in ("hello", 'call: f {"a": 1}\ncall: f {}', "say: a b\nthink: c", "error: 400"):
        for more in ({}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"max_tokens": 3}):
            for redacts in (False, True):
                messages = [{"role": "user", "content": text}]
                body = {"model": "claude-sonnet-4-6", "max_tokens": 2000, "messages": messages, "tools": [tool], **more}
                plain = emulate(body, redacts=redacts)
                streamed = emulate({**body, "stream": True}, redacts=redacts)
                for value in [json.loads(plain.body), *events_of(streamed.body.decode())]:
                    made[of_kind(value)].update(paths(value))
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {kind: [] for kind in made}
