"""OpenRouter: OR-P2, OR-T1, and by the route OR-T3 and OR-T9."""

from __future__ import annotations

from typing import Any

from .reading import functions, nodes, output_schema, standard, unions_at_the_root

NOT_IN_GEMINI = ("$defs", "definitions", "$ref", "const", "title", "examples", "exclusiveMinimum", "exclusiveMaximum")


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    if body["model"].startswith("openai/"):
        found += unions_at_the_root(body, "anyOf", "oneOf", "allOf", "enum", "not")
    if body["model"].startswith("anthropic/"):
        found += unions_at_the_root(body, "anyOf", "oneOf", "allOf")
    if not body["model"].startswith("google/gemini"):
        return found
    schemas = [function["parameters"] for function in functions(body)]
    for schema in [*schemas, *([output] if (output := output_schema(body)) is not None else [])]:
        for path, node in nodes(schema):
            found += [f"{path}: {word}" for word in NOT_IN_GEMINI if word in node]
            found += [f"{path}: anyOf with null"] * ({"type": "null"} in node.get("anyOf", []))
            if any(not isinstance(value, str) for value in node.get("enum", [])):
                found.append(f"{path}: enum values that are no strings")
    return found
