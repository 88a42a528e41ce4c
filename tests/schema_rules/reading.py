"""How the rule books read a request: its functions, its output schema, and the parts of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every schema object inside a schema, itself first, with where it stands."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key, value in schema.items():
        inner: list[tuple[str, Any]] = []
        if key in _MAPS and isinstance(value, dict):
            inner = [(f"{key}.{name}", part) for name, part in value.items()]
        elif key in _LISTS and isinstance(value, list):
            inner = [(f"{key}[{number}]", part) for number, part in enumerate(value)]
        elif key in _ONES:
            inner = [(key, value)]
        for place, part in inner:
            yield from nodes(part, f"{path}.{place}".lstrip("."))


def functions(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [tool["function"] for tool in body.get("tools") or ()]


def unions_at_the_root(body: dict[str, Any], *words: str) -> list[str]:
    """List the functions whose arguments are no plain object."""
    found = []
    for function in functions(body):
        schema = function["parameters"]
        found += [f"{function['name']}: {word} at the root" for word in words if word in schema]
        found += [f"{function['name']}: the root is no object"] * (schema.get("type") != "object")
    return found


def output_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of `response_format`, None without one."""
    wanted = body.get("response_format") or {}
    schema: dict[str, Any] | None = (wanted.get("json_schema") or {}).get("schema")
    return schema


def is_object(node: dict[str, Any]) -> bool:
    kind = node.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in node


def open_objects(schema: Any) -> list[str]:
    """List the objects that are not closed, or that let a property be left out."""
    found = []
    for path, node in nodes(schema):
        if is_object(node) and node.get("additionalProperties") is not False:
            found.append(f"{path}: additionalProperties is not false")
        if is_object(node) and set(node.get("properties", {})) - set(node.get("required", [])):
            found.append(f"{path}: a property is not required")
    return found


def standard(
    body: dict[str, Any],
    *,
    name: str = r"[A-Za-z0-9_-]{1,64}",
    most: int | None = 128,
    choices: tuple[str, ...] = ("none", "auto", "required", "named"),
) -> list[str]:
    """List what breaks the rules that nearly all share: names, how many, unique, and the forms of the choice."""
    found = []
    names = [function["name"] for function in functions(body)]
    found += [f"the name {own!r}" for own in names if not re.fullmatch(name, own)]
    if len(set(names)) < len(names):
        found.append("two tools have one name")
    if most is not None and len(names) > most:
        found.append(f"{len(names)} tools")
    if "tools" in body and not names:
        found.append("an empty list of tools")
    choice = body.get("tool_choice", "auto")
    kind = "named" if isinstance(choice, dict) else choice
    if kind not in choices:
        found.append(f"tool_choice {kind}")
    if kind == "named" and choice["function"]["name"] not in names:
        found.append("the choice of a tool that is not there")
    if "tool_choice" in body and not names:
        found.append("a choice without tools")
    return found
