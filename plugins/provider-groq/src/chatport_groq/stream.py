"""`decode_chunk` for Groq: errors in a stream, and the calls that its own check has refused (GQ-T2, GQ-T3).

The check compares arguments with your schema and answers with an error in place of the call. Handing the call out lets
the caller's own validation speak, and the model be told.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport import Chunk, ErrorReported, Event, FinishReported, StreamState, TextDelta, ToolCallDelta, hookimpl
from chatport.helpers import jsoncodec

__all__ = ["decode_chunk", "recovered"]

_CODE = "tool_use_failed"
_BEGIN = re.compile(r"<function=([\w.-]++)\W*?(?=\{)")
_END = re.compile(r"\s*+(?:</function>\s*+|$|(?=<function=))")
_JSON = json.JSONDecoder()


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState) -> Sequence[Event] | None:
    """Read the two ways in which a stream tells a failure; every other chunk is the standard's."""
    raw = chunk.raw
    if chunk.event == "error" or raw[:8] == b'{"error"':  # GQ-S7: nothing follows, not even [DONE] (GQ-I4)
        error = chunk.data.get("error") if isinstance(chunk.data, dict) else None
        calls_before = max((len(choice.calls) for choice in state.choices.values()), default=0)
        return recovered(error, calls_before) or None if isinstance(error, dict) else None  # GQ-T3: behind the others
    if b'"x_groq"' in raw and b'"error"' in raw:
        x_groq = chunk.data.get("x_groq") if isinstance(chunk.data, dict) else None
        message = x_groq.get("error") if isinstance(x_groq, dict) else None
        if message:  # GQ-S8: the older form, a text in an otherwise normal chunk
            return (ErrorReported({"error": {"message": str(message), "type": "server_error"}}),)
    return None


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
        data = list(_marked_up(text)) if text.startswith("<") else _bounded(json.loads(text))
    except (ValueError, RecursionError):
        return []
    calls = data if isinstance(data, list) else [data]
    are_calls = all(isinstance(c, dict) and isinstance(c.get("name"), str) and "arguments" in c for c in calls)
    return [(call["name"], _text(call["arguments"])) for call in calls] if are_calls else []


def _marked_up(text: str) -> Iterator[dict[str, Any]]:
    """Yield the calls of markup, in one pass: a search for each end would take time with the square of the length."""
    at = 0
    while at < len(text):
        begin = _BEGIN.match(text, at)
        if begin is None:
            raise ValueError("this is no call")
        value, at = _JSON.raw_decode(text, begin.end())
        _bounded(value)
        end = _END.match(text, at)
        if end is None:
            raise ValueError("something follows the arguments")
        yield {"name": begin[1], "arguments": value}
        at = end.end()


def _bounded(value: Any) -> Any:
    """Return a value as deep as any that is read; how deep `json` goes differs from one Python to the next."""
    jsoncodec.check_depth(value)
    return value


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
