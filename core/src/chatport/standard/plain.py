"""JSON Schema without references, without a union with null, with enumerations of texts only: a rule's `plain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..facts.rules import PlainRule
from .schemas import Allowance, Loss, excludes_itself, followed, in_words, joined, types_of, with_parts, with_words

__all__ = ["plain_schema"]

_TURNED = (("not",), ("if", "then", "else"))
"""What allows less when its first part allows more: said in words where that part loses anything."""
_NULL = {"type": "null"}
_NULL_ALONE = "null alone cannot be said: it is allowed beside other values"


def plain_schema(
    schema: Mapping[str, Any], rule: PlainRule, field: str = "the schema"
) -> tuple[dict[str, Any], list[Loss]]:
    """Return the schema as it is taken, and the places that lost a keyword by it.

    Raises UnsupportedFeatureError, which names the `field`, where it outgrows its allowance without its references.
    """
    losses: list[Loss] = []
    given = _Given(schema, rule, Allowance(schema, field))
    reduced: dict[str, Any] = _reduced(schema, given, "", (), losses)
    return reduced, losses


@attrs.frozen
class _Given:
    root: Mapping[str, Any]
    rule: PlainRule
    allowance: Allowance


def _reduced(schema: Any, given: _Given, path: str, within: tuple[str, ...], losses: list[Loss]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    node, path, within = followed(schema, given.root, path, within, losses)
    kept = {name: value for name, value in node.items() if name not in given.rule.left_out}
    for word in ("anyOf", "oneOf"):
        kept = _nullable(kept, word, path, losses)
    with given.allowance.inside(kept):
        if "$ref" in kept:  # what was left of "this or null"
            return _reduced(kept, given, path, within, losses)
        kept = in_words(_enumerated(kept, path, losses), given.rule.in_words, path, losses)
        return _with_reduced_parts(kept, given, path, within, losses)


def _with_reduced_parts(
    kept: dict[str, Any], given: _Given, path: str, within: tuple[str, ...], losses: list[Loss]
) -> dict[str, Any]:
    """Reduce what stands inside a schema, each part once: twice would double at every level."""
    lost: dict[str, list[Loss]] = {keyword: [] for keyword in kept}
    reduced: dict[str, Any] = {}
    for keyword, value in kept.items():
        found = lost[keyword]
        reduced |= with_parts({keyword: value}, path, lambda part, at: _reduced(part, given, at, within, found))  # noqa: B023
    told = [word for first, *rest in _TURNED if lost.get(first) for word in (first, *rest)]
    left = in_words(kept, told, path, losses)
    parts = {keyword: reduced[keyword] if kept.get(keyword) is value else value for keyword, value in left.items()}
    weaker = "its parts are weaker here, so that a value may fit several of them" if lost.get("oneOf") else ""
    if weaker or (not given.rule.one_of and isinstance(parts.get("oneOf"), list)):
        if weaker or "anyOf" in parts or not excludes_itself(kept["oneOf"]):
            beside = (
                "left out beside anyOf" if "anyOf" in parts else "sent as anyOf: a value may fit several of its parts"
            )
            losses.append(Loss(path, "oneOf", weaker or beside))
        parts.setdefault("anyOf", parts["oneOf"])
        del parts["oneOf"]
    losses.extend(loss for keyword in left for loss in lost.get(keyword, ()))
    return parts


def _nullable(schema: dict[str, Any], word: str, path: str, losses: list[Loss]) -> dict[str, Any]:
    """Write "this or null" as `nullable`."""
    kinds, options = types_of(schema), schema.get(word)
    if isinstance(schema.get("type"), list | tuple) and "null" in kinds:
        others = [name for name in kinds if name != "null"]
        schema = {**schema, "type": others[0] if len(others) == 1 else others, "nullable": True}
    if not isinstance(options, list) or _NULL not in options:
        return schema
    left = [option for option in options if option != _NULL]
    rest = {name: value for name, value in schema.items() if name != word}
    if len(left) > 1:
        return {**schema, word: left, "nullable": True}
    if not left:
        losses.append(Loss(path, word, _NULL_ALONE))
    return {**(joined(rest, left[0], path, losses) if left else rest), "nullable": True}


def _enumerated(schema: dict[str, Any], path: str, losses: list[Loss]) -> dict[str, Any]:
    """Make an enum of a constant, and tell one of other values than texts in the description.

    The values are not turned into texts: the caller's type is a number, and texts would come back.
    """
    keyword = "const" if "const" in schema else "enum"
    if keyword == "const":
        constant = {"enum": [schema["const"]]}
        schema = joined({name: value for name, value in schema.items() if name != "const"}, constant, path, losses)
    values = schema.get("enum")
    if not isinstance(values, list):
        return schema
    schema = {name: value for name, value in schema.items() if name != "enum"}
    texts = [value for value in values if value is not None]
    if None in values:
        schema["nullable"] = True
    if not texts:
        losses.append(Loss(path, keyword, _NULL_ALONE))
        return schema
    if all(isinstance(value, str) for value in texts):
        return {**schema, "type": schema.get("type", "string"), "enum": texts}
    losses.append(Loss(path, keyword, "only texts are enumerated: the values are told in the description"))
    return with_words(schema, {"enum": texts})
