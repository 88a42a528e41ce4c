"""xAI: XA-T1, XA-T3, XA-T4."""

from __future__ import annotations

from typing import Any

from .reading import functions, nodes, output_schema, standard

MOST = {
    "minLength": 2048,
    "maxLength": 2048,
    "minItems": 256,
    "maxItems": 256,
    "minProperties": 64,
    "maxProperties": 64,
}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body)
    for schema in (output_schema(body), *(function["parameters"] for function in functions(body))):
        for path, node in nodes(schema):
            found += [f"{path}: an empty {word}" for word in ("enum", "anyOf") if node.get(word) == []]
            found += [f"{path}: {word}" for word in ("minContains", "maxContains") if word in node]
            found += [f"{path}: a list of items"] * isinstance(node.get("items"), list)
            found += [f"{path}: several allOf"] * (len(node.get("allOf", ())) > 1)
            found += [f"{path}: {word} of {node[word]}" for word, most in MOST.items() if node.get(word, 0) > most]
            parts = node.get("properties", {}).values()
            found += [f"{path}: a property that is true or false"] * any(isinstance(part, bool) for part in parts)
    return found
