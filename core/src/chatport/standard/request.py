"""Standard `shape_request`: our call as the body of `POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import attrs

from ..call import Call, Context, OutputSpec, WireRequest, WireTools
from ..errors import UnsupportedFeatureError
from ..facts.rules import OutputRule, StreamRule
from ..hooks import hookimpl
from ..types import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolCall, VendorPart, VideoPart
from .details import opaque_fields
from .tools import wire_name
from .unread import WRITTEN_AS, laid_over, lost_keys, returning_call_keys, returning_keys

__all__ = ["shape_request", "wire_message", "wire_messages", "wire_output", "wire_part", "wire_tool_call"]


_OWN_CALLS = {"tool_calls", "function_call"}
"""Keys of an answer that stand for its text: calls that are no functions', and those of the older form."""


@hookimpl
def shape_request(call: Call, tools: WireTools, context: Context) -> WireRequest:
    dialect = context.provider.dialect
    body: dict[str, Any] = {"model": context.model, "messages": wire_messages(call, tools, context)}
    if tools.tools:
        body["tools"] = tools.tools
    if tools.choice is not None:
        body["tool_choice"] = tools.choice
    _add_options(body, call, dialect.max_tokens_field)
    if call.output is not None:
        body["response_format"] = wire_output(call.output)
    if call.stream:
        body["stream"] = True
        if dialect.include_usage:
            body["stream_options"] = {"include_usage": True}
    body.update(call.extra)
    own = call.extra.get("stream_options")
    if call.stream and dialect.include_usage and isinstance(own, Mapping) and own:  # `{}` says: none of them
        body["stream_options"] = {"include_usage": True, **own}
    notes = (*tools.adjustments, *lost_keys(call.messages, context))
    path = dialect.chat_path
    if "{model}" in path:
        path = dialect.path_of(path, context.model)
    wire = WireRequest(path, body, stream=call.stream, adjustments=notes)
    return _by_facts(wire, call, context)


