"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import AuthenticationError, BadRequestError, ModelNotFoundError, UnsupportedFeatureError
from chatport.testing import EmulatedRequest, replay
from chatport_groq.emulator import GroqEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "groq"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
FAILED = {name for name, trace in TRACES.items() if (trace["response"]["status"] or 200) >= 400}


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    return replay("groq", status=response["status"], headers=response["headers"], body=body, stream=streamed)


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def expected(name) -> tuple[str, str, list[tuple[str, str]], str, int | None]:
    """Read a recording by the plainest means: text, reasoning, calls, finish reason, output tokens."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        reply = json.loads(response["body_text"])
        chunks = [{**reply, "choices": [{**choice, "delta": choice["message"]} for choice in reply["choices"]]}]
    else:
        chunks = chunks_of(response["sse_text"])
    text = reasoning = finish = ""
    tokens, calls = None, []
    for chunk in chunks:
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or {}
        tokens = usage.get("completion_tokens", tokens)
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice["finish_reason"] or finish
            text, reasoning = text + (delta.get("content") or ""), reasoning + (delta.get("reasoning") or "")
            calls += [(c["function"]["name"], c["function"]["arguments"]) for c in delta.get("tool_calls") or ()]
    return text, reasoning, calls, finish, tokens


@pytest.mark.parametrize("name", sorted(set(TRACES) - FAILED))
def test_recorded_replies_decode(name):
    """GQ-S1 to GQ-S6, GQ-S9, GQ-R1, GQ-U1, GQ-U2"""
    reply = decoded(name)
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    finish = "tool_calls" if calls else reply.raw_finish_reason
    assert reply.finish_reason == finish
    found = (reply.text, reply.reasoning or "", calls, reply.raw_finish_reason, reply.usage.output_tokens)
    assert found == expected(name)
    limits = reply.rate_limits
    assert limits is None or limits.requests_reset_seconds is not None


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    """GQ-X10, GQ-X14, GQ-X16"""
    response = TRACES[name]["response"]
    kind = {401: AuthenticationError, 404: ModelNotFoundError}.get(response["status"], BadRequestError)
    if "not support" in response["body_text"]:
        kind = UnsupportedFeatureError
    with pytest.raises(kind) as caught:
        decoded(name)
    assert type(caught.value) is kind
    assert not caught.value.retryable


# --- the emulator against the recordings


def emulate(body, **settings):
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    emulator = GroqEmulator(**settings)
    emulator.models = (*emulator.models, *OLD)
    return emulator.respond(request)


OLD = ("moonshotai/kimi-k2-instruct-0905", "llama-3.1-8b-instant", "llama-3.3-70b-versatile", "llama3-8b-8192")
COMPOUND = {"groq/compound-mini": "groq/compound"}


def sent_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the recorded requests, in today's names, where the vendor's checks of the output had no say."""
    for name, trace in TRACES.items():
        body = (trace["request"] or {}).get("body")
        if body and "model" in body and trace["response"]["status"] != 401 and "tool-result" not in name:
            yield name, {**body, "model": COMPOUND.get(body["model"], body["model"])}


@pytest.mark.parametrize(("name", "body"), [pytest.param(*pair, id=pair[0]) for pair in sent_bodies()])
def test_emulator_agrees_with_the_vendor(name, body):
    """What the vendor took is taken; what it refused is refused, with the same status, type and words."""
    response = TRACES[name]["response"]
    answer = emulate(body)
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


def recorded_paths() -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name, trace in TRACES.items():
        streamed = trace["response"].get("sse_text")
        kind = "error" if name in FAILED else "chunk" if streamed else "reply"
        for _, value in values_of(streamed or trace["response"]["body_text"], kind):
            found[kind].update(paths(value))
    return found


def emulated_paths() -> dict[str, set[tuple[str, str]]]:
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for model in ("openai/gpt-oss-20b", "qwen/qwen3-32b", "allam-2-7b"):
        for text in ("say: a b\nthink: c", 'call: f {"a": 1}\ncall: f {}', "error: 401", "error: 404"):
            for more in ({}, {"max_completion_tokens": 1}, {"tools": [tool]}):
                body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
                for asked in ({}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}):
                    for settings in ({"cached_tokens": 1}, {"usage_form": "x_groq"}):
                        answer = emulate({**body, **asked}, **settings)
                        kind = "error" if answer.status >= 400 else "chunk" if asked else "reply"
                        for _, value in values_of(answer.body.decode(), kind):
                            made[kind].update(paths(value))
    return made


def test_emulated_shapes_are_the_recorded_ones():
    """GQ-S1 to GQ-S5, GQ-U1, GQ-U2: nothing made up, and all that today's plain models send."""
    known, made = recorded_paths(), emulated_paths()
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {"chunk": [], "error": [], "reply": []}
    assert {path for path, _ in known["error"]} - {path for path, _ in made["error"]} == {".error.param"}


def test_emulated_deltas_are_recorded_ones():
    """GQ-S1, GQ-S2, GQ-S3"""

    def shapes(chunks):
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        return {json.dumps({k: v == "" or type(v).__name__ for k, v in d.items()}, sort_keys=True) for d in deltas}

    known = shapes(c for t in TRACES.values() for c in chunks_of(t["response"].get("sse_text") or ""))
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    made = set()
    for text in ("say: a b\nthink: c", "call: f {}"):
        for model in ("openai/gpt-oss-20b", "qwen/qwen3-32b"):
            body = {"model": model, "messages": [{"role": "user", "content": text}], "tools": [tool], "stream": True}
            made |= shapes(chunks_of(emulate(body).body.decode()))
    assert len(made) == 6
    assert made - known == set()
