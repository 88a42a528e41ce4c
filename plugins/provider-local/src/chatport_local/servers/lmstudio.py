"""LM Studio: the model sees each tool in snake_case, and an effort may have no effect."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import Call, WireRequest, WireTools, hookimpl

__all__ = ["shape_request", "translate_tools"]


@hookimpl(wrapper=True)
def translate_tools() -> Generator[None, WireTools, WireTools]:
    """Take calls back under either name: the model is shown each tool in snake_case (LM-T3)."""
    tools = yield
    sent = [tool["function"]["name"] for tool in tools.tools or () if tool.get("type") == "function"]
    shown = {_snake(name): tools.names.get(name, name) for name in sent if _snake(name) not in sent}
    return attrs.evolve(tools, names={**shown, **tools.names}) if shown else tools


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


@hookimpl(wrapper=True)
def shape_request(call: Call) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if not isinstance(call.reasoning, str):
        return wire
    reason = "an effort is not among the documented fields: it is sent, and may have no effect"
    return wire.note("lowered", "reasoning_effort", reason, "LM-P1")
