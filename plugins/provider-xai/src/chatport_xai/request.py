"""`shape_request` for xAI: the schema of structured output, in the subset that is taken (XA-J1, XA-T4)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import WireRequest, hookimpl
from chatport.helpers import Loss, with_losses

from .tools import fitted

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request() -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    text, losses = wire.body.get("text"), list[Loss]()
    if isinstance(text, Mapping) and "format" in text:
        wire = wire.set("text", {**text, "format": _format(text["format"], losses)})
    if "response_format" in wire.body:
        wire = wire.set("response_format", _format(wire.body["response_format"], losses))
    return with_losses(wire, losses, "output", "XA-T4")


def _format(wanted: Any, losses: list[Loss]) -> Any:
    """Return a format with its schema fitted, which stands inside one more object in chat (RS-T1)."""
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return wanted
    if isinstance(wanted.get("json_schema"), Mapping):
        return {**wanted, "json_schema": _fitted(wanted["json_schema"], losses)}
    return _fitted(wanted, losses)


def _fitted(spec: Mapping[str, Any], losses: list[Loss]) -> Mapping[str, Any]:
    schema = spec.get("schema")
    return {**spec, "schema": fitted(schema, "", losses)} if isinstance(schema, Mapping) else spec
