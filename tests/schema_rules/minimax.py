"""MiniMax: MM-P3, MM-T1, MM-T6, MM-T7."""

from __future__ import annotations

from typing import Any

from .reading import functions, standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    found += ["strict"] * any("strict" in function for function in functions(body))
    found += ["no parameters"] * any("parameters" not in function for function in functions(body))
    return found + [f"the field {name}" for name in ("tool_choice", "response_format") if name in body]
