"""`reasoning_details`: which of them a model takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["author_of", "suited", "why_not_suited"]

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
    good, lost = [], set()
    for item in details:
        loss = why_not_suited(item, model, is_signed=not _is_unsigned(item))
        if loss is None:
            good.append(item)
        else:
            lost.add(loss)
    return good, lost


def why_not_suited(item: Any, model: str, *, is_signed: bool) -> tuple[str, str] | None:
    """Return the fact and the reason for which a model does not take a thought, None if it does."""
    author = author_of(model)
    maker = _maker(item) or author
    if maker != author and author in _FAMILIES.values():
        return ("OR-R6", f"reasoning of another vendor's model, which {author} does not take")
    if maker in _SIGNED and not is_signed:
        return ("OR-R4", "reasoning without its signature, which would be refused")
    return None


def _is_unsigned(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "reasoning.text" and not item.get("signature")


def _maker(item: Any) -> str | None:
    """Return whose item it is; None where the format does not say."""
    name = str(item.get("format") or "") if isinstance(item, Mapping) else ""
    return next((maker for word, maker in _FAMILIES.items() if word in name), None)
