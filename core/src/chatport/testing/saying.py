"""What the model of an emulator says, by the words of a request or by what the request needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from .examples import example_of
from .reading import chosen_name, functions_of, must_call, text_of
from .wire import Script

__all__ = ["calls_of", "cut_to_limit", "prompt_tokens", "words_of"]

Words = Mapping[str, list[str]]
"""The words of the last user message that direct the emulator, by name."""


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Return a plausible count of what a request holds."""
    prompt = json.dumps(body["messages"], ensure_ascii=False) + json.dumps(body.get("tools") or "")
    return max(len(prompt) // 4, 1)


def calls_of(body: Mapping[str, Any], commands: Words) -> tuple[tuple[str, str], ...]:
    """Return the calls of an answer, as names and arguments: those that are asked for, or one that must be."""
    tools, choice = functions_of(body), body.get("tool_choice")
    if not tools or choice == "none" or body["messages"][-1].get("role") == "tool":
        return ()
    if "call" in commands:
        return tuple((line.partition(" ")[0], line.partition(" ")[2].strip() or "{}") for line in commands["call"])
    if "say" in commands and not must_call(body):
        return ()
    named = chosen_name(body) or tools[0]["name"]
    schema = next((tool.get("parameters") or {} for tool in tools if tool["name"] == named), {})
    return ((named, json.dumps(example_of(schema), ensure_ascii=False)),)


def words_of(body: Mapping[str, Any], commands: Words) -> str:
    """Return the text of an answer without calls."""
    wanted = body.get("response_format") or {}
    if "say" in commands:
        return " ".join(commands["say"])
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        return json.dumps(example_of(schema), ensure_ascii=False)
    if wanted.get("type") == "json_object":
        return '{"answer": "an emulated value"}'
    last = body["messages"][-1]
    if last.get("role") == "tool":
        return f"The tool says: {text_of(last.get('content'))}"
    return f"Hello from {body.get('model')}, emulated by Chatport."


def cut_to_limit(script: Script, body: Mapping[str, Any]) -> Script:
    """Cut the answer at `max_tokens`, counted in words; the reasoning is spent first."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if not isinstance(limit, int) or script.output_tokens <= limit:
        return script
    left = max(limit - script.reasoning_tokens, 0)
    if script.calls:
        name, arguments = script.calls[0]
        return attrs.evolve(script, text="", calls=((name, arguments[: left * 3]),) if left else (), finish="length")
    words = re.findall(r"\s+\S*|\S+", script.text.rstrip())
    return attrs.evolve(script, text="".join(words[:left]), finish="length")
