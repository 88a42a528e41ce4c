"""A tool call that Groq's own check has refused, made into the call that the model meant (GQ-T2, GQ-T3).

The check compares arguments with your schema and answers with an error in place of the call. Handing the call out lets
the caller's own validation speak, and the model be told. There is no `translate_tools` here: the standard's fits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport import Event, FinishReported, TextDelta, ToolCallDelta

__all__ = ["recovered"]

_CODE = "tool_use_failed"
_BEGIN = re.compile(r"<function=([\w.-]++)\W*?(?=\{)")
_END = re.compile(r"\s*+(?:</function>\s*+|$|(?=<function=))")
_JSON = json.JSONDecoder()


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
    text = generation.strip()
    try:
        if text.startswith("<"):
            return list(_marked_up(text))
        data = json.loads(text)
    except (ValueError, RecursionError):
        return []
    calls = data if isinstance(data, list) else [data]
    if not all(isinstance(c, dict) and isinstance(c.get("name"), str) and "arguments" in c for c in calls):
        return []
    return [(call["name"], _text(call["arguments"])) for call in calls]


def _marked_up(text: str) -> Iterator[tuple[str, str]]:
    """Yield the calls of markup, in one pass: a search for each end would take time with the square of the length."""
    at = 0
    while at < len(text):
        begin = _BEGIN.match(text, at)
        if begin is None:
            raise ValueError("this is no call")
        value, at = _JSON.raw_decode(text, begin.end())
        end = _END.match(text, at)
        if end is None:
            raise ValueError("something follows the arguments")
        yield begin[1], json.dumps(value, ensure_ascii=False)
        at = end.end()


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
