"""`shape_request` for the Responses protocol: what the standard has made of the call, said in this protocol's words.

So every rule of the vendor's facts has been applied before: this hook stands around the standard's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chatport import Call, Context, FieldRule, Message, WireRequest, hookimpl

from .items import read_messages
from .quirks import has_open_thoughts, keeps_nothing, least_output

__all__ = ["FIELDS", "SUMMARY", "shape_request"]

SUMMARY = "reasoning_summary"
"""The setting of a provider that asks for the thoughts in short."""

_UNKNOWN = "the protocol has no such field"
FIELDS: Mapping[str, FieldRule] = {
    "stop": FieldRule(_UNKNOWN, "RS-R2"),
    "seed": FieldRule(_UNKNOWN, "RS-R2"),
    "n": FieldRule("the protocol gives one answer", "RS-R2", same=(1,)),
    "logit_bias": FieldRule(_UNKNOWN, "RS-R2"),
    "presence_penalty": FieldRule(_UNKNOWN, "RS-R2", same=(0,)),
    "frequency_penalty": FieldRule(_UNKNOWN, "RS-R2", same=(0,)),
    "prediction": FieldRule(_UNKNOWN, "RS-R2"),
    "modalities": FieldRule(_UNKNOWN, "RS-R2", same=(["text"],)),
    "audio": FieldRule(_UNKNOWN, "RS-R2"),
    "client_metadata": FieldRule("of the client's own, which the protocol does not have", "RS-C1"),
    "web_search_options": FieldRule("the protocol has a tool for it: {'type': 'web_search'}", "RS-F4"),
}
"""Fields of the standard that have no place here, as rules of the dialect."""

_LIMITS = ("max_completion_tokens", "max_tokens")
_STATEFUL = ("previous_response_id", "conversation", "background")
_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = _with_input(_without_state(wire, context), call, context)
    wire = _with_limit(wire, least_output(context))
    wire = _with_tools(wire)
    wire = _with_text(wire)
    return _with_includes(_with_reasoning(wire, context), context)


def _without_state(wire: WireRequest, context: Context) -> WireRequest:
    """Leave out what means nothing where nothing is kept, and tell what the caller has wished for in vain."""
    fact = keeps_nothing(context)
    if fact is None:
        return wire
    reason = f"{context.provider.title} keeps no answers"
    for name in _STATEFUL:
        wire = wire.drop(name, reason, fact)
    return wire.drop("store", reason, fact) if wire.body.get("store") else wire.discard("store")


def _with_input(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say the conversation, and that the server need not keep it, unless the caller goes on from what it keeps."""
    body = wire.body
    is_stored = bool(body.get("store")) or any(body.get(name) for name in _STATEFUL)
    messages, sources = _without_instructions(body, call.messages)
    read = read_messages(messages, sources, context, is_stored=is_stored)
    before = body.get("input")
    given = before if isinstance(before, list) else []
    wire = wire.discard("messages").set("input", [*read.items, *given])
    for note in read.notes:
        wire = wire.note(note.kind, note.field, note.reason, note.fact)
    return wire if is_stored or "store" in body or keeps_nothing(context) else wire.set("store", False)


def _without_instructions(
    body: Mapping[str, Any], sources: Sequence[Message]
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Message]]:
    """Return the messages without a first one that says what the field `instructions` says already (RS-R1)."""
    messages, said = body["messages"], body.get("instructions")
    if not said or not messages or messages[0]["role"] not in ("system", "developer"):
        return messages, sources
    return (messages[1:], sources[1:]) if messages[0].get("content") == said else (messages, sources)


def _with_limit(wire: WireRequest, least: int) -> WireRequest:
    for name in _LIMITS:
        limit = wire.body.get(name)
        wire = wire.discard(name)
        if isinstance(limit, int) and limit < least:
            wire = wire.lower("max_output_tokens", least, f"at least {least} tokens here", "RS-R5")
        elif limit is not None:
            wire = wire.set("max_output_tokens", limit)
    return wire


