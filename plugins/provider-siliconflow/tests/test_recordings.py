"""What the vendor really sent: our decoding of it, and the emulator's shapes held against it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import AuthenticationError, BadRequestError, ModelNotFoundError, StreamInterruptedError
from chatport.testing import EmulatedRequest, replay
from chatport_siliconflow.emulator import SiliconFlowEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "siliconflow"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8"))["response"] for path in sorted(FOLDER.glob("*.json"))}
STREAMS = {
    "001-stream-reasoning-pasted-deepseek-ai-deepseek-r1": ("", "\uff1a\n", 289, 289),
    "002-stream-pasted-pro-zai-org-glm-4-7": ("", None, 0, None),
    "003-stream-pasted-deepseek-ai-deepseek-v3": ("5.47元", None, 206, None),
    "004-stream-pasted-deepseek-ai-deepseek-v3": ("` and", None, 306, None),
}
"""Text, reasoning, output tokens and reasoning tokens. All are pieces from the middle of an answer."""
ERRORS = {
    "005-error-400-pasted": (ModelNotFoundError, "20012"),
    "006-error-400-pasted": (BadRequestError, "20015"),
    "007-error-400-pasted": (BadRequestError, "20015"),
    "008-error-401-pasted": (AuthenticationError, None),
    "009-error-401-pasted": (AuthenticationError, "30014"),
}


def test_all_recordings_are_used():
    assert set(TRACES) == {*STREAMS, *ERRORS}


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_recorded_pieces_decode(name):
    """SF-S1, SF-S2, SF-S4: null, empty and absent fields; counts that grow from chunk to chunk."""
    response, (text, reasoning, tokens, thought) = TRACES[name], STREAMS[name]
    with pytest.raises(StreamInterruptedError) as caught:
        replay("siliconflow", headers=response["headers"], body=response["sse_text"], stream=True)
    assert (caught.value.partial.text, caught.value.partial.reasoning) == (text, reasoning)
    ended = response["sse_text"] + 'data: {"choices":[{"index":0,"delta":{"content":"."},"finish_reason":"stop"}]}\n\n'
    reply = replay("siliconflow", headers=response["headers"], body=f"{ended}data: [DONE]\n\n", stream=True)
    assert (reply.text, reply.reasoning, reply.finish_reason) == (f"{text}.", reasoning, "stop")
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (tokens, thought)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_recorded_errors_decode(name):
    response, (error, code) = TRACES[name], ERRORS[name]
    body = response["body_text"]
    with pytest.raises(error) as caught:
        replay("siliconflow", status=response["status"], headers=response["headers"], body=body, stream=False)
    said = json.loads(body)
    assert (type(caught.value), caught.value.code, caught.value.retryable) == (error, code, False)
    assert (said if isinstance(said, str) else said["message"]) in str(caught.value)


# --- the emulator against the recordings

CITED = {
    ".choices[].delta.tool_calls",  # SF-S3, and all below it
    ".usage.prompt_cache_hit_tokens",  # SF-U1
    ".usage.prompt_cache_miss_tokens",  # SF-U1
    ".usage.prompt_tokens_details",  # SF-U1
    ".choices[].finish_reason str",  # SF-S5: no recording reaches the end
}
"""Shapes that no recording shows: they are the fact sheet's."""


def paths(value: Any, place: str = "") -> Iterator[str]:
    yield f"{place} {type(value).__name__}"
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from paths(item, f"{place}.{key}")
    for item in value if isinstance(value, list) else ():
        yield from paths(item, f"{place}[]")


def chunks_of(text: str) -> list[Any]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data: {")]


def emulate(text, model="Qwen/Qwen3-8B", **more):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    body = {"model": model, "messages": [{"role": "user", "content": text}], "tools": [tool], **more}
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return SiliconFlowEmulator(cached_tokens=1).respond(request)


def test_emulated_chunks_are_the_recorded_ones():
    recorded = {path for name in STREAMS for chunk in chunks_of(TRACES[name]["sse_text"]) for path in paths(chunk)}
    made = set()
    for text in ("say: a b\nthink: c", 'call: f {"a": 1}', "say:"):
        for model in ("Qwen/Qwen3-8B", "Qwen/Qwen2.5-7B-Instruct"):
            streamed = emulate(text, model, stream=True).body.decode()
            made |= {path for chunk in chunks_of(streamed) for path in paths(chunk)}
    unseen = {path for path in made - recorded if not any(path.startswith(cited) for cited in CITED)}
    assert unseen == set()
    missing = recorded - made - {".choices[].finish_reason str"}
    assert missing == set(), "the emulator leaves something out"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("005-error-400-pasted", emulate("hello", "nobody/Nothing")),
        ("006-error-400-pasted", emulate("hello", "deepseek-ai/DeepSeek-R1", enable_thinking=False)),
        ("007-error-400-pasted", emulate("hello", None)),
        ("008-error-401-pasted", emulate("error: 401")),
    ],
    ids=["model", "switch", "field", "key"],
)
def test_emulated_errors_are_the_recorded_ones(name, answer):
    recorded = json.loads(TRACES[name]["body_text"].replace("enable_thinking.`", "enable_thinking`."))  # as in SF-X12
    assert (answer.status, json.loads(answer.body)) == (TRACES[name]["status"], recorded)
