"""`shape_request` for Anthropic: our call as the body of `POST /v1/messages`, made anew and not out of the standard."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, WireTools, hookimpl
from chatport.helpers import apply_field_rules, is_native

from . import output, thinking
from .messages import Conversation, conversation, names_of

__all__ = ["limited", "path_below", "shape_request", "streamed"]

_FILES_BETA = "files-api-2025-04-14"  # AN-T15
_PLAIN_MAX_TOKENS = 21_333  # AN-A7
_DEFAULT_MAX_TOKENS = 4096  # AN-R1, AN-P10
_TAKEN = (
    "betas", "tools", "system", "stream", "stream_options", "parallel_tool_calls", "max_tokens",
    "max_completion_tokens", "reasoning_effort",
)  # fmt: skip
"""Fields of `extra` that are not simply passed on: they are read in the places they belong to."""


@hookimpl
def shape_request(call: Call, tools: WireTools, context: Context) -> WireRequest:
    """Shape the request. What depends on the thinking switch comes after it."""
    if call.reasoning is None and call.extra.get("reasoning_effort"):
        call = attrs.evolve(call, reasoning=call.extra["reasoning_effort"])
    talk = conversation(call, tools, context)
    wire = WireRequest(path_below(context), {"model": context.model})
    wire = _betas(wire, call, talk, context)
    wire = _with_extra(_fields(wire, call, tools, talk, context), call)
    wire = thinking.fitted(wire, context) if is_native(call, context) else wire
    wire = output.structured(wire, call, context)
    wire = _thinking(wire, call, context)
    return streamed(apply_field_rules(wire, call, context), call, context)  # AN-R4 to AN-R6, AN-R8, AN-R14


def path_below(context: Context) -> str:
    """Return the path of a chat below the base URL, which may have the version, as with other vendors (AN-A1)."""
    path = context.provider.dialect.chat_path
    return path.removeprefix("/v1") if urlsplit(context.base_url).path.rstrip("/").endswith("/v1") else path


def _thinking(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    wire = thinking.switched(wire, call, context)
    if call.prefix and thinking.is_on(wire, context):
        raise UnsupportedFeatureError(
            "Anthropic goes on from the beginning of an answer only without thinking (AN-T14)."
        )
    turns = wire.body["messages"]
    return thinking.without_conflict(
        wire,
        forced=wire.body.get("tool_choice", {}).get("type") in ("any", "tool"),
        orphaned=thinking.lacks_thoughts(turns),
        prefilled=turns[-1]["role"] == "assistant",
    )


def _betas(wire: WireRequest, call: Call, talk: Conversation, context: Context) -> WireRequest:
    """Name the beta features: the configuration's, the call's, and what the content needs (AN-A3, AN-H7)."""
    wanted = [*names_of(context.settings.get("betas")), *names_of(call.extra.get("betas"))]
    wanted += [_FILES_BETA] if talk.names_files else []
    return wire.with_headers({"anthropic-beta": ",".join(dict.fromkeys(wanted))}) if wanted else wire


def _fields(wire: WireRequest, call: Call, tools: WireTools, talk: Conversation, context: Context) -> WireRequest:
    wire = limited(wire, call, context).update({"system": talk.system} if talk.system else {})  # AN-R3
    every = [*(tools.tools or ()), *(call.extra.get("tools") or ())]  # the vendor's own tools stand beside ours
    choice = tools.choice
    if not tools.tools and call.extra.get("parallel_tool_calls") is False:
        choice = {"type": "auto", "disable_parallel_tool_use": True}
    fields = {
        "messages": talk.turns,
        "tools": every or None,
        "tool_choice": choice if every else None,
        "temperature": call.temperature,
        "top_p": call.top_p,
        "stop_sequences": list(call.stop) or None,  # AN-R7
        "seed": call.seed,
    }
    wire = wire.update({name: value for name, value in fields.items() if value is not None})
    for note in (*tools.adjustments, *talk.adjustments):
        wire = wire.note(note.kind, note.field, note.reason, note.fact)
    return wire


def limited(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Set the required output limit: the caller's, or the model's own, which is no limit at all (AN-R1, AN-P10)."""
    given = (call.max_tokens, call.extra.get("max_tokens"), call.extra.get("max_completion_tokens"))
    asked = next((limit for limit in given if limit is not None), None)
    most = context.facts.max_output_tokens
    if asked is None and most is None:
        reason = "required here; the model's own limit is not known"
        return wire.add("max_tokens", _DEFAULT_MAX_TOKENS, reason, "AN-P10")
    if asked is not None and most is not None and asked > most:
        reason = f"the model writes at most {most} tokens, {asked} were asked for"
        return wire.lower("max_tokens", most, reason, "AN-R1")
    return wire.set("max_tokens", most if asked is None else asked)


def _with_extra(wire: WireRequest, call: Call) -> WireRequest:
    """Add the caller's vendor-only fields; OpenAI's words for the same things are understood."""
    extra = {name: value for name, value in call.extra.items() if name not in _TAKEN}
    if isinstance(extra.get("stop"), str | list):
        stop = extra.pop("stop")
        extra["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    wire = wire.update(extra)
    if call.extra.get("system"):
        wire = wire.set("system", [*wire.body.get("system", ()), *_blocks(call.extra["system"])])
    return wire


def _blocks(system: Any) -> list[Any]:
    return [{"type": "text", "text": system}] if isinstance(system, str) else list(system)


def streamed(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Stream, if asked to, or where a plain answer could outlast a connection (AN-A7)."""
    most = context.facts.quirks.get("plain_max_tokens", _PLAIN_MAX_TOKENS)
    if not call.stream and wire.body.get("max_tokens", 0) <= most:
        return wire
    return attrs.evolve(wire.set("stream", True), stream=True)
