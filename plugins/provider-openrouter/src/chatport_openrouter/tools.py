"""`translate_tools` for OpenRouter: Gemini's smaller schema language, chosen by the model's name (OR-T3)."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Context, WireTools, hookimpl
from chatport.standard.schemas import loss_warnings

from .gemini import gemini_schema, is_gemini

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(context: Context) -> Generator[None, WireTools, WireTools]:
    tools = yield
    if not is_gemini(context.model) or not tools.tools:
        return tools
    sent: list[object] = []
    notes: list[Adjustment] = []
    for tool in tools.tools:
        function = tool["function"]
        schema, losses = gemini_schema(function["parameters"])
        sent.append({**tool, "function": {**function, "parameters": schema}})
        own = tools.names.get(function["name"], function["name"])
        notes.extend(loss_warnings(losses, f"tools.{own}.parameters", "OR-T3"))
    return attrs.evolve(tools, tools=sent, adjustments=(*tools.adjustments, *notes))
