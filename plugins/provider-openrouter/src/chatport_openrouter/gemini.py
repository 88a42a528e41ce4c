"""`translate_tools`, and JSON Schema as Gemini's routes take it: no references, no union with null, enums of texts.

It is chosen by the model's name (OR-T3).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Adjustment, Context, WireTools, hookimpl
from chatport.standard.schemas import (
    Loss,
    followed,
    in_words,
    joined,
    loss_warnings,
    types_of,
    with_parts,
    with_words,
)

__all__ = ["gemini_schema", "is_gemini", "translate_tools"]

_DECORATION = frozenset({"title", "examples", "$schema", "$defs", "definitions", "$id", "default"})
_IN_WORDS = frozenset({"exclusiveMinimum", "exclusiveMaximum"})
_TURNED = (("not",), ("if", "then", "else"))
"""What allows less when its first part allows more: said in words where that part loses anything."""
_NULL = {"type": "null"}
_NULL_ALONE = "null alone cannot be said: it is allowed beside other values"


@hookimpl(wrapper=True)
def translate_tools(context: Context) -> Generator[None, WireTools, WireTools]:
    tools = yield
    if not is_gemini(context.model) or not tools.tools:
        return tools
    sent: list[object] = []
    notes: list[Adjustment] = []
    for tool in tools.tools:
        function = tool["function"]
        schema, losses = gemini_schema(function["parameters"])
        sent.append({**tool, "function": {**function, "parameters": schema}})
        own = tools.names.get(function["name"], function["name"])
        notes.extend(loss_warnings(losses, f"tools.{own}.parameters", "OR-T3"))
    return attrs.evolve(tools, tools=sent, adjustments=(*tools.adjustments, *notes))


def is_gemini(model: str) -> bool:
    """Whether the model's routes have Gemini's schema language; `~` marks an alias (OR-E8)."""
    return model.lstrip("~").startswith("google/gemini")


def gemini_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    """Return the schema as Gemini's routes take it, and the places that lost a keyword by it."""
    losses: list[Loss] = []
    reduced: dict[str, Any] = _reduced(schema, schema, "", (), losses)
    return reduced, losses


def _reduced(schema: Any, root: Mapping[str, Any], path: str, within: tuple[str, ...], losses: list[Loss]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    node, path, within = followed(schema, root, path, within, losses)
    kept = {name: value for name, value in node.items() if name not in _DECORATION}
    for word in ("anyOf", "oneOf"):
        kept = _nullable(kept, word, path, losses)
    if "$ref" in kept:  # what was left of "this or null"
        return _reduced(kept, root, path, within, losses)
    kept = in_words(_enumerated(kept, path, losses), _IN_WORDS, path, losses)

    def weaker(keyword: str) -> bool:
        found: list[Loss] = []
        with_parts({keyword: kept.get(keyword)}, path, lambda part, at: _reduced(part, root, at, within, found))
        return bool(found)

    kept = in_words(kept, [word for first, *rest in _TURNED for word in (first, *rest) if weaker(first)], path, losses)
    if "oneOf" in kept and weaker("oneOf"):
        losses.append(Loss(path, "oneOf", "its parts are weaker here, so that a value may fit several of them"))
        kept.setdefault("anyOf", kept["oneOf"])
        del kept["oneOf"]
    return with_parts(kept, path, lambda part, place: _reduced(part, root, place, within, losses))


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
