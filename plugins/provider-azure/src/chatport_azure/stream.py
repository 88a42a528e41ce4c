"""`decode_chunk` for Azure: what the content filter found, told as with a plain reply."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chatport import Chunk, Event, ReplyStarted, StreamState, hookimpl

__all__ = ["decode_chunk"]

_FOUND = re.compile(rb'"content_filter_results"\s*:\s*\{\s*"')
_SEVERITIES = ("safe", "low", "medium", "high")


@hookimpl(wrapper=True)
def decode_chunk(chunk: Chunk, state: StreamState) -> Generator[None, Sequence[Event], Sequence[Event]]:
    """Lay under `choices` of the reply's `raw` what a plain one has there (AZ-C1, AZ-S2), late results too (AZ-S4)."""
    events = yield
    raw, seen = chunk.raw, state.scratch
    found = _FOUND.search(raw)
    if found is None:
        return events
    # nearly every piece has the same results as the one before: its JSON need not be read for that
    told = raw[found.start() : raw.find(b"}}", found.start())] + raw[raw.rfind(b'"index"') :][:12]
    if told == seen.get("filter_told"):
        return events
    seen["filter_told"] = told
    results: dict[int, dict[str, Any]] = seen.setdefault("filter_results", {})
    choices = chunk.data.get("choices") if isinstance(chunk.data, Mapping) else None
    for choice in choices if isinstance(choices, list) else ():
        own = choice.get("content_filter_results") if isinstance(choice, Mapping) else None
        if isinstance(own, Mapping):
            held = results.setdefault(choice["index"] if type(choice.get("index")) is int else 0, {})
            # the graver one: a later piece that is fine must not hide an earlier one
            held.update({name: max(held.get(name), value, key=_gravity) for name, value in own.items()})
    shown = [{"index": index, "content_filter_results": dict(held)} for index, held in sorted(results.items()) if held]
    return [*events, ReplyStarted(envelope={"choices": shown})] if shown else events


def _gravity(result: Any) -> tuple[bool, int]:
    if not isinstance(result, Mapping):
        return False, -1 if result is not None else -2
    severity = result.get("severity")
    grade = _SEVERITIES.index(severity) if severity in _SEVERITIES else int(bool(result.get("detected")))
    return bool(result.get("filtered")), grade
