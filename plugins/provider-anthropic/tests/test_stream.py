"""What the short way through the usual pieces of a stream may not pass over."""

from __future__ import annotations

import json

from chatport import TextDelta
from chatport.testing import decode_events

MESSAGE = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "model": "claude"}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}


def texts(*pieces: str) -> list[str]:
    """Return the texts that come of pieces of a text, in their order."""
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces
    ]
    events = [MESSAGE, BLOCK, *deltas, {"type": "content_block_stop", "index": 0}, END, {"type": "message_stop"}]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return [event.text for event in decode_events("anthropic", body=body.encode()) if isinstance(event, TextDelta)]


def test_half_an_emoji_stands_where_it_was() -> None:
    """JSON may cut an emoji into two escapes, and a half that stays alone comes before the usual piece after it."""
    assert "".join(texts("a\ud83d", "\ude00b")) == "a\U0001f600b"
    assert "".join(texts("a\ud83d", "b", "c")) == "a\ufffdbc"
    assert "".join(texts("a", "b\ud83d")) == "ab\ufffd"
