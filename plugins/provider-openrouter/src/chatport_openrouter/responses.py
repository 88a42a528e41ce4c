"""`shape_request` for OpenRouter's Responses: which earlier thoughts a model takes back."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Context, WireRequest, hookimpl

from .details import why_not_suited

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Leave out thoughts that this model would refuse: their `format` tells whose they are (RS-V7, OR-R3)."""
    wire = yield
    losses = [_loss(item, context.model) for item in wire.body["input"]]
    if not any(losses):
        return wire
    kept = [item for item, loss in zip(wire.body["input"], losses, strict=True) if loss is None]
    wire = wire.set("input", kept)
    for fact, reason in sorted({loss for loss in losses if loss is not None}):
        wire = wire.note("note", "input", reason, fact)
    return wire


def _loss(item: Mapping[str, Any], model: str) -> tuple[str, str] | None:
    if item.get("type") != "reasoning":
        return None
    is_signed = bool(item.get("encrypted_content") or item.get("signature"))
    return why_not_suited(item, model, is_signed=is_signed)
