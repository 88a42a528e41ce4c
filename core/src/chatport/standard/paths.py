"""Body fields by a name with dots, which reaches into objects: `thinking.budget_tokens`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import WireRequest

__all__ = ["at", "has", "holds", "is_same", "laid_over", "put", "without"]

_MISSING = object()


def at(body: Mapping[str, Any], field: str, default: Any = None) -> Any:
    """Return what a field holds, the default where it is not there."""
    value: Any = body
    for name in field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def has(body: Mapping[str, Any], field: str) -> bool:
    """Whether a field is there, be it null."""
    return at(body, field, _MISSING) is not _MISSING


def put(wire: WireRequest, field: str, value: Any) -> WireRequest:
    """Return the request with a field set; objects on the way are made."""
    root, _, rest = field.partition(".")
    return wire.set(root, _with(wire.body.get(root), rest, value) if rest else value)


def _with(old: Any, field: str, value: Any) -> Mapping[str, Any]:
    name, _, rest = field.partition(".")
    known = old if isinstance(old, Mapping) else {}
    return {**known, name: _with(known.get(name), rest, value) if rest else value}


def laid_over(wire: WireRequest, fields: Mapping[str, Any]) -> WireRequest:
    """Return the request that says all of this; of an object only what is named changes."""
    for name, value in fields.items():
        said = wire.body.get(name)
        if isinstance(value, Mapping) and isinstance(said, Mapping):
            value = {**said, **value}
        wire = wire.set(name, value)
    return wire


def without(wire: WireRequest, field: str) -> WireRequest:
    """Return the request without a field, and without an object that held nothing else."""
    root, _, rest = field.partition(".")
    if not rest:
        return wire.discard(root)
    inner = wire.body.get(root)
    if not isinstance(inner, Mapping) or not has(inner, rest):
        return wire
    left = _but(inner, rest)
    return wire.set(root, left) if left else wire.discard(root)


def _but(table: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    name, _, rest = field.partition(".")
    left = {key: value for key, value in table.items() if key != name}
    inner = _but(table[name], rest) if rest else None
    return {**left, name: inner} if inner else left


def holds(body: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether the body says all of this; of an object only what is named counts."""
    for name, value in fields.items():
        said = body.get(name)
        if isinstance(value, Mapping):
            if not isinstance(said, Mapping) or not holds(said, value):
                return False
        elif not is_same(said, value):
            return False
    return True


def is_same(value: Any, other: Any) -> bool:
    """Whether two values of a body are the same JSON: True is not 1, and a frozen dict is a dict."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
