"""`shape_request` for OpenRouter: the reasoning object, what goes back with the history, what must not be silent."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, Message, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.standard.output import fit_output
from chatport.standard.schemas import with_losses

from .details import author_of, merged, suited
from .gemini import gemini_schema, is_gemini

__all__ = ["shape_request"]

_SMALL_WINDOW = 8192
_LEAST_BUDGET, _MOST_BUDGET = 1024, 128_000


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = _structured((yield), call, context)
    wire = _reasoning(wire, call, context) if call.prefix is None else _continued(wire, call.prefix, context)
    return _uncompressed(_routed(_with_switches(_history(wire, call, context), context), context), context)


def _with_switches(wire: WireRequest, context: Context) -> WireRequest:
    """Send the settings that are switches in the words of their headers (OR-B4)."""
    cache = context.settings.get("cache")
    headers = {} if cache is None else {"x-openrouter-cache": "true" if cache else "false"}
    return wire.with_headers(
        headers | ({"x-openrouter-metadata": "enabled"} if context.settings.get("metadata") else {})
    )


# --- reasoning


def _reasoning(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say in one object how much to reason (OR-P4): a shorthand beside it could contradict it (OR-P6)."""
    effort, own = wire.body.get("reasoning_effort"), call.extra.get("reasoning")
    if not isinstance(own, Mapping):
        own = {}
    asked: dict[str, Any] = {} if effort is None else {"effort": effort}
    if isinstance(call.reasoning, int):
        asked = {"max_tokens": call.reasoning}
    if not asked and not own:
        return wire
    settled = bool({"effort", "max_tokens"} & set(own))
    wanted = dict(own) if settled else {**asked, **own}
    wire = wire.discard("reasoning_effort").set("reasoning", wanted)
    if settled and asked and not asked.items() <= own.items():
        wire = wire.note("dropped", "reasoning", "the reasoning object in extra says otherwise", "OR-P6")
    if wanted.get("effort") is not None and wanted.get("max_tokens") is not None:
        rest = {name: value for name, value in wanted.items() if name != "max_tokens"}
        wire = wire.set("reasoning", rest).note("dropped", "reasoning.max_tokens", "effort is given too", "OR-P4")
    return _allowed(wire, context)


def _allowed(wire: WireRequest, context: Context) -> WireRequest:
    wanted = wire.body["reasoning"]
    off = wanted.get("effort") == "none" or wanted.get("enabled") is False
    if off and context.facts.efforts and "none" not in context.facts.efforts:
        return wire.drop("reasoning", "this model always reasons, and refuses to be told not to", "OR-P7")
    if author_of(context.model) != "anthropic" or off:
        return wire
    choice = wire.body.get("tool_choice")
    if choice == "required" or isinstance(choice, Mapping):
        return wire.drop("reasoning", "a forced tool call excludes it: the router would drop it silently", "OR-T4")
    return _fitted(wire, wanted)


def _fitted(wire: WireRequest, wanted: Mapping[str, Any]) -> WireRequest:
    """Keep a budget within the router's bounds, and below the output limit, which it must leave room in (OR-P5)."""
    budget, limit = wanted.get("max_tokens"), wire.body.get("max_tokens", wire.body.get("max_completion_tokens"))
    if not isinstance(budget, int):
        return wire
    fit = min(max(budget, _LEAST_BUDGET), _MOST_BUDGET)
    if isinstance(limit, int) and fit >= limit > _LEAST_BUDGET:
        fit = limit - 1
    if fit == budget:
        return wire
    wire = wire.set("reasoning", {**wanted, "max_tokens": fit})
    reason = f"a budget is {_LEAST_BUDGET} to {_MOST_BUDGET} tokens and less than max_tokens: {fit}, not {budget}"
    return wire.note("lowered" if fit < budget else "note", "reasoning", reason, "OR-P5")


