"""The sources of one answer: each once, whichever chunk repeats it."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from .. import jsoncodec
from ..errors import over_limit
from ..events import CitationAdded, CitationReported
from ..types import Citation

__all__ = ["Citations"]


class Citations:
    """Holds them by choice, in the order in which they came. `size` and `values` are what they weigh."""

    def __init__(self, most: int) -> None:
        self.size = self.values = 0
        self._most = most
        self._count = 0
        self._held: dict[int, dict[Hashable, Citation]] = {}

    def take(self, event: CitationReported, at: int) -> CitationAdded | None:
        """Take a source; return what the caller gets of it, None where it is known. `at` is the length of the text.

        Raises MalformedReplyError if there are too many.
        """
        citation = attrs.evolve(event.citation, span=(at, at)) if event.here else event.citation
        held = self._held.setdefault(event.choice, {})
        key = _key(citation)
        known = held.get(key)
        if known is None:
            if self._count >= self._most:
                raise over_limit("The reply", self._most, "citations", "parts")
            self._count += 1
            self._weigh(citation)
            held[key] = citation
            return CitationAdded(citation, event.choice)
        if _adds(known, citation):
            self._weigh(citation)
            held[key] = _filled(known, citation)
        return None

    def _weigh(self, citation: Citation) -> None:
        extra = jsoncodec.encode_anything(citation.extra) if citation.extra else b""
        self.size += sum(len(text or "") for text in (citation.url, citation.title, citation.text)) + len(extra)
        self.values += jsoncodec.count_values(extra)

    def of(self, choice: int, *, is_first: bool) -> tuple[Citation, ...]:
        """Return those of a choice. What is told beside the choices belongs to the first, whatever its number."""
        own = self._held.get(choice, {})
        return tuple(own.values()) if choice == 0 or not is_first else (*own.values(), *self._held.get(0, {}).values())


def _key(citation: Citation) -> Hashable:
    """Return what two tellings of one source share: the address, where it is cited for all of the answer."""
    if citation.url is not None and citation.span is None:
        return citation.url
    return (citation.url, citation.title, citation.span, citation.text, citation.mark)


def _adds(known: Citation, again: Citation) -> bool:
    return bool((again.title and not known.title) or (again.text and not known.text))


def _filled(known: Citation, again: Citation) -> Citation:
    """Return a source with what a later telling adds to it."""
    return attrs.evolve(
        known, title=known.title or again.title, text=known.text or again.text, extra={**again.extra, **known.extra}
    )
