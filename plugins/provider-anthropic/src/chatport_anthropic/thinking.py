"""Thinking, as steps of `shape_request`: how much, in which of the four ways, and what it excludes (AN-K2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Call, Context, WireRequest

__all__ = ["fitted", "is_on", "lacks_thoughts", "switched", "types", "without_conflict"]

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 10_000, "high": 16_384, "xhigh": 32_768, "max": 32_768}  # AN-K11
_LEAST = 1024  # AN-R10: of a budget; the same is kept free for the answer
_MISMATCH_BETA = "thinking-binding-controls-2026-08-01"


def fitted(wire: WireRequest, context: Context) -> WireRequest:
    """Return a request whose call came in this protocol without what its model would refuse (AN-K3).

    Whoever wrote it may not know which model answers. What `thinking` asks for stands in the call's `reasoning` too.
    """
    thinking, config = wire.body.get("thinking"), wire.body.get("output_config")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if kind is not None and kind not in types(context):
        wire = wire.discard("thinking").note("note", "thinking", f"{kind} is not known to this model", "AN-K3")
    effort = config.get("effort") if isinstance(config, Mapping) else None
    known = [word for word in context.facts.efforts if word != "none"]
    if effort is None or effort in known or not isinstance(config, Mapping):
        return wire
    rest = {name: value for name, value in config.items() if name != "effort"}
    wire = wire.set("output_config", rest) if rest else wire.discard("output_config")
    if "thinking" not in wire.body:  # said anew by what the call asks for
        return wire
    if not known or effort not in _BUDGETS:
        return wire.note("dropped", "output_config.effort", f"{effort} is no effort here", "AN-K3")
    sent = _folded(effort, known)
    reason = f"no effort {effort} here: sent as {sent}"
    return _with_effort(wire, sent).note("lowered", "output_config.effort", reason, "AN-K3")


def switched(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say how much to think; without a wish the model's default holds (AN-P7: the limit is large enough for it)."""
    if "thinking" not in wire.body and call.reasoning is not None:
        if call.reasoning == "none":
            wire = _off(wire, context)
        elif isinstance(call.reasoning, int):
            wire = _budget(wire, call.reasoning, context)
        elif call.reasoning not in _BUDGETS:  # another vendor's word
            kind = "note" if call.reasoning == "default" else "dropped"
            wire = wire.note(kind, "reasoning", f"{call.reasoning} is no effort here: the default holds", "AN-R11")
        else:
            wire = _effort(wire, call.reasoning, context)
    return _tolerant(wire, context)


def types(context: Context) -> Sequence[str]:
    """Return the ways in which the model can think (AN-K2)."""
    return context.facts.quirks.get("thinking") or ("adaptive",)


def _off(wire: WireRequest, context: Context) -> WireRequest:
    if "disabled" in types(context):
        return wire.set("thinking", {"type": "disabled"})
    if "between_tools" in types(context):
        reason = "cannot be switched off: kept to the steps between tool calls"
        return wire.set("thinking", {"type": "between_tools"}).note("lowered", "reasoning", reason, "AN-R10")
    return _with_effort(wire, "low").note("lowered", "reasoning", "this model always thinks: least effort", "AN-K3")


def _effort(wire: WireRequest, word: str, context: Context) -> WireRequest:
    known = [effort for effort in context.facts.efforts if effort != "none"]
    if "adaptive" in types(context):
        wire = wire.set("thinking", _adaptive(context))
    else:
        wire = _enabled(wire, _BUDGETS[word], context)
    if not known:
        return wire
    sent = _folded(word, known)
    if sent != word:
        kind = "lowered" if list(_BUDGETS).index(sent) < list(_BUDGETS).index(word) else "note"
        wire = wire.note(kind, "reasoning", f"no effort {word} here: sent as {sent}", "AN-K3")
    return _with_effort(wire, sent)


def _folded(word: str, known: Sequence[str]) -> str:
    """Return the word that stands for an effort the model lacks: the next higher one, else its highest (AN-K11)."""
    order = list(_BUDGETS)
    return next((other for other in order[order.index(word) :] if other in known), known[-1])


