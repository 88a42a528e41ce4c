"""`translate_tools` for OpenRouter: Gemini's smaller schema language, chosen by the model's name (OR-T3)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Adjustment, Call, Context, WireTools, hookimpl

__all__ = ["gemini_schema", "is_gemini", "translate_tools"]

_DECORATION = ("title", "examples", "$schema", "$defs", "definitions", "$id", "default")
_IN_WORDS = ("exclusiveMinimum", "exclusiveMaximum")


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    tools = yield
    if not is_gemini(context.model) or not tools.tools:
        return tools
    sent, notes = [], []
    for tool in tools.tools:
        function = tool["function"]
        schema, losses = gemini_schema(function["parameters"])
        sent.append({**tool, "function": {**function, "parameters": schema}})
        if losses:
            field = f"tools.{tools.names.get(function['name'], function['name'])}"
            notes.append(Adjustment("lowered", field, f"only in words: {', '.join(losses)}", "OR-T3"))
    return attrs.evolve(tools, tools=sent, adjustments=(*tools.adjustments, *notes))


def is_gemini(model: str) -> bool:
    """Whether the model's routes have Gemini's schema language; `~` marks an alias (OR-E8)."""
    return model.lstrip("~").startswith("google/gemini")


def gemini_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the schema as Gemini's routes take it, and the keywords that are left as words in a description."""
    losses: dict[str, None] = {}
    return _reduced(schema, schema, losses, ()), list(losses)


def _reduced(schema: Any, root: Mapping[str, Any], losses: dict[str, None], within: tuple[str, ...]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in within:
            losses["$ref"] = None  # a type inside itself has no end when it is written out
            return {"type": "object", "description": f"again a {reference.rpartition('/')[2]}"}
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return _reduced({**_target(reference, root), **rest}, root, losses, (*within, reference))
    kept = {name: value for name, value in schema.items() if name not in _DECORATION}
    for word in ("anyOf", "oneOf"):
        kept = _nullable(kept, word)
    if isinstance(kept.get("$ref"), str):
        return _reduced(kept, root, losses, within)
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if isinstance(kept.get("enum"), list) and None in kept["enum"]:
        values = [value for value in kept.pop("enum") if value is not None]
        kept |= {"nullable": True, **({"enum": values} if values else {})}
    kept = _worded(kept, losses)
    for name, value in list(kept.items()):
        if name == "properties" and isinstance(value, Mapping):
            kept[name] = {key: _reduced(part, root, losses, within) for key, part in value.items()}
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            kept[name] = [_reduced(part, root, losses, within) for part in value]
        elif name in ("items", "additionalProperties"):
            kept[name] = _reduced(value, root, losses, within)
    return kept


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for part in reference.removeprefix("#/").split("/") if reference != "#" else ():
        target = target.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, Mapping) else {}
    return target if isinstance(target, Mapping) else {}


def _nullable(schema: dict[str, Any], word: str) -> dict[str, Any]:
    """Write "this or null" as `nullable`."""
    kind, options = schema.get("type"), schema.get(word)
    if isinstance(kind, list) and "null" in kind:
        others = [name for name in kind if name != "null"]
        schema = {**schema, "type": others[0] if len(others) == 1 else others, "nullable": True}
    left = [option for option in options if option != {"type": "null"}] if isinstance(options, list) else []
    if not left or left == options:
        return schema
    rest = {name: value for name, value in schema.items() if name != word}
    return {**rest, **left[0], "nullable": True} if len(left) == 1 else {**schema, word: left, "nullable": True}


def _worded(schema: dict[str, Any], losses: dict[str, None]) -> dict[str, Any]:
    """Tell in the description what the schema cannot say: open bounds, and an enum of values that are no strings.

    The values are not turned into strings: the caller's type is a number, and strings would come back.
    """
    said = [f"{name} {schema[name]}" for name in _IN_WORDS if name in schema]
    gone = [name for name in _IN_WORDS if name in schema]
    values = schema.get("enum")
    if isinstance(values, list) and not all(isinstance(value, str) for value in values):
        gone.append("enum")
        said.append(f"one of {', '.join(map(str, values))}")
    elif isinstance(values, list):
        schema.setdefault("type", "string")
    losses.update(dict.fromkeys(gone))
    kept = {name: value for name, value in schema.items() if name not in gone}
    words = "; ".join(filter(None, [kept.get("description"), *said]))
    return {**kept, "description": words} if said else kept
