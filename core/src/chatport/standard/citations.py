"""The sources of an answer: the shapes in which servers name them, as citations.

Beside the message stand annotations with a span (`url_citation`, `file_citation`, …), parts between its texts that
refer to a document (MI-W2), and lists of what a search has found, in the message or beside the choices (PX-W4, GL-T5).
Where two lists tell of the same addresses, the one to which the marks in the text refer goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import jsoncodec
from ..events import CitationReported
from ..types import Citation

__all__ = ["SOURCES", "is_citation", "references", "sources", "sources_in"]

SOURCES: Mapping[str, str] = {
    "annotations": "",
    "citations": "",
    "search_results": "",
    "web_search": "",
    "references": "",
    "search_info": "search_results",
    "context": "citations",
    "executed_tools": "search_results",
}
"""The members of a reply or a message that name sources, and what holds the list inside them."""
_OF_OTHERS = "web_search_citations"
"""The same inside an object of the server's own."""

_URL = ("url", "link", "uri", "href", "source_url")
_TITLE = ("title", "document_title", "name", "filename", "file_name", "filepath", "source")
_TEXT = ("cited_text", "quote", "snippet", "content", "summary", "description", "text")
_MARK = ("refer", "reference_id", "document_id", "file_id", "tool_call_id", "index", "id")
_SPANS = (("start_index", "end_index"), ("start", "end"))


def sources(holder: Mapping[str, Any], choice: int = 0) -> Iterator[CitationReported]:
    """Give the sources that a reply, a chunk or a message names beside its text."""
    found: list[tuple[str, list[Any]]] = []
    if not SOURCES.keys().isdisjoint(holder):
        found = [(name, list(_items(holder[name], SOURCES[name]))) for name in SOURCES if holder.get(name)]
    for value in holder.values():
        if isinstance(value, dict) and _OF_OTHERS in value:  # a check for any mapping takes ten times as long
            found.append(("", list(_list(value[_OF_OTHERS]))))
    if not found:
        return
    titled = {item["url"]: item for _, items in found for item in items if isinstance(item, Mapping) and _url(item)}
    for name, items in found:
        for number, item in enumerate(items, 1):
            if name == "citations" and isinstance(item, str):
                item = titled.get(item, item)
            mark = None if name == "annotations" else f"doc{number}" if name == "context" else str(number)
            yield from (CitationReported(citation, choice) for citation in _read(item, mark))


def references(part: Mapping[str, Any], choice: int) -> Iterator[CitationReported]:
    """Give the sources to which a part of a content refers, at its place."""
    if part.get("type") == "reference":
        for mark in _list(part.get("reference_ids")):
            yield CitationReported(Citation(mark=_text(mark)), choice, here=True)
    elif part.get("type") == "tool_reference":
        yield from (CitationReported(citation, choice, here=True) for citation in _read(part, None))
    else:
        for item in _list(part.get("annotations") or part.get("citations")):
            # Their spans count from the beginning of this part.
            yield from (CitationReported(citation, choice, here=True) for citation in _read(item, None))


def sources_in(thought: Mapping[str, Any], choice: int) -> Iterator[CitationReported]:
    """Give the sources to which a part of a thought refers: they have no place in the text."""
    return (CitationReported(found.citation, choice) for found in references(thought, choice))


def is_citation(item: Any) -> bool:
    """Whether an annotation names a source: some are notes of another kind, such as a file that was read (OR-M3)."""
    is_named_so = isinstance(item, Mapping) and str(item.get("type")).endswith("citation")
    return is_named_so or next(_read(item, None), None) is not None


def _url(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("url"), str)


def _items(value: Any, inner: str) -> Iterable[Any]:
    if not inner:
        return _list(value)
    holders = value if isinstance(value, list) else [value]
    lists = [holder.get(inner) for holder in holders if isinstance(holder, Mapping)]
    return [item for each in lists for item in _list(each.get("results") if isinstance(each, Mapping) else each)]


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _read(item: Any, mark: str | None) -> Iterator[Citation]:
    """Give what one entry says; an entry may name several sources for one span."""
    if isinstance(item, str) and item:
        text = jsoncodec.whole(item)
        yield Citation(text, mark=mark) if "://" in text[:16] else Citation(None, text, mark=mark)
    if not isinstance(item, Mapping) or item.get("type") == "file":  # a file that was read is a note for next time
        return
    inner = item.get(str(item.get("type")))
    if isinstance(inner, Mapping):
        item = {**{name: value for name, value in item.items() if name not in ("type", str(item["type"]))}, **inner}
    several = _list(item.get("sources"))
    if several:
        span = _span(item)
        for source in several:
            document = source.get("document") if isinstance(source, Mapping) else None
            whole = {**source, **document} if isinstance(document, Mapping) else source
            yield from (_spanned(citation, span) for citation in _read(whole, mark))
        return
    found = _citation(item, mark)
    if found is not None:
        yield found


def _citation(item: Mapping[str, Any], mark: str | None) -> Citation | None:
    taken: set[str] = {"type", "document", *_SPANS[0], *_SPANS[1]}
    url, title, text, own = (_first(item, names, taken) for names in (_URL, _TITLE, _TEXT, _MARK))
    if url is None and title is None and text is None and own is None:
        return None
    extra = {name: value for name, value in item.items() if name not in taken and value is not None}
    return Citation(url, title, _span(item), text, own or mark, jsoncodec.without_halves(extra))


def _spanned(citation: Citation, span: tuple[int, int] | None) -> Citation:
    return Citation(citation.url, citation.title, span, citation.text, citation.mark, citation.extra)


def _first(item: Mapping[str, Any], names: Sequence[str], taken: set[str]) -> str | None:
    for name in names:
        text = _text(item.get(name))
        if text:
            taken.add(name)
            return text
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return jsoncodec.whole(value) or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _span(item: Mapping[str, Any]) -> tuple[int, int] | None:
    for first, last in _SPANS:
        start, end = item.get(first), item.get(last)
        if type(start) is int and type(end) is int and 0 <= start <= end:
            return (start, end)
    return None
