"""`decode_chunk` and `decode_reply` for Bedrock: what a guardrail has blocked, and ids of calls that are none.

Chat of the endpoint runtime writes thoughts into the text, which the dialect's `reasoning_tags` take out (BR-S1).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from chatport import Event, FinishReported, ReplyStarted, StreamState, ToolCallDelta, hookimpl

__all__ = ["decode_chunk", "decode_reply"]

_BLOCKED = "bedrock-guardrails-"
_NUMBERED = re.compile(r"call_[0-9]{1,4}")


@hookimpl(wrapper=True)
def decode_chunk(state: StreamState) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return list(_told(events, state.scratch))


@hookimpl(wrapper=True)
def decode_reply() -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return list(_told(events, {}))


def _told(events: Sequence[Event], seen: dict[str, Any]) -> Iterator[Event]:
    for event in events:
        reply_id = seen.get("id") or ""
        if isinstance(event, ReplyStarted):
            seen["id"] = reply_id or event.id
        elif isinstance(event, FinishReported) and reply_id.startswith(_BLOCKED):  # BR-X21
            event = FinishReported("content_filter", event.raw, event.choice)
        elif isinstance(event, ToolCallDelta) and reply_id and _NUMBERED.fullmatch(event.id):
            # BR-T2: numbered anew in every response; with its id before them they are taken in later turns (recorded)
            event = ToolCallDelta(event.index, f"{reply_id}:{event.id}", event.name, event.arguments, event.choice)
        yield event
