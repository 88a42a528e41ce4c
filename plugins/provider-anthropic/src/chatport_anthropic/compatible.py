"""The hooks for Anthropic's OpenAI-compatible endpoint: the standard, less all that it takes without any effect.

The models behind it are the same, so their own rules (thinking, sampling, forced calls) hold here too.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from chatport import Adjustment, Call, Context, ModelFacts, RateLimits, WireRequest, WireTools, hookimpl
from chatport.standard import tools as standard
from chatport.standard.models import header_count
from chatport.standard.output import fit_output
from chatport.standard.schemas import object_root

from . import thinking
from .request import limited, path_below, streamed
from .tools import unforced

__all__ = ["describe_model", "read_rate_limits", "shape_request", "translate_tools"]


@hookimpl(wrapper=True)
def describe_model() -> Generator[None, ModelFacts, ModelFacts]:
    """Correct the facts of the native protocol.

    Files are ignored (AN-C3), which core turns into an error; so are structures (AN-C2). No thinking comes back, which
    leaves none to show or to keep to its place (AN-C4).
    """
    facts = yield
    return attrs.evolve(
        facts,
        input=tuple(kind for kind in facts.input if kind != "file"),
        output_formats=(),
        quirks={**facts.quirks, "hides_thinking": False, "bound": False},
    )


@hookimpl
def translate_tools(call: Call, context: Context) -> WireTools:
    """Return the standard's tools. `strict` has no effect here (AN-C2); the models' own rules do (AN-T1, AN-T6)."""
    notes = [
        Adjustment("dropped", f"tools.{tool.name}.strict", "without effect here: arguments may not fit", "AN-C2")
        for tool in call.tools
        if tool.strict
    ]
    asked = unforced(call, context, notes)
    plain = tuple(
        attrs.evolve(tool, strict=None, schema=object_root(tool.schema, tool.name, context, "AN-T1"))
        for tool in call.tools
    )
    every = standard.translate_tools(attrs.evolve(asked, tools=plain), context)
    kept = [wire for tool, wire in zip(call.tools, every.tools or (), strict=False) if tool in asked.tools]
    return attrs.evolve(every, tools=kept or None, adjustments=(*notes, *every.adjustments))


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Leave out what would be ignored, and say so; then the steps of the native protocol that hold here too."""
    wire = yield
    wire = attrs.evolve(wire, path=path_below(context))
    wire = _thinking(_with_messages(_stops(wire)), call, context)
    budget = wire.body.get("thinking", {}).get("type") == "enabled"
    reason = "structures are ignored by this endpoint"
    wire = fit_output(
        wire, call, (), reason, "AN-C2", forced_tool=context.facts.forced_tool_choice is True and not budget
    )
    wire = thinking.sampling(wire.drop("response_format", reason, "AN-C2"), context)
    wire = streamed(wire, call, context)
    return wire.set("stream_options", {"include_usage": True}) if wire.stream else wire


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
    wire = _less(message, ("name", "refusal", "audio", "cache_control"), lost)
    if isinstance(wire.get("content"), list):
        wire["content"] = [_part(part, lost) for part in wire["content"]]
    return wire


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
    wish = wire.body.get("reasoning_effort")
    wire = wire.discard("reasoning_effort")
    if wish is not None:
        if "enabled" in thinking.types(context):  # a budget needs a limit to stay below (AN-R10)
            wire = limited(wire.rename("max_completion_tokens", "max_tokens", fact="AN-C1"), call, context)
        wire = thinking.switched(wire, attrs.evolve(call, reasoning=wish), context)
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
