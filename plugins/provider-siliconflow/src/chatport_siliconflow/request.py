"""`shape_request` for SiliconFlow: what its facts cannot say, no nulls and room in the model's window."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Context, ModelFacts, WireRequest, hookimpl

__all__ = ["shape_request"]

_WINDOW_RESERVE_TOKENS = 10_000  # SF-P8


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = wire.set("messages", [_without_null(message) for message in wire.body["messages"]])
    for field in [name for name, value in wire.body.items() if value is None]:
        wire = wire.discard(field)  # SF-P11
    return _fitted(wire, context.facts)


def _without_null(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an answer that has only calls an empty text, and one that refused its refusal (SF-P10)."""
    if message["role"] != "assistant" or message["content"] is not None:
        return message
    return {
        **{key: value for key, value in message.items() if key != "refusal"},
        "content": message.get("refusal") or "",
    }


def _fitted(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Leave room for the prompt: what the window does not hold is refused (SF-P8)."""
    room = None if facts.context_tokens is None else facts.context_tokens - _WINDOW_RESERVE_TOKENS
    most = min((limit for limit in (room, facts.max_output_tokens) if limit is not None), default=None)
    asked = wire.body.get("max_tokens")
    if most is None or not isinstance(asked, int) or asked <= most:
        return wire
    return wire.lower("max_tokens", most, f"more than {most} would not fit into the model's window", "SF-P8")
