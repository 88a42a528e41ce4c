"""`shape_request` for OpenAI, after its facts: the role of instructions, tools beside thoughts, and no streams."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if context.provider.protocol == "chat":  # the other takes tools beside thoughts, and both roles (RS-A4, RS-I1)
        _check_tools(wire, context)
        wire = _instructed(wire, context)
    return _unstreamed(wire, context)


def _check_tools(wire: WireRequest, context: Context) -> None:
    """Refuse function tools where they are taken only without reasoning, and it cannot be switched off (OA-T16)."""
    instead = context.facts.quirks.get("tools_instead")
    has_functions = any(tool.get("type") == "function" for tool in wire.body.get("tools", ()))
    # of an inherited fact: a guess is no ground to refuse a call, the vendor shall say so
    if instead is None or not has_functions or "inherited_from" in context.facts.quirks:
        return
    raise UnsupportedFeatureError(
        f"{context.model} cannot call tools over chat completions: it always reasons, and there function tools are "
        f"taken only without. Use {instead}, which takes them with its reasoning off, or leave it to Chatport "
        '(protocol = "auto"), which takes the Responses API for both at once.',
        provider=context.provider.name,
        model=context.model,
    )


def _instructed(wire: WireRequest, context: Context) -> WireRequest:
    """Give instructions the role that this model knows (OA-R3)."""
    role = context.facts.quirks.get("instructions")
    messages = wire.body["messages"]
    if role is None or not any(message["role"] == "system" for message in messages):
        return wire
    wire = wire.set("messages", [{**m, "role": role} if m["role"] == "system" else m for m in messages])
    if role != "user":
        return wire
    return wire.note("lowered", "messages", f"{context.model} takes instructions only as a user turn", "OA-R3")


def _unstreamed(wire: WireRequest, context: Context) -> WireRequest:
    """Ask for the whole reply where the organisation may not stream (OA-P11, OA-X7)."""
    if not wire.stream or context.settings.get("stream") is not False:
        return wire
    wire = attrs.evolve(wire.discard("stream").discard("stream_options"), stream=False)
    return wire.note("note", "stream", "the reply comes whole, as the setting stream = false says", "OA-P11")
