"""The part of JSON Schema that Anthropic enforces, in structured output and in strict tools (AN-O3, AN-O4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["enforceable", "optional_properties", "unions", "why_not_enforced"]

_NOT_ENFORCED = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
)  # fmt: skip
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_SAYS_WHAT = ("type", "properties", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")
_NOT_A_RULE = ("discriminator", "$schema")


def why_not_enforced(schema: Mapping[str, Any]) -> str | None:
    """Return what keeps a schema from being enforced at all, None if nothing does."""
    return next(_obstacles(schema, schema, ()), None)


def _obstacles(node: Any, root: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    if node is True or (isinstance(node, Mapping) and not any(key in node for key in _SAYS_WHAT)):
        yield "a value of any type"
    if not isinstance(node, Mapping):
        return
    if "$ref" in node:
        yield from _reference_obstacles(str(node["$ref"]), root, above)
    free_keys = node.get("additionalProperties", "properties" not in node)
    if node.get("type") == "object" and free_keys is not False:
        yield "an object with free keys"
    if any(isinstance(part, Mapping) and "$ref" in part for part in node.get("allOf") or ()):
        yield "allOf with $ref"
    for part in _parts(node):
        yield from _obstacles(part, root, above)


def _reference_obstacles(reference: str, root: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    target: Any = root
    for name in reference.removeprefix("#/").split("/") if reference.startswith("#") else ("",):
        target = target.get(name) if isinstance(target, Mapping) else None
    if reference in (*above, "#"):
        yield "recursion"
    elif target is None:
        yield f"the outside reference {reference}"
    else:
        yield from _obstacles(target, root, (*above, reference))


def _parts(node: Mapping[str, Any]) -> list[Any]:
    several = [*(node.get("properties") or {}).values(), node.get("items")]
    return several + [part for key in ("anyOf", "oneOf", "allOf") for part in node.get(key) or ()]


def enforceable(schema: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    """Return the schema as it can be enforced. What cannot goes into the descriptions, and its names into `lost`."""
    if "$ref" in schema:
        clean: dict[str, Any] = {"$ref": schema["$ref"]}
    else:
        clean = {key: value for key, value in schema.items() if key not in _NOT_A_RULE}
        clean = _described(clean, _taken_out(clean), lost)
    if "oneOf" in clean:
        clean["anyOf"] = clean.pop("oneOf")
    if clean.get("type") == "object" or "properties" in clean:
        clean["additionalProperties"] = False
    if "$defs" in schema:
        clean["$defs"] = schema["$defs"]
    return {key: _each(key, value, lost) for key, value in clean.items()}


def _each(key: str, value: Any, lost: list[str]) -> Any:
    if key in ("properties", "$defs"):
        return {name: enforceable(part, lost) if isinstance(part, Mapping) else part for name, part in value.items()}
    if key in ("anyOf", "allOf"):
        return [enforceable(part, lost) if isinstance(part, Mapping) else part for part in value]
    return enforceable(value, lost) if key == "items" and isinstance(value, Mapping) else value


def _taken_out(node: dict[str, Any]) -> dict[str, Any]:
    out = {key: node.pop(key) for key in _NOT_ENFORCED if key in node}
    if node.get("minItems", 0) > 1:
        out["minItems"] = node.pop("minItems")
    if "format" in node and node["format"] not in _FORMATS:
        out["format"] = node.pop("format")
    if any(isinstance(value, dict | list) for value in node.get("enum") or ()):
        out["enum"] = node.pop("enum")
    return out


def _described(node: dict[str, Any], out: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    if not out:
        return node
    lost.extend(key for key in out if key not in lost)
    words = ", ".join(f"{key}: {value}" for key, value in out.items())
    return {**node, "description": f"{node['description']} ({words})" if node.get("description") else words}


def optional_properties(schema: Any) -> int:
    """Return how many properties may be left out, in all objects of a schema (AN-T18)."""
    if not isinstance(schema, Mapping):
        return 0
    own = len(set(schema.get("properties") or {}) - set(schema.get("required") or ()))
    return own + sum(map(optional_properties, [*_parts(schema), *(schema.get("$defs") or {}).values()]))


def unions(schema: Any) -> int:
    """Return how many places of a schema have more than one type (AN-T18)."""
    if not isinstance(schema, Mapping):
        return 0
    own = "anyOf" in schema or "oneOf" in schema or isinstance(schema.get("type"), list)
    return int(own) + sum(map(unions, [*_parts(schema), *(schema.get("$defs") or {}).values()]))
