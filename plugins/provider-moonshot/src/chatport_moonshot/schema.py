"""JSON Schema as Moonshot takes it (MS-T2): a subset, in which one keyword too many can fail the whole request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import jsoncodec

__all__ = ["Misfit", "fit_schema"]

_ANNOTATIONS = frozenset({"title", "$schema", "$id", "$comment", "examples", "description", "default"})
_OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems"}),
}
_TYPES = ("string", "number", "boolean", "object", "array", "null")
_KINDS: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Misfit(ValueError):
    """A schema that cannot be said in this subset."""


def fit_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the schema in the vendor's subset, and the keywords that are now only words in a description.

    Raises Misfit where the meaning would be lost: a root that is no object (MS-T3), a reference that leads outside.
    """
    definitions = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    root = {key: value for key, value in schema.items() if key not in ("$defs", "definitions")}
    root = dict(_resolved(root, definitions))
    lost: set[str] = set()
    for key in ("anyOf", "oneOf"):
        if root.get("type") == "object" and root.pop(key, None):
            lost.add(key)
    fitted = _fit(root, definitions, lost)
    if fitted.get("type") != "object":
        raise Misfit("its root is no object")
    fitted.setdefault("properties", {})
    defs = {name: _fit(part, definitions, lost) for name, part in definitions.items()}
    return {**fitted, **({"$defs": defs} if defs else {})}, lost


def _fit(schema: Any, definitions: Mapping[str, Any], lost: set[str]) -> dict[str, Any]:
    if schema is False:
        raise Misfit("a part of it allows nothing")
    rest = {} if schema is True else dict(schema)
    if "$ref" in rest:  # MS-T3: nothing may stand beside it
        lost.update(set(rest) - _ANNOTATIONS - {"$ref"})
        return {"$ref": _local(rest["$ref"], definitions)}
    for part in rest.pop("allOf", ()):
        rest = _merged(rest, _resolved(part, definitions))
    if "const" in rest:
        rest["enum"] = [rest.pop("const")]
    about = {key: rest.pop(key) for key in ("description", "default") if key in rest}
    branches = [branch for key in ("anyOf", "oneOf") for branch in rest.pop(key, ())]
    if branches:
        if any("$ref" in branch for branch in branches):
            lost.update(set(rest) - _ANNOTATIONS - {"type"})
        branches = [branch if "$ref" in branch else _merged(rest, branch) for branch in branches]
    elif "enum" in rest:
        return {**_one_kind_each(rest.pop("enum")), **about}
    elif isinstance(rest.get("type"), list):  # MS-T5
        branches = [{**rest, "type": kind} for kind in rest["type"]]
    elif "type" not in rest:
        guess = next((kind for kind, keys in _OF_TYPE.items() if keys & set(rest)), None)
        branches = [{"type": kind} for kind in _TYPES] if guess is None else []
        rest["type"] = guess
    if branches:  # MS-T3: types stand inside the branches, never beside them
        return {"anyOf": [_fit(branch, definitions, lost) for branch in branches], **about}
    return {**_typed(rest, definitions, lost), **_with_rules(about, rest, lost)}


def _typed(schema: Mapping[str, Any], definitions: Mapping[str, Any], lost: set[str]) -> dict[str, Any]:
    fitted = {"type": schema["type"]}
    if schema["type"] == "object":
        if "properties" in schema:
            parts = schema["properties"].items()
            fitted["properties"] = {name: _fit(part, definitions, lost) for name, part in parts}
        if schema.get("required"):
            fitted["required"] = list(schema["required"])
        more = schema.get("additionalProperties")
        if more is not None:
            fitted["additionalProperties"] = _fit(more, definitions, lost) if isinstance(more, dict) and more else more
            if fitted["additionalProperties"] == {}:
                fitted["additionalProperties"] = True
    elif schema["type"] == "array":
        items = schema.get("items")
        places = schema.get("prefixItems") or (items if isinstance(items, list) else [])
        if places:  # MS-T3: no tuples; which place has which type goes into the words
            lost.add("prefixItems")
            items = {"anyOf": places}
        if isinstance(items, dict):
            fitted["items"] = _fit(items, definitions, lost)
    return fitted


def _with_rules(about: dict[str, Any], schema: Mapping[str, Any], lost: set[str]) -> dict[str, Any]:
    """Say in the description what the subset has no keyword for (MS-T4): the model reads it, and is not bound by it."""
    known = _ANNOTATIONS | _OF_TYPE.get(schema["type"], frozenset()) | {"type", "$defs", "definitions"}
    rules = {key: value for key, value in schema.items() if key not in known}
    if not rules:
        return about
    lost.update(rules)
    words = "; ".join(f"{key}: {jsoncodec.encode_text(value)}" for key, value in rules.items())
    return {**about, "description": f"{about.get('description', '')} ({words})".strip()}


def _one_kind_each(values: list[Any]) -> dict[str, Any]:
    """Return an enum with its type, one for each kind of value (MS-T3); true, false and null are types of their own."""
    groups: dict[str, list[Any]] = {}
    for value in values:
        kind = _KINDS.get(type(value))
        if kind is None:
            raise Misfit("an enum has an object or a list in it")
        groups.setdefault(kind, []).append(value)
    plain = ("boolean", "null")
    parts = [{"type": kind, **({} if kind in plain else {"enum": group})} for kind, group in groups.items()]
    return dict(parts[0]) if len(parts) == 1 else {"anyOf": parts}


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = [*dict.fromkeys([*one["required"], *other["required"]])]
    return merged


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference leads to, where only the thing itself will do."""
    for _ in range(8):
        if "$ref" not in part:
            return part
        part = definitions.get(_local(part["$ref"], definitions).removeprefix("#/$defs/"), part)
    raise Misfit("a reference leads to itself")


def _local(reference: str, definitions: Mapping[str, Any]) -> str:
    """Return a reference in the only form there is (MS-T3): to the root, or to a definition there."""
    reference = reference.replace("#/definitions/", "#/$defs/", 1)
    if reference != "#" and reference.removeprefix("#/$defs/") not in definitions:
        raise Misfit(f"the reference {reference!r} does not lead to one of its $defs")
    return reference
