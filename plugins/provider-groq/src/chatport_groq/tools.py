"""A tool call that Groq's own check has refused, made into the call that the model meant (GQ-T2, GQ-T3).

The check compares arguments with your schema and answers with an error in place of the call. Handing the call out lets
the caller's own validation speak, and the model be told. There is no `translate_tools` here: the standard's fits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Event, FinishReported, TextDelta, ToolCallDelta

__all__ = ["recovered"]

_CODE = "tool_use_failed"
_MARKUP = re.compile(r"\s*<function=([\w.-]+)\W*?(\{.*?\})\s*(?:</function>\s*|$|(?=<function=))", re.DOTALL)


def recovered(error: Mapping[str, Any], index: int = 0) -> Sequence[Event]:
    """Return what the model meant as events, none where it cannot be told. `index` is the first free one."""
    generation, message = error.get("failed_generation"), str(error.get("message"))
    if error.get("code") != _CODE or not isinstance(generation, str) or "choice is none" in message:  # GQ-T4
        return ()
    calls = _calls(generation)
    if not calls:
        return ()
    name, arguments = calls[0]
    if name == "json" and "not in request.tools" in message:  # GQ-T7: its way to answer in JSON
        return (TextDelta(arguments), FinishReported("stop", _CODE))
    digest = hashlib.sha256(generation.encode("utf-8", "replace")).hexdigest()[:16]
    deltas = [ToolCallDelta(index + n, f"call_{n}_{digest}", *call) for n, call in enumerate(calls)]
    return (*deltas, FinishReported("tool_calls", _CODE))


def _calls(generation: str) -> list[tuple[str, str]]:
    """Return names and arguments, from JSON or from `<function=name>{…}` markup; nothing where any of it is else."""
    found = list(_MARKUP.finditer(generation))
    try:
        if "".join(match[0] for match in found).strip() == generation.strip():
            return [(match[1], json.dumps(json.loads(match[2]), ensure_ascii=False)) for match in found]
        data = json.loads(generation)
    except ValueError:
        return []
    calls = data if isinstance(data, list) else [data]
    if not all(isinstance(c, dict) and isinstance(c.get("name"), str) and "arguments" in c for c in calls):
        return []
    return [(call["name"], _text(call["arguments"])) for call in calls]


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
