"""Pieces of an answer in the protocol's shapes, which whole answers and streams share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatport import Citation, Media, Reply

from ..sealing import Sealed
from ..surface import SurfaceContext

__all__ = ["DIRECT", "CallIds", "citation", "envelope", "media_text", "state"]

_COUNTED = re.compile(r"(call_\d{1,3})?")
"""Ids of a vendor that has none, or counts them in each answer: in a long conversation they are not told apart."""


DIRECT = {"caller": {"type": "direct"}}
"""The model itself has made the call, and no program (AN-T8): in the published shape, but not from every vendor."""


class CallIds:
    """The ids of an answer's calls as the client gets them: the vendor's, but for those that each answer repeats."""

    def __init__(self, context: SurfaceContext) -> None:
        self._context = context
        self._given: dict[str, str] = {}

    def of(self, call_id: str) -> str:
        """Return the id for the client, the same each time."""
        if not _COUNTED.fullmatch(call_id):
            return call_id
        return self._given.setdefault(call_id, self._context.new_id("toolu_"))


def envelope(reply: Reply, context: SurfaceContext) -> dict[str, Any]:
    """Return a message without content, end and counts (AN-S3)."""
    known = reply.id or ""
    own = known if known.startswith("msg_") else context.new_id("msg_")
    return {"id": own, "type": "message", "role": "assistant", "model": reply.model, "container": None}


def state(reply: Reply, ids: CallIds) -> Sealed | None:
    """Return what the vendor wants back and no block holds, None if there is nothing."""
    calls: Mapping[str, Any] = {ids.of(call.id): call.extra for call in reply.tool_calls if call.extra}
    return Sealed(reply.provider, reply.opaque, calls) if reply.opaque or calls else None


def citation(given: Citation) -> dict[str, Any]:
    """Return a source as one of a search, the only kind that names a page."""
    return {
        "type": "web_search_result_location",
        "url": given.url or "",
        "title": given.title,
        "cited_text": given.text or "",
        "encrypted_index": "",
    }


def media_text(media: Media) -> str:
    """Return words for what the protocol cannot carry in an answer, so that it is not lost unsaid."""
    if media.url is not None and not media.url.startswith("data:"):
        return f"![{media.kind}]({media.url})" if media.kind == "image" else f"[{media.kind}]({media.url})"
    return f"[The answer has an {media.kind} here ({media.media_type or 'of unknown type'}), which cannot be shown.]"
