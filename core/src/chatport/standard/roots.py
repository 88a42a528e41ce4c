"""The root of a tool's arguments as one plain object, for vendors that refuse a union or a condition there.

`allOf` is joined without a loss, as far as it can be. Of `anyOf` and `oneOf` one object is made that has the arguments
of all branches; which of them go together is said in its description, and told as a loss. The arguments of a call are
held against the schema as the caller gave it in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .. import jsoncodec
from .schemas import Allowance, Loss, below, followed, in_words, joined, types_of, with_words

__all__ = ["joined_root"]

_UNIONS = ("anyOf", "oneOf")
_DEFINITIONS = ("$defs", "definitions")
_ABOUT = ("title", "description")
_SHOWN_OF_PROPERTY = ("const", "enum", "type")
_MOST_BRANCHES = 256
_IN_ONE = "sent as one object with the arguments of all: which go together is only said in its description"
_NO_OBJECT = "arguments are an object: what is none of them is gone"
_TOO_MANY = f"has more than {_MOST_BRANCHES} branches: it is gone"


def joined_root(
    schema: Mapping[str, Any], barred: Collection[str], losses: list[Loss], field: str = "the schema"
) -> dict[str, Any]:
    """Return the schema of a tool's arguments without `barred` keywords at its root, which is of the type object.

    A root that says it is something else stays what it is. Each keyword that lost by it is recorded. Raises TooLarge,
    which names the `field`, where it outgrows all measure.
    """
    definitions = {word: schema[word] for word in _DEFINITIONS if word in schema}
    own = {word: value for word, value in schema.items() if word not in _DEFINITIONS}
    root = _Root(schema, barred, losses, Allowance(schema, field)).plain(own, "", ())
    kinds = types_of(root)
    if not kinds or "object" in kinds:
        root = {"type": "object", **root, **({"type": "object"} if kinds else {})}
    return {**root, **definitions}


class _Root:
    """A schema on its way: where references lead, what may not stand at its root, and what was lost so far."""

    def __init__(
        self, given: Mapping[str, Any], barred: Collection[str], losses: list[Loss], allowance: Allowance
    ) -> None:
        self._given = given
        self._barred = barred
        self._losses = losses
        self._allowance = allowance

    def plain(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        """Return one place without what is barred there. `within` are the references that were followed to it."""
        node, path, within = followed(schema, self._given, path, within, self._losses)
        with self._allowance.inside(node):
            plain = self._with_all({k: v for k, v in node.items() if k not in _DEFINITIONS}, path, within)
            for word in _UNIONS:
                if word in self._barred and word in plain:
                    plain = self._in_one(plain, word, path, within)
            return in_words(plain, [word for word in self._barred if word in plain], path, self._losses)

    def _with_all(self, schema: dict[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        if "allOf" not in self._barred or not isinstance(schema.get("allOf"), list | tuple):
            return schema
        parts, schema = schema["allOf"], {word: value for word, value in schema.items() if word != "allOf"}
        for number, part in enumerate(parts):
            place = f"{below(path, 'allOf')}[{number}]"
            if isinstance(part, Mapping):
                schema = joined(schema, self.plain(part, place, within), path, self._losses)
            elif part is False:
                self._losses.append(Loss(place, "", "allows nothing, which cannot be said here: it is gone"))
        return schema

    def _in_one(self, schema: dict[str, Any], word: str, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        branches, rest = schema[word], {name: value for name, value in schema.items() if name != word}
        if not isinstance(branches, list | tuple) or len(branches) > _MOST_BRANCHES:
            self._losses.append(Loss(path, word, _TOO_MANY))
            return rest
        places = [(f"{below(path, word)}[{number}]", branch) for number, branch in enumerate(branches)]
        objects = [self.plain(b, place, within) for place, b in places if isinstance(b, Mapping) and _may_be_object(b)]
        objects = [branch for branch in objects if _may_be_object(branch)]
        if len(objects) < len(branches):
            self._losses.append(Loss(path, word, _NO_OBJECT))
        if not objects:
            return rest
        if len(objects) == 1:
            return joined(rest, objects[0], path, self._losses)
        if len(objects) == len(branches):
            self._losses.append(Loss(path, word, _IN_ONE))
        whole = joined(rest, _one_of_all(objects), path, self._losses)
        return with_words(whole, {word: [*_told(objects)]})


def _may_be_object(schema: Mapping[str, Any]) -> bool:
    kinds = types_of(schema)
    return not kinds or "object" in kinds


def _one_of_all(branches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an object that allows what any of the branches does: all their properties, of which all have some."""
    names = list(dict.fromkeys(name for branch in branches for name in branch.get("properties") or {}))
    properties = {
        name: _either([branch["properties"][name] for branch in branches if name in (branch.get("properties") or {})])
        for name in names
    }
    first, *others = branches
    always = set.intersection(*(set(branch.get("required") or ()) for branch in branches))
    needed = [name for name in first.get("required") or () if name in always]
    own = ("properties", "required", *_ABOUT)
    shared = {
        word: value
        for word, value in first.items()
        if word not in own and all(word in branch and branch[word] == value for branch in others)
    }
    return {
        **({"properties": properties} if properties else {}),
        **({"required": needed} if needed else {}),
        **shared,
    }


def _either(schemas: Sequence[Any]) -> Any:
    """Return the schema of a property that is one thing in one branch, and maybe another in the next."""
    different = _once(schemas)
    if len(different) == 1:
        return different[0]
    if any(schema is True or schema == {} for schema in different):
        return {}
    values = [_values(schema) for schema in different]
    if not all(value is not None for value in values):
        return {"anyOf": different}
    kinds = {types_of(schema) for schema in different}
    about = {"type": different[0]["type"]} if len(kinds) == 1 and () not in kinds else {}
    return {**about, "enum": _once([item for value in values for item in value or ()])}


def _once(values: Sequence[Any]) -> list[Any]:
    """Return each value once, in order; `1` and `true` are two."""
    return list({jsoncodec.encode_anything(value): value for value in reversed(values)}.values())[::-1]


def _values(schema: Any) -> list[Any] | None:
    """Return all values of a schema that is nothing but a constant or a list of them, None for any other."""
    if not isinstance(schema, Mapping) or schema.keys() - {"const", "enum", "type", *_ABOUT}:
        return None
    return [schema["const"]] if "const" in schema else list(schema["enum"]) if "enum" in schema else None


def _told(branches: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give each branch in short: what it is about, what it needs, and what tells it from the others."""
    shared = [
        name
        for name, schema in (branches[0].get("properties") or {}).items()
        if all((branch.get("properties") or {}).get(name) == schema for branch in branches)
    ]
    for branch in branches:
        own = {name: part for name, part in (branch.get("properties") or {}).items() if name not in shared}
        short = {name: _short(part) for name, part in own.items()}
        rest = {word: value for word, value in branch.items() if word not in ("properties", "type", "$schema", "$id")}
        yield {**({"properties": short} if short else {}), **rest}


def _short(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return {word: schema[word] for word in _SHOWN_OF_PROPERTY if word in schema}
