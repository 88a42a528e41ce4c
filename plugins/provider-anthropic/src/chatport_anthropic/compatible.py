"""The hooks for Anthropic's OpenAI-compatible endpoint: the standard, less all that it takes without any effect.

The models behind it are the same, so their own rules (thinking, sampling, forced calls) hold here too.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from chatport import Adjustment, Call, ConfigurationError, Context, RateLimits, WireRequest, WireTools, hookimpl
from chatport.helpers import (
    apply_field_rules,
    fit_output,
    header_count,
    object_root,
    standard_request,
    standard_tools as standard,
)

from . import thinking
from .request import limited, path_below, streamed
from .tools import own_keys, unforced

__all__ = ["read_rate_limits", "shape_request", "translate_tools"]

_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")
"""What is looked at in a message; everything else is ignored (AN-C3)."""
_NATIVE_SETTINGS = ("betas", "thinking_display", "thinking_mismatch")


@hookimpl
def translate_tools(call: Call, context: Context) -> WireTools:
    """Return the standard's tools. `strict` has no effect here (AN-C2); the models' own rules do (AN-T1, AN-T6)."""
    notes = [
        Adjustment("dropped", f"tools.{tool.name}.strict", "without effect here: arguments may not fit", "AN-C2")
        for tool in call.tools
        if tool.strict
    ]
    notes += [
        Adjustment("dropped", f"tools.{tool.name}.{key}", "without effect on this endpoint", "AN-C2")
        for tool in call.tools
        for key in own_keys(tool)
    ]
    asked = unforced(call, context, notes)
    plain = tuple(
        attrs.evolve(tool, strict=None, extra={}, schema=object_root(tool.schema, tool.name, context, "AN-T1"))
        for tool in call.tools
    )
    every = standard.translate_tools(attrs.evolve(asked, tools=plain), context)
    kept = [wire for tool, wire in zip(call.tools, every.tools or (), strict=False) if tool in asked.tools]
    return attrs.evolve(every, tools=[*kept, *call.server_tools] or None, adjustments=(*notes, *every.adjustments))


@hookimpl
def shape_request(call: Call, tools: WireTools, context: Context) -> WireRequest:
    """Shape the standard's request, but for thinking and structures: they go as the models behind it have them."""
    _check_settings(context)
    apart = {name: call.extra[name] for name in ("reasoning_effort", "response_format") if name in call.extra}
    rest = {name: value for name, value in call.extra.items() if name not in apart}
    plain = attrs.evolve(call, reasoning=None, output=None, extra=rest)
    wire = attrs.evolve(standard_request.shape_request(plain, tools, context), path=path_below(context))
    wish = attrs.evolve(call, reasoning=apart.get("reasoning_effort", call.reasoning), extra=rest)
    wire = _thinking(_with_messages(_stops(wire)), wish, context)
    wire = streamed(apply_field_rules(_structured(wire, call, apart, context), call, context), call, context)
    return wire.set("stream_options", {"include_usage": True}) if wire.stream else wire


def _check_settings(context: Context) -> None:
    useless = [name for name in _NATIVE_SETTINGS if name in context.settings]
    if useless:
        name = context.provider.name
        raise ConfigurationError(
            f'[providers.{name}]: {", ".join(useless)} has no effect with protocol = "chat". Leave it out.',
            provider=name,
        )


def _structured(wire: WireRequest, call: Call, apart: Mapping[str, Any], context: Context) -> WireRequest:
    """Ask for a structure by a forced call or in words: its own field is ignored (AN-C2)."""
    wanted = standard_request.wire_output(call.output) if call.output is not None else None
    wanted = apart.get("response_format", wanted)
    if wanted is None:
        return wire
    budget = wire.body.get("thinking", {}).get("type") == "enabled"
    can_force, reason = context.facts.forced_tool_choice is True, "structures are ignored by this endpoint"
    wire = wire.set("response_format", wanted)
    wire = fit_output(wire, call, (), reason, "AN-C2", forced_tool=can_force and not budget)
    return wire.drop("response_format", reason, "AN-C2")


