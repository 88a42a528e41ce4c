"""The conversation as a vendor takes it: the rules for messages and for earlier reasoning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..call import Call, Context, WireRequest, is_native
from ..errors import UnsupportedFeatureError
from ..facts.rules import HistoryRule, MessageRule
from .call_ids import with_call_ids
from .content import kind_of_type
from .paths import holds
from .reasoning import reasons

__all__ = ["fill_history", "shape_messages"]

_Message = Mapping[str, Any]


def shape_messages(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with its messages and their parts as this model takes them. Raises UnsupportedFeatureError."""
    rules = context.facts.rules
    if rules is None:
        return with_call_ids(wire, None)
    if rules.parts:
        from .parts import shape_parts  # only media have something to be shaped

        wire = shape_parts(wire, rules.parts, context)
    if rules.messages is not None:
        wire = _with_messages(wire, rules.messages, call, context)
    wire = with_call_ids(wire, rules.call_ids)
    if rules.history is not None and rules.history.keep != "all":
        wire = _without_reasoning(wire, rules.history, context)
    return wire


# --- messages


def _with_messages(wire: WireRequest, rule: MessageRule, call: Call, context: Context) -> WireRequest:
    if not rule.orphan_results:
        _check_results(wire, rule, context)
    if rule.part_types and not is_native(call, context):  # whoever speaks the vendor's own protocol has its parts
        wire = _known_part_types(wire, rule, context)
    if rule.joined_text:
        wire = _joined_texts(wire, rule)
    if rule.text_results:
        wire = _text_results(wire, rule)
    if rule.bridge is not None:
        wire = _bridged(wire, rule.bridge, rule)
    if not rule.refusals:
        wire = _each(wire, _refusal_as_text)
    if not rule.names and any("name" in message for message in wire.body["messages"]):
        wire = _each(wire, lambda message: _but(message, "name"))
        wire = wire.note("dropped", "messages.name", "messages have no names here", rule.cite("names"))
    if rule.keys is not None:
        wire = _known_keys(wire, rule.keys, rule)
    if rule.part_keys is not None:
        wire = _known_part_keys(wire, rule.part_keys, rule)
    if rule.call_keys is not None:
        wire = _known_call_keys(wire, rule.call_keys, rule)
    for part, stands, is_empty in (
        ("empty_result", rule.empty_result, _is_empty_result),
        ("empty", rule.empty, _is_empty),
    ):
        if stands is not None:
            wire = _filled(wire, "content", stands, is_empty, rule.cite(part), f"{stands!r} where it was empty")
    return wire if rule.nulls else _each(wire, lambda m: {key: v for key, v in m.items() if v is not None})


def _check_results(wire: WireRequest, rule: MessageRule, context: Context) -> None:
    """Raise UnsupportedFeatureError for the result of a call that no earlier answer has."""
    called: set[Any] = set()
    for number, message in enumerate(wire.body["messages"]):
        called.update(call.get("id") for call in message.get("tool_calls") or ())
        given = message.get("tool_call_id")
        if message["role"] == "tool" and given not in called:
            raise UnsupportedFeatureError(
                f"messages[{number}] answers the tool call {given!r}, which no earlier assistant turn makes: "
                f"{context.provider.title} refuses that ({rule.cite('orphan_results')}).",
                provider=context.provider.name,
                model=context.model,
            )


def _known_part_types(wire: WireRequest, rule: MessageRule, context: Context) -> WireRequest:
    """Leave out what another vendor may read, such as its own thinking. Raises UnsupportedFeatureError for media."""
    lost: dict[str, None] = {}

    def known(message: _Message) -> _Message:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        kinds = [str(part.get("type")) for part in content]
        unknown = [kind for kind in kinds if kind not in rule.part_types]
        if not unknown:
            return message
        media = next(filter(kind_of_type, unknown), None)
        if media is not None:
            raise UnsupportedFeatureError(
                f"{context.provider.title} takes parts of the types {', '.join(rule.part_types)}, not {media} "
                f"({rule.cite('part_types')}).",
                provider=context.provider.name,
                model=context.model,
            )
        lost.update(dict.fromkeys(unknown))
        kept = [part for part, kind in zip(content, kinds, strict=True) if kind in rule.part_types]
        return {**message, "content": kept or ""}

    changed = _each(wire, known)
    if not lost:
        return wire
    reason = f"parts of another vendor's kind, unknown here: {', '.join(lost)}"
    return changed.note("dropped", "messages.content", reason, rule.cite("part_types"))


def _joined_texts(wire: WireRequest, rule: MessageRule) -> WireRequest:
    """Join content that is only text to one text, and tell the marks on its parts, which are lost by it."""
    lost: dict[str, None] = {}

    def joined(message: _Message) -> _Message:
        content = message.get("content")
        if not isinstance(content, list) or not all(part.get("type") == "text" for part in content):
            return message
        lost.update(dict.fromkeys(key for part in content for key in part if key not in ("type", "text")))
        return {**message, "content": "".join(part["text"] for part in content)}

    wire = _each(wire, joined)
    if not lost:
        return wire
    reason = f"text goes without marks on its parts: {', '.join(lost)}"
    return wire.note("dropped", "messages.content", reason, rule.cite("joined_text"))


