"""The conversation as input items: messages, calls and their results each stand by themselves (RS-I1 to RS-I8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import Adjustment, Context, Message, UnsupportedFeatureError
from chatport.helpers import jsoncodec

from . import OPAQUE_KEY
from .quirks import calls_last, takes_thoughts_behind
from .turn import CALLS

__all__ = ["Input", "read_messages"]

_LONGEST_ID = 64  # RS-O6
_MESSAGE_KEYS = frozenset(("role", "content", "tool_calls", "tool_call_id", "refusal", "phase"))


@attrs.frozen
class Input:
    """The items of a conversation, and what of it could not be said."""

    items: Sequence[Mapping[str, Any]]
    notes: Sequence[Adjustment]


def read_messages(
    messages: Sequence[Mapping[str, Any]], sources: Sequence[Message], context: Context, *, is_stored: bool
) -> Input:
    """Return the items of messages in the standard's shape. `sources` are the call's own, which hold opaque items.

    Those of an answer are this provider's; any message of a call that came in this protocol has them as its client
    wrote them. `is_stored`: the server keeps its answers, and knows items by their ids.
    """
    writer = _Writer(context, is_stored=is_stored)
    answers = iter([message for message in sources if message.role == "assistant"])
    others = iter(sources) if len(sources) == len(messages) else None  # a rule may have moved a part into a new turn
    for number, message in enumerate(messages):
        same = None if others is None else next(others)
        source = next(answers, None) if message["role"] == "assistant" else same
        writer.take(message, source, f"messages[{number}]")
    items = _with_calls_last(writer.items) if calls_last(context) else writer.items
    return Input(items, tuple(dict.fromkeys(writer.notes)))


def _with_calls_last(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the items with the calls of each turn behind its thoughts and its text (RS-V6)."""
    ordered: list[Mapping[str, Any]] = []
    calls: list[Mapping[str, Any]] = []
    for item in items:
        if item.get("type") in CALLS:
            calls.append(item)
            continue
        if not (item.get("type") == "reasoning" or item.get("role") == "assistant"):
            ordered.extend(calls)
            calls = []
        ordered.append(item)
    return [*ordered, *calls]


