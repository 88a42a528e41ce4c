"""LM Studio: no named choice, no json_object, and a 200 for paths it does not have."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import Call, Failure, ModelNotFoundError, Verdict, WireRequest, WireTools, hookimpl

from .shared import any_object, named_as_required

__all__ = ["classify_error", "shape_request", "translate_tools"]


@hookimpl(wrapper=True)
def translate_tools() -> Generator[None, WireTools, WireTools]:
    """Take calls back under either name: the model is shown each tool in snake_case (LM-T3)."""
    tools = yield
    sent = [tool["function"]["name"] for tool in tools.tools or ()]
    shown = {_snake(name): tools.names.get(name, name) for name in sent if _snake(name) not in sent}
    return attrs.evolve(tools, names={**shown, **tools.names}) if shown else tools


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


@hookimpl(wrapper=True)
def shape_request(call: Call) -> Generator[None, WireRequest, WireRequest]:
    wire = any_object(named_as_required((yield), "LM-T1"), "LM-J1")
    if isinstance(call.reasoning, str):
        reason = "an effort is not among the documented fields: it is sent, and may have no effect"
        wire = wire.note("lowered", "reasoning_effort", reason, "LM-P1")
    return wire


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    if failure.details.message.startswith("Unexpected endpoint or method"):  # LM-E2, with status 200
        hint = "LM Studio does not have this path. Does base_url end in /v1?"
        return Verdict(ModelNotFoundError, retryable=False, message=f"{failure.details.message} {hint}")
    return None
