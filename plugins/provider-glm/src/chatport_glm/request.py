"""`shape_request` for GLM: what its facts cannot say; plain text where parts get lost, and a switch always on."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Context, UnsupportedFeatureError, WireRequest, hookimpl

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if wire.body["model"].endswith("[1m]"):  # GL-X6
        model = wire.body["model"][:-4]
        wire = wire.set("model", model).note("renamed", "model", "[1m] belongs to the Anthropic path", "GL-X6")
    if wire.stream and wire.body.get("tools") and context.facts.quirks.get("tool_stream"):  # GL-S5
        wire = wire.update({"tool_stream": True, **wire.body})
    for number, message in enumerate(wire.body["messages"]):
        wire = _message(wire, number, message, context)
    return _preserved(_never_off(wire, context))


def _message(wire: WireRequest, number: int, message: Mapping[str, Any], context: Context) -> WireRequest:
    """Send answers and results as plain text, since their parts are lost without a word (GL-P15, GL-X1)."""
    content = message.get("content")
    if message["role"] in ("assistant", "tool") and not isinstance(content, str):
        parts = content or []
        if any(part.get("type") != "text" for part in parts):
            raise UnsupportedFeatureError(
                f"messages[{number}]: a {message['role']} message is only text here; anything else is lost unseen "
                "(GL-P15).",
                provider=context.provider.name,
                model=context.model,
            )
        if parts:
            reason = "sent as plain text, without marks on its parts"
            wire = wire.note("dropped", f"messages[{number}].content", reason, "GL-P15")
        content = "".join(part["text"] for part in parts)
    elif isinstance(content, list) and context.facts.quirks.get("bare_base64"):
        content = [_bare(part) for part in content]
    messages = wire.body["messages"]
    return wire.set("messages", [*messages[:number], {**message, "content": content}, *messages[number + 1 :]])


def _bare(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an inline image without the beginning of its data URL, as the oldest vision models want it (GL-M2)."""
    image = part.get("image_url")
    url = str(image.get("url", "")) if isinstance(image, Mapping) else ""
    if not isinstance(image, Mapping) or not url.startswith("data:"):
        return part
    return {**part, "image_url": {**image, "url": url.partition(",")[2]}}


def _never_off(wire: WireRequest, context: Context) -> WireRequest:
    """Think as little as can be where the vendor's own switch is off in `extra`, and the model has none (GL-0.4)."""
    rule = None if context.facts.rules is None else context.facts.rules.reasoning
    own = wire.body.get("thinking")
    if not (isinstance(own, Mapping) and own.get("type") == "disabled") or rule is None or rule.off is not None:
        return wire
    least = context.facts.efforts[0]
    wire = wire.update({"thinking": {**own, "type": "enabled"}, "reasoning_effort": least})
    return wire.note("lowered", "reasoning", f"this model always thinks: sent as {least}", rule.cite("off"))


def _preserved(wire: WireRequest) -> WireRequest:
    """Tell when earlier reasoning is to be kept and is not all there: then the vendor wants all of it (GL-R2)."""
    own = wire.body.get("thinking")
    lost = any(m["role"] == "assistant" and not m.get("reasoning_content") for m in wire.body["messages"])
    if not (isinstance(own, Mapping) and own.get("clear_thinking") is False and lost):
        return wire
    return wire.note("note", "messages.reasoning_content", "clear_thinking is off, and some of it is missing", "GL-R2")