def _adaptive(context: Context) -> dict[str, Any]:
    """Return adaptive thinking; where its text is withheld by default, what was asked for is shown (AN-K4, AN-K10)."""
    if not context.facts.quirks.get("hides_thinking"):
        return {"type": "adaptive"}
    return {"type": "adaptive", "display": context.settings.get("thinking_display", "summarized")}


def _with_effort(wire: WireRequest, effort: str) -> WireRequest:
    """Set the effort (AN-R11), unless the caller's own `output_config` does."""
    return wire.set("output_config", {"effort": effort, **wire.body.get("output_config", {})})


def _budget(wire: WireRequest, tokens: int, context: Context) -> WireRequest:
    """Think with a budget in tokens, or the effort next to it on models that have no budgets any more (AN-K3)."""
    if "enabled" in types(context):
        return _enabled(wire, tokens, context)
    word = next((word for word, budget in _BUDGETS.items() if tokens <= budget), "max")
    wire = wire.note("lowered", "reasoning", f"no budgets in tokens here: sent as the effort {word}", "AN-K3")
    return _effort(wire, word, context)


def _enabled(wire: WireRequest, tokens: int, context: Context) -> WireRequest:
    """Think with a budget. The limit holds thinking too, so the budget is added to what was asked for (AN-K11)."""
    budget, most = max(tokens, _LEAST), context.facts.max_output_tokens
    limit = wire.body["max_tokens"]
    total = limit + budget if most is None else min(limit + budget, most)
    if total != limit:
        wire = wire.set("max_tokens", total).note("note", "max_tokens", "raised by the thinking's budget", "AN-K11")
    if budget >= total:
        budget = max(total - _LEAST, _LEAST)
        wire = wire.note("lowered", "reasoning", f"a budget of {budget} is what the model's limit allows", "AN-R10")
    return wire.set("thinking", {"type": "enabled", "budget_tokens": budget})


def _tolerant(wire: WireRequest, context: Context) -> WireRequest:
    """Have thinking that no longer fits left out by the vendor, where the user has chosen so (AN-K7)."""
    wish, thinking = context.settings.get("thinking_mismatch"), wire.body.get("thinking", {"type": "adaptive"})
    if not wish or not context.facts.quirks.get("bound") or thinking["type"] == "disabled":
        return wire
    binding = {"block_binding": {"prefix_mismatch_behavior": wish}}
    betas = [name for name in (wire.headers.get("anthropic-beta"), _MISMATCH_BETA) if name]
    return wire.set("thinking", {**thinking, **binding}).with_headers({"anthropic-beta": ",".join(betas)})


# --- what excludes each other


def without_conflict(wire: WireRequest, *, forced: bool, orphaned: bool, prefilled: bool) -> WireRequest:
    """Switch budget thinking off where it would be refused; adaptive thinking has none of these rules.

    `forced`: a tool must be called. `orphaned`: a tool loop is under way without its thinking. `prefilled`: the
    beginning of the answer is given.
    """
    if wire.body.get("thinking", {}).get("type") != "enabled":
        return wire
    if forced:
        reason = "switched off: thinking and a forced tool call exclude each other, the call is kept"
        return _disabled(wire, reason, "AN-T7")
    if orphaned:
        return _disabled(wire, "switched off: the tool calls under way come without their thinking", "AN-K5")
    if prefilled:
        return _disabled(wire, "switched off: the beginning of an answer leaves no place for it", "AN-T14")
    return wire


def _disabled(wire: WireRequest, reason: str, fact: str) -> WireRequest:
    return wire.set("thinking", {"type": "disabled"}).note("lowered", "reasoning", reason, fact)


def lacks_thoughts(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a tool loop is under way whose answers do not begin with their thinking."""
    for turn in reversed(turns):
        kinds = [block["type"] for block in turn["content"]]
        if turn["role"] == "user" and "tool_result" not in kinds:
            return False
        if turn["role"] == "assistant" and "tool_use" in kinds and "thinking" not in kinds[0]:
            return True
    return False


def is_on(wire: WireRequest, context: Context) -> bool:
    """Whether the model thinks, by request or by its default."""
    thinking = wire.body.get("thinking")
    if isinstance(thinking, Mapping):
        return thinking.get("type") != "disabled"
    return context.facts.default_effort != "none"
