"""`reasoning_details`: which of them a model takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["author_of", "suited"]

_FAMILIES = {"anthropic": "anthropic", "gemini": "google", "openai": "openai", "xai": "x-ai", "meta": "meta-llama"}
"""A word of a format's name, and whose models give it (OR-R3)."""
_SIGNED = ("anthropic", "google")


def author_of(model: str) -> str:
    """Return the vendor's name in a model id, such as `google/gemini-3.5-flash` or `~anthropic/…-latest` (OR-E8)."""
    return model.lstrip("~").partition("/")[0]


def suited(details: Sequence[Any], model: str) -> tuple[list[Any], set[tuple[str, str]]]:
    """Return the items that this model takes, and for those left out the facts and reasons.

    Anthropic and Gemini refuse thoughts without a signature (OR-R4), and everybody another one's (OR-R6).
    """
    author, good, lost = author_of(model), [], set()
    for item in details:
        maker = _maker(item) or author
        if maker != author and author in _FAMILIES.values():
            lost.add(("OR-R6", f"reasoning of another vendor's model, which {author} does not take"))
        elif maker in _SIGNED and _is_unsigned(item):
            lost.add(("OR-R4", "reasoning without its signature, which would be refused"))
        else:
            good.append(item)
    return good, lost


def _is_unsigned(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "reasoning.text" and not item.get("signature")


def _maker(item: Any) -> str | None:
    """Return whose item it is; None where the format does not say."""
    name = str(item.get("format") or "") if isinstance(item, Mapping) else ""
    return next((maker for word, maker in _FAMILIES.items() if word in name), None)
