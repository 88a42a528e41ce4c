"""GLM's thinking: a switch for most models, degrees for the newest, and no way out of it for glm-5.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Call, WireRequest
from chatport.facts import ModelFacts

__all__ = ["switched"]

_NEVER = ("this model does not think", "GL-P10")


def switched(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Say how much to think in the vendor's two fields (GL-P9, GL-P11); without a wish its default holds."""
    style, effort = facts.quirks.get("thinking"), wire.body.get("reasoning_effort")
    if style == "never":
        wire = wire.discard("reasoning_effort") if effort == "none" else wire.drop("reasoning_effort", *_NEVER)
        return wire.drop("thinking", *_NEVER)
    if call.reasoning is not None or effort == "none":
        wire = wire.set("thinking", {**_own(wire), "type": "disabled" if effort == "none" else "enabled"})
    if effort == "none":
        wire = wire.discard("reasoning_effort")
    if _own(wire).get("type", "enabled") not in ("enabled", "disabled"):
        wire = wire.lower("thinking", {**_own(wire), "type": "enabled"}, "there is only enabled and disabled", "GL-P9")
    if style == "always" and _own(wire).get("type") == "disabled":  # GL-0.4
        least = facts.efforts[0]
        wire = wire.update({"thinking": {**_own(wire), "type": "enabled"}, "reasoning_effort": least})
        wire = wire.note("lowered", "reasoning", f"this model always thinks; sent as {least}", "GL-P10")
    return _preserved(_effort(wire, facts))


def _own(wire: WireRequest) -> Mapping[str, Any]:
    own = wire.body.get("thinking")
    return own if isinstance(own, Mapping) else {}


def _effort(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    asked = wire.body.get("reasoning_effort")
    if asked is None:
        return wire
    if not facts.quirks.get("effort_field"):
        wire = wire.discard("reasoning_effort").set("thinking", {"type": "enabled", **_own(wire)})
        kind = "lowered" if asked in ("xhigh", "max") else "note"
        return wire.note(kind, "reasoning", f"this model thinks or does not; {asked} is no more than on", "GL-P11")
    sent = facts.quirks.get("effort_alias", {}).get(asked, asked)
    if sent != asked:
        return wire.set("reasoning_effort", sent).note("note", "reasoning", f"{asked} is sent as {sent}", "GL-P11")
    if asked in facts.quirks.get("effort_folds", ()):
        return wire.note("note", "reasoning", f"only high and max differ here; {asked} means one of them", "GL-P11")
    return wire


def _preserved(wire: WireRequest) -> WireRequest:
    """Tell when earlier reasoning is to be kept and is not all there: then the vendor wants all of it (GL-R2)."""
    lost = any(m["role"] == "assistant" and not m.get("reasoning_content") for m in wire.body["messages"])
    if _own(wire).get("clear_thinking") is not False or not lost:
        return wire
    return wire.note("note", "messages.reasoning_content", "clear_thinking is off, and some of it is missing", "GL-R2")
