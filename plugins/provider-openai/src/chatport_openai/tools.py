"""`translate_tools`: a tool asked to be strict is sent strict only if its schema can be."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import attrs

from chatport import hookimpl
from chatport.call import Call, WireTools
from chatport.standard.schemas import loss_warnings
from chatport.types import Adjustment

from .strict import NotStrict, strict_schema

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Names (OA-T2) and the cap of 128 (OA-T3) are the standard's work, with the cap from the facts."""
    tools = yield
    for position, tool in enumerate(call.tools):
        if tool.strict:
            tools = _strict(tools, position, tool.name)
    return tools


def _strict(tools: WireTools, position: int, name: str) -> WireTools:
    sent = list(tools.tools or ())
    function: dict[str, Any] = sent[position]["function"]
    try:
        schema, losses = strict_schema(function["parameters"])  # OA-T9, OA-T10, OA-T11
    except NotStrict as problem:
        sent[position] = {"type": "function", "function": {**function, "strict": False}}
        note = Adjustment("lowered", f"tools.{name}.strict", f"the schema cannot be strict: {problem}", "OA-P14")
        return attrs.evolve(tools, tools=sent, adjustments=(*tools.adjustments, note))
    sent[position] = {"type": "function", "function": {**function, "parameters": schema}}
    notes = loss_warnings(losses, f"tools.{name}.parameters", "OA-T11")
    return attrs.evolve(tools, tools=sent, adjustments=(*tools.adjustments, *notes))
