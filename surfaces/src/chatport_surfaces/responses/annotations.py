"""The sources of an answer as annotations of its text (RS-T4), and how likely its tokens were (RS-T5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Citation

__all__ = ["annotation", "logprobs_of"]


def annotation(citation: Citation, start: int, length: int) -> dict[str, Any]:
    """Return a source of a text that begins at a place of the answer; it is for all of it unless it says for what.

    `length` is that of the text so far: where an annotation ends has to be said.
    """
    first, last = citation.span or (start, start + length)
    first, last = max(first - start, 0), max(last - start, 0)
    if citation.url is None:
        name = citation.title or citation.mark or ""
        return {
            "type": "file_citation",
            "file_id": str(citation.extra.get("file_id") or ""),
            "filename": name,
            "index": last,
        }
    title = citation.title or citation.url
    return {"type": "url_citation", "url": citation.url, "title": title, "start_index": first, "end_index": last}


def logprobs_of(logprobs: Any) -> list[Mapping[str, Any]]:
    """Return the entries of what a vendor has told, which may stand under `content`; none if they have another form."""
    entries = logprobs.get("content") if isinstance(logprobs, Mapping) else logprobs
    if not isinstance(entries, list | tuple):
        return []
    return [_entry(entry) for entry in entries if isinstance(entry, Mapping) and "token" in entry]


def _entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    others = [_entry(other) for other in entry.get("top_logprobs") or () if isinstance(other, Mapping)]
    token = {"token": entry["token"], "logprob": entry.get("logprob"), "bytes": entry.get("bytes") or []}
    return {**token, "top_logprobs": others} if "top_logprobs" in entry else token