# --- tools


def _with_tools(wire: WireRequest) -> WireRequest:
    tools, choice = wire.body.get("tools"), wire.body.get("tool_choice")
    if isinstance(tools, Sequence):
        wire = wire.set("tools", [_tool(tool) for tool in tools])
    return wire if choice is None else wire.set("tool_choice", _choice(choice))


def _tool(tool: Any) -> Any:
    """Return a tool with its members at the top (RS-F1), and not strict where nobody asked for that (RS-F2)."""
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping):
        custom = tool.get("custom") if isinstance(tool, Mapping) else None
        return {**{k: v for k, v in tool.items() if k != "custom"}, **custom} if isinstance(custom, Mapping) else tool
    rest = {key: value for key, value in tool.items() if key != "function"}
    return {"type": "function", "strict": False, "parameters": None, **rest, **function}


def _choice(choice: Any) -> Any:
    """Return the choice on one level (RS-F6)."""
    if not isinstance(choice, Mapping):
        return choice
    kind = str(choice.get("type"))
    inner = choice.get(kind)
    if not isinstance(inner, Mapping):
        return choice
    flat = {"type": kind, **inner}
    if isinstance(flat.get("tools"), Sequence):
        flat["tools"] = [_choice(tool) for tool in flat["tools"]]
    return flat


# --- the answer


def _with_text(wire: WireRequest) -> WireRequest:
    """Say how the text is to be: its format, whose members stand at the top here (RS-T1), and how much of it."""
    text = dict(wire.body.get("text") or {})
    wanted, verbosity = wire.body.get("response_format"), wire.body.get("verbosity")
    if isinstance(wanted, Mapping) and "format" not in text:  # else the caller has said it in this protocol's words
        inner = wanted.get("json_schema")
        text["format"] = {**wanted, **inner} if isinstance(inner, Mapping) else wanted
        text["format"] = {key: value for key, value in text["format"].items() if key != "json_schema"}
    if verbosity is not None:
        text["verbosity"] = verbosity
    wire = wire.discard("response_format").discard("verbosity")
    return wire.set("text", text) if text else wire


def _with_reasoning(wire: WireRequest, context: Context) -> WireRequest:
    """Say the effort, and that a summary is wanted if the provider's settings say so (RS-R9)."""
    effort, own = wire.body.get("reasoning_effort"), wire.body.get("reasoning")
    said = {"effort": effort} if effort is not None else {}
    summary = context.settings.get(SUMMARY)
    if summary and context.facts.reasoning and effort != "none":
        said["summary"] = summary
    said |= own if isinstance(own, Mapping) else {}
    wire = wire.discard("reasoning_effort")
    return wire.set("reasoning", said) if said else wire


def _with_includes(wire: WireRequest, context: Context) -> WireRequest:
    """Ask for what is not sent unasked: thoughts that can go back (RS-S1), and probabilities (RS-R7)."""
    wanted = list(wire.body.get("include") or ())
    is_sealed = context.facts.reasoning and not has_open_thoughts(context)
    is_stored = wire.body.get("store") is not False and keeps_nothing(context) is None
    if is_sealed and not is_stored and _ENCRYPTED not in wanted:
        wanted.append(_ENCRYPTED)
    if wire.body.get("logprobs"):
        wire = wire.set("top_logprobs", wire.body.get("top_logprobs") or 0)
        wanted += [] if _LOGPROBS in wanted else [_LOGPROBS]
    wire = wire.discard("logprobs")
    options = wire.body.get("stream_options")
    if isinstance(options, Mapping):
        rest = {key: value for key, value in options.items() if key != "include_usage"}  # it is always there (RS-R15)
        wire = wire.set("stream_options", rest) if rest else wire.discard("stream_options")
    return wire.set("include", wanted) if wanted else wire
