"""What Claude Code really sends goes to four vendors: nobody refuses it, and nothing of it is lost unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import Emulator
from chatport_surfaces import Seal
from chatport_surfaces.sealing import Sealed

from .asking import SECRET, Answered, ask

RECORDED = Path(__file__).resolve().parents[3].parent / "shared" / "clients"
FILES = ("claude-code-text", "claude-code-tool-loop", "claude-code-thinking")
VENDORS = {
    "anthropic": ("claude-opus-5", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-5-5"),
    "openai": ("gpt-6-sol", "gpt-4o-mini"),
    "deepseek": ("deepseek-flash",),
    "qwen": ("qwen3.7-plus",),
}
TARGETS = [f"{vendor}:{model}" for vendor, models in VENDORS.items() for model in models]
SIGNED_ELSEWHERE = "Y2hhdHBvcnQ6b3BhcXVlLXN0YXRl"
"""The signature in the recording: of whoever answered then, where this process would have sealed it."""


def recorded(name: str) -> list[dict[str, Any]]:
    path = RECORDED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"no recordings: ../shared/clients/{name}.jsonl is not there")
    requests = [json.loads(line) for line in path.read_text().splitlines()]
    return [request for request in requests if request["body"]]


def texts(value: Any) -> Iterator[str]:
    """Give all texts of a request that the model is to read, and the names and words of its tools."""
    if isinstance(value, Mapping):
        for name, field in value.items():
            if name in ("text", "content", "description", "command", "name") and isinstance(field, str):
                yield field
            elif name not in ("signature", "thinking", "cache_control"):
                yield from texts(field)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def all_texts(value: Any) -> Iterator[str]:
    """Give every text anywhere in what was sent, arguments of calls read as JSON."""
    if isinstance(value, str):
        yield value
        if value.startswith("{"):
            yield from all_texts(json.loads(value))
    elif isinstance(value, Mapping):
        for field in value.values():
            yield from all_texts(field)
    elif isinstance(value, list):
        for item in value:
            yield from all_texts(item)


def count(value: Any, key: str) -> int:
    """Return how often a key stands anywhere in a value."""
    if isinstance(value, Mapping):
        return sum((name == key) + count(field, key) for name, field in value.items())
    return sum(count(item, key) for item in value) if isinstance(value, list) else 0


def check_nothing_is_lost(body: Mapping[str, Any], sent: Any, headers: Mapping[str, str], answer: Answered) -> None:
    """Assert that each thing in the request was sent, or is in a warning of the reply."""
    there = "\n".join(all_texts(sent))
    assert [text for text in texts([body["system"], body["messages"], body["tools"]]) if text not in there] == []
    warned = answer.warned
    assert count(sent, "cache_control") == count(body, "cache_control") or any(
        "cache_control" in field for field in warned
    )
    for field in ("metadata", "context_management"):
        assert sent.get(field) == body[field] or field in warned
    assert "anthropic-beta" in headers or "betas" in warned
    limit = next(sent[name] for name in ("max_tokens", "max_output_tokens", "max_completion_tokens") if name in sent)
    assert limit >= body["max_tokens"] or "max_tokens" in {field.rpartition(".")[2] for field in warned}
    reasons = ("thinking", "reasoning", "reasoning_effort", "enable_thinking")
    assert any(name in sent for name in reasons) or {"reasoning", "thinking"} & warned
    assert len(sent["tools"]) == len(body["tools"])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", TARGETS)
def test_recorded_requests_go_through(name: Any, target: Any) -> None:
    vendor = target.partition(":")[0]
    for request in recorded(name):
        emulator = Emulator(vendor)
        signature = Seal(SECRET).close(Sealed("who-answered-then"))
        body = json.loads(json.dumps({**request["body"], "model": target}).replace(SIGNED_ELSEWHERE, signature))
        answer = ask(emulator, body, request["headers"])
        assert answer.status == 200, answer.body
        assert answer.error is None
        assert answer.events[-1][0] == "message_stop"
        check_nothing_is_lost(body, emulator.requests[-1].json(), emulator.requests[-1].headers, answer)


@pytest.mark.parametrize("target", TARGETS)
def test_its_tool_loop_with_thinking_goes_round(target: Any) -> None:
    """With answers of this process in the place of those that were recorded."""
    vendor = target.partition(":")[0]
    begun, *_ = recorded("claude-code-thinking")
    emulator = Emulator(vendor)
    body = json.loads(json.dumps({**begun["body"], "model": target}))
    body["messages"][0]["content"][-1]["text"] = (
        'think: Say hi.\ncall: Bash {"command": "echo hi", "description": "say hi"}'
    )
    for turn in range(3):
        answer = ask(emulator, body, begun["headers"])
        assert answer.status == 200, answer.body
        calls = [block for block in answer.content if block["type"] == "tool_use"]
        assert [call["name"] for call in calls] == ["Bash"]
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": f"hi {turn}"} for call in calls]
        more = {"type": "text", "text": 'think: Again.\ncall: Bash {"command": "echo hi"}'}
        body["messages"] += [
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [*results, *([more] if turn < 2 else [])]},
        ]
    last = ask(emulator, body, begun["headers"])
    assert "hi 2" in "".join(block.get("text", "") for block in last.content)
