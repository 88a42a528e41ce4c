"""Qwen: QW-T1, QW-T2, QW-T4, QW-J2, QW-J3."""

from __future__ import annotations

from typing import Any

from .reading import functions, standard

SCHEMAS = ("qwen3-max", "qwen-plus", "qwen-flash", "qwen3.")


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, name=r"(?!search$)[A-Za-z0-9_-]{1,64}", most=None)
    thinks = body.get("enable_thinking")
    if thinks and body.get("tool_choice") not in (None, "auto", "none"):
        found.append("a forced choice while it thinks")
    if "coder" in body["model"]:
        found += ["strict"] * any("strict" in function for function in functions(body))
        found += ["required"] * (body.get("tool_choice") == "required")
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_schema" and not body["model"].startswith(SCHEMAS):
        found.append("a schema, on a model without")
    said = " ".join(str(message.get("content")) for message in body["messages"]).lower()
    found += ["json_object without the word"] * (kind == "json_object" and "json" not in said)
    return found
