"""Anthropic, its own protocol: AN-T1 to AN-T6, AN-T18, AN-T20, AN-T23, AN-O3."""

from __future__ import annotations

import re
from typing import Any

from .reading import is_object, nodes

REFUSED = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
REFUSED |= {"maxItems"}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
UNFORCED = ("fable-5", "mythos-5", "opus-5-5", "sonnet-5-5")


def violations(body: dict[str, Any]) -> list[str]:
    found = []
    tools = body.get("tools") or []
    names = [tool["name"] for tool in tools]
    found += [f"the name {name!r}" for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name)]
    found += ["two tools have one name"] * (len(set(names)) < len(names))
    found += ["an empty list of tools"] * ("tools" in body and not tools)
    found += [f"{tool['name']}: no object" for tool in tools if tool["input_schema"].get("type") != "object"]
    for tool in tools:
        unions_there = {"anyOf", "oneOf", "allOf"} & tool["input_schema"].keys()
        found += [f"{tool['name']}: {word} at the root" for word in sorted(unions_there)]
    choice = body.get("tool_choice", {"type": "auto"})
    if choice["type"] not in ("auto", "any", "tool", "none"):
        found.append(f"tool_choice {choice['type']}")
    if choice["type"] == "tool" and choice["name"] not in names:
        found.append("the choice of a tool that is not there")
    if choice["type"] in ("any", "tool") and any(part in body["model"] for part in UNFORCED):
        found.append("a forced choice, on a model that refuses it")
    strict = [tool["input_schema"] for tool in tools if tool.get("strict")]
    found += ["more than 20 strict tools"] * (len(strict) > 20)
    found += ["more than 24 optional parameters"] * (sum(map(optional, strict)) > 24)
    found += ["more than 16 unions"] * (sum(map(unions, strict)) > 16)
    wanted = body.get("output_config", {}).get("format")
    for schema in [*strict, *([wanted["schema"]] if wanted else [])]:
        found += enforced(schema)
    return found


def enforced(schema: dict[str, Any]) -> list[str]:
    found = []
    for path, node in nodes(schema):
        found += [f"{path}: {word}" for word in sorted(REFUSED & node.keys())]
        if is_object(node) and node.get("additionalProperties") is not False:
            found.append(f"{path}: additionalProperties is not false")
        if node.get("minItems", 0) > 1:
            found.append(f"{path}: minItems above 1")
        if node.get("format", "date") not in FORMATS:
            found.append(f"{path}: format {node['format']}")
        if any(isinstance(value, dict | list) for value in node.get("enum", [])):
            found.append(f"{path}: a complex enum")
        if any(isinstance(part, dict) and "$ref" in part for part in node.get("allOf", [])):
            found.append(f"{path}: allOf with $ref")
        if "$ref" in node and recursive(node["$ref"], schema, ()):
            found.append(f"{path}: recursion, or a reference that leads out")
    return found


def recursive(reference: str, root: dict[str, Any], above: tuple[str, ...]) -> bool:
    target: Any = root
    for step in reference.removeprefix("#/").split("/") if reference.startswith("#/") else [""]:
        target = target.get(step) if isinstance(target, dict) else None
    if target is None or reference in above:
        return True
    inside = [node["$ref"] for _, node in nodes(target) if "$ref" in node]
    return any(recursive(further, root, (*above, reference)) for further in inside)


def optional(schema: dict[str, Any]) -> int:
    return sum(len(set(node.get("properties", {})) - set(node.get("required", []))) for _, node in nodes(schema))


def unions(schema: dict[str, Any]) -> int:
    return sum("anyOf" in node or isinstance(node.get("type"), list) for _, node in nodes(schema))
