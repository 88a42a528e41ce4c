"""SiliconFlow: SF-P1, SF-T1, SF-J1, SF-J2."""

from __future__ import annotations

from typing import Any

from .reading import standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, choices=("auto", "none", "required"))
    kind = (body.get("response_format") or {}).get("type", "text")
    said = " ".join(str(message.get("content")) for message in body["messages"]).lower()
    found += ["JSON that no message asks for"] * (kind != "text" and "json" not in said)
    return found