def _by_facts(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Apply what the facts say, in this order, since later rules look at what earlier ones have left.

    Each step is loaded, and taken, where the request has something that it is about:

    1. messages and their parts, and which earlier reasoning goes back;
    2. the tools, and the choice among them;
    3. how much to reason;
    4. what reasoning excludes: it is switched off, or something else is lowered;
    5. structured output, by its ladder;
    6. whether the answer is asked for as a stream, or whole;
    7. single fields: the dialect's rules, then the model's;
    8. caps on numbers;
    9. blanks for earlier reasoning that is missing;
    10. the beginning of the answer, where it is to be gone on from.
    """
    rules, own_fields = context.facts.rules, context.provider.dialect.fields
    if rules is not None or "tool_calls" in chain.from_iterable(wire.body["messages"]):
        from .conversation import shape_messages

        wire = shape_messages(wire, call, context)
    if "tools" in wire.body or "tool_choice" in wire.body:
        from .tool_rules import shape_tools

        wire = shape_tools(wire, call, context)
    if rules is not None or call.reasoning is not None or call.extra:
        from .reasoning import make_way, say_reasoning

        wire = make_way(say_reasoning(wire, call, context), call, context)
    if "response_format" in wire.body:
        from .output import shape_output

        wire = shape_output(wire, call, context)
    if rules is not None and rules.stream is not None:
        wire = _as_stream(wire, rules.stream, context)
    if wire.stream and rules is not None and rules.output is not None and not rules.output.streamed:
        wire = _whole(wire, rules.output)
    if own_fields or (rules is not None and (rules.fields or rules.known_fields is not None)):
        from .fields import apply_field_rules

        wire = apply_field_rules(wire, call, context)
    wire = _capped(wire, call, context)
    if rules is not None and rules.history is not None:
        from .conversation import fill_history

        wire = fill_history(wire, rules.history, context)
    return wire if call.prefix is None else _prefilled(wire, call.prefix, context)


def _as_stream(wire: WireRequest, rule: StreamRule, context: Context) -> WireRequest:
    """Ask for the answer to a plain call as a stream where the facts say so; `chat` folds it."""
    from .reasoning import reasons

    if wire.stream:
        return wire
    cases = {"always": True, "tools": bool(wire.body.get("tools")), "reasoning": reasons(wire, context)}
    if not any(cases[case] for case in rule.when):
        return wire
    wire = wire.add("stream", True, rule.reason, rule.fact) if rule.reason else wire.set("stream", True)
    if context.provider.dialect.include_usage:
        wire = wire.set("stream_options", {"include_usage": True})
    return attrs.evolve(wire, stream=True)


def _whole(wire: WireRequest, rule: OutputRule) -> WireRequest:
    """Ask for a stream as a whole reply where a schema is not streamed: its events reach the caller all the same."""
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return wire
    wire = attrs.evolve(wire.discard("stream").discard("stream_options"), stream=False)
    return wire.note("lowered", "stream", "schemas are not streamed here: the reply comes whole", rule.cite("streamed"))


def _add_options(body: dict[str, Any], call: Call, max_tokens_field: str) -> None:
    for name, value in (
        ("temperature", call.temperature),
        ("top_p", call.top_p),
        (max_tokens_field, call.max_tokens),
        ("stop", list(call.stop) or None),
        ("seed", call.seed),
    ):
        if value is not None:
            body[name] = value


def _prefilled(wire: WireRequest, prefix: str, context: Context) -> WireRequest:
    """Put the beginning of the answer last, marked as the vendor wants it."""
    prefill = context.provider.dialect.prefill
    if prefill is None or context.facts.prefill is False:
        raise UnsupportedFeatureError(
            f"{context.provider.title} documents no way to go on from the beginning of an answer with this model.",
            provider=context.provider.name,
            model=context.model,
        )
    message = {"role": "assistant", "content": prefix, **prefill.message}
    return wire.set("messages", [*wire.body["messages"], message]).update(prefill.body)


def _capped(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Hold the limits that are plain numbers in the facts: they are the same rule for every vendor."""
    limit = context.provider.dialect.stop_limit
    if limit is not None and len(call.stop) > limit:
        raise UnsupportedFeatureError(
            f"{context.provider.title} takes at most {limit} stop strings, not {len(call.stop)}.",
            provider=context.provider.name,
            model=context.model,
        )
    most = context.facts.max_output_tokens
    if most is not None and call.max_tokens is not None and call.max_tokens > most:
        field = context.provider.dialect.max_tokens_field
        return wire.lower(field, most, f"the model writes at most {most} tokens, {call.max_tokens} were asked for")
    return wire


def wire_output(output: OutputSpec) -> dict[str, Any]:
    """Return `response_format` for a structured output."""
    return {
        "type": "json_schema",
        "json_schema": {"name": wire_name(output.name), "schema": output.schema, "strict": output.strict},
    }


def wire_messages(call: Call, tools: WireTools, context: Context) -> list[dict[str, Any]]:
    """Return the conversation as the standard's message objects; earlier calls get the tools' names as sent."""
    sent_names = {own: sent for sent, own in tools.names.items()} if tools.names else tools.names
    return [wire_message(message, context, sent_names) for message in call.messages]


def wire_message(message: Message, context: Context, sent_names: Mapping[str, str]) -> dict[str, Any]:
    """Return one message object. Reasoning goes back only to the provider it came from, and only if it wants it.

    `sent_names` maps a tool's own name to the one in the tool list, where they differ.
    """
    dialect = context.provider.dialect
    role: str = message.role
    if role == "system":
        role = dialect.system_role
    elif role == "developer":
        role = dialect.developer_role
    wire: dict[str, Any] = {"role": role}
    if message.role == "tool" and message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        wire["name"] = message.name
    if message.role == "assistant":
        wire |= _assistant(message, context, sent_names)
    elif message.content or "tools" not in message.extra:  # a message that brings tools needs no text
        wire["content"] = wire_content(message.content)
    return {**wire, **message.extra} if message.extra else wire


def _assistant(message: Message, context: Context, sent_names: Mapping[str, str]) -> dict[str, Any]:
    wire: dict[str, Any] = {"content": wire_content(message.content) if message.content else None}
    if message.tool_calls:
        wire["tool_calls"] = [
            wire_tool_call(
                call, sent_names.get(call.name, call.name),
                returning_call_keys(call, message, context) if call.extra else call.extra,
            )
            for call in message.tool_calls
        ]  # fmt: skip
    elif message.refusal is not None and not message.content:
        wire["refusal"] = message.refusal
    elif not message.content and not message.extra.keys() & _OWN_CALLS:
        wire["content"] = ""
    field = context.provider.dialect.reasoning_field
    if field and message.reasoning and message.origin in (None, context.provider.name):
        wire[field] = message.reasoning
    elif field is None and message.reasoning and message.origin is None and context.facts.rules is None:
        wire[message.opaque.get(WRITTEN_AS, "reasoning_content")] = message.reasoning  # as its caller wrote it
    history = None if context.facts.rules is None else context.facts.rules.history
    if message.opaque and message.origin == context.provider.name:
        if history is not None and history.opaque:
            wire |= opaque_fields(message.opaque, history.opaque)
        wire = {**returning_keys(message, context), **wire}
    return wire


def wire_content(content: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """Return text as a plain string where it is only text, which every server takes; else the list of parts."""
    if len(content) == 1 and type(content[0]) is TextPart and not content[0].extra:
        return content[0].text
    if all(type(part) is TextPart and not part.extra for part in content):
        return "".join(part.text for part in content if isinstance(part, TextPart))
    return [wire_part(part) for part in content]


def wire_part(part: Part) -> dict[str, Any]:
    """Return one content part in the standard's shape."""
    wire: dict[str, Any]
    match part:
        case TextPart(text=text):
            wire = {"type": "text", "text": text}
        case ImagePart(url=url, detail=detail):
            wire = {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
        case AudioPart(data=data, format=audio_format):
            sound = {"data": data, "format": audio_format} if audio_format else {"data": data}
            wire = {"type": "input_audio", "input_audio": sound}
        case VideoPart(url=url):
            wire = {"type": "video_url", "video_url": {"url": url}}
        case FilePart():
            file = {"file_id": part.file_id, "file_data": part.data, "filename": part.filename}
            wire = {
                "type": "file",
                "file": {name: value for name, value in file.items() if value is not None},
            }
        case VendorPart():
            return dict(part.value)
    return laid_over(wire, part.extra) if part.extra else wire


def wire_tool_call(call: ToolCall, name: str, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an earlier call of the model under the tool's name as sent, with its arguments exactly as they came.

    `extra` is what goes out of the keys that nobody here reads.
    """
    wire = {
        "id": call.id,
        "type": "function",
        "function": {"name": name, "arguments": call.arguments or "{}"},
    }
    return laid_over(wire, extra) if extra else wire