def _stops(wire: WireRequest) -> WireRequest:
    given = wire.body.get("stop") or ()
    stops = [given] if isinstance(given, str) else list(given)
    kept = [text for text in stops if text.strip()]
    if kept == stops:
        return wire
    reason = "white space alone stops nothing here"
    return wire.lower("stop", kept, reason, "AN-C1") if kept else wire.drop("stop", reason, "AN-C1")


# --- messages


def _with_messages(wire: WireRequest) -> WireRequest:
    """Leave out what is ignored in messages (AN-C3), and say where system texts will be moved (AN-C5)."""
    lost: dict[str, None] = {}
    messages = [_message(message, lost) for message in wire.body["messages"]]
    wire = wire.set("messages", messages)
    for name in lost:
        wire = wire.note("dropped", f"messages.{name}", "without effect on this endpoint", "AN-C3")
    later = [message["role"] not in ("system", "developer") for message in messages]
    if later != sorted(later):
        wire = wire.note("lowered", "messages.system", "the vendor moves it to the top", "AN-C5")
    return wire


def _message(message: Mapping[str, Any], lost: dict[str, None]) -> dict[str, Any]:
    if message.get("refusal"):  # the standard has it where there is no content, and here only content is read
        message = {**message, "content": message["refusal"], "refusal": None}
    wire = _less(message, [name for name in message if name not in _KEYS], lost)
    if wire.get("tool_calls"):
        wire["tool_calls"] = [_call(call, lost) for call in wire["tool_calls"]]
    if isinstance(wire.get("content"), list):
        wire["content"] = [_part(part, lost) for part in wire["content"]]
    return wire


def _call(call: Mapping[str, Any], lost: dict[str, None]) -> dict[str, Any]:
    wire = _less(call, [name for name in call if name not in ("id", "type", "function")], lost)
    inner = call["function"]
    return {**wire, "function": _less(inner, [name for name in inner if name not in ("name", "arguments")], lost)}


def _part(part: Mapping[str, Any], lost: dict[str, None]) -> dict[str, Any]:
    wire = _less(part, ("cache_control",), lost)
    if isinstance(wire.get("image_url"), Mapping):
        wire["image_url"] = _less(wire["image_url"], ("detail",), lost)
    return wire


def _less(value: Mapping[str, Any], names: Sequence[str], lost: dict[str, None]) -> dict[str, Any]:
    lost.update(dict.fromkeys(name for name in names if value.get(name)))
    return {name: item for name, item in value.items() if name not in names}


# --- thinking


def _thinking(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Send the wish as `thinking`, which is all there is: no effort, and nothing of it comes back (AN-C4)."""
    if call.reasoning is not None:
        if "enabled" in thinking.types(context):  # a budget needs a limit to stay below (AN-R10)
            wire = limited(wire.rename("max_completion_tokens", "max_tokens", fact="AN-C1"), call, context)
        wire = thinking.switched(wire, call, context)
    wire = wire.drop("output_config", "this endpoint has no efforts: the model's default holds", "AN-C4")
    choice = wire.body.get("tool_choice")
    roles = [message["role"] for message in wire.body["messages"]]
    last = next((role for role in reversed(roles) if role in ("assistant", "tool")), None)
    return thinking.without_conflict(
        wire,
        forced=choice == "required" or isinstance(choice, Mapping),
        orphaned=last == "tool",
        prefilled=roles[-1] == "assistant",
    )


# --- headers


@hookimpl(wrapper=True)
def read_rate_limits(headers: Mapping[str, str]) -> Generator[None, RateLimits | None, RateLimits | None]:
    """Read the limits too, whose headers lack the word that the standard's have (AN-C8, recorded)."""
    limits = yield
    if limits is None:
        return None
    return attrs.evolve(
        limits,
        requests_limit=limits.requests_limit or header_count(headers.get("x-ratelimit-requests", "")),
        tokens_limit=limits.tokens_limit or header_count(headers.get("x-ratelimit-tokens", "")),
    )
