"""Servers on one's own machine, by what they share: VL-T2, VL-J1, LC-T1, LM-T1, LM-J1."""

from __future__ import annotations

from typing import Any

from .reading import output_schema, standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    kind = (body.get("response_format") or {}).get("type")
    found += ["json_schema without a schema"] * (kind == "json_schema" and output_schema(body) is None)
    return found


def string_choice(body: dict[str, Any]) -> list[str]:
    """llama.cpp and LM Studio read a choice only as a string (LC-T1, LM-T1)."""
    return violations(body) + ["tool_choice is no string"] * isinstance(body.get("tool_choice"), dict)
