"""The part of JSON Schema that Anthropic enforces, in structured output and in strict tools (AN-O3, AN-O4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport.helpers import ClosedSubset, Loss, closed, walk, why_not_closed

__all__ = ["enforceable", "optional_properties", "unions", "why_not_closed"]

_FORMATS = "date-time time date duration email hostname uri ipv4 ipv6 uuid"
_SUBSET = ClosedSubset(frozenset({"pattern", "format"}), frozenset(_FORMATS.split()), most_least_items=1)


def enforceable(schema: Mapping[str, Any], losses: list[Loss]) -> dict[str, Any]:
    """Return the schema as it can be enforced. What cannot goes into the descriptions, and is recorded as lost."""
    return closed(schema, _SUBSET, losses)


def optional_properties(schema: Mapping[str, Any]) -> int:
    """Return how many properties may be left out, in all objects of a schema (AN-T18)."""
    objects = [node for _, node in walk(schema) if isinstance(node, Mapping)]
    return sum(len(set(node.get("properties") or {}) - set(node.get("required") or ())) for node in objects)


def unions(schema: Mapping[str, Any]) -> int:
    """Return how many places of a schema have more than one type (AN-T18)."""
    objects = [node for _, node in walk(schema) if isinstance(node, Mapping)]
    return sum("anyOf" in node or "oneOf" in node or isinstance(node.get("type"), list) for node in objects)
