"""GLM's thinking: a switch for most models, degrees for the newest, and no way out of it for glm-5.3."""

from __future__ import annotations

from collections.abc import Mapping

from chatport import Call, WireRequest
from chatport.facts import ModelFacts

__all__ = ["switched"]

_NEVER = ("this model does not think", "GL-P10")


def switched(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Say how much to think in the vendor's two fields (GL-P9, GL-P11); without a wish its default holds."""
    effort, given = wire.body.get("reasoning_effort"), wire.body.get("thinking")
    if facts.quirks.get("thinking") == "never":
        wire = wire.discard("reasoning_effort") if effort == "none" else wire.drop("reasoning_effort", *_NEVER)
        return wire.drop("thinking", *_NEVER)
    own = dict(given) if isinstance(given, Mapping) else {}
    if call.reasoning is not None or (effort is not None and "type" not in own):
        own["type"] = "disabled" if effort == "none" else "enabled"
    if effort == "none":
        wire = wire.discard("reasoning_effort")
    if own.get("type", "enabled") not in ("enabled", "disabled"):
        own["type"] = "enabled"
        wire = wire.note("lowered", "thinking", "there is only enabled and disabled", "GL-P9")
    if own.get("type") == "disabled" and facts.quirks.get("thinking") == "always":  # GL-0.4
        own["type"], least = "enabled", facts.efforts[0]
        wire = wire.set("reasoning_effort", least)
        wire = wire.note("lowered", "reasoning", f"this model always thinks; sent as {least}", "GL-P10")
    if own:
        wire = wire.set("thinking", own)
    return _effort(_preserved(wire, own), facts)


def _preserved(wire: WireRequest, own: Mapping[str, object]) -> WireRequest:
    """Tell when earlier reasoning is to be kept and is not all there: then the vendor wants all of it (GL-R2)."""
    lost = any(m["role"] == "assistant" and not m.get("reasoning_content") for m in wire.body["messages"])
    if own.get("clear_thinking") is not False or not lost:
        return wire
    return wire.note("note", "messages.reasoning_content", "clear_thinking is off, and some of it is missing", "GL-R2")


def _effort(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    asked = wire.body.get("reasoning_effort")
    if asked is None:
        return wire
    if not facts.quirks.get("effort_field"):
        kind = "lowered" if asked in ("xhigh", "max") else "note"
        reason = f"this model thinks or does not; {asked} is no more than on"
        return wire.discard("reasoning_effort").note(kind, "reasoning", reason, "GL-P11")
    sent = facts.quirks.get("effort_alias", {}).get(asked, asked)
    if sent != asked:
        return wire.set("reasoning_effort", sent).note("note", "reasoning", f"{asked} is sent as {sent}", "GL-P11")
    if asked in facts.quirks.get("effort_folds", ()):
        return wire.note("note", "reasoning", f"only high and max differ here; {asked} means one of them", "GL-P11")
    return wire
