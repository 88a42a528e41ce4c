"""How much to reason, said in a model's own way, and what makes way for what: the `reasoning` rule of the facts.

Off stays off: nothing here turns "no reasoning" into some where the model can be told not to. Where it cannot, the
least effort is sent, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..call import Call, Context, WireRequest
from ..facts.models import ModelFacts
from ..facts.rules import ReasoningRule
from .choices import is_forced, is_required
from .efforts import EFFORTS, effort_of_budget, is_weaker, nearest_effort
from .paths import at, has, holds, laid_over, put, without

__all__ = ["asks_for", "excludes_forced_call", "make_way", "reasons", "say_reasoning"]

STANDARD_FIELD = "reasoning_effort"
_PLAIN = ReasoningRule()
_DEFAULT = "default"
"""The word of several vendors for as much reasoning as the model does of itself."""


def say_reasoning(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with what the caller wants of reasoning; without a wish the vendor's default holds.

    The vendor's own fields in `extra` are the caller's, and stay as they are.
    """
    if call.reasoning is None and not call.extra and context.facts.rules is None:
        return wire
    facts, rule = context.facts, _rule(context)
    asked = _asked(call)
    own = sorted(
        field
        for field in _own_fields(rule, call)
        if (field != STANDARD_FIELD or asked is None)
        and (field != rule.budget or isinstance(asked, int))  # a budget may go with an effort
    )
    if own and not (call.reasoning is None and asked is not None):
        if call.reasoning is None:
            return wire
        return wire.note("dropped", "reasoning", f"{own[0]} is given in extra", rule.cite("extra"))
    if asked is None:
        return _say_default(wire, facts, rule) if rule.say_default else wire
    wire = wire.discard(STANDARD_FIELD)
    if facts.reasoning is False:
        return (
            wire
            if asked == "none"
            else wire.note("dropped", "reasoning", "this model does not reason", rule.cite("off"))
        )
    if asked == "none":
        return _switched_off(wire, facts, rule)
    if isinstance(asked, str) and asked not in EFFORTS:
        return _with_own_word(wire, asked, facts, rule)
    if isinstance(asked, int):
        if rule.budget is None and (rule.budget_as_effort or call.native is not None):
            return _with_effort(*_budget_as_effort(wire, asked, rule), facts, rule)
        return _with_budget(wire, asked, rule, context.provider.dialect.max_tokens_field)
    return _with_effort(wire, asked, facts, rule)


def reasons(wire: WireRequest, context: Context) -> bool:
    """Whether the model will reason about this request, as far as is known: by its switches, else by its default.

    A model of which no default is known reasons always if it has efforts, and none of them is off.
    """
    facts, rule = context.facts, _rule(context)
    if facts.reasoning is False:
        return False
    if rule.off and holds(wire.body, rule.off):
        return False
    if rule.effort is not None and at(wire.body, rule.effort) == "none":
        return False
    if (rule.on and holds(wire.body, rule.on)) or any(
        field is not None and at(wire.body, field) is not None for field in (rule.effort, rule.budget)
    ):
        return True
    if facts.default_effort is None:
        return bool(facts.reasoning and facts.efforts and not _has_off(facts, rule))
    return facts.default_effort != "none"


def excludes_forced_call(wire: WireRequest, context: Context) -> bool:
    """Whether the model reasons about this request, and calls no tool by force while it does."""
    rule = _rule(context)
    barred = {*rule.gives_way_to, *rule.wins_over} & {"forced_choice", "named_choice"}
    return bool(barred) and reasons(wire, context)


