"""`shape_request` for Fireworks: what its facts cannot say, of limits that mean what they say, and of whole schemas."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Context, WireRequest, hookimpl
from chatport.helpers import object_root

from .models import full_id

__all__ = ["shape_request"]

_PLAIN_LIMIT = 4096  # FW-P4: the lowest cap that was reported for calls that do not stream
_JSON_LIMIT = 8192  # FW-J2, FW-I4: what a loop of blanks may cost at most


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the request for Fireworks. A limit of the caller's must hold; one that JSON output adds need not."""
    wire = yield
    if wire.body.get("tools"):
        wire = wire.set("tools", [_whole(tool, context) for tool in wire.body["tools"]])
    return _streamed(_bounded(_limited(wire), context)).set("model", full_id(wire.body["model"]))


def _whole(tool: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """Say `object` in the schema, and that it has properties (FW-T4)."""
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool
    given = {"properties": {}, **(function.get("parameters") or {})}
    parameters = object_root(given, str(function.get("name")), context, "FW-T4")
    return {**tool, "function": {**function, "parameters": parameters}}


def _limited(wire: WireRequest) -> WireRequest:
    """Have the limit mean what it says: by default it is lowered in silence (FW-P2, FW-F2)."""
    if _limit(wire) is None or "context_length_exceeded_behavior" in wire.body:
        return wire
    return wire.set("context_length_exceeded_behavior", "error")


def _bounded(wire: WireRequest, context: Context) -> WireRequest:
    """Give JSON output an end: it may go on with blanks for ever (FW-J2)."""
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind not in ("json_schema", "json_object") or _limit(wire) is not None:
        return wire
    limit = min(_JSON_LIMIT, context.facts.max_output_tokens or _JSON_LIMIT)
    return wire.add("max_tokens", limit, "an end to blanks, which JSON output can go on with for ever", "FW-J2")


def _streamed(wire: WireRequest) -> WireRequest:
    """Ask for a stream, which is folded for `chat`, where a limit is too high for a plain call (FW-P4)."""
    if wire.stream or (_limit(wire) or 0) <= _PLAIN_LIMIT:
        return wire
    return attrs.evolve(wire.set("stream", True), stream=True)


def _limit(wire: WireRequest) -> int | None:
    value = wire.body.get("max_tokens")
    return value if isinstance(value, int) else None
