"""JSON Schema in a closed subset, for decoders that enforce it: objects have the properties that are listed, no others.

What makes the whole unenforceable (free keys, values of any type, recursion) is told by `why_not_closed`; what is only
a keyword too many goes into the descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from .schemas import (
    ANNOTATIONS,
    MOST_LEVELS,
    Loss,
    excludes_itself,
    has_type,
    in_words,
    joined,
    parts,
    resolved,
    with_parts,
)  # fmt: skip

__all__ = ["ClosedSubset", "closed", "why_not_closed"]

_DEFINITIONS = ("$defs", "definitions")
_INSIDE = frozenset({"properties", "items", "anyOf", "oneOf", "allOf", *_DEFINITIONS})
_ENFORCED = _INSIDE | ANNOTATIONS | {"type", "required", "additionalProperties", "enum", "const"}
_SAYS_WHAT = ("type", "properties", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")
_NOT_SENT = frozenset({"discriminator", "$schema"})


@attrs.frozen
class ClosedSubset:
    """What a vendor's closed subset has beside types, enums, unions and references.

    `keywords` are enforced too; `formats` are the formats that are, if `format` is among them; `most_least_items`: how
    large `minItems` may be, None: it is not enforced.
    """

    keywords: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    most_least_items: int | None = None


# --- whether it can be enforced


def why_not_closed(schema: Mapping[str, Any]) -> str | None:
    """Return what keeps a schema from being enforced at all, with its path; None if nothing does."""
    return next(_obstacles(schema, schema, "", (), set(), 0), None)


def _obstacles(
    node: Any, root: Mapping[str, Any], path: str, above: tuple[str, ...], clear: set[str], level: int
) -> Iterator[str]:
    """Give the obstacles. What `clear` refers to has none, and is not walked again: it would double at every level."""
    problem = _obstacle(node, root, above) if level < MOST_LEVELS else f"more than {MOST_LEVELS} levels"
    if problem:
        yield f"{problem} at {path}" if path else problem
        return
    if "$ref" in node and node["$ref"] not in clear:
        reference = str(node["$ref"])
        target, place = resolved(reference, root) or ({}, "")
        yield from _obstacles(target, root, place, (*above, reference), clear, level + 1)
        clear.add(reference)
    for place, part in parts({key: value for key, value in node.items() if key in _INSIDE}, path):
        yield from _obstacles(part, root, place, above, clear, level + 1)


def _obstacle(node: Any, root: Mapping[str, Any], above: tuple[str, ...]) -> str | None:
    if node is False:
        return "a place that allows nothing"
    if not isinstance(node, Mapping) or not any(key in node for key in _SAYS_WHAT):
        return "a value of any type"
    reference = str(node.get("$ref", ""))
    if reference in ("#", *above):
        return "recursion"
    if reference and resolved(reference, root) is None:
        return f"the outside reference {reference}"
    properties = node.get("properties")
    if has_type(node, "object") and (
        node.get("additionalProperties", properties is None) or "patternProperties" in node
    ):
        return "an object with free keys"
    if properties and ("anyOf" in node or "oneOf" in node):
        return "an object with properties both in itself and in a union"
    if set(node.get("required") or ()) - set(properties or ()):
        return "a required property that is not described"
    if any(isinstance(part, Mapping) and "$ref" in part for part in node.get("allOf") or ()):
        return "allOf with $ref"
    return None


# --- what of it can be enforced


def closed(schema: Mapping[str, Any], subset: ClosedSubset, losses: list[Loss], path: str = "") -> dict[str, Any]:
    """Return the schema as it can be enforced. What cannot goes into the descriptions, and is recorded as lost."""
    if "$ref" in schema:
        beside = sorted(schema.keys() - ANNOTATIONS - {"$ref", *_DEFINITIONS})
        losses.extend(Loss(path, key, "only a $ref is kept of its place: it is gone") for key in beside)
        clean = {key: value for key, value in schema.items() if key in ("$ref", *_DEFINITIONS)}
    else:
        clean = _united(schema, path, losses)
        clean = in_words(clean, _not_enforced(clean, subset), path, losses)
        if has_type(clean, "object") or "properties" in clean:
            clean["additionalProperties"] = False
    clean = with_parts(
        clean, path, lambda part, at: closed(part, subset, losses, at) if isinstance(part, Mapping) else part
    )
    return {"anyOf" if key == "oneOf" else key: value for key, value in clean.items()}


def _united(schema: Mapping[str, Any], path: str, losses: list[Loss]) -> dict[str, Any]:
    """Make one schema of what `allOf` joins, since each of its parts would be closed by itself."""
    node = {key: value for key, value in schema.items() if key not in _NOT_SENT and key != "allOf"}
    for part in schema.get("allOf") or ():
        node = joined(node, _united(part, path, losses) if isinstance(part, Mapping) else {}, path, losses)
    if "oneOf" in node and ("anyOf" in node or not excludes_itself(node["oneOf"])):
        losses.append(Loss(path, "oneOf", "gone, beside anyOf" if "anyOf" in node else "sent as anyOf"))
    if "anyOf" in node:
        node.pop("oneOf", None)
    return node


def _not_enforced(node: Mapping[str, Any], subset: ClosedSubset) -> set[str]:
    out = node.keys() - _ENFORCED - subset.keywords
    if subset.most_least_items is not None and node.get("minItems", 0) <= subset.most_least_items:
        out.discard("minItems")
    if "format" in node and node["format"] not in subset.formats:
        out.add("format")
    if isinstance(node.get("items"), bool | list) or "prefixItems" in node:
        out |= node.keys() & {"items"}
    out |= {key for key in ("enum", "const") if _is_complex(node.get(key))}
    return set(out)


def _is_complex(values: Any) -> bool:
    """Whether an enum or constant has more than plain values."""
    return isinstance(values, dict) or (isinstance(values, list) and any(isinstance(v, dict | list) for v in values))
