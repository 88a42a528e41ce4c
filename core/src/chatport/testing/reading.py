"""What a chat request says, read by emulators: texts, parts, functions, and which call is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .wire import list_of, table_of

__all__ = ["chosen_name", "functions_of", "must_call", "parts_of", "text_of"]


def text_of(content: Any) -> str:
    """Return the text of a message's content: the content itself, or its parts that have some."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in list_of(content) if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def parts_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts of a message's content, none if it is a text or empty."""
    return [part for part in list_of(message.get("content")) if isinstance(part, Mapping)]


def functions_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the functions among the tools; what else there is, a vendor's server runs by itself."""
    functions = [table_of(table_of(tool).get("function")) for tool in list_of(body.get("tools"))]
    return [function for function in functions if isinstance(function.get("name"), str)]


def must_call(body: Mapping[str, Any]) -> bool:
    """Whether the choice leaves the model no answer but a call: by a word, a name, or the mode of allowed tools."""
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        mode = table_of(choice.get("allowed_tools")).get("mode") or choice.get("mode")
        return chosen_name(body) is not None or mode == "required"
    return choice not in (None, "auto", "none")


def chosen_name(body: Mapping[str, Any]) -> str | None:
    """Return the name of the function that must be called, None if none is named."""
    name = table_of(table_of(body.get("tool_choice")).get("function")).get("name")
    return name if isinstance(name, str) else None
