"""Replies of the vendor that were pasted in public: our decoding of them, and the emulator's shapes against theirs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from chatport import PermissionDeniedError, StreamInterruptedError
from chatport.testing import EmulatedRequest, replay
from chatport_minimax.emulator import MiniMaxEmulator

FOLDER = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "minimax"
if not FOLDER.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def decoded(name):
    response = TRACES[name]["response"]
    streamed = response.get("sse_text") is not None
    body = response["sse_text"] if streamed else response["body_text"]
    return replay("minimax", status=response["status"], headers=response["headers"], body=body, stream=streamed)


def test_a_recorded_reply_decodes():
    """MM-R2, MM-S6, MM-U1, MM-X3"""
    reply = decoded("001-plain-reasoning-pasted-minimax-m2-5")
    message = json.loads(TRACES["001-plain-reasoning-pasted-minimax-m2-5"]["response"]["body_text"])["choices"][0]
    assert (reply.text, reply.reasoning) == (message["message"]["content"], message["message"]["reasoning_content"])
    usage = reply.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (44, 43, 20)
    assert reply.finish_reason == "stop"


def test_recorded_beginnings_of_streams_are_cut_streams():
    """MM-S1, MM-S2, MM-T2: an empty role, a usage that counts nothing, a fragment without a name."""
    with pytest.raises(StreamInterruptedError) as caught:
        decoded("002-stream-pasted")
    assert (caught.value.partial.text, caught.value.partial.usage.output_tokens) == ("", None)
    with pytest.raises(StreamInterruptedError) as caught:
        decoded("003-stream-tools-pasted-minimax-m2-7")
    assert [call.complete for call in caught.value.partial.tool_calls] == [False]


def test_the_recorded_error_inside_a_200():
    """MM-X2, MM-X16"""
    with pytest.raises(PermissionDeniedError, match=r"token plan not support model, abab6\.5s-chat") as caught:
        decoded("004-error-in-200-pasted-abab6-5s-chat")
    assert (caught.value.code, caught.value.retryable) == ("2061", False)


def paths(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give every key path of a JSON value, with the type that is found there."""
    yield place, type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{place}[]")


def emulated(text: str, **body: Any) -> Any:
    asked = {"model": "MiniMax-M2.5", "messages": [{"role": "user", "content": text}], "reasoning_split": True, **body}
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(asked).encode())
    return json.loads(MiniMaxEmulator().respond(request).body)


@pytest.mark.parametrize(
    ("name", "text"),
    [("001-plain-reasoning-pasted-minimax-m2-5", "hi"), ("004-error-in-200-pasted-abab6-5s-chat", "error: 2061")],
)
def test_emulated_shapes_are_the_recorded_ones(name, text):
    """MM-R2, MM-U1, MM-X2, MM-X3"""
    recorded = json.loads(TRACES[name]["response"]["body_text"])
    assert set(paths(emulated(text))) == set(paths(recorded))
