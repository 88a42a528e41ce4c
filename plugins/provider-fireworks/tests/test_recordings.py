"""Recorded exchanges with the vendor: our decoding of them, and the emulator's shapes held against them."""

from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from chatport.testing import EmulatedRequest, replay
from chatport_fireworks.emulator import FireworksEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "fireworks"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
DOCUMENTED = {  # shapes that no recording has, and the fact that says so
    "message.reasoning_content": "FW-R1",
    "message.tool_calls": "FW-S4",
    "delta.reasoning_content": "FW-S3",
    "delta.tool_calls": "FW-S4",
    "usage.prompt_tokens_details": "FW-U1",
    "perf_metrics": "FW-H2",
}


def chunks_of(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def expected(response) -> tuple[list[str], list[str], int]:
    """Read a recording by the plainest means: texts and finish reasons of all choices, output tokens."""
    texts, reasons = defaultdict(str), {}
    if response.get("sse_text") is None:
        chunks = [json.loads(response["body_text"])]
    else:
        chunks = chunks_of(response["sse_text"])
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        texts[choice["index"]] += choice.get("message", choice.get("delta"))["content"] or ""
        reasons[choice["index"]] = choice["finish_reason"] or reasons.get(choice["index"])
    tokens = [chunk["usage"]["completion_tokens"] for chunk in chunks if chunk.get("usage")]
    return [texts[n] for n in sorted(texts)], [reasons[n] for n in sorted(reasons)], tokens[-1]


@pytest.mark.parametrize("name", sorted(TRACES))
def test_recorded_replies_decode(name):
    """FW-S2; FW-S3: a model without a parser has its thoughts in the text, where they stay."""
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    reply = replay("fireworks", status=response["status"], headers=response["headers"], body=body, stream=streamed)
    texts, reasons, tokens = expected(response)
    assert [reply.text, *[other.text for other in reply.alternatives]] == texts
    assert [reply.finish_reason, *[other.finish_reason for other in reply.alternatives]] == reasons
    assert reply.usage.output_tokens == tokens
    assert (reply.reasoning or "", reply.usage.reasoning_tokens) == ("", None)  # FW-R3
    assert reply.text.startswith("<think>") == ("deepseek-r1" in name)


def paths(value: Any, place: str = "") -> Iterator[str]:
    """Give every key path of a JSON value that is not null: the recordings of an SDK fill in nulls."""
    if value is None:
        return
    yield place
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, place)


def test_emulated_shapes_are_the_recorded_ones():
    known: dict[str, set[str]] = {"reply": set(), "chunk": set()}
    for trace in TRACES.values():
        response = trace["response"]
        if response.get("sse_text") is None:
            known["reply"].update(paths(json.loads(response["body_text"])))
        else:
            known["chunk"].update(path for chunk in chunks_of(response["sse_text"]) for path in paths(chunk))
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for text in ("say: hello", 'call: f {"a": 1}'):
        for stream in (False, True):
            content = json.dumps(
                {
                    "model": "accounts/fireworks/models/kimi-k2p6",
                    "messages": [{"role": "user", "content": text}],
                    "stream": stream,
                    "perf_metrics_in_response": True,
                    "tools": [tool],
                }
            ).encode()
            request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, content)
            answer = FireworksEmulator(cached_tokens=3).respond(request).body.decode()
            kind, values = ("chunk", chunks_of(answer)) if stream else ("reply", [json.loads(answer)])
            made = {path for value in values for path in paths(value)}
            new = {path for path in made - known[kind] if not any(part in path for part in DOCUMENTED)}
            assert new == set()
            if text == "say: hello":
                assert known[kind] - made == set(), "the emulator leaves something out"


def test_recorded_headers():
    """FW-H2"""
    headers = TRACES["001-plain-reasoning-fireworks-models-deepseek-r1"]["response"]["headers"]
    assert {"fireworks-prompt-tokens", "fireworks-server-processing-time"} <= set(headers)
    assert {"fireworks-prompt-tokens", "fireworks-server-processing-time"} <= set(
        FireworksEmulator().headers("application/json")
    )
