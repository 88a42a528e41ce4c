"""The conversation as input items: messages, calls and their results each stand by themselves (RS-I1 to RS-I8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import Adjustment, Context, Message, UnsupportedFeatureError
from chatport.helpers import jsoncodec

from .turn import CALLS, OPAQUE_KEY

__all__ = ["Input", "read_messages"]

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

    `is_stored`: the server keeps its answers, and knows items by their ids.
    """
    writer = _Writer(context, is_stored=is_stored)
    answers = iter([message for message in sources if message.role == "assistant"])
    for number, message in enumerate(messages):
        source = next(answers, None) if message["role"] == "assistant" else None
        writer.take(message, source, f"messages[{number}]")
    return Input(writer.items, tuple(dict.fromkeys(writer.notes)))


class _Writer:
    def __init__(self, context: Context, *, is_stored: bool) -> None:
        self.context = context
        self.is_stored = is_stored
        self.items: list[Mapping[str, Any]] = []
        self.notes: list[Adjustment] = []

    def take(self, message: Mapping[str, Any], source: Message | None, where: str) -> None:
        field = self.context.provider.dialect.reasoning_field
        unknown = sorted(message.keys() - _MESSAGE_KEYS - {field})
        if message["role"] == "tool":
            self._result(message, where)
        elif message["role"] == "assistant":
            self._answer(message, source, field, where)
        else:
            content = _content(message.get("content"), where, self.context)
            self.items.append({"role": message["role"], "content": content})
        if unknown:
            self._note("messages", f"unknown in this protocol: {', '.join(unknown)}", "RS-I1")

    def _note(self, field: str, reason: str, fact: str) -> None:
        self.notes.append(Adjustment("dropped", field, reason, fact))

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        """Give the result of a call. There is no mark for a failure: its words are in the text (RS-I6)."""
        call_id = message.get("tool_call_id")
        kind = next(
            (f"{item['type']}_output" for item in reversed(self.items) if item.get("call_id") == call_id),
            "function_call_output",
        )
        output = _content(message.get("content") or "", where, self.context)
        self.items.append({"type": kind.replace("_output_output", "_output"), "call_id": call_id, "output": output})

    def _answer(self, message: Mapping[str, Any], source: Message | None, field: str | None, where: str) -> None:
        own = self._own(message, source)
        if own is not None:
            self.items.extend(own)
            return
        thoughts = message.get(field) if field else None
        if isinstance(thoughts, str) and thoughts.strip():
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
        sent = {"call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        self.items.append({"type": "function_call", **sent})
        lost = [*(call.keys() - {"id", "type", "function"}), *(function.keys() - {"name", "arguments"})]
        if lost:
            reason = f"a call has no such keys in this protocol: {', '.join(sorted(lost))}"
            self._note("messages.tool_calls", reason, "RS-I5")

    def _own(self, message: Mapping[str, Any], source: Message | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the items of an answer as this provider wrote them, None if there are none, or it was changed since.

        A reasoning item is refused without the item it led to (RS-O1), so it is all of them or none.
        """
        if source is None or source.origin != self.context.provider.name:
            return None
        kept = source.opaque.get(OPAQUE_KEY)
        if not isinstance(kept, Sequence) or not all(isinstance(item, Mapping) for item in kept):
            return None
        wanted = list(message.get("tool_calls") or ())
        calls = [item for item in kept if item.get("type") in CALLS]
        said = [(call["function"]["name"], _value(call["function"]["arguments"])) for call in wanted]
        if said != [(item.get("name"), _value(item.get(CALLS[item["type"]]) or "{}")) for item in calls]:
            return None
        if _joined_text(kept) != source.text:
            return None
        ids = iter([call["id"] for call in wanted])
        named = [{**item, "call_id": next(ids)} if item.get("type") in CALLS else item for item in kept]
        return named if self.is_stored else [item for item in named if not _is_only_stored(item)]


def _is_only_stored(item: Mapping[str, Any]) -> bool:
    """Whether it is a thought that only a server which has kept it can read (RS-O8)."""
    return item.get("type") == "reasoning" and not (item.get("encrypted_content") or item.get("content"))


def _value(arguments: Any) -> Any:
    """Return what the arguments of a call say: where they are values, they come back in another spelling."""
    try:
        return jsoncodec.decode_text(arguments)
    except (TypeError, ValueError):
        return arguments


def _joined_text(items: Sequence[Mapping[str, Any]]) -> str:
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")


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
            return {"type": "input_file", **inner, **rest}
        case "input_audio":
            raise UnsupportedFeatureError(
                f"{where}: this protocol takes no audio (RS-I3).", provider=context.provider.name, model=context.model
            )
    return part
