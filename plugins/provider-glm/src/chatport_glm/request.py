"""`shape_request` for GLM: the standard body, less what it ignores, inside its ranges, with its own words."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.call import OutputSpec
from chatport.standard.output import schema_in_words, with_instruction

from .thinking import switched

__all__ = ["shape_request"]

_IGNORED: Mapping[str, str] = {
    **dict.fromkeys(("seed", "frequency_penalty"), "accepted, without any effect"),
    **dict.fromkeys(("logprobs", "top_logprobs"), "accepted, and no log probabilities come back"),
    **dict.fromkeys(("n", "presence_penalty", "parallel_tool_calls", "metadata"), "not among the vendor's fields"),
    **dict.fromkeys(("logit_bias", "store", "service_tier", "top_k", "prediction"), "not among the vendor's fields"),
}
_SAME_AS_DEFAULT: Mapping[str, Any] = {"n": 1, "parallel_tool_calls": True, "stream_options": {"include_usage": True}}
_RANGES = {"temperature": (0, 1, "GL-P3"), "top_p": (0.01, 1, "GL-P4")}


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = _in_range(_renamed(wire))
    for number, message in enumerate(wire.body["messages"]):
        wire = _message(wire, number, message, context)
    return _output(_tools(switched(wire, call, context.facts), call, context), call, context)


# --- fields


def _renamed(wire: WireRequest) -> WireRequest:
    model = wire.body["model"]
    if model.endswith("[1m]"):  # GL-X6
        wire = wire.set("model", model[:-4]).note("renamed", "model", "[1m] belongs to the Anthropic path", "GL-X6")
    if "max_tokens" in wire.body:
        wire = wire.drop("max_completion_tokens", "max_tokens is given too", "GL-P6")
    wire = wire.rename("max_completion_tokens", "max_tokens", fact="GL-P6")
    user = wire.body.get("user")
    if "user_id" in wire.body or not (isinstance(user, str) and 6 <= len(user) <= 128):
        return wire.drop("user", "a user id has 6 to 128 characters, and goes into user_id", "GL-P12")
    return wire.rename("user", "user_id", fact="GL-P12")


def _in_range(wire: WireRequest) -> WireRequest:
    for field, value in _SAME_AS_DEFAULT.items():
        wire = wire.discard(field) if wire.body.get(field) == value else wire
    for field, reason in _IGNORED.items():
        wire = wire.drop(field, reason, "GL-P1" if "not among" in reason else "GL-P2")
    for field, (least, most, fact) in _RANGES.items():
        if wire.body.get("do_sample") is False:
            wire = wire.drop(field, "ignored when do_sample is false", "GL-P5")
        value = wire.body.get(field)
        if isinstance(value, int | float) and not least <= value <= most:  # GL-X7
            wire = wire.lower(field, min(max(value, least), most), f"goes from {least} to {most} here", fact)
    return wire


# --- messages


def _message(wire: WireRequest, number: int, message: Mapping[str, Any], context: Context) -> WireRequest:
    place, content, changed = f"messages[{number}]", message.get("content"), dict(message)
    if changed.pop("name", None) is not None:
        wire = wire.note("dropped", f"{place}.name", "messages have no names here", "GL-P14")
    if message["role"] in ("assistant", "tool") and not isinstance(content, str):
        parts = content or []
        if any(part.get("type") != "text" for part in parts):  # GL-P15, GL-X1
            raise UnsupportedFeatureError(
                f"{place}: a {message['role']} message is only text here; anything else is lost unseen (GL-P15).",
                provider=context.provider.name,
                model=context.model,
            )
        changed["content"] = "".join(part["text"] for part in parts)
        if parts:
            wire = wire.note("dropped", f"{place}.content", "sent as plain text, without marks on its parts", "GL-P15")
    elif context.facts.quirks.get("bare_base64") and isinstance(content, list):
        changed["content"] = [_bare(part) for part in content]
    messages = wire.body["messages"]
    return wire.set("messages", [*messages[:number], changed, *messages[number + 1 :]])


def _bare(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an inline image without the beginning of its data URL, as the oldest vision models want it (GL-M2)."""
    url = (part.get("image_url") or {}).get("url", "")
    return {**part, "image_url": {"url": url.partition(",")[2]}} if url.startswith("data:") else part


# --- tools and output


def _tools(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Ask for a forced call in words (GL-T2), and for a stream of arguments where the model has one (GL-S5)."""
    if wire.stream and "tools" in wire.body and context.facts.quirks.get("tool_stream"):
        wire = wire if "tool_stream" in wire.body else wire.set("tool_stream", True)
    raw = wire.body.get("tool_choice", "auto")  # none but auto is left here, unless it came by `extra`
    if raw == "none":
        wire = wire.discard("tools").discard("tool_choice")
    elif raw != "auto":
        wire = wire.lower("tool_choice", "auto", "there is only auto here", "GL-T2")
    if call.tool_choice is None or call.tool_choice.mode not in ("required", "named"):
        return wire
    named = [tool.get("function", {}).get("name") for tool in wire.body.get("tools", ())]
    which = f"the tool {named[0]}" if call.tool_choice.mode == "named" and named else "one of the tools"
    return with_instruction(wire, f"Answer by calling {which}, not with text.")


def _output(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Put the schema into words (GL-J1, GL-J2, GL-X8); vision models have no JSON mode either."""
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    fallback = "json_object" if "json_object" in (context.facts.output_formats or ()) else None
    if kind == "json_schema":
        spec = (wanted or {}).get("json_schema") or {}
        output = call.output or OutputSpec(spec.get("name", "output"), spec.get("schema") or {})
        reason = "no schemas here: the schema is in the system text" + (", in JSON mode" if fallback else "")
        return schema_in_words(wire, attrs.evolve(call, output=output), fallback, reason, "GL-J1")
    if kind == "json_object" and fallback is None:
        wire = with_instruction(wire, "Answer with one JSON object and nothing else.")
        return wire.drop("response_format", "this model has no JSON mode: asked for in words", "GL-J1")
    return wire