def _continued(wire: WireRequest, prefix: str, context: Context) -> WireRequest:
    """Go on from the beginning of an answer without thinking again, which Anthropic's routes refuse there (OR-P16)."""
    if author_of(context.model) == "anthropic" and prefix != prefix.rstrip():
        raise UnsupportedFeatureError(
            "Anthropic's routes do not go on exactly from a text that ends in white space (OR-P16).",
            provider=context.provider.name,
            model=context.model,
        )
    asked = wire.body.get("reasoning", wire.body.get("reasoning_effort", "none")) not in ("none", {"effort": "none"})
    always = context.facts.efforts and "none" not in context.facts.efforts  # OR-P7: it cannot be told not to
    wire = wire.discard("reasoning_effort").discard("reasoning")
    wire = wire if always else wire.set("reasoning", {"effort": "none"})
    reason = "a continued answer is not thought over again"
    return wire.note("lowered", "reasoning", reason, "OR-P16") if asked else wire


def _history(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Give earlier answers back what they came with: reasoning details (OR-R2), and parsed files (OR-M3)."""
    messages, lost = [], set()
    begun = wire.body["messages"][len(call.messages) :]  # the beginning of an answer to go on from
    for message, sent in zip(call.messages, wire.body["messages"], strict=False):
        sent, dropped = _answer(message, sent, context) if message.role == "assistant" else (sent, set())
        messages.append(sent)
        lost |= dropped
    wire = wire.set("messages", [*messages, *begun])
    for fact, reason in sorted(lost):
        wire = wire.note("note", "messages.reasoning_details", reason, fact)
    return wire


def _answer(
    message: Message, sent: Mapping[str, Any], context: Context
) -> tuple[Mapping[str, Any], set[tuple[str, str]]]:
    kept = message.opaque if message.origin == context.provider.name else {}
    more = {name: kept[name] for name in ("reasoning_details", "annotations") if name in kept and name not in sent}
    if "reasoning_details" in more:
        more["reasoning_details"] = merged(more["reasoning_details"])
    sent = {**sent, **more}
    details = sent.get("reasoning_details")
    if not isinstance(details, list) or not details:  # OR-R5: an empty list stays what it is
        return sent, set()
    good, lost = suited(details, context.model)
    if good:
        return {**sent, "reasoning_details": good}, lost
    # OR-R4: without its details the plain text of the reasoning is refused as well
    bare = ("reasoning_details", "reasoning", "reasoning_content")
    return {name: value for name, value in sent.items() if name not in bare}, lost


# --- what must not happen silently


def _structured(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    formats, for_gemini = context.facts.output_formats, is_gemini(context.model)
    if formats is not None:
        forced = bool(context.facts.forced_tool_choice) and not for_gemini  # OR-T3: its schema would not fit as it is
        wire = fit_output(wire, call, formats, "no schemas here", "OR-J1", forced_tool=forced)
    wanted = wire.body.get("response_format")
    inner = wanted.get("json_schema") if isinstance(wanted, Mapping) and for_gemini else None
    if isinstance(wanted, Mapping) and isinstance(inner, Mapping):
        schema, losses = gemini_schema(inner.get("schema") or {}, "output")
        wire = wire.set("response_format", {**wanted, "json_schema": {**inner, "schema": schema}})
        wire = with_losses(wire, losses, "output", "OR-T3")
    return wire


def _routed(wire: WireRequest, context: Context) -> WireRequest:
    """Ask for routes that know the fields: others drop them, and a schema with them, silently (OR-P1, OR-J2)."""
    setting, routing = context.settings.get("require_parameters"), wire.body.get("provider") or {}
    if not isinstance(routing, Mapping):
        return wire  # the vendor will say what is wrong with it
    structured = wire.body.get("response_format") not in (None, {"type": "text"})
    if setting is False or "require_parameters" in routing or not (setting or structured):
        return wire
    if setting:
        return wire.set("provider", {**routing, "require_parameters": True})
    reason = "require_parameters: other routes would ignore response_format"
    return wire.add("provider", {**routing, "require_parameters": True}, reason, "OR-J2")


def _uncompressed(wire: WireRequest, context: Context) -> WireRequest:
    """Switch off what removes messages from the middle: it is on by default where the window is small (OR-P10)."""
    plugins = wire.body.get("plugins") or []
    own = "transforms" in wire.body or "context-compression" in str(plugins) or not isinstance(plugins, list)
    if own or (context.facts.context_tokens or 0) > _SMALL_WINDOW:
        return wire
    return wire.set("plugins", [*plugins, {"id": "context-compression", "enabled": False}])
