"""Pictures and documents in turns and in results of tools, as vendors of three protocols get them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chatport.testing import Emulator

from .asking import ask

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.4 " + bytes(24)).decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
DOCUMENT = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    "title": "T",
}
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
TARGETS = ("anthropic:claude-sonnet-4-6", "openai:gpt-6-sol", "openai:gpt-4o-mini")


def sent_of(target: str, messages: Any, **fields: Any) -> Any:
    emulator = Emulator(target.partition(":")[0])
    answer = ask(emulator, {"model": target, "max_tokens": 500, "messages": messages, "stream": True, **fields})
    assert answer.status == 200, answer.body
    assert answer.error is None
    return emulator.requests[-1].json()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("part", [IMAGE, DOCUMENT], ids=["image", "document"])
def test_in_a_turn(target: Any, part: Any) -> None:
    sent = sent_of(target, [{"role": "user", "content": [{"type": "text", "text": "say: seen"}, part]}])
    assert part["source"]["data"] in json.dumps(sent)
    if target.startswith("anthropic"):
        assert sent["messages"][0]["content"][1] == part


@pytest.mark.parametrize("target", TARGETS)
def test_in_the_result_of_a_tool(target: Any) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    content = [{"type": "text", "text": "a picture"}, IMAGE]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    sent = sent_of(target, turns, tools=[TOOL])
    assert PNG in json.dumps(sent)
    if target.startswith("anthropic"):
        assert sent["messages"][2]["content"] == [result]
