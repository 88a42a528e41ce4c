"""Gemini: GM-T1, GM-P2, GM-J2."""

from __future__ import annotations

from typing import Any

from .reading import functions, nodes, output_schema, standard

NOT_TAKEN = ("$schema", "$ref", "$defs", "definitions", "const", "oneOf", "exclusiveMinimum", "exclusiveMaximum")


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    is_old = "gemini-2" in body["model"]
    found += ["JSON beside tools"] * bool(is_old and body.get("tools") and body.get("response_format"))
    found += ["parallel_tool_calls"] * ("parallel_tool_calls" in body)
    schemas = [function["parameters"] for function in functions(body)]
    for schema in [*schemas, *([output] if (output := output_schema(body)) is not None else [])]:
        for path, node in nodes(schema):
            found += [f"{path}: {word}" for word in NOT_TAKEN if word in node]
            found += [f"{path}: a union with null"] * ({"type": "null"} in node.get("anyOf", []))
            if any(not isinstance(value, str) for value in node.get("enum", [])):
                found.append(f"{path}: enum values that are no texts")
    return found
