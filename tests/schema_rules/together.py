"""Together AI: TG-T1, TG-T5."""

from __future__ import annotations

from typing import Any

from .reading import standard


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    kind = (body.get("response_format") or {}).get("type", "text")
    found += ["tools together with response_format"] * (kind != "text" and bool(body.get("tools")))
    return found
