"""`shape_request` for Cerebras: what its facts cannot say, of strict schemas."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from chatport import WireRequest, hookimpl
from chatport.helpers import Loss, with_losses

from .schema import strict_schema, why_not_strict

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request() -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping) or not isinstance(wanted.get("json_schema"), Mapping):
        return wire
    spec = wanted["json_schema"]
    if not spec.get("strict") or not isinstance(spec.get("schema"), Mapping):
        return wire
    problem = why_not_strict(spec["schema"])
    if problem is not None:
        loose = {**wanted, "json_schema": {**spec, "strict": False}}
        return wire.lower("response_format", loose, f"the schema cannot be strict: {problem}", "CB-J2")
    losses: list[Loss] = []
    schema = strict_schema(spec["schema"], losses)
    wire = wire.set("response_format", {**wanted, "json_schema": {**spec, "schema": schema}})
    return with_losses(wire, losses, "output", "CB-J3")
