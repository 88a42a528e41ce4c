"""`shape_request` for OpenRouter, after its facts: what goes back with the history, what must not be silent."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl

from .details import author_of, suited

__all__ = ["shape_request"]

_SMALL_WINDOW = 8192


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if call.prefix is not None:
        wire = _continued(wire, call.prefix, context)
    if context.settings.get("metadata"):
        wire = wire.with_headers({"x-openrouter-metadata": "enabled"})  # OR-B4
    return _uncompressed(_routed(_history(wire, context), context), context)


def _continued(wire: WireRequest, prefix: str, context: Context) -> WireRequest:
    """Go on from the beginning of an answer without thinking again, which Anthropic's routes refuse there (OR-P16)."""
    if author_of(context.model) == "anthropic" and prefix != prefix.rstrip():
        raise UnsupportedFeatureError(
            "Anthropic's routes do not go on exactly from a text that ends in white space (OR-P16).",
            provider=context.provider.name,
            model=context.model,
        )
    asked = wire.body.get("reasoning", {"effort": "none"}) != {"effort": "none"}
    always = context.facts.efforts and "none" not in context.facts.efforts  # OR-P7: it cannot be told not to
    wire = wire.discard("reasoning") if always else wire.set("reasoning", {"effort": "none"})
    return (
        wire.note("lowered", "reasoning", "a continued answer is not thought over again", "OR-P16") if asked else wire
    )


def _history(wire: WireRequest, context: Context) -> WireRequest:
    """Send only those details back that the model takes."""
    answers = [_answer(message, context.model) for message in wire.body["messages"]]
    wire = wire.set("messages", [message for message, _ in answers])
    for fact, reason in sorted({loss for _, lost in answers for loss in lost}):
        wire = wire.note("note", "messages.reasoning_details", reason, fact)
    return wire


def _answer(message: Mapping[str, Any], model: str) -> tuple[Mapping[str, Any], set[tuple[str, str]]]:
    details = message.get("reasoning_details")
    if not isinstance(details, list) or not details:  # OR-R5: an empty list stays what it is
        return message, set()
    good, lost = suited(details, model)
    if good:
        return {**message, "reasoning_details": good}, lost
    # OR-R4: without its details the plain text of the reasoning is refused as well
    bare = ("reasoning_details", "reasoning", "reasoning_content")
    return {name: value for name, value in message.items() if name not in bare}, lost


def _routed(wire: WireRequest, context: Context) -> WireRequest:
    """Ask for routes that know the fields: others drop them, and a schema with them, silently (OR-P1, OR-J2)."""
    setting, routing = context.settings.get("require_parameters"), wire.body.get("provider") or {}
    if not isinstance(routing, Mapping):
        return wire  # the vendor will say what is wrong with it
    structured = wire.body.get("response_format") not in (None, {"type": "text"})
    if setting is False or "require_parameters" in routing or not (setting or structured):
        return wire
    wire = wire.set("provider", {**routing, "require_parameters": True})
    reason = "require_parameters: other routes would ignore response_format"
    return wire if setting else wire.note("added", "provider", reason, "OR-J2")


def _uncompressed(wire: WireRequest, context: Context) -> WireRequest:
    """Switch off what removes messages from the middle: it is on by default where the window is small (OR-P10)."""
    plugins = wire.body.get("plugins") or []
    own = "transforms" in wire.body or "context-compression" in str(plugins) or not isinstance(plugins, list)
    if own or (context.facts.context_tokens or 0) > _SMALL_WINDOW:
        return wire
    return wire.set("plugins", [*plugins, {"id": "context-compression", "enabled": False}])
