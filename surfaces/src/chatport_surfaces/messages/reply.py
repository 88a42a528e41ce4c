"""A whole answer: the vendor's own where it spoke this protocol, else made of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Reply, ToolCall
from chatport.helpers import jsoncodec

from ..sealing import Sealed
from ..surface import SurfaceContext
from .blocks import DIRECT, CallIds, citation, envelope, media_text, state
from .endings import UNTOLD_USAGE, ending, wire_usage
from .opaque import closed

__all__ = ["whole_message"]

_UNTOLD: Mapping[str, Any] = dict.fromkeys(("stop_reason", "stop_sequence", "stop_details", "container"))
_UNTOLD_OF_BLOCKS: Mapping[str, Mapping[str, Any]] = {"text": {"citations": None}, "tool_use": DIRECT}


def whole_message(reply: Reply, context: SurfaceContext) -> dict[str, Any]:
    """Return the message. Nothing of a vendor's own in this protocol is translated (AN-S4)."""
    if _is_own(reply):
        return _own_message(reply, context)
    ids = CallIds(context)
    return {
        **envelope(reply, context),
        "content": _content(reply, context, ids),
        **ending(reply),
        "usage": wire_usage(reply.usage),
    }


def _is_own(reply: Reply) -> bool:
    """Whether the raw reply is a whole message of this protocol, and not what is left of one that was streamed."""
    raw = reply.raw
    if reply.protocol != "messages" or not isinstance(raw, Mapping) or raw.get("type") != "message":
        return False
    content = raw.get("content")
    if not isinstance(content, list | tuple) or not all(isinstance(block, Mapping) for block in content):
        return False
    said = [block.get("text") for block in content if block.get("type") == "text"]
    return all(isinstance(text, str) for text in said) and "".join(said) == reply.text


def _own_message(reply: Reply, context: SurfaceContext) -> dict[str, Any]:
    """Return the vendor's message. Fields of the published shape that it has left out are null."""
    raw, names = reply.raw, {call.id: call.name for call in reply.tool_calls}
    content = [_whole_block(_named(block, names)) for block in raw["content"]]
    usage = raw.get("usage")
    return {
        **_UNTOLD,
        **raw,
        "content": closed(content, context.seal, reply.provider),
        "usage": {**UNTOLD_USAGE, **(usage if isinstance(usage, Mapping) else wire_usage(reply.usage))},
    }


def _whole_block(block: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_UNTOLD_OF_BLOCKS.get(str(block.get("type")), {}), **block}


def _named(block: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a block with the client's own name of a tool, where another one was sent for it (AN-T2)."""
    name = names.get(str(block.get("id"))) if block.get("type") == "tool_use" else None
    return block if name in (None, block.get("name")) else {**block, "name": name}


def _content(reply: Reply, context: SurfaceContext, ids: CallIds) -> list[dict[str, Any]]:
    """Return the blocks: thinking first (AN-P9), with what the vendor wants back, then what was said, then calls."""
    blocks: list[dict[str, Any]] = []
    wanted = state(reply, ids)
    if reply.reasoning:
        signature = context.seal.close(wanted or Sealed(reply.provider))
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": signature})
    elif wanted is not None:
        blocks.append({"type": "redacted_thinking", "data": context.seal.close(wanted)})
    cited = [citation(given) for given in reply.citations]
    if reply.text or cited:
        blocks.append({"type": "text", "text": reply.text, "citations": cited or None})
    said = [*map(media_text, reply.media), *([reply.refusal] if reply.refusal else [])]
    blocks += [{"type": "text", "text": text, "citations": None} for text in said]
    return blocks + [_tool_use(call, ids) for call in reply.tool_calls if call.complete]


def _tool_use(call: ToolCall, ids: CallIds) -> dict[str, Any]:
    """Return a call, whose input is an object here; a call that was cut is left out: it must not be made (AN-S7)."""
    try:
        value = jsoncodec.decode_text(call.arguments) if call.arguments.strip() else {}
    except ValueError:
        value = call.arguments
    if not isinstance(value, Mapping):
        value = {} if value is None else {"arguments": value}
    return {"type": "tool_use", "id": ids.of(call.id), "name": call.name, "input": value, **DIRECT}
