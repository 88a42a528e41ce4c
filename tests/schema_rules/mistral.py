"""Mistral: MI-P1, MI-T2, MI-T4, MI-J1, MI-J2."""

from __future__ import annotations

from typing import Any

from .reading import functions, standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, choices=("none", "auto", "required", "any", "named"))
    for function in functions(body):
        extra = set(function) - {"name", "description", "parameters", "strict"}
        found += [f"the key {key} of a function" for key in sorted(extra)]
        found += ["no parameters"] * (not isinstance(function.get("parameters"), dict))
    wanted = body.get("response_format") or {}
    if wanted.get("type") in ("json_schema", "json_object") and body.get("tool_choice", "auto") not in ("auto", "none"):
        found.append("an output format beside a forced call")
    if wanted.get("type") == "json_schema":
        found += ["a schema without a name"] * (not wanted["json_schema"].get("name"))
    return found
