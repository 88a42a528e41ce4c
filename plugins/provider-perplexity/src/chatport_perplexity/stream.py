"""`decode_chunk`, `decode_reply` for Perplexity: what its search has found are the sources of the answer (PX-W3)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chatport import Chunk, Citation, CitationReported, Event, OpaqueReported, hookimpl
from chatport_responses import OPAQUE_KEY

__all__ = ["decode_chunk", "decode_reply"]

_LISTS = {"search_results": "results", "fetch_url_results": "contents"}
_OWN = (*_LISTS, "mcp_list_tools", "mcp_call")


@hookimpl(wrapper=True)
def decode_chunk(chunk: Chunk) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    if b'_results"' not in chunk.raw or not isinstance(chunk.data, Mapping):
        return events
    item, response = chunk.data.get("item"), chunk.data.get("response")
    output = response.get("output") if isinstance(response, Mapping) else None
    return [*_sources([item]), *_sources(output), *map(_returning, events)]


@hookimpl(wrapper=True)
def decode_reply(data: Any) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return [*_sources(data.get("output") if isinstance(data, Mapping) else None), *map(_returning, events)]


def _returning(event: Event) -> Event:
    """Keep what its tools have found out of what goes back with the conversation: it is not taken (PX-F2)."""
    if not isinstance(event, OpaqueReported) or event.key != OPAQUE_KEY:
        return event
    return msgspec.structs.replace(event, value=[item for item in event.value if item.get("type") not in _OWN])


def _sources(output: Any) -> Iterator[CitationReported]:
    """Give the sources that output items name. How the marks in the text refer to them is not documented (PX-W3)."""
    for item in output if isinstance(output, list) else ():
        found = item.get(_LISTS.get(str(item.get("type")), "")) if isinstance(item, Mapping) else None
        for entry in found if isinstance(found, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("url"), str):
                yield CitationReported(_citation(entry))


def _citation(entry: Mapping[str, Any]) -> Citation:
    mark, title, text = entry.get("id"), entry.get("title"), entry.get("snippet")
    read = ("id", "url", "title", "snippet")
    extra = {key: value for key, value in entry.items() if key not in read and value is not None}
    return Citation(
        entry["url"],
        title if isinstance(title, str) else None,
        text=text if isinstance(text, str) else None,
        mark=str(mark) if isinstance(mark, str | int) else None,
        extra=extra,
    )
