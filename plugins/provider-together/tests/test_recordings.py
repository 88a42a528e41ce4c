"""Recorded exchanges with the vendor: our decoding of them, and the emulator held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import AuthenticationError, ModelNotFoundError
from chatport.testing import EmulatedRequest, replay
from chatport_together.emulator import TogetherEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "together"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
FAILED = {name for name, trace in TRACES.items() if trace["response"]["status"] >= 400}


def decoded(name):
    response = TRACES[name]["response"]
    text, streamed = response.get("sse_text"), response.get("sse_text") is not None
    return replay(
        "together",
        status=response["status"],
        headers=response["headers"],
        body=text if streamed else response["body_text"],
        stream=streamed,
    )


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def expected(name) -> tuple[Any, ...]:
    """Read a recording by the plainest means: text, reasoning, calls, finish reason, output tokens."""
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    chunks = chunks_of(response["sse_text"]) if streamed else [json.loads(response["body_text"])]
    text = reasoning = finish = ""
    tokens, names, arguments = None, {}, defaultdict(str)
    for chunk in chunks:
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        for choice in chunk["choices"]:
            delta, finish = choice["delta" if streamed else "message"], choice["finish_reason"] or finish
            text, reasoning = text + (delta.get("content") or ""), reasoning + (delta.get("reasoning") or "")
            for call in delta.get("tool_calls") or ():
                names[call["index"]] = names.get(call["index"]) or call["function"]["name"]
                arguments[call["index"]] += call["function"]["arguments"]
    return text, reasoning, [(names[index], arguments[index]) for index in sorted(names)], finish, tokens


@pytest.mark.parametrize("name", sorted(set(TRACES) - FAILED))
def test_recorded_replies_decode(name):
    """TG-S8"""
    reply = decoded(name)
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    assert (reply.text, reply.reasoning or "", calls, reply.finish_reason, reply.usage.output_tokens) == expected(name)
    assert bool(reply.logprobs) == bool((TRACES[name]["request"]["body"]).get("logprobs"))
    if "x-ratelimit-limit" in TRACES[name]["response"]["headers"]:
        limits = reply.rate_limits
        assert (limits.requests_remaining, limits.requests_reset_seconds, limits.tokens_limit) == (1, 2, 1000)


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    with pytest.raises(ModelNotFoundError if "404" in name else AuthenticationError) as caught:
        decoded(name)
    assert not caught.value.retryable


# --- the emulator against the recordings


def emulate(body, **settings):
    key = settings.pop("key", "k")
    models = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "deepseek-ai/DeepSeek-V4-Pro",
              "meta-llama/Llama-3.2-3B-Instruct-Turbo")  # fmt: skip
    request = EmulatedRequest(
        "POST", "/v1/chat/completions", {"authorization": f"Bearer {key}"}, json.dumps(body).encode()
    )
    return TogetherEmulator(models=models, api_key="k", **settings).respond(request)


@pytest.mark.parametrize("name", TRACES)
def test_emulator_agrees_with_the_vendor(name):
    """What the vendor took is taken; what it refused is refused, with the same status and words."""
    response = TRACES[name]["response"]
    answer = emulate(TRACES[name]["request"]["body"], key="wrong" if response["status"] == 401 else "k")
    assert answer.status == response["status"]
    assert answer.headers["content-type"] == response["headers"]["content-type"]
    if name in FAILED:
        assert json.loads(answer.body)["error"] == json.loads(response["body_text"])["error"]


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, "number" if type(value) in (int, float) else type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def recorded() -> Iterator[tuple[str, Any]]:
    for name in set(TRACES) - FAILED:
        response = TRACES[name]["response"]
        if response.get("sse_text") is None:
            yield "reply", json.loads(response["body_text"])
        else:
            yield from (("chunk", chunk) for chunk in chunks_of(response["sse_text"]))


def emulated_values() -> Iterator[tuple[str, Any]]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for text in ("hello", 'call: f {"a": 1}\ncall: f {}', "refuse: no", "say: a b\nthink: c"):
        for more in ({}, {"max_tokens": 3}, {"logprobs": 2}, {"cached_tokens": 4}):
            more, cached = dict(more), more.get("cached_tokens", 0)
            more.pop("cached_tokens", None)
            body = {"messages": [{"role": "user", "content": text}], **more}
            for model, own, old in (
                ("openai/gpt-oss-120b", {"tools": [tool]}, False),
                ("meta-llama/Llama-3.2-3B-Instruct-Turbo", {}, True),
                ("meta-llama/Llama-3.2-3B-Instruct-Turbo", {}, False),
            ):
                if not own and (more or cached):
                    continue  # not recorded
                whole = {**body, **own, "model": model}
                yield "reply", json.loads(emulate(whole, older=old, cached_tokens=cached).body)
                streamed = emulate({**whole, "stream": True}, older=old).body.decode()
                yield from (("chunk", chunk) for chunk in chunks_of(streamed))


def shapes(chunks: list[Any]) -> set[str]:
    """Return what deltas look like: keys, types, whether a text is empty, and the finish reason."""
    found = set()
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        delta = {key: "" if value == "" else type(value).__name__ for key, value in choice["delta"].items()}
        found.add(json.dumps([delta, choice["finish_reason"]], sort_keys=True))
    return found


def test_emulated_shapes_are_the_recorded_ones():
    """TG-S1, TG-S5, TG-S9, TG-U1: paths and types, and the kinds of deltas."""
    known, made, deltas = defaultdict(set), defaultdict(set), defaultdict(list)
    for found, values in ((known, recorded()), (made, emulated_values())):
        for kind, value in values:
            found[kind].update(paths(value))
            if kind == "chunk":
                deltas[id(found)].append(value)
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {"reply": [], "chunk": []}
    left_out = {path for kind in known for path, _ in known[kind] - made[kind]}
    assert left_out == set(), "the emulator leaves something out"
    ours, theirs = (shapes(deltas[id(found)]) for found in (made, known))
    assert ours - theirs == set()
    assert theirs - ours == set()
