"""`shape_request` for Gemini: what its facts cannot say; thoughts that are shown, signatures, and Vertex's own ways."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chatport import Call, Context, WireRequest, hookimpl
from chatport.helpers import laid_over

__all__ = ["google_of", "shape_request"]

_SKIP = "skip_thought_signature_validator"  # GM-T8


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    publisher = context.facts.quirks.get("publisher")
    if publisher and "/" not in wire.body["model"]:
        wire = wire.set("model", f"{publisher}/{wire.body['model']}")  # GM-E4
    return _signed(_with_thoughts(wire, context), call, context)


def google_of(body: Mapping[str, Any], key: str = "extra_body") -> Mapping[str, Any]:
    """Return the fields of Google's own in a request's body, or under the key of an answer's (GM-P3)."""
    extra = body.get(key)
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return google if isinstance(google, Mapping) else {}


def _with_thoughts(wire: WireRequest, context: Context) -> WireRequest:
    """Ask for thoughts where the setting says so (GM-R4), in the one switch that there is (GM-R1), marked (GM-S5)."""
    extra, google, quirks = wire.body.get("extra_body", {}), google_of(wire.body), context.facts.quirks
    config, effort = google.get("thinking_config", {}), wire.body.get("reasoning_effort")
    if not isinstance(extra, Mapping) or not isinstance(config, Mapping):
        return wire
    if context.settings.get("thoughts") and "signatures" in quirks and effort != "none":
        budget = quirks.get("budgets", {}).get(effort)
        how = {} if effort is None else {"thinking_level": effort} if budget is None else {"thinking_budget": budget}
        wire, config = wire.discard("reasoning_effort"), {"include_thoughts": True, **how, **config}
    if not config.get("include_thoughts"):
        return wire
    marker = {"thought_tag_marker": quirks["thought_tag"]} if "thought_tag" in quirks else {}
    return wire.set("extra_body", {**extra, "google": {**marker, **google, "thinking_config": config}})


# --- signatures


def _signed(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with a signature, or what stands for one, on each answer that called tools (GM-T6, GM-T8)."""
    answers = iter([message for message in call.messages if message.role == "assistant"])
    sent, skipped = [], False
    for message in wire.body["messages"]:
        own = next(answers, None) if message["role"] == "assistant" else None
        if own is not None and own.opaque.get("signed_by", context.model) != context.model:
            message = _without_signatures(message)  # another model's is refused
        if own is not None and _lacks_signature(message.get("tool_calls"), context):
            first, *others = message["tool_calls"]
            first = laid_over(first, {"extra_content": {"google": {"thought_signature": _SKIP}}})
            message = {**message, "tool_calls": [first, *others]}
            skipped = True
        sent.append(message)
    wire = wire.set("messages", sent)
    reason = "earlier calls without a signature of this model go with the word that says so"
    return wire.note("added", "messages.tool_calls", reason, "GM-T8") if skipped else wire


def _lacks_signature(calls: Sequence[Mapping[str, Any]] | None, context: Context) -> bool:
    """Whether the first of these calls has no signature, and the model demands one; the others need none."""
    if not calls or not context.facts.quirks.get("signatures"):
        return False
    return "thought_signature" not in str(calls[0].get("extra_content"))  # under whichever key (GM-T9)


def _without_signatures(message: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {key: value for key, value in message.items() if key != "extra_content"}
    calls = [{k: v for k, v in call.items() if k != "extra_content"} for call in message.get("tool_calls") or ()]
    return {**kept, "tool_calls": calls} if calls else kept