def _known_call_keys(wire: WireRequest, keys: Sequence[str], rule: MessageRule) -> WireRequest:
    """Take off what no call of an earlier answer may have, beside its function and within."""
    lost: dict[str, None] = {}

    def known(call: Mapping[str, Any]) -> Mapping[str, Any]:
        function = call.get("function")
        inner = function if isinstance(function, Mapping) else {}
        others = [key for key in inner if key not in ("name", "arguments")]
        lost.update(dict.fromkeys([key for key in call if key not in keys] + others))
        kept = {key: value for key, value in call.items() if key in keys}
        return {**kept, "function": {k: v for k, v in inner.items() if k not in others}} if others else kept

    changed = _each(
        wire, lambda m: {**m, "tool_calls": [known(call) for call in m["tool_calls"]]} if m.get("tool_calls") else m
    )
    if not lost:
        return wire
    return changed.note("dropped", "messages.tool_calls", f"unknown here: {', '.join(lost)}", rule.cite("call_keys"))


def _known_keys(wire: WireRequest, keys: Sequence[str], rule: MessageRule) -> WireRequest:
    unknown = sorted({key for message in wire.body["messages"] for key in message if key not in keys})
    if not unknown:
        return wire
    wire = _each(wire, lambda message: {key: value for key, value in message.items() if key in keys})
    return wire.note("dropped", "messages", f"unknown here: {', '.join(unknown)}", rule.cite("keys"))


def _known_part_keys(wire: WireRequest, keys: Sequence[str], rule: MessageRule) -> WireRequest:
    lost: dict[str, None] = {}

    def known(message: _Message) -> _Message:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        lost.update(dict.fromkeys(key for part in content for key in part if key not in keys))
        return {**message, "content": [{key: value for key, value in part.items() if key in keys} for part in content]}

    changed = _each(wire, known)
    if not lost:
        return wire
    return changed.note("dropped", "messages", f"unknown here: {', '.join(lost)}", rule.cite("part_keys"))


def _refusal_as_text(message: _Message) -> _Message:
    if "refusal" not in message:
        return message
    return {**_but(message, "refusal"), "content": message.get("content") or message["refusal"]}


def _is_empty_result(message: _Message) -> bool:
    return message["role"] == "tool" and not message.get("content")


def _is_empty(message: _Message) -> bool:
    return message.get("content") == ""


def _text_results(wire: WireRequest, rule: MessageRule) -> WireRequest:
    """Move what is no text out of tool results, behind the last result of its turn."""
    sent: list[_Message] = []
    held: list[Any] = []
    moved = False
    for message in wire.body["messages"]:
        if message["role"] != "tool" and held:
            sent.append({"role": "user", "content": held})
            held = []
        if message["role"] == "tool" and isinstance(message.get("content"), list):
            text = [part for part in message["content"] if part.get("type") == "text"]
            others = [part for part in message["content"] if part.get("type") != "text"]
            held, moved = held + others, moved or bool(others)
            message = {**message, "content": text or "(in the next user message)"}
        sent.append(message)
    sent += [{"role": "user", "content": held}] if held else []
    wire = wire.set("messages", sent)
    reason = "a tool result holds only text: the rest follows in a user turn"
    return wire.note("renamed", "messages", reason, rule.cite("text_results")) if moved else wire


def _bridged(wire: WireRequest, words: str, rule: MessageRule) -> WireRequest:
    """Let the assistant say something wherever a tool's result is followed by another turn than its own."""
    sent: list[_Message] = []
    for message in wire.body["messages"]:
        if sent and sent[-1]["role"] == "tool" and message["role"] not in ("tool", "assistant"):
            sent.append({"role": "assistant", "content": words})
        sent.append(message)
    if len(sent) == len(wire.body["messages"]):
        return wire
    reason = f"{words!r} from the assistant between a tool's result and the next turn"
    return wire.set("messages", sent).note("added", "messages", reason, rule.cite("bridge"))


# --- earlier reasoning


def _without_reasoning(wire: WireRequest, rule: HistoryRule, context: Context) -> WireRequest:
    """Take earlier reasoning out where it is not wanted. It is the vendor's own, so nothing of the caller's is lost."""
    field = context.provider.dialect.reasoning_field or ""
    if rule.all_with and holds(wire.body, rule.all_with):
        return wire

    def changed(message: _Message) -> _Message:
        wanted = rule.keep == "calls" and message.get("tool_calls")
        return message if wanted else _but(message, field)

    return _each(wire, changed)


def fill_history(wire: WireRequest, rule: HistoryRule, context: Context) -> WireRequest:
    """Return the request with a blank where an earlier answer must have reasoning, and it is lost or another's."""
    field = context.provider.dialect.reasoning_field
    if rule.blank is None or field is None or not reasons(wire, context):
        return wire
    messages = wire.body["messages"]
    in_use = "tools" in wire.body or any(message.get("tool_calls") for message in messages)
    if rule.blank_for == "tool_use" and not in_use:
        return wire

    def lacks(message: _Message) -> bool:
        is_meant = message["role"] == "assistant" and (rule.blank_for != "calls" or message.get("tool_calls"))
        return bool(is_meant) and not message.get(field)

    reason = "a blank for answers without their reasoning"
    return _filled(wire, field, rule.blank, lacks, rule.fact, reason)


# --- pieces


def _each(wire: WireRequest, change: Callable[[_Message], _Message]) -> WireRequest:
    """Return the request with each message changed; the same request where none was."""
    messages = wire.body["messages"]
    changed = [change(message) for message in messages]
    return (
        wire if all(new is old for new, old in zip(changed, messages, strict=True)) else wire.set("messages", changed)
    )


def _but(message: _Message, field: str) -> _Message:
    return {key: value for key, value in message.items() if key != field} if field in message else message


def _filled(
    wire: WireRequest, field: str, value: str, is_missing: Callable[[_Message], bool], fact: str, reason: str
) -> WireRequest:
    filled = _each(wire, lambda message: {**message, field: value} if is_missing(message) else message)
    return wire if filled is wire else filled.note("added", f"messages.{field}", reason, fact)
