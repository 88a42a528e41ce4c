"""The conversation as a vendor takes it: the rules for messages, for kinds of content, and for earlier reasoning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..call import Call, Context, WireRequest
from ..errors import UnsupportedFeatureError
from ..facts.rules import HistoryRule, MessageRule, PartRule
from .call_ids import with_call_ids
from .paths import holds
from .reasoning import reasons

__all__ = ["PART_KINDS", "fill_history", "shape_messages"]

_Message = Mapping[str, Any]


def shape_messages(wire: WireRequest, context: Context) -> WireRequest:
    """Return the request with its messages and their parts as this model takes them. Raises UnsupportedFeatureError."""
    rules = context.facts.rules
    if rules is None:
        return with_call_ids(wire, None)
    if rules.parts:
        wire = _with_parts(wire, rules.parts, context)
    if rules.messages is not None:
        wire = _with_messages(wire, rules.messages)
    wire = with_call_ids(wire, rules.call_ids)
    if rules.history is not None and rules.history.keep != "all":
        wire = _without_reasoning(wire, rules.history, context)
    return wire


# --- messages


def _with_messages(wire: WireRequest, rule: MessageRule) -> WireRequest:
    if rule.joined_text:
        wire = _each(wire, _joined)
    if rule.text_results:
        wire = _text_results(wire, rule)
    if not rule.refusals:
        wire = _each(wire, _refusal_as_text)
    if not rule.names and any("name" in message for message in wire.body["messages"]):
        wire = _each(wire, lambda message: _but(message, "name"))
        wire = wire.note("dropped", "messages.name", "messages have no names here", rule.cite("names"))
    if rule.keys is not None:
        wire = _known_keys(wire, rule.keys, rule)
    if rule.part_keys is not None:
        wire = _known_part_keys(wire, rule.part_keys, rule)
    for part, stands, is_empty in (
        ("empty_result", rule.empty_result, _is_empty_result),
        ("empty", rule.empty, _is_empty),
    ):
        if stands is not None:
            wire = _filled(wire, "content", stands, is_empty, rule.cite(part), f"{stands!r} where it was empty")
    return wire if rule.nulls else _each(wire, lambda m: {key: v for key, v in m.items() if v is not None})


def _joined(message: _Message) -> _Message:
    content = message.get("content")
    if not isinstance(content, list) or not all(part.get("type") == "text" for part in content):
        return message
    return {**message, "content": "".join(part["text"] for part in content)}


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


# --- kinds of content


def _with_parts(wire: WireRequest, rules: Mapping[str, PartRule], context: Context) -> WireRequest:
    def changed(message: _Message, number: int) -> _Message:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        return {**message, "content": [_part(part, f"messages[{number}]", rules, context) for part in content]}

    messages = wire.body["messages"]
    return wire.set("messages", [changed(message, number) for number, message in enumerate(messages)])


PART_KINDS = {"image_url": "image", "input_audio": "audio", "file": "file", "video_url": "video"}


def _part(part: Any, place: str, rules: Mapping[str, PartRule], context: Context) -> Any:
    wire_type = part.get("type") if isinstance(part, Mapping) else None
    rule = rules.get(PART_KINDS.get(str(wire_type), ""))
    inner = part.get(wire_type) if rule is not None else None
    if rule is None or not isinstance(inner, Mapping):
        return part
    kind = PART_KINDS[str(wire_type)]
    _check_source(f"{place}: ", kind, inner, rule, context)
    if kind == "audio" and rule.data_url:
        inner = _as_data_url(inner, rule)
    if rule.type is None and inner is part[wire_type]:
        return part
    name = rule.type or str(wire_type)
    return {**{k: v for k, v in part.items() if k not in ("type", wire_type)}, "type": name, rule.field or name: inner}


def _check_source(where: str, kind: str, inner: Mapping[str, Any], rule: PartRule, context: Context) -> None:
    """Raise UnsupportedFeatureError for content in a form that the vendor would refuse or not read."""
    upload = inner.get("file_id")
    place = str(inner.get("url") or inner.get("file_data") or inner.get("data") or "")
    is_address = place[:8].lower().startswith(("http://", "https://"))
    form = "text in base64" if kind == "audio" and not rule.data_url else "data URL"
    problem = None
    if upload is not None and not rule.uploads:
        problem = f"no {kind} by the id of an upload"
    elif is_address and not rule.addresses:
        problem = f"no {kind} by its address: send the bytes as a {form}"
    elif place and not is_address and not rule.inline:
        problem = f"no {kind} in the request itself"
    elif rule.formats and place and not is_address and _format(inner, place) not in (None, *rule.formats):
        problem = f"{kind} as {', '.join(rule.formats)}, not as {_format(inner, place)}"
    if problem is not None:
        raise UnsupportedFeatureError(
            f"{where}{context.provider.title} takes {problem}" + (f" ({rule.fact})." if rule.fact else "."),
            provider=context.provider.name,
            model=context.model,
        )


def _format(inner: Mapping[str, Any], place: str) -> str | None:
    """Return the format of inline content: as the part names it, or the subtype of its data URL."""
    named = inner.get("format")
    if isinstance(named, str):
        return named
    head = place[:100].partition(",")[0].partition(";")[0]
    return head.partition("/")[2] or None if head.startswith("data:") else None


def _as_data_url(inner: Mapping[str, Any], rule: PartRule) -> Mapping[str, Any]:
    data, kind = str(inner.get("data", "")), inner.get("format") if rule.type is not None else None
    url = data if ":" in data[:16] else f"data:audio/{kind};base64,{data}" if kind else f"data:;base64,{data}"
    return {"url": url} if rule.type is not None else {**inner, "data": url}


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


def fill_history(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with a blank where an earlier answer must have reasoning, and it is lost or another's."""
    rule = None if context.facts.rules is None else context.facts.rules.history
    field = context.provider.dialect.reasoning_field
    if rule is None or rule.blank is None or field is None or not reasons(wire, context):
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
