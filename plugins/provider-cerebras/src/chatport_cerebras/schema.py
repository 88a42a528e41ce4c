"""Schemas that Cerebras can be strict about: closed objects, a union in place of a list of types (CB-J2, CB-J3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport.helpers import ClosedSubset, Loss, closed, walk, why_not_closed, with_parts

__all__ = ["strict_schema", "why_not_strict"]

_SUBSET = ClosedSubset()
"""No keyword beside types, enums, unions and references is known to be enforced."""


def why_not_strict(schema: Mapping[str, Any]) -> str | None:
    """Return what keeps a schema from being strict without changing its meaning, None if nothing does."""
    bare = (path for path, node in walk(schema) if isinstance(node, Mapping) and _is_bare_array(node))
    return why_not_closed(schema) or next((f"an array without items at {path or 'its root'}" for path in bare), None)


def strict_schema(schema: Mapping[str, Any], losses: list[Loss]) -> dict[str, Any]:
    """Return the schema in the strict subset. What is not enforced goes into the descriptions, and is told."""
    sent: dict[str, Any] = _renamed(closed(schema, _SUBSET, losses))
    return sent


def _renamed(node: Any) -> Any:
    """Write `definitions` as `$defs`, and each of several types as a part of a union."""
    if not isinstance(node, Mapping):
        return node
    node = {"$defs" if key == "definitions" else key: value for key, value in node.items()}
    if isinstance(node.get("$ref"), str):
        node["$ref"] = node["$ref"].replace("#/definitions/", "#/$defs/")
    types = node.get("type")
    if isinstance(types, list | tuple) and "anyOf" not in node:
        rest = {key: value for key, value in node.items() if key not in ("type", "description", "title", "default")}
        node = {key: value for key, value in node.items() if key in ("description", "title", "default")}
        node["anyOf"] = [{"type": name, **_of_type(name, rest)} for name in dict.fromkeys(types)]
    return with_parts(node, "", lambda part, _: _renamed(part))


def _of_type(name: str, rest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a schema is about values of this type."""
    about = {"object": ("properties", "required", "additionalProperties"), "array": ("items",)}
    others = {key for kind, keys in about.items() if kind != name for key in keys}
    return {key: value for key, value in rest.items() if key not in others}


def _is_bare_array(node: Mapping[str, Any]) -> bool:
    types = node.get("type")
    return "array" in (types if isinstance(types, list | tuple) else [types]) and not node.keys() & {
        "items",
        "prefixItems",
    }