class _Writer:
    def __init__(self, context: Context, *, is_stored: bool) -> None:
        self.context = context
        self.is_stored = is_stored
        self.items: list[Mapping[str, Any]] = []
        self.notes: list[Adjustment] = []

    def take(self, message: Mapping[str, Any], source: Message | None, where: str) -> None:
        own = self._own(message, source)
        if own is not None:
            self.items.extend(own)
            return
        field = self.context.provider.dialect.reasoning_field
        unknown = sorted(message.keys() - _MESSAGE_KEYS - {field})
        if message["role"] == "tool":
            self._result(message, where)
        elif message["role"] == "assistant":
            self._answer(message, field, where, self._thoughts(source))
        else:
            content = _content(message.get("content"), where, self.context)
            self.items.append({"role": message["role"], "content": content})
        if unknown:
            self._note("messages", f"unknown in this protocol: {', '.join(unknown)}", "RS-I1")

    def _note(self, field: str, reason: str, fact: str) -> None:
        self.notes.append(Adjustment("dropped", field, reason, fact))

    def _call_id(self, own: Any) -> Any:
        """Return an id that is short enough, always the same for the same one: calls and results go by it."""
        if not isinstance(own, str) or len(own) <= _LONGEST_ID:
            return own
        import hashlib  # it loads OpenSSL, and hardly any call needs it

        reason = f"an id has at most {_LONGEST_ID} characters"
        self.notes.append(Adjustment("renamed", "messages.tool_call_id", reason, "RS-O6"))
        return hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        """Give the result of a call. There is no mark for a failure: its words are in the text (RS-I6)."""
        call_id = self._call_id(message.get("tool_call_id"))
        kind = next(
            (f"{item['type']}_output" for item in reversed(self.items) if item.get("call_id") == call_id),
            "function_call_output",
        )
        output = _content(message.get("content") or "", where, self.context)
        self.items.append({"type": kind.replace("_output_output", "_output"), "call_id": call_id, "output": output})

    def _answer(
        self, message: Mapping[str, Any], field: str | None, where: str, before: Sequence[Mapping[str, Any]]
    ) -> None:
        message, items = _apart(message)
        items = items or list(before)
        self.items.extend(item for item in items if self.is_stored or not _is_only_stored(item))
        thoughts = message.get(field) if field else None
        if isinstance(thoughts, str) and thoughts and not items:  # blanks stand for missing ones, where some are due
            content = [{"type": "reasoning_text", "text": thoughts}]
            self.items.append({"type": "reasoning", "summary": [], "content": content})
        text = _answer_text(message, where)
        if text:
            phase = {"phase": message["phase"]} if message.get("phase") else {}
            self.items.append({"role": "assistant", "content": text, **phase})
        for call in message.get("tool_calls") or ():
            self._call(call)

    def _call(self, call: Mapping[str, Any]) -> None:
        """Give an earlier call. Keys of chat's own have no place in it, and unknown ones are refused (RS-R4)."""
        function = call["function"]
        sent = {"call_id": self._call_id(call["id"]), "name": function["name"], "arguments": function["arguments"]}
        sent |= {"namespace": call["namespace"]} if call.get("namespace") else {}  # RS-F5
        self.items.append({"type": "function_call", **sent})
        lost = [*(call.keys() - {"id", "type", "function", "namespace"}), *(function.keys() - {"name", "arguments"})]
        if lost:
            reason = f"a call has no such keys in this protocol: {', '.join(sorted(lost))}"
            self._note("messages.tool_calls", reason, "RS-I5")

    def _own(self, message: Mapping[str, Any], source: Message | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the items of a message as they were, None if there are none, or it was changed since.

        A reasoning item is refused without the item it led to (RS-O1), so it is all of them or none.
        """
        kept = self._kept(source)
        if kept is None:
            return None
        wanted = list(message.get("tool_calls") or ())
        calls = [item for item in kept if item.get("type") in CALLS]
        if len(wanted) != len(calls) or not all(map(_is_call, calls, [call["function"] for call in wanted])):
            return None
        if source is None or _joined_text(kept) != source.text:
            return None
        ids = iter([self._call_id(call["id"]) for call in wanted])
        result = {"call_id": self._call_id(message["tool_call_id"])} if message.get("tool_call_id") else {}
        named = [{**item, "call_id": next(ids)} if item.get("type") in CALLS else {**item, **result} for item in kept]
        if not self.is_stored:
            named = [item for item in named if not _is_only_stored(item)]
        return named if takes_thoughts_behind(self.context) else _without_last_thoughts(named)

    def _kept(self, source: Message | None) -> Sequence[Mapping[str, Any]] | None:
        """Return what a message holds of the items that it was, None for none, or for another provider's."""
        if source is None or source.origin not in (None, self.context.provider.name):
            return None
        kept = source.opaque.get(OPAQUE_KEY)
        return kept if isinstance(kept, Sequence) and all(isinstance(item, Mapping) for item in kept) else None

    def _thoughts(self, source: Message | None) -> Sequence[Mapping[str, Any]]:
        """Return the thoughts of a message that holds no other items: the rest is made anew behind them."""
        kept = self._kept(source) or ()
        return kept if all(item.get("type") == "reasoning" for item in kept) else ()


def _without_last_thoughts(items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Leave out thoughts that have led to nothing: an answer was cut there (RS-P3), and they are refused (RS-O1)."""
    end = len(items)
    while end and items[end - 1].get("type") == "reasoning":
        end -= 1
    return items[:end]


def _is_call(item: Mapping[str, Any], function: Mapping[str, Any]) -> bool:
    """Whether an item is a call that a message makes. In one, a namespace stands before the name, and a free text in
    an object, where whoever reads the message knows neither (RS-F5, RS-I7)."""
    name, arguments = item.get("name"), function["arguments"]
    if function["name"] not in (name, f"{item.get('namespace')}__{name}"):
        return False
    text = item.get(CALLS[item["type"]]) or ""
    if item["type"] == "function_call" or arguments == text:
        return bool(_value(arguments) == _value(text or "{}"))
    value = jsoncodec.decode_text(arguments) if jsoncodec.is_object(arguments) else {}
    return list(value.values()) == [text]


def _value(arguments: Any) -> Any:
    """Return what the arguments of a call say: where they are values, they come back in another spelling."""
    try:
        return jsoncodec.decode_text(arguments)
    except (TypeError, ValueError):
        return arguments


def _is_only_stored(item: Mapping[str, Any]) -> bool:
    """Whether it is a thought that only a server which has kept it can read (RS-O8)."""
    return item.get("type") == "reasoning" and not (item.get("encrypted_content") or item.get("content"))


def _joined_text(items: Sequence[Mapping[str, Any]]) -> str:
    return "".join(map(_text_of, items))


def _text_of(item: Mapping[str, Any]) -> str:
    """Return what a message or a result says."""
    kind = str(item.get("type", "message"))
    content = item.get("content") if kind == "message" else item.get("output") if kind.endswith("_output") else ()
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") != "refusal")


def _apart(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return an earlier answer without the items that stand among its parts, and these: thoughts, steps of a server."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    items = [part for part in parts if _is_item(str(part.get("type")))]
    return ({**message, "content": [part for part in parts if part not in items]} if items else message), items


def _is_item(kind: str) -> bool:
    return kind.endswith("_call") or kind in ("reasoning", "compaction", "tool_search_output", "mcp_list_tools")


def _answer_text(message: Mapping[str, Any], where: str) -> str | list[Mapping[str, Any]]:
    """Return an earlier answer's text: `output_text` and `refusal` are all that an answer may hold (RS-I4)."""
    content = message.get("content")
    if isinstance(content, str) and content:
        return content
    if message.get("refusal"):
        return [{"type": "refusal", "refusal": message["refusal"]}]
    parts = content if isinstance(content, list) else []
    other = next((part.get("type") for part in parts if part.get("type") not in ("text", "refusal")), None)
    if other is not None:
        raise UnsupportedFeatureError(f"{where}: an earlier answer holds text in this protocol, not {other!r} (RS-I4).")
    return [{"type": "output_text", "text": part["text"]} if part.get("type") == "text" else part for part in parts]


def _content(content: Any, where: str, context: Context) -> str | list[Mapping[str, Any]]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{where}.content[{number}]", context) for number, part in enumerate(content or ())]


def _part(part: Mapping[str, Any], where: str, context: Context) -> Mapping[str, Any]:
    """Return a part in this protocol's shape (RS-I2); one that is not the standard's goes as it is."""
    kind = part.get("type")
    inner = part.get(kind) if isinstance(kind, str) else None
    rest = {key: value for key, value in part.items() if key not in ("type", kind)}
    match kind:
        case "text":
            return {"type": "input_text", "text": part["text"], **rest}
        case "image_url" if isinstance(inner, Mapping):
            detail = {"detail": inner["detail"]} if inner.get("detail") else {}
            return {"type": "input_image", "image_url": inner["url"], **detail, **rest}
        case "file" if isinstance(inner, Mapping):
            return {"type": "input_file", **_file(inner), **rest}
        case "input_audio":
            raise UnsupportedFeatureError(
                f"{where}: this protocol takes no audio (RS-I3).", provider=context.provider.name, model=context.model
            )
    return part


def _file(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a file with an address in the place that is for one."""
    data = inner.get("file_data")
    is_address = isinstance(data, str) and data.startswith(("https://", "http://"))
    return {("file_url" if is_address and key == "file_data" else key): value for key, value in inner.items()}
