"""OpenAI: OA-T2, OA-T3, OA-T4, OA-T9 to OA-T12, OA-T18, OA-O4, OA-O5, OA-R14."""

from __future__ import annotations

import re
from typing import Any

from .reading import functions, nodes, open_objects, output_schema, standard, unions_at_the_root

REFUSED = {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
REFUSED |= {"minLength", "maxLength", "propertyNames", "minProperties", "maxProperties", "contains", "minContains"}
REFUSED |= {
    "maxContains",
    "uniqueItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "default",
    "title",
    "prefixItems",
}
TAKEN_IN_TOOLS = frozenset({"default"})  # recorded with gpt-4o, twice
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body) + unions_at_the_root(body, "anyOf", "oneOf", "allOf", "enum", "not")
    for function in functions(body):
        if function.get("strict"):
            found += strict(function["parameters"], taken=TAKEN_IN_TOOLS)
    schema = output_schema(body)
    if schema is not None:
        spec = body["response_format"]["json_schema"]
        found += [] if schema.get("type") == "object" or "properties" in schema else ["the root is no object"]
        found += ["the root is a union"] * ("anyOf" in schema and bool(spec.get("strict")))
        found += strict(schema) if spec.get("strict") else []
        found += [] if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", spec["name"]) else ["the schema's name"]
    return found


def strict(schema: dict[str, Any], taken: frozenset[str] = frozenset()) -> list[str]:
    found = open_objects(schema)
    found += [] if schema.get("type") == "object" else ["the root is no object"]
    everything = list(nodes(schema))
    for path, node in everything:
        found += [f"{path}: {word}" for word in sorted((REFUSED & node.keys()) - taken)]
        if "$ref" in node and len(node) > 1 and path:
            found.append(f"{path}: $ref with siblings")
        if not node.keys() & {"type", "anyOf", "$ref"}:
            found.append(f"{path}: no type")
        if node.get("format", "date") not in FORMATS:
            found.append(f"{path}: format {node['format']}")
        if re.search(r"\(\?<?[=!]", node.get("pattern", "")):
            found.append(f"{path}: look-around")
        if node.get("type") == "array" and "items" not in node:
            found.append(f"{path}: an array without items")
    if sum(len(node.get("properties", {})) for _, node in everything) > 5000:
        found.append("more than 5000 properties")
    if sum(len(node.get("enum", [])) for _, node in everything) > 1000:
        found.append("more than 1000 enum values")
    return found
