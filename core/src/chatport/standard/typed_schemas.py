"""JSON Schema in a typed subset, for decoders that hold a model to a grammar and take no schema outside of it.

In it each place has one type, or is a bare reference to a definition at the root, or a union of such places; an enum
has values of one kind; there are no `allOf`, `oneOf`, `const` and tuples. The schema is turned into what means the same
where that can be, and what cannot be said is told in the description. The root is an object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .schemas import (
    ANNOTATIONS,
    Allowance,
    Loss,
    TooLarge,
    below,
    excludes_itself,
    in_words,
    joined,
    types_of,
)

__all__ = ["Misfit", "fit_typed"]

_NOT_SENT = frozenset({"$defs", "definitions"}) | ANNOTATIONS - {"description", "default"}
_OBJECT = frozenset({"properties", "required", "additionalProperties"})
_ARRAY = frozenset({"items", "prefixItems"})
_TYPES = ("string", "number", "boolean", "object", "array", "null")
_KINDS: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_SPEAKS_OF: Mapping[str, Collection[str]] = {  # a keyword says nothing about values of other types
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), ("string",)),
    **dict.fromkeys(_NUMBERS, ("integer", "number")),
    **dict.fromkeys((*_ARRAY, "minItems", "maxItems", "uniqueItems", "contains", "additionalItems"), ("array",)),
    **dict.fromkeys((*_OBJECT, "minProperties", "maxProperties", "patternProperties", "propertyNames"), ("object",)),
}


class Misfit(ValueError):
    """A schema that cannot be said in the typed subset."""


def fit_typed(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    """Return the schema in the typed subset, and the places that lost a keyword by it.

    Raises Misfit where the meaning would be lost, a root that is no object, a reference that leads outside; and
    where the schema outgrows its allowance.
    """
    fitting = _Fitting({**schema.get("definitions", {}), **schema.get("$defs", {})}, Allowance(schema, "it"))
    try:
        return _fitted(schema, fitting)
    except TooLarge as problem:
        raise Misfit(problem.message.rstrip(".")) from None


def _fitted(schema: Mapping[str, Any], fitting: _Fitting) -> tuple[dict[str, Any], list[Loss]]:
    within: list[str] = []
    root = fitting.resolved({k: v for k, v in schema.items() if k not in ("$defs", "definitions")}, "", within)
    for key in ("anyOf", "oneOf"):
        if root.get("type") == "object" and root.pop(key, None):
            fitting.losses.append(Loss("", key, "the root takes no unions: it is gone"))
    fitted = fitting.fit(root, "", tuple(within))
    if fitted.get("type") != "object":
        raise Misfit("its root is no object")
    fitted.setdefault("properties", {})
    place = "$defs" if "$defs" in schema else "definitions"
    defs = {name: fitting.fit(part, below(place, name)) for name, part in fitting.definitions.items()}
    return {**fitted, **({"$defs": defs} if defs else {})}, fitting.losses


class _Fitting:
    """One schema on its way into the subset: its definitions, and what was lost so far."""

    def __init__(self, definitions: Mapping[str, Any], allowance: Allowance) -> None:
        self.definitions = definitions
        self.allowance = allowance
        self.losses: list[Loss] = []

    def lose(self, keywords: Collection[str], path: str, reason: str) -> None:
        self.losses.extend(Loss(path, keyword, reason) for keyword in sorted(keywords))

    def fit(self, schema: Any, path: str, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the schema of one place. `within` are the references that were written out around it."""
        if schema is False:
            raise Misfit("a part of it allows nothing")
        rest = {} if schema is True else {key: value for key, value in schema.items() if key not in _NOT_SENT}
        with self.allowance.inside(rest):
            return self._fit(rest, path, within)

    def _fit(self, rest: dict[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        if "$ref" in rest:  # nothing may stand beside it
            self.lose(rest.keys() - ANNOTATIONS - {"$ref"}, path, "nothing may stand beside a $ref: it is gone")
            return {"$ref": self.local(rest["$ref"])}
        opened = list(within)
        for number, part in enumerate(rest.pop("allOf", ())):
            place = f"{below(path, 'allOf')}[{number}]"
            whole = self.resolved(_as_mapping(part), place, opened)
            rest = joined(rest, {k: v for k, v in whole.items() if k not in _NOT_SENT}, path, self.losses)
        about: dict[str, Any] = {key: rest.pop(key) for key in ("description", "default") if key in rest}
        if "const" in rest:
            rest["enum"] = [value for value in rest.get("enum", [rest["const"]]) if value == rest["const"]]
            del rest["const"]
        if "enum" in rest:
            return {**self.enumerated(rest, path), **about}
        branches = self.branches(rest, path)
        if branches:  # types stand inside the branches, never beside them
            return {"anyOf": [self.fit(branch, place, tuple(opened)) for place, branch in branches], **about}
        return self.typed(rest, about, path, tuple(opened))

    def branches(self, rest: dict[str, Any], path: str) -> list[tuple[str, Any]]:
        """Return the branches of a union, with what stands beside it inside each; none where there is no union."""
        unions = {key: rest.pop(key) for key in ("anyOf", "oneOf") if rest.get(key)}
        if len(unions) == 2:
            self.lose({"oneOf"}, path, "stands beside anyOf: it is gone")
            del unions["oneOf"]
        for key, branches in unions.items():
            places = [(f"{below(path, key)}[{number}]", branch) for number, branch in enumerate(branches)]
            if key == "oneOf" and not excludes_itself(branches):
                self.lose({"oneOf"}, path, "sent as anyOf, of which more than one may fit")
            if any("$ref" in branch for _, branch in places if isinstance(branch, Mapping)):
                self.lose(rest.keys() - ANNOTATIONS, path, "nothing may stand beside a $ref, nor be joined with it")
                rest = {}
            return [(place, joined(rest, _as_mapping(branch), place, self.losses)) for place, branch in places]
        kinds = tuple(dict.fromkeys(types_of(rest)))
        if not kinds:
            kinds = ("object",) if _OBJECT & rest.keys() else ("array",) if _ARRAY & rest.keys() else _TYPES
        rest["type"] = kinds[0]
        return [] if len(kinds) == 1 else [(path, {**rest, "type": kind}) for kind in kinds]

    def enumerated(self, rest: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Return an enum with its type, one for each kind of value; true, false and null are types.

        What else is said of the value is said by leaving out what does not fit. Null stays: who lists it means it.
        """
        root = {"$defs": self.definitions, "definitions": self.definitions}
        others = {key: value for key, value in rest.items() if key != "enum"}
        from ..schemas.check import Budget, examine  # loaded when there is something to check

        budget = Budget()  # for all values: what they do not suffice for stays, and the vendor may judge it
        fits = [not examine(value, others, root, most=1, budget=budget).violations for value in rest["enum"]]
        values = [value for value, fitting in zip(rest["enum"], fits, strict=True) if value is None or fitting]
        groups: dict[str, list[Any]] = {}
        for value in values:
            if type(value) not in _KINDS:
                raise Misfit("an enum has an object or a list in it")
            groups.setdefault(_KINDS[type(value)], []).append(value)
        if len(groups.get("boolean", (True, False))) < 2:
            self.lose({"enum"}, path, "there are no enums of true or false: either is allowed")
        plain = ("boolean", "null")
        parts = [{"type": kind, **({} if kind in plain else {"enum": group})} for kind, group in groups.items()]
        if not parts:
            raise Misfit("an enum has no value that fits")
        return dict(parts[0]) if len(parts) == 1 else {"anyOf": parts}

    def typed(
        self, schema: Mapping[str, Any], about: Mapping[str, Any], path: str, within: tuple[str, ...]
    ) -> dict[str, Any]:
        kind = schema["type"]
        fitted = {"type": kind}
        if kind == "object":
            fitted |= self.object(schema, path, within)
        elif kind == "array":
            fitted |= self.array(schema, path, within)
        known = {"type", *(_OBJECT if kind == "object" else {"items", "prefixItems"} if kind == "array" else ())}
        rules = {key for key in schema if key not in known and kind in _SPEAKS_OF.get(key, (kind,))}
        self.allowance.spend({key: schema[key] for key in rules})
        told = in_words({**about, **{key: schema[key] for key in rules}}, rules, path, self.losses)
        return {**fitted, **told}

    def object(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        fitted: dict[str, Any] = {}
        if "properties" in schema:
            place = below(path, "properties")
            parts = schema["properties"].items()
            fitted["properties"] = {name: self.fit(part, below(place, name), within) for name, part in parts}
        if schema.get("required"):
            fitted["required"] = list(schema["required"])
        more = schema.get("additionalProperties")
        if more is not None and "patternProperties" in schema and more not in (True, {}):
            self.lose({"additionalProperties"}, path, "gone with patternProperties, whose keys it would exclude")
        elif more is not None:
            plain = isinstance(more, bool) or not more
            fitted["additionalProperties"] = (
                more is not False if plain else self.fit(more, below(path, "additionalProperties"), within)
            )
        return fitted

    def array(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        """Return what an array holds. There are no tuples: any of their places may be anywhere."""
        items = schema.get("items")
        keyword = "items" if isinstance(items, list) else "prefixItems"
        places = schema.get(keyword) or [] if keyword in schema else []
        place = below(path, keyword)
        if not places:
            return {"items": self.fit(items, below(path, "items"), within)} if isinstance(items, dict) else {}
        self.lose({keyword}, path, "there are no tuples: each place may hold what any of them may")
        parts = [self.fit(part, f"{place}[{number}]", within) for number, part in enumerate(places)]
        rest = schema.get("additionalItems") if keyword == "items" else items
        if isinstance(rest, dict):
            parts.append(self.fit(rest, below(path, "additionalItems" if keyword == "items" else "items"), within))
        return {"items": {"anyOf": parts}}

    def resolved(self, part: Mapping[str, Any], path: str, opened: list[str]) -> dict[str, Any]:
        """Return what a reference leads to, where only the thing itself will do, and note it in `opened`."""
        before = tuple(opened)
        while "$ref" in part:
            reference = self.local(part["$ref"])
            rest = {key: value for key, value in part.items() if key != "$ref"}
            if reference in before:
                self.lose({"$ref"}, path, "not written out again inside itself")
                return rest
            if reference in opened[len(before) :] or reference == "#":
                raise Misfit("a reference leads to itself")
            opened.append(reference)
            self.allowance.inside(part)
            part = joined(_as_mapping(self.definitions[reference.removeprefix("#/$defs/")]), rest, path, self.losses)
        return dict(part)

    def local(self, reference: str) -> str:
        """Return a reference in the only form there is: to the root, or to a definition there."""
        reference = reference.replace("#/definitions/", "#/$defs/", 1)
        if reference != "#" and reference.removeprefix("#/$defs/") not in self.definitions:
            raise Misfit(f"the reference {reference!r} does not lead to one of its $defs")
        return reference


def _as_mapping(schema: Any) -> Mapping[str, Any]:
    if schema is False:
        raise Misfit("a part of it allows nothing")
    return {} if schema is True else schema
