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
    ContextLengthError,
    ModelNotFoundError,
    QuotaExceededError,
    StreamInterruptedError,
)
from chatport.testing import EmulatedRequest, replay
from chatport_deepseek.emulator import DeepSeekEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "deepseek"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
FAILED = {name for name, trace in TRACES.items() if (trace["response"]["status"] or 200) >= 400}
CITED = {
    "error": {".error_msg": "DS-N2"},
}
"""Shapes the emulator has from the vendor's documentation alone: which, and the fact that says so."""


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    return replay(
        "deepseek",
        status=response["status"],
        headers=response["headers"],
        body=response["sse_text"] if streamed else response["body_text"],
        stream=streamed,
    )


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def expected(name) -> tuple[str, str, list[tuple[str, str]], str, int | None]:
    """Read a recording by the plainest means: text, reasoning, calls, finish reason, output tokens."""
    response = TRACES[name]["response"]
    if response.get("sse_text") is None:
        reply = json.loads(response["body_text"])
        message, choice = reply["choices"][0]["message"], reply["choices"][0]
        calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
        finish = choice["finish_reason"]
        usage = reply["usage"]
        return message["content"], message.get("reasoning_content") or "", calls, finish, usage["completion_tokens"]
    text = reasoning = finish = ""
    tokens, names, arguments = None, {}, defaultdict(str)
    for chunk in chunks_of(response["sse_text"]):
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice["finish_reason"] or finish
            text, reasoning = text + (delta.get("content") or ""), reasoning + (delta.get("reasoning_content") or "")
            for call in delta.get("tool_calls") or ():
                names.setdefault(call["index"], call["function"].get("name"))
                arguments[call["index"]] += call["function"].get("arguments") or ""
    return text, reasoning, [(names[index], arguments[index]) for index in sorted(names)], finish, tokens


CUT = {"124-stream-parallel-tools-pasted-deepseek-chat"}
"""Pasted into a public thread without its end, which a reader must notice."""


@pytest.mark.parametrize("name", sorted(set(TRACES) - FAILED - CUT))
def test_recorded_replies_decode(name):
    reply = decoded(name)
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    assert (reply.text, reply.reasoning or "", calls, reply.finish_reason, reply.usage.output_tokens) == expected(name)
    if reply.finish_reason == "length" and reply.tool_calls:
        assert not reply.tool_calls[-1].complete


@pytest.mark.parametrize("name", sorted(CUT))
def test_recorded_streams_without_an_end_are_not_replies(name):
    with pytest.raises(StreamInterruptedError) as caught:
        decoded(name)
    text, _, calls, _, _ = expected(name)
    assert caught.value.partial.text == text
    assert [(call.name, call.arguments) for call in caught.value.partial.tool_calls] == calls
    assert not caught.value.partial.tool_calls[-1].complete


ERRORS = {
    "148": AuthenticationError, "149": ModelNotFoundError, "152": AuthenticationError, "153": ContextLengthError,
    "154": ModelNotFoundError, "155": QuotaExceededError,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAILED))
def test_recorded_errors_decode(name):
    with pytest.raises(ERRORS.get(name[:3], BadRequestError)) as caught:
        decoded(name)
    assert not caught.value.retryable
    headers = TRACES[name]["response"]["headers"]
    assert caught.value.request_id == headers.get("x-ds-trace-id")


# --- the emulator against the recordings


def emulate(body, **settings):
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    emulator = DeepSeekEmulator(
        models=("deepseek-v4-pro", "deepseek-v4-flash"), aliases=("deepseek-flash",), **settings
    )
    return emulator.respond(request)


def sent_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the recorded requests, in today's names. Texts that the source masked would not tell the same story."""
    for name, trace in TRACES.items():
        body = (trace["request"] or {}).get("body")
        if body is None or trace["response"]["status"] == 401 or "MASSIVE_TEXT" in json.dumps(body):
            continue
        old = {"deepseek-chat": {"type": "disabled"}, "deepseek-reasoner": {"type": "enabled"}}.get(body["model"])
        yield name, {**body, "model": "deepseek-v4-flash", "thinking": old} if old else body


@pytest.mark.parametrize(("name", "body"), [pytest.param(*pair, id=pair[0]) for pair in sent_bodies()])
def test_emulator_agrees_with_the_vendor(name, body):
    """What the vendor took is taken; what it refused is refused, with the same status, type and words."""
    response = TRACES[name]["response"]
    answer = emulate(body)
    assert answer.status == (response["status"] or 200)
    if answer.status >= 400:
        assert answer.headers["content-type"] == response["headers"]["content-type"]
        said, recorded = (json.loads(text)["error"] for text in (answer.body, response["body_text"]))
        assert said["message"].split(" at line ")[0] == recorded["message"].split(" at line ")[0]
        assert {**said, "message": ""} == {**recorded, "message": ""}


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def recorded_paths() -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for name, trace in TRACES.items():
        response = trace["response"]
        if response.get("sse_text") is not None:
            found["chunk"].update(path for chunk in chunks_of(response["sse_text"]) for path in paths(chunk))
        else:
            found["error" if name in FAILED else "reply"].update(paths(json.loads(response["body_text"])))
    return found


def emulated_values() -> Iterator[tuple[str, Any]]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    texts = ("hello", 'call: f {"a": 1}\ncall: f {}', "refuse: no", "say: a b\nthink: c")
    for text in texts:
        off = {"thinking": {"type": "disabled"}}
        for more in ({}, off, {"max_tokens": 3}, {"max_tokens": 1, **off}, {"logprobs": True, "top_logprobs": 2}):
            for form in ("merged", "separate"):
                body = {
                    "model": "deepseek-flash",
                    "messages": [{"role": "user", "content": text}],
                    "tools": [tool],
                    **more,
                }
                yield "reply", json.loads(emulate(body).body)
                for asked in ({}, {"stream_options": {"include_usage": True}}):
                    streamed = emulate({**body, "stream": True, **asked}, usage_form=form).body.decode()
                    yield from (("chunk", chunk) for chunk in chunks_of(streamed))
    for status in (400, 401, 402, 403, 404, 422, 429, 500, 503):
        body = {"model": "deepseek-flash", "messages": [{"role": "user", "content": f"error: {status}"}]}
        yield "error", json.loads(emulate(body).body)


def test_emulated_shapes_are_the_recorded_ones():
    known, made = recorded_paths(), defaultdict(set)
    for kind, value in emulated_values():
        made[kind].update(paths(value))
    assert {kind: sorted(made[kind] - known[kind]) for kind in made} == {
        "reply": [],
        "chunk": [],
        "error": [(path, "str") for path in CITED["error"]],
    }
    ours = {path for path, _ in made["chunk"]}
    assert {path for path, _ in known["chunk"]} - ours == set(), "the emulator leaves something out"


def shapes(chunks: list[Any]) -> set[str]:
    """Return what deltas look like: keys, types, whether a text is empty, and the finish reason."""
    found = set()
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        delta = {key: "" if value == "" else type(value).__name__ for key, value in choice["delta"].items()}
        found.add(json.dumps([delta, choice["finish_reason"]], sort_keys=True))
    return found


def test_emulated_deltas_are_the_recorded_ones():
    """DS-S3, DS-S4, DS-S5, DS-S8: the emulator's kinds of deltas are the vendor's, each of them."""
    streams = [trace["response"].get("sse_text") for trace in TRACES.values()]
    known = shapes([chunk for text in streams if text for chunk in chunks_of(text)])
    made = shapes([value for kind, value in emulated_values() if kind == "chunk"])
    assert made == known
