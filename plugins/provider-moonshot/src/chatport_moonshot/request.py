"""`shape_request` for Moonshot: fixed sampling, thinking by model, and what a forced tool call costs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.facts import ModelFacts
from chatport.standard.output import schema_in_words, with_instruction
from chatport.standard.schemas import with_losses

from .schema import Misfit, fit_schema

__all__ = ["shape_request"]

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_NOTHING = "(empty)"  # MS-P14: content must not be empty
_LOST_REASONING = " "  # MS-R3


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the standard request. The tool choice may switch thinking off, and thinking decides the rest."""
    wire = yield
    facts = context.facts
    wire = _fields(_messages(wire, context), context)
    wire = _forced_choice(_continued(_thinking(wire, facts), call, facts), call, facts)
    wire = _sampling(wire, facts)
    return _output(_history(wire, call, facts), call)


def _unsupported(problem: str, context: Context) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(problem, provider=context.provider.name, model=context.model)


# --- fields


def _fields(wire: WireRequest, context: Context) -> WireRequest:
    if context.facts.quirks.get("logprobs") is False and wire.body.get("logprobs"):
        wire = wire.drop("logprobs", "refused by this model", "MS-P10").discard("top_logprobs")
    stop = wire.body.get("stop") or ()
    if any(len(text.encode()) > 32 for text in ([stop] if isinstance(stop, str) else stop)):
        raise _unsupported(f"{context.provider.title} takes stop strings of at most 32 bytes (MS-P4).", context)
    return wire


