"""What a vendor wants back, in the one place where a client carries it: `encrypted_content` (RS-C3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Reply

from ..sealing import Seal, Sealed
from ..state import state_of
from ..surface import SurfaceContext

__all__ = ["sealed_item", "sealed_response", "state_item"]


def state_item(reply: Reply, context: SurfaceContext) -> dict[str, Any] | None:
    """Return the item with what the vendor of an answer wants back, None if it is nothing.

    It is known only at the end, so it is an item of its own. Thoughts too go back to none but whose they are, which it
    tells.
    """
    text = state_of(reply, context.seal, with_reasoning=True)
    if text is None:
        return None
    return {"id": context.new_id("rs_"), "type": "reasoning", "summary": [], "encrypted_content": text}


def sealed_item(item: Any, provider: str, seal: Seal) -> Any:
    """Return a vendor's item with its opaque text sealed, so that it goes back to that vendor only."""
    secret = item.get("encrypted_content") if isinstance(item, Mapping) else None
    if not isinstance(secret, str) or not secret:
        return item
    return {**item, "encrypted_content": seal.close(Sealed(provider, text=secret))}


def sealed_response(response: Mapping[str, Any], provider: str, seal: Seal) -> dict[str, Any]:
    """Return a vendor's response object with all its items sealed."""
    output = response.get("output")
    return {**response, "output": [sealed_item(i, provider, seal) for i in output] if isinstance(output, list) else []}
