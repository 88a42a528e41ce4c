"""Fireworks: FW-P1, FW-P5, FW-T1, FW-T4."""

from __future__ import annotations

from typing import Any

from .reading import functions, standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    found += ["stream_options"] * ("stream_options" in body)
    for tool in body.get("tools") or ():
        found += [f"the key {key} of a tool" for key in sorted(set(tool) - {"type", "function"})]
    for function in functions(body):
        extra = set(function) - {"name", "description", "parameters", "strict"}
        found += [f"the key {key} of a function" for key in sorted(extra)]
        found += ["arguments that are no object"] * (function["parameters"].get("type") != "object")
    return found
