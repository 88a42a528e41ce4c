"""Moonshot: MS-T1 to MS-T5, MS-T8, MS-J1."""

from __future__ import annotations

from typing import Any

from .reading import functions, nodes, output_schema, standard

UNSUPPORTED = {"title", "$comment", "$schema", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
UNSUPPORTED |= {"minItems", "maxItems", "oneOf", "allOf", "const", "prefixItems"}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, name=r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
    off = (body.get("thinking") or {}).get("type") == "disabled"
    if isinstance(body.get("tool_choice"), dict) and not off:
        found.append("a named choice while it thinks")
    if body.get("tool_choice") == "required" and body["model"].startswith("kimi-k2"):
        found.append("required on K2")
    schemas = [function["parameters"] for function in functions(body)]
    for schema in [*schemas, *([output] if (output := output_schema(body)) is not None else [])]:
        found += flavoured(schema)
    return found


def flavoured(schema: dict[str, Any]) -> list[str]:
    found = [] if schema.get("type") == "object" else ["the root is no object"]
    for path, node in nodes(schema):
        found += [f"{path}: {word}" for word in sorted(UNSUPPORTED & node.keys())]
        if "$ref" in node:
            name = node["$ref"].removeprefix("#/$defs/")
            found += [f"{path}: $ref with siblings"] * (len(node) > 1)
            found += [f"{path}: $ref leads out"] * (node["$ref"] != "#" and name not in schema.get("$defs", {}))
            continue
        if "anyOf" in node and "type" in node:
            found.append(f"{path}: type beside anyOf")
        elif "anyOf" not in node and not isinstance(node.get("type"), str):
            found.append(f"{path}: no type")
        kinds = {type(value) for value in node.get("enum", [])}
        if len(kinds) > 1 or kinds - {str, int, float}:
            found.append(f"{path}: enum of several kinds")
        found += [f"{path}: a tuple"] * isinstance(node.get("items"), list)
        found += [f"{path}: $defs below the root"] * (bool(path) and "$defs" in node)
    return found
