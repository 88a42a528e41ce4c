"""Tools for fitting a JSON Schema into the part of it that a vendor takes, with a record of every place that loses.

A vendor's module walks the caller's schema once and builds the one to send. The functions here do what several of
them need: walking with paths, following `$ref`, saying a rule in words, joining two schemas into one, and checking a
strict subset. A lost place is a `Loss`; `loss_warnings` makes the caller's warnings of them. The reply is held
against the schema as the caller gave it in any case (`chatport.schemas.check`).

A path names a place in the caller's schema as Python would: `properties.days.anyOf[0]`. What a reference leads to has
its own place (`$defs.Day`). Keywords are those of JSON Schema 2020-12. https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from .. import jsoncodec
from ..call import Context, WireRequest
from ..errors import UnsupportedFeatureError
from ..schemas.keywords import MOST_LEVELS
from ..schemas.references import resolved
from ..types import Adjustment

__all__ = [
    "ANNOTATIONS", "MOST_LEVELS", "Allowance", "Loss", "StrictRules", "TooLarge", "below", "excludes_itself",
    "followed", "has_type", "in_words", "joined", "loss_warnings", "object_root", "parts", "resolved",
    "root_object", "strict_misfits", "types_of", "walk", "with_losses", "with_parts", "with_words",
]  # fmt: skip

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$schema", "$id", "$comment", "$anchor", "discriminator"}
)
"""Keywords that say nothing about which values are allowed."""
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_SINGLE = frozenset(
    {"items", "additionalItems", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_HOLDS_PARTS = _NAMED | _LISTED | _SINGLE
_IN_WORDS = "only words in a description: it is not enforced"
_MOST_NAMED = 8


@attrs.frozen
class Loss:
    """A keyword that a schema as sent no longer has, the path of the schema it stood in, and what became of it."""

    path: str
    keyword: str
    reason: str = _IN_WORDS


def loss_warnings(losses: Iterable[Loss], field: str, fact: str = "") -> tuple[Adjustment, ...]:
    """Return one warning for each lost place, `field` being the option whose schema it is (`tools.NAME.parameters`).

    Where more than 8 are lost there is one for each keyword, which names the first place and counts the others.
    """
    places = {below(loss.path, loss.keyword): loss for loss in losses}
    if len(places) <= _MOST_NAMED:
        named = [(place, loss.reason) for place, loss in places.items()]
    else:
        more = Counter(loss.keyword for loss in places.values())
        firsts = {loss.keyword: (place, loss) for place, loss in reversed(places.items())}
        counted = {word: f"; so in {count} places, the first is this" for word, count in more.items() if count > 1}
        named = [(place, loss.reason + counted.get(word, "")) for word, (place, loss) in firsts.items()]
    return tuple(Adjustment("lowered", below(field, place), reason, fact) for place, reason in named)


def with_losses(wire: WireRequest, losses: Iterable[Loss], field: str, fact: str = "") -> WireRequest:
    """Return the request with the warnings of `loss_warnings`."""
    return attrs.evolve(wire, adjustments=(*wire.adjustments, *loss_warnings(losses, field, fact)))


# --- places


def below(path: str, *steps: str) -> str:
    """Return the path of something inside the place that `path` names."""
    return ".".join(step for step in (path, *steps) if step)


def parts(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the schemas that stand directly inside a schema, each with its path."""
    found: list[tuple[str, Any]] = []
    with_parts(schema, path, lambda part, place: found.append((place, part)))
    return iter(found)


