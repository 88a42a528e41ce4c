"""GLM: GL-T1 to GL-T3, GL-J1."""

from __future__ import annotations

from typing import Any

from .reading import functions, standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, choices=("auto", "required", "named"))  # taken without a promise: recorded, and GL-T3
    found += ["strict"] * any("strict" in function for function in functions(body))
    kind = (body.get("response_format") or {}).get("type", "text")
    found += [] if kind in ("text", "json_object") else [f"response_format {kind}"]
    return found
