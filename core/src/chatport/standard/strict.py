"""Make a JSON Schema strict where that keeps its meaning, and say why where it does not: `strict` of a schema rule.

Strict means: every object is closed and lists all its properties as required. What is lossless is done here; what would
change which values are allowed raises `NotStrict`, and the schema is sent as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..facts.rules import STRICT_SIZES, StrictRule
from .schemas import Allowance, Loss, TooLarge, below, excludes_itself, has_type, resolved, root_object, with_words

__all__ = ["NotStrict", "strict_schema"]

_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class NotStrict(ValueError):
    """The schema cannot be made strict without changing its meaning. Says why, and at which path."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{problem} (at {path})" if path else problem)


def strict_schema(schema: Mapping[str, Any], rule: StrictRule) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """Return the strict form, and the places whose keywords had to move into descriptions, where nothing enforces them.

    Raises NotStrict.
    """
    root = root_object(schema)
    if root is None:
        raise NotStrict("its root is not an object")
    rewriter = _Rewriter(root, rule)
    try:
        strict = rewriter.node({"properties": {}, **root}, "", 1)
    except TooLarge as problem:
        raise NotStrict(problem.message.rstrip(".")) from None
    rewriter.check_sizes()
    return strict, tuple(rewriter.losses)


class _Rewriter:
    def __init__(self, root: Mapping[str, Any], rule: StrictRule) -> None:
        self.root = root
        self.rule = rule
        self.losses: list[Loss] = []
        self.sizes = dict.fromkeys(STRICT_SIZES, 0)
        self.allowance = Allowance(root, "it")

    def node(self, schema: Any, path: str, level: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise NotStrict("a part of it allows anything", path)
        barred = sorted(schema.keys() & self.rule.barred)
        if barred:
            raise NotStrict(f"it uses {barred[0]}", path)
        with self.allowance.inside(schema):
            return self._node(schema, path, level)

    def _node(self, schema: Mapping[str, Any], path: str, level: int) -> dict[str, Any]:
        strict: dict[str, Any] = {}
        said: dict[str, Any] = {}
        for keyword, value in _without_siblings(schema, self.rule).items():
            self._keyword(keyword, value, strict, said, path, level)
        _set_type(strict, path)
        if has_type(strict, "array") and "items" not in strict:
            raise NotStrict("an array does not say what it holds", path)
        if "properties" in schema or has_type(strict, "object"):
            self._object(schema, strict, path, level)
        return with_words(strict, said)

    def _keyword(
        self, keyword: str, value: Any, strict: dict[str, Any], said: dict[str, Any], path: str, level: int
    ) -> None:
        place = below(path, keyword)
        if keyword in ("anyOf", "oneOf"):
            if "anyOf" in strict:
                raise NotStrict("it uses anyOf and oneOf together", path)
            if keyword == "oneOf" and not excludes_itself(value):
                self.losses.append(Loss(path, keyword, "sent as anyOf, of which more than one may fit"))
            strict["anyOf"] = [self.node(part, f"{place}[{number}]", level) for number, part in enumerate(value)]
        elif keyword == "items":
            strict["items"] = self.node(value, place, level)
        elif keyword in ("$defs", "definitions"):
            self._count_names(value)
            strict[keyword] = {name: self.node(part, below(place, name), 1) for name, part in value.items()}
        elif keyword == "$ref":
            if resolved(str(value), self.root) is None:
                raise NotStrict("a reference leads out of it", path)
            strict["$ref"] = value
        elif keyword == "default" and (value is None or keyword not in self.rule.kept):
            if value is not None:
                said[keyword] = value
        elif keyword in self.rule.kept and not _is_foreign(keyword, value, self.rule):
            self._count_values(keyword, value)
            strict[keyword] = value
        elif keyword not in ("properties", "required", "additionalProperties", *self.rule.left_out):
            self.losses.append(Loss(path, keyword))
            said[keyword] = value

    def _object(self, schema: Mapping[str, Any], strict: dict[str, Any], path: str, level: int) -> None:
        if schema.get("additionalProperties", False) is not False:  # they hold the values of a dict
            raise NotStrict("an object of it takes keys that are not named", path)
        properties = schema.get("properties")
        if properties is None and "additionalProperties" not in schema:
            raise NotStrict("an object of it names no properties", path)
        if properties and "anyOf" in strict:
            raise NotStrict("an object of it has properties both in itself and in a union", path)
        properties = properties or {}
        for name, part in properties.items():
            if name not in schema.get("required", ()) and not _can_stand_for_absence(part):
                raise NotStrict(f"the property {name!r} may be left out, and has neither a default nor null", path)
        unnamed = [name for name in schema.get("required", ()) if name not in properties]
        if unnamed:
            raise NotStrict(f"the property {unnamed[0]!r} is required, and not described", path)
        self._count_names(properties)
        self.sizes["properties"] += len(properties)
        self.sizes["levels of nesting"] = max(self.sizes["levels of nesting"], level)
        place = below(path, "properties")
        strict.setdefault("type", "object")
        strict["properties"] = {n: self.node(part, below(place, n), level + 1) for n, part in properties.items()}
        own = tuple(schema.get("required", ()))
        strict["required"] = list(own if len(own) == len(properties) == len({*own}) else properties)
        strict["additionalProperties"] = False

    def _count_names(self, names: Mapping[str, Any]) -> None:
        self.sizes["characters of names"] += sum(map(len, names))

    def _count_values(self, keyword: str, value: Any) -> None:
        if keyword not in ("enum", "const"):
            return
        values = value if keyword == "enum" else [value]
        characters = sum(len(str(item)) for item in values)
        self.sizes["characters of names"] += characters
        self.sizes["enum values"] += len(values) if keyword == "enum" else 0
        if len(values) > 250 and characters > 15_000:
            raise NotStrict("one enum of it is longer than 15000 characters")

    def check_sizes(self) -> None:
        for what, most in self.rule.most.items():
            if self.sizes[what] > most:
                raise NotStrict(f"it has {self.sizes[what]} {what}, and {most} are the most")


def _without_siblings(schema: Mapping[str, Any], rule: StrictRule) -> Mapping[str, Any]:
    """A reference stands alone; what is said beside it goes around it."""
    if "$ref" not in schema or schema.keys() <= {"$ref", *rule.left_out}:
        return schema
    return {"anyOf": [{"$ref": schema["$ref"]}], **{k: v for k, v in schema.items() if k != "$ref"}}


def _set_type(strict: dict[str, Any], path: str) -> None:
    """Give an enum or a constant its type; refuse what has none."""
    if strict.keys() & {"type", "anyOf", "$ref"}:
        return
    values = strict["enum"] if "enum" in strict else [strict["const"]] if "const" in strict else []
    types = sorted({_TYPES.get(type(value), "") for value in values})
    if not types or "" in types:
        raise NotStrict("a part of it has no type", path)
    strict["type"] = types[0] if len(types) == 1 else types


def _is_foreign(keyword: str, value: Any, rule: StrictRule) -> bool:
    if keyword == "format":
        return value not in rule.formats
    return keyword == "pattern" and not rule.look_around and _LOOK_AROUND.search(str(value)) is not None


def _can_stand_for_absence(schema: Any) -> bool:
    """Whether a value can say what leaving the property out would: its default, or null where that is allowed."""
    if not isinstance(schema, Mapping):
        return False
    return (
        "default" in schema
        or has_type(schema, "null")
        or None in schema.get("enum", ())
        or any(_can_stand_for_absence(part) for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())))
    )
