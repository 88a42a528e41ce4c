"""The whole Response object: 31 properties, many of them what the request had said (RS-P1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Reply, Usage

__all__ = ["ended", "filled", "resource", "usage_of"]

_DEFAULTS: Mapping[str, Any] = {
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "metadata": {},
}
_ABSENT = (
    "instructions", "previous_response_id", "max_output_tokens", "max_tool_calls", "safety_identifier",
    "prompt_cache_key",
)  # fmt: skip


def resource(body: Mapping[str, Any], response_id: str, created_at: int, *, is_stored: bool) -> dict[str, Any]:
    """Return the object as it is when an answer begins."""
    tier = body.get("service_tier")
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "error": None,
        "model": body.get("model"),
        "output": [],
        "usage": None,
        **{name: body.get(name) for name in _ABSENT},
        **{name: default if body.get(name) is None else body[name] for name, default in _DEFAULTS.items()},
        "tools": [_tool(tool) for tool in body.get("tools") or ()],
        "text": _text(body.get("text") or {}),
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "service_tier": "default" if tier in (None, "auto") else tier,
        "store": is_stored,
        "background": False,
    }


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    if tool.get("type") != "function":
        return tool
    known = {"description": None, "parameters": None, "strict": True}
    return {**known, **{key: value for key, value in tool.items() if value is not None}}


def _text(text: Mapping[str, Any]) -> Mapping[str, Any]:
    form = text.get("format") or {"type": "text"}
    if form.get("type") == "json_schema":
        form = {"description": None, **form, "strict": form.get("strict") is not False}
    return {**text, "format": form}


def filled(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a vendor's object, with what it leaves out of ours, and with what is ours to say."""
    tools = [_tool(tool) for tool in given.get("tools") or () if isinstance(tool, Mapping)]
    kept = ("store", "previous_response_id") if own["store"] else ()
    return {**own, **given, "tools": tools, **{name: own[name] for name in kept}}


def ended(begun: Mapping[str, Any], output: Sequence[Mapping[str, Any]], reply: Reply, now: int) -> dict[str, Any]:
    """Return the object at the end of an answer (RS-P2, RS-P5)."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish_reason)
    return {
        **begun,
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else now,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": list(output),
        "usage": usage_of(reply.usage),
    }


def usage_of(usage: Usage) -> dict[str, Any] | None:
    """Return the counts (RS-U1), None if the vendor has told none: the protocol has no word for an unknown number."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": read + written,
    }
