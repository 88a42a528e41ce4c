"""`shape_request` for MiniMax: reasoning apart from the text, and back in the form in which it came."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import WireRequest, hookimpl

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request() -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if "reasoning_split" not in wire.body:  # MM-P8, MM-R2; MM-R1: otherwise <think> stands in the text (MM-I2)
        wire = wire.set("reasoning_split", True)
    return wire.set("messages", [_with_details(message) for message in wire.body["messages"]])


def _with_details(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give earlier reasoning back as the details that the vendor wants (MM-R3).

    They are made of the whole text: streamed pieces of details may repeat what was there (MM-S5).
    """
    if "reasoning_content" not in message:
        return message
    own = {key: value for key, value in message.items() if key != "reasoning_content"}
    detail = {
        "type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0,
        "text": message["reasoning_content"],
    }  # fmt: skip
    return {"reasoning_details": [detail], **own}