def walk(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give a schema and all inside it, outermost first; `true` and `false` too. References are not followed."""
    waiting = [(path, schema)]
    while waiting:
        place, node = waiting.pop()
        yield place, node
        if isinstance(node, Mapping):
            waiting.extend(reversed([*parts(node, place)]))


def with_parts(schema: Mapping[str, Any], path: str, change: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Return the schema with every schema directly inside it replaced by `change(part, its path)`."""
    changed: dict[str, Any] = dict(schema)
    for keyword, value in schema.items():
        place = below(path, keyword)
        if keyword in _NAMED and isinstance(value, Mapping):
            changed[keyword] = {name: change(part, below(place, name)) for name, part in value.items()}
        elif keyword in _LISTED and isinstance(value, list | tuple):
            changed[keyword] = [change(part, f"{place}[{number}]") for number, part in enumerate(value)]
        elif keyword in _SINGLE and isinstance(value, Mapping | bool):
            changed[keyword] = change(value, place)
    return changed


# --- sizes

_ROOM_BYTES = 256 * 1024
_GROWTH = 8
_SCHEMA_BYTES = 64  # what a schema counts before its own length: each costs work


class TooLarge(UnsupportedFeatureError):
    """A schema would outgrow all measure when it is fitted."""


class Allowance:
    """How much a schema may become while it is fitted: 256 KiB, or eight times what it was where that is more.

    Sixteen definitions of which each refers to the next one twice are written out as 65,536. And no more than 100
    schemas stand inside one another, so that a walk by recursion comes to its end. Each schema that is made is told
    by `with allowance.inside(schema):` around the making of its parts. `field` is the option for the message.
    """

    def __init__(self, schema: Any, field: str = "the schema") -> None:
        self.field = field
        self.left = max(_ROOM_BYTES, _GROWTH * len(jsoncodec.encode(schema)))
        self.level = 0

    def inside(self, schema: Mapping[str, Any]) -> Allowance:
        """Take a schema, less its parts. Raises TooLarge."""
        self.left -= _SCHEMA_BYTES
        names = [name for keyword in _NAMED & schema.keys() for name in schema[keyword]]
        self.spend([{keyword: value for keyword, value in schema.items() if keyword not in _HOLDS_PARTS}, names])
        return self

    def spend(self, value: Any) -> None:
        """Take what a value is long as JSON. Raises TooLarge."""
        self.left -= len(jsoncodec.encode(value))
        if self.left < 0:
            raise TooLarge(
                f"{self.field} becomes too large when it is fitted for this vendor: more than "
                f"{_ROOM_BYTES // 1024} KiB, and {_GROWTH} times what it was. Let it refer to fewer places, or use a "
                "vendor that takes references."
            )

    def __enter__(self) -> None:
        if self.level >= MOST_LEVELS:
            raise TooLarge(f"{self.field} has more than {MOST_LEVELS} schemas inside one another.")
        self.level += 1

    def __exit__(self, *error: object) -> None:
        self.level -= 1


# --- references


def followed(
    schema: Mapping[str, Any], root: Mapping[str, Any], path: str, within: tuple[str, ...], losses: list[Loss]
) -> tuple[Mapping[str, Any], str, tuple[str, ...]]:
    """Return a schema with what its `$ref` leads to in its place, the path of that, and the references it is in.

    `within` are the references around this place. One of them again, and one that leads nowhere, has no end when it
    is written out: its type is what stays, and the rest is a loss. Raises TooLarge where more than 100 are inside one
    another; how often they are written out beside one another is for an `Allowance` to bound.
    """
    while isinstance(schema.get("$ref"), str):
        if len(within) > MOST_LEVELS:
            raise TooLarge(f"A schema has more than {MOST_LEVELS} references inside one another (at {path}).")
        reference = schema["$ref"]
        rest = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        found = resolved(reference, root)
        if found is None:
            losses.append(Loss(path, "$ref", "leads nowhere in this schema: it is gone"))
            return rest, path, within
        target = found[0] if isinstance(found[0], Mapping) else {"not": {}} if found[0] is False else {}
        if reference in within:
            losses.append(Loss(path, "$ref", "not written out again inside itself"))
            kind = target.get("type", "object" if "properties" in target else None)
            stub = {"description": f"again a {reference.rpartition('/')[2]}", **rest}
            return stub if kind is None else {"type": kind, **stub}, path, within
        schema = joined(target, rest, path, losses)
        path, within = path if rest.keys() - ANNOTATIONS - {"$defs", "definitions"} else found[1], (*within, reference)
    return schema, path, within


# --- keywords


def types_of(schema: Any) -> tuple[str, ...]:
    """Return the names in `type`, none where it has no `type`."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return (kind,) if isinstance(kind, str) else tuple(kind) if isinstance(kind, list | tuple) else ()


def has_type(schema: Any, name: str) -> bool:
    """Whether `type` is a name or has it in its list."""
    return name in types_of(schema)


def in_words(schema: Mapping[str, Any], keywords: Collection[str], path: str, losses: list[Loss]) -> dict[str, Any]:
    """Return the schema with these keywords moved into its description, and record each as lost.

    The model reads the description; nothing holds it to that.
    """
    said = {keyword: value for keyword, value in schema.items() if keyword in keywords}
    losses.extend(Loss(path, keyword) for keyword in said)
    return with_words({k: v for k, v in schema.items() if k not in said}, said)


def with_words(schema: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with keywords and their values at the end of its description."""
    if not said:
        return dict(schema)
    words = "; ".join(f"{keyword}: {jsoncodec.encode_text(value)}" for keyword, value in said.items())
    return {**schema, "description": f"{schema.get('description') or ''} ({words})".strip()}


def excludes_itself(branches: Iterable[Any]) -> bool:
    """Whether no value can fit two of the branches, as their types or values tell: `oneOf` then means `anyOf`."""
    marks = [mark for branch in branches for mark in _marks(branch)]
    whole = {kind for kind, value in marks if value is None}
    return (
        "" not in whole
        and len(set(marks)) == len(marks)
        and not {"integer", "number"} <= whole
        and not any(kind in whole for kind, value in marks if value is not None)
    )


def _marks(branch: Any) -> Iterator[tuple[str, str | None]]:
    """Give types, with a value where only that is meant, that tell a branch from others; "" where nothing does."""
    if isinstance(branch, Mapping) and branch.keys() & {"const", "enum"}:
        values = [branch["const"]] if "const" in branch else branch["enum"]
        yield from (
            ("null", None) if value is None else ("string", value) if type(value) is str else ("", None)
            for value in values
        )
    else:
        yield from ((kind, None) for kind in types_of(branch) or ("",))


def object_root(schema: Mapping[str, Any], name: str, context: Context, fact: str = "") -> dict[str, Any]:
    """Return the schema of a tool's arguments with the type `object` at its root, which several vendors demand.

    Raises UnsupportedFeatureError where it says that they are something else.
    """
    if "type" in schema and not has_type(schema, "object"):
        raise UnsupportedFeatureError(
            f"The arguments of the tool {name!r} must be an object, not {' or '.join(types_of(schema))} ({fact}).",
            provider=context.provider.name,
            model=context.model,
        )
    return {"type": "object", **schema, **({"type": "object"} if "type" in schema else {})}


def root_object(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema with an object at its root (a reference there is followed), None if it has none."""
    found = resolved(str(schema["$ref"]), schema) if "$ref" in schema else None
    if found is not None and isinstance(found[0], Mapping):
        beside = {
            keyword: value for keyword, value in schema.items() if keyword not in ("$ref", "$defs", "definitions")
        }
        definitions = {keyword: schema[keyword] for keyword in ("$defs", "definitions") if keyword in schema}
        lost: list[Loss] = []
        schema = {**joined(found[0], beside, "", lost), **definitions}
        if lost:
            return None
    is_object = schema.get("type") == "object" or ("type" not in schema and "properties" in schema)
    return schema if is_object and "$ref" not in schema else None


# --- two schemas in one

_GROUPS = (frozenset({"if", "then", "else"}), frozenset({"contains", "minContains", "maxContains"}))
_LEAST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"})
_MOST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"})


def joined(one: Mapping[str, Any], other: Mapping[str, Any], path: str, losses: list[Loss]) -> dict[str, Any]:
    """Return one schema that allows what both allow, as `allOf` does.

    A keyword that both have and that cannot be said once keeps its first form, and its second is a loss: so the
    result may allow more, and never less.
    """
    both: dict[str, Any] = dict(one)
    for keyword, value in other.items():
        if keyword not in one:
            both[keyword] = value
        elif one[keyword] != value:
            both[keyword] = _together(keyword, one[keyword], value, path, losses)
    for group in _GROUPS:
        if group & one.keys() and group & other.keys() and any(one.get(k) != other.get(k) for k in group):
            both = {**{k: v for k, v in both.items() if k not in group}, **{k: v for k, v in one.items() if k in group}}
            losses.extend(Loss(path, keyword, "stands twice") for keyword in sorted(group & other.keys()))
    if _differ(one, other, "properties", "additionalProperties") or _differ(one, other, "prefixItems", "items"):
        keyword = "additionalProperties" if "additionalProperties" in both else "items"
        losses.append(Loss(path, keyword, "weaker: it holds for the parts together, not for each"))
    return both


def _differ(one: Mapping[str, Any], other: Mapping[str, Any], listed: str, rest: str) -> bool:
    """Whether the rule for what is not listed would now leave out what only one of the schemas lists."""
    if not all({listed, rest} & schema.keys() for schema in (one, other)):
        return False  # one of them says nothing of it
    bound = any(schema.get(rest, True) is not True for schema in (one, other))
    names, others = (
        s if isinstance(s := schema.get(listed, ()), Mapping) else range(len(s)) for schema in (one, other)
    )
    return bound and {*names} != {*others}


def _together(keyword: str, one: Any, other: Any, path: str, losses: list[Loss]) -> Any:
    if keyword in _NAMED and isinstance(one, Mapping) and isinstance(other, Mapping):
        place = below(path, keyword)
        shared = {name: _both(one[name], other[name], below(place, name), losses) for name in one if name in other}
        return {**one, **other, **shared}
    if keyword in ("items", "additionalProperties", "propertyNames"):
        return _both(one, other, below(path, keyword), losses)
    if keyword == "required":
        return [*dict.fromkeys([*one, *other])]
    if keyword in _LEAST | _MOST:
        return max(one, other) if keyword in _LEAST else min(one, other)
    if keyword in ANNOTATIONS:
        return other
    if keyword == "type":
        common = [name for name in _listed(one) if name in _listed(other)]
        common += ["integer"] * ("integer" not in common and _narrows(one, other))
        if common:
            return common[0] if len(common) == 1 else common
    if keyword == "enum" and (common := [value for value in one if value in other]):
        return common
    losses.append(Loss(path, keyword, "stands twice with different values: the second is gone"))
    return one


def _both(one: Any, other: Any, path: str, losses: list[Loss]) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return joined(one, other, path, losses)
    return other if one is True or other is False else one


def _listed(kind: Any) -> list[str]:
    return [kind] if isinstance(kind, str) else list(kind)


def _narrows(one: Any, other: Any) -> bool:
    return any("integer" in _listed(a) and "number" in _listed(b) for a, b in ((one, other), (other, one)))


# --- strict subsets


@attrs.frozen
class StrictRules:
    """What a strict subset takes besides closed objects that require all their properties.

    `barred` keywords are refused wherever they stand; `formats` are the only ones taken (None: all); `typed` says
    that every place needs a type.
    """

    barred: frozenset[str] = frozenset()
    formats: frozenset[str] | None = None
    typed: bool = False


_SAYS_WHAT = ("type", "properties", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")


def strict_misfits(schema: Any, rules: StrictRules) -> Iterator[str]:
    """Give what keeps a schema out of a strict subset, each with its path. The schema is not rewritten."""
    for path, node in walk(schema):
        for problem in _node_misfits(node, rules):
            yield f"{problem} at {path}" if path else problem


def _node_misfits(node: Any, rules: StrictRules) -> Iterator[str]:
    if rules.typed and node is not False and not (isinstance(node, Mapping) and any(key in node for key in _SAYS_WHAT)):
        yield "a value of any type"
    if not isinstance(node, Mapping):
        return
    yield from (keyword for keyword in sorted(rules.barred & node.keys()))
    if rules.formats is not None and node.get("format") not in (None, *rules.formats):
        yield f"format {node['format']}"
    if has_type(node, "object") or "properties" in node:
        if node.get("additionalProperties") is not False:
            yield "additionalProperties is not false"
        missing = [name for name in node.get("properties") or () if name not in (node.get("required") or ())]
        if missing:
            yield f"the property {missing[0]!r} is not required"
