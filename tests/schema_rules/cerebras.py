"""Cerebras: CB-T1, CB-T2, CB-T6, CB-J2 to CB-J4."""

from __future__ import annotations

from typing import Any

from .reading import functions, is_object, nodes, output_schema, standard

BEYOND_STRICT = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}
BEYOND_STRICT |= {"minLength", "maxLength", "pattern", "format", "nullable", "definitions"}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None, choices=("none", "auto", "required"))
    if body.get("response_format") and body.get("tools"):
        found.append("an output format together with tools")
    strict = [bool(function.get("strict")) for function in functions(body)]
    if any(strict) and not all(strict):
        found.append("strict on some tools only")
    for function in functions(body) if any(strict) else ():
        found += misfits(function["parameters"])
    schema = output_schema(body)
    if schema is not None:
        found += ["the root is no object"] * (not is_object(schema))
        found += misfits(schema) if body["response_format"]["json_schema"].get("strict") else []
    return found


def misfits(schema: dict[str, Any]) -> list[str]:
    found = []
    for path, node in nodes(schema):
        found += [f"{path}: {word}" for word in sorted(BEYOND_STRICT & node.keys())]
        found += [f"{path}: a list of types"] * isinstance(node.get("type"), list)
        found += [f"{path}: an open object"] * (is_object(node) and node.get("additionalProperties") is not False)
        found += [f"{path}: no items"] * (node.get("type") == "array" and not node.keys() & {"items", "prefixItems"})
    return found