def _sampling(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Take out what is fixed (MS-0.3, MS-P5, MS-X1); a value that is the fixed one is no wish that is lost."""
    fixed = {**facts.quirks.get("fixed", {}), **({} if _thinks(wire, facts) else {"temperature": 0.6})}
    for field, value in fixed.items():
        if field in wire.body:
            same = wire.body[field] in (value, None)
            wire = wire.discard(field) if same else wire.drop(field, f"fixed at {value} for this model", "MS-P5")
    return wire


# --- messages


def _messages(wire: WireRequest, context: Context) -> WireRequest:
    messages = [_message(message, context) for message in wire.body["messages"]]
    filled = [{**m, "content": _NOTHING} if m.get("content") == "" else m for m in messages]
    wire = wire.set("messages", filled)
    if filled == messages:
        return wire
    return wire.note("added", "messages.content", f"{_NOTHING!r} where it was empty, which is refused", "MS-P14")


def _message(message: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [_part(part, context) for part in content]}
    if message["role"] == "system" and "tools" in message and not content:  # MS-P17: tools that come later
        return {name: value for name, value in message.items() if name != "content"}
    return message


def _part(part: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """MS-M1: a picture comes inline or as an uploaded file; the vendor fetches nothing."""
    if part["type"] == "image_url" and part["image_url"]["url"].startswith(("http://", "https://")):
        raise _unsupported(f"{context.provider.title} fetches no images: send a data URL, or upload (MS-M1).", context)
    if part["type"] != "file":
        return part
    file_id = part["file"].get("file_id")
    if file_id is None:
        raise _unsupported(f"{context.provider.title} reads no documents, only uploaded images (MS-M1).", context)
    return {"type": "image_url", "image_url": {"url": f"ms://{file_id}"}}


def _history(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Fill in reasoning that was lost, or is another vendor's: of calls (MS-R3, MS-X2), and of a beginning (MS-P16)."""
    messages = wire.body["messages"]
    lost = [bool(message.get("tool_calls")) and not message.get("reasoning_content") for message in messages]
    lost[-1] = lost[-1] or call.prefix is not None
    if not any(lost) or not _thinks(wire, facts):
        return wire
    filled = [
        {**m, "reasoning_content": _LOST_REASONING} if gone else m for m, gone in zip(messages, lost, strict=True)
    ]
    wire = wire.set("messages", filled)
    return wire.note("added", "messages.reasoning_content", "a blank where it is missing", "MS-R3")


# --- thinking and tool choice


def _thinks(wire: WireRequest, facts: ModelFacts) -> bool:
    switch = wire.body.get("thinking")
    off = isinstance(switch, Mapping) and switch.get("type") == "disabled"
    return not (off and facts.quirks.get("thinking") == "switch")


def _thinking(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Say the effort in this model's way (MS-P7, MS-P8); without a wish nothing is sent."""
    kind, folds = facts.quirks.get("thinking"), facts.quirks.get("effort_folds", {})
    own = wire.body.get("thinking")
    if isinstance(own, Mapping):
        if kind == "effort":
            wire = wire.drop("thinking", "ignored by this model; use reasoning", "MS-P8")
        elif kind == "always" and own.get("type") != "enabled":
            wire = wire.drop("thinking", "this model always thinks", "MS-P8")
        elif "budget_tokens" in own:
            wire = wire.set("thinking", {name: value for name, value in own.items() if name != "budget_tokens"})
            wire = wire.note("dropped", "thinking.budget_tokens", "no token budgets", "MS-P9")
    effort = wire.body.get("reasoning_effort")
    if not isinstance(effort, str):
        return wire
    meant = folds.get(effort, effort)
    if meant != effort:
        off = effort in ("none", "off", "disabled")
        weaker = off or _EFFORTS.index(meant) < _EFFORTS.index(effort)
        words = "this model always thinks" if off else "this model has fewer degrees"
        fact = "MS-0.4" if off else "MS-P7" if kind == "effort" else "MS-P8"
        wire = wire.note("lowered" if weaker else "note", "reasoning", f"{words}: {effort} becomes {meant}", fact)
    if kind == "effort":
        return wire.set("reasoning_effort", meant)
    wire = wire.discard("reasoning_effort")
    if kind == "always" or "thinking" in wire.body:
        return wire
    return wire.set("thinking", {"type": "disabled" if meant == "none" else "enabled"})  # MS-X5


def _continued(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Write the rest of an answer without thinking where that can be (MS-P16)."""
    if call.prefix is None or facts.quirks.get("thinking") != "switch" or not _thinks(wire, facts):
        return wire
    return _switched_off(wire, call, "note", "its thoughts came before this text", "MS-P16")


def _switched_off(wire: WireRequest, call: Call, kind: str, reason: str, fact: str) -> WireRequest:
    field = "thinking" if call.reasoning is None else "reasoning"
    return wire.set("thinking", {"type": "disabled"}).note(kind, field, f"switched off: {reason}", fact)


def _forced_choice(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Force a call as far as this model lets itself be forced (MS-T8, MS-X4)."""
    choice: Any = wire.body.get("tool_choice")
    tools: Any = wire.body.get("tools") or ()
    named = isinstance(choice, Mapping) and "function" in choice
    if not named and choice != "required":
        return wire
    if facts.quirks.get("required_choice"):
        if not named:
            return wire
        wire = wire.set("tools", _only(tools, choice)).set("tool_choice", "required")
        return wire.note("note", "tool_choice", "sent as required, with this tool alone in the list", "MS-T9")
    if facts.quirks.get("thinking") == "switch" and (named or len(tools) == 1):
        if not named:
            wire = wire.set("tool_choice", {"type": "function", "function": {"name": tools[0]["function"]["name"]}})
        if not _thinks(wire, facts):
            return wire
        return _switched_off(wire, call, "lowered", "it excludes a forced tool call", "MS-T8")
    if named:
        wire = wire.set("tools", _only(tools, choice))
    wire = with_instruction(wire, "Answer with a call of one of the tools.")
    return wire.lower("tool_choice", "auto", "cannot be forced on this model: asked for in words", "MS-T8")


def _only(tools: Any, choice: Mapping[str, Any]) -> list[Any]:
    return [tool for tool in tools if tool["function"]["name"] == choice["function"]["name"]]


# --- structured output


def _output(wire: WireRequest, call: Call) -> WireRequest:
    wanted = wire.body.get("response_format")
    if call.prefix is not None:  # MS-P16: not together with JSON mode
        wire = schema_in_words(wire, call, None, "the rest of an answer is no JSON by itself", "MS-P16")
        return wire.drop("response_format", "the rest of an answer is no JSON by itself", "MS-P16")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return wire
    spec = wanted["json_schema"]
    try:
        schema, lost = fit_schema(spec["schema"])  # MS-J1, MS-T6
    except Misfit as misfit:
        return schema_in_words(wire, call, None, f"{misfit}: the schema is in words only", "MS-J1")
    wire = wire.set("response_format", {**wanted, "json_schema": {**spec, "schema": schema}})
    return with_losses(wire, lost, "output", "MS-T4")