def make_way(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Settle what reasoning excludes: it is switched off for what it gives way to, and wins over the rest."""
    rule = _rule(context)
    if not (rule.gives_way_to or rule.unasked_gives_way_to or rule.wins_over):
        return wire
    if not reasons(wire, context):
        return _off_to_be_safe(wire, call, context.facts, rule)
    unasked = {} if _is_asked_for(call, rule) else rule.unasked_gives_way_to
    for condition, fact in {**unasked, **rule.gives_way_to}.items():
        if _CONDITIONS[condition](wire, call) and _has_off(context.facts, rule):
            return _gave_way(wire, call, context.facts, rule, condition, fact)
    for condition, fact in rule.wins_over.items():
        if _CONDITIONS[condition](wire, call) and condition.endswith("_choice"):
            wire = wire.lower("tool_choice", "auto", "cannot be forced while the model reasons", fact)
    return wire


def _off_to_be_safe(wire: WireRequest, call: Call, facts: ModelFacts, rule: ReasoningRule) -> WireRequest:
    """Switch off what the model may do of itself, where that is not known. Nothing is lost, and so nothing is said."""
    may_reason = rule.off_where_unknown and facts.default_effort is None and facts.reasoning is not False
    if may_reason and rule.off and any(_CONDITIONS[condition](wire, call) for condition in rule.gives_way_to):
        return wire.update(rule.off)
    return wire


def _rule(context: Context) -> ReasoningRule:
    known, budget = context.facts.rules, context.provider.dialect.reasoning_budget_field
    if known is not None and known.reasoning is not None:
        return known.reasoning
    return _PLAIN if budget is None else ReasoningRule(budget=budget)


def _asked(call: Call) -> str | int | None:
    """Return what the caller asked for, by `reasoning` or in the standard's own field of `extra`."""
    if STANDARD_FIELD not in call.extra:
        return call.reasoning
    given = call.extra[STANDARD_FIELD]
    if isinstance(given, bool):
        return "medium" if given else "none"
    return given if isinstance(given, int) or given in EFFORTS else None


def _own_fields(rule: ReasoningRule, call: Call) -> set[str]:
    """Return the vendor's fields for reasoning that the caller gives in `extra`, by name with dots.

    What else stands in the same object is no wish about how much to reason.
    """
    if not call.extra:
        return set()
    named = {*_leaves(rule.on), *_leaves(rule.off or {}), *filter(None, (rule.effort, rule.budget))}
    return {name for name in named if has(call.extra, name) or _is_plain(call.extra, name.partition(".")[0])}


def _is_plain(extra: Mapping[str, Any], name: str) -> bool:
    return name in extra and not isinstance(extra[name], Mapping)


def _leaves(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{leaf}" for leaf in _leaves(value))
        else:
            yield name


def _has_off(facts: ModelFacts, rule: ReasoningRule) -> bool:
    return rule.off is not None or (rule.effort is not None and "none" in facts.efforts)


def _switched_off(wire: WireRequest, facts: ModelFacts, rule: ReasoningRule) -> WireRequest:
    if rule.off is not None:
        return laid_over(wire, rule.off)
    if rule.effort is not None and ("none" in facts.efforts or not facts.efforts):
        return put(wire, rule.effort, rule.words.get("none", "none"))
    if not rule.least_for_off:
        return wire.note("dropped", "reasoning", "no switch of this model is known", rule.cite("off"))
    if rule.effort is None:
        return wire.note("lowered", "reasoning", "this model always reasons, and has no switch", rule.cite("off"))
    least = nearest_effort("none", facts.efforts)
    wire = put(laid_over(wire, rule.on), rule.effort, rule.words.get(least, least))
    return wire.note("lowered", "reasoning", f"this model always reasons: sent as {least}", rule.cite("off"))


def _with_effort(wire: WireRequest, asked: str, facts: ModelFacts, rule: ReasoningRule) -> WireRequest:
    if rule.effort is None and rule.off is None and not (rule.on or rule.means):
        if facts.efforts:
            reason = f"this model always reasons, and has no efforts: {asked} is no more than that"
            return _told(wire, asked, nearest_effort(asked, facts.efforts), reason, rule)
        reason = "neither a switch nor efforts of this model are known"
        return wire.note("dropped", "reasoning", reason, rule.cite("off"))
    wire = wire if rule.effort_alone else laid_over(wire, rule.on)
    if rule.effort is None:
        meant, reason = rule.means.get(asked, "medium"), f"this model reasons or does not: {asked} is no more than on"
        if asked == rule.means.get(asked):
            return wire.note("note", "reasoning", reason, rule.cite("effort"))
        return _told(wire, asked, meant, reason, rule)
    word = rule.words.get(asked)
    if word is not None and (word not in EFFORTS or not facts.efforts or word in facts.efforts):
        wire = put(wire, rule.effort, rule.words[asked])
        return _told(wire, asked, rule.means.get(asked, asked), f"{asked} is sent as {rule.words[asked]}", rule)
    if not facts.efforts or asked in facts.efforts:
        wire = put(wire, rule.effort, asked)
        meant = rule.means.get(asked, asked)
        return _told(wire, asked, meant, f"{asked} is answered as {meant}", rule)
    nearest = nearest_effort(asked, facts.efforts)
    wire = put(wire, rule.effort, rule.words.get(nearest, nearest))
    return _told(wire, asked, nearest, f"it takes {', '.join(facts.efforts)}: {asked} is sent as {nearest}", rule)


def _with_own_word(wire: WireRequest, word: str, facts: ModelFacts, rule: ReasoningRule) -> WireRequest:
    """Send a word that is some vendor's own, unless the facts list what is taken, and it is not among that."""
    is_listed = word in facts.efforts or word in rule.words
    if rule.effort is not None and (is_listed or not facts.efforts):
        return put(wire if rule.effort_alone else laid_over(wire, rule.on), rule.effort, rule.words.get(word, word))
    if word == _DEFAULT:
        return wire.note(
            "note", "reasoning", "the model's own default holds, which needs no word here", rule.cite("effort")
        )
    taken = f"it takes {', '.join(facts.efforts)}" if facts.efforts else "no efforts of this model are known"
    return wire.note("dropped", "reasoning", f"{word} is no effort here: {taken}", rule.cite("effort"))


def _told(wire: WireRequest, asked: str, meant: str, reason: str, rule: ReasoningRule) -> WireRequest:
    """Tell of an effort that is not the one asked for: a weaker one is a loss, a stronger one is not."""
    if meant == asked:
        return wire
    fact = rule.facts.get(asked) or rule.cite("effort")
    is_less = meant not in EFFORTS or is_weaker(meant, asked)  # of a vendor's own word it is not known how much it is
    return wire.note("lowered" if is_less else "note", "reasoning", reason, fact)


def _budget_as_effort(wire: WireRequest, tokens: int, rule: ReasoningRule) -> tuple[WireRequest, str]:
    """Return an effort for a budget, which a later hook still sees and may change, and the request that tells it.

    Whoever calls in a protocol of budgets cannot know that there are none here.
    """
    effort = effort_of_budget(tokens)
    reason = f"no budgets here: {tokens} tokens are sent as {effort}"
    return wire.note("lowered", "reasoning", reason, rule.cite("budget")), effort


def _with_budget(wire: WireRequest, tokens: int, rule: ReasoningRule, output_field: str) -> WireRequest:
    """Send a budget in tokens."""
    if rule.budget is None:
        reason = "there is no field for a reasoning budget in tokens; use an effort word"
        return laid_over(wire, rule.on).note("dropped", "reasoning", reason, rule.cite("budget"))
    fit = min(tokens, rule.most_budget or tokens)
    fit, limit = max(fit, rule.least_budget or fit), at(wire.body, output_field)
    if rule.below_output and isinstance(limit, int) and fit >= limit > (rule.least_budget or 1):
        fit = limit - 1
    wire = put(laid_over(wire, rule.on), rule.budget, fit)
    if fit == tokens:
        return wire
    kind, bound = ("lowered", "at most") if fit < tokens else ("note", "at least")
    return wire.note(kind, rule.budget, f"a budget here has {bound} {fit} tokens", rule.cite("budget"))


def _say_default(wire: WireRequest, facts: ModelFacts, rule: ReasoningRule) -> WireRequest:
    if facts.default_effort is None:
        return wire
    return laid_over(wire, rule.on) if facts.default_effort != "none" else laid_over(wire, rule.off or {})


def _gave_way(
    wire: WireRequest, call: Call, facts: ModelFacts, rule: ReasoningRule, condition: str, fact: str
) -> WireRequest:
    """Switch reasoning off. Where the model would have reasoned unasked, the note is on the vendor's own field."""
    asked = _is_asked_for(call, rule)
    for field in filter(None, (rule.effort, rule.budget)):
        wire = without(wire, field)
    wire = _switched_off(wire, facts, rule)
    field = "reasoning" if asked or not rule.off else next(iter(rule.off))
    # A default that is always said aloud is said the other way round: nothing that was asked for is lost.
    kind = "note" if condition == "prefix" else "added" if rule.say_default and not asked else "lowered"
    although = " although asked for" if asked else ""
    return wire.note(kind, field, f"switched off{although}: it excludes {_WORDS[condition]}", fact)


def _is_asked_for(call: Call, rule: ReasoningRule) -> bool:
    return call.reasoning is not None or bool(_own_fields(rule, call))


# --- what a request asks for


def asks_for(condition: str, wire: WireRequest, call: Call) -> bool:
    """Whether a request asks for one of the things that a rule may name (`chatport.facts.checking.CONDITIONS`)."""
    return _CONDITIONS[condition](wire, call)


def _choice(wire: WireRequest) -> Any:
    return wire.body.get("tool_choice")


def _format(wire: WireRequest) -> Any:
    wanted = wire.body.get("response_format")
    return wanted.get("type") if isinstance(wanted, Mapping) else None


_CONDITIONS: Mapping[str, Callable[[WireRequest, Call], bool]] = {
    "forced_choice": lambda wire, call: is_forced(_choice(wire)),
    "required_choice": lambda wire, call: is_required(_choice(wire)),
    "named_choice": lambda wire, call: is_forced(_choice(wire)) and not is_required(_choice(wire)),
    "tools": lambda wire, call: any(tool.get("type") == "function" for tool in wire.body.get("tools") or ()),
    "prefix": lambda wire, call: call.prefix is not None,
    "json_schema": lambda wire, call: _format(wire) == "json_schema",
    "json_object": lambda wire, call: _format(wire) == "json_object",
}
_WORDS = {
    "forced_choice": "a forced tool call",
    "required_choice": "a required tool call",
    "named_choice": "a tool chosen by name",
    "tools": "function tools",
    "prefix": "an answer that is gone on from its beginning",
    "json_schema": "output by a schema",
    "json_object": "JSON output",
}
