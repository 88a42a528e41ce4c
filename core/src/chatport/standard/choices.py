"""What a `tool_choice` on the wire says: in the standard's words, or in those of some vendor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["WORDS", "choice_kind", "function_name", "is_forced", "is_required", "standard_choice"]

WORDS = frozenset(("auto", "none", "required", "any"))
"""What is said by a bare word; other protocols have the same in an object."""


def choice_kind(choice: Any) -> str:
    """Return the kind that a rule may list: `named` for one function, else the word, or the type of the object."""
    if isinstance(choice, str):
        return choice
    if function_name(choice) is not None:
        return "named"
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    return kind if isinstance(kind, str) else ""


def is_required(choice: Any) -> bool:
    """Whether some tool must be called, whichever it is."""
    return choice_kind(choice) in ("required", "any") or _allowed_mode(choice) == "required"


def is_forced(choice: Any) -> bool:
    """Whether a tool must be called, any or a certain one."""
    is_named = isinstance(choice, Mapping) and choice_kind(choice) not in ("auto", "none", "allowed_tools")
    return is_named or is_required(choice)


def standard_choice(choice: Any, functions: Collection[str]) -> Any:
    """Return the same choice in the standard's words, None where it has none for it."""
    kind = choice_kind(choice)
    if kind in ("auto", "none"):
        return kind
    if kind == "any":
        return "required"
    name = choice.get("name") if isinstance(choice, Mapping) and kind in ("tool", "function") else None
    return {"type": "function", "function": {"name": name}} if name in functions else None


def function_name(tool: Any) -> Any:
    """Return the name of the function that a tool, or a choice, is about; None where it is about none."""
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return function.get("name") if isinstance(function, Mapping) else None


def _allowed_mode(choice: Any) -> Any:
    allowed = choice.get("allowed_tools") if isinstance(choice, Mapping) else None
    return allowed.get("mode") if isinstance(allowed, Mapping) else None
