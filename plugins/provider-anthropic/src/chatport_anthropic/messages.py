"""Our messages as the Messages protocol has them: `system` apart, turns of content blocks, results grouped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import attrs

from chatport import (
    Adjustment,
    AudioPart,
    BadRequestError,
    Call,
    Context,
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    UnsupportedFeatureError,
    VendorPart,
    VideoPart,
    WireTools,
)
from chatport.helpers import MESSAGE_KEYS, decoded, is_native, is_text_type, lost_keys, split_data_url, wire_name

from .blocks import OPAQUE_KEY

__all__ = ["Conversation", "conversation", "names_of"]

_THOUGHTS = ("thinking", "redacted_thinking")
_OURS = ("text", "tool_use", *_THOUGHTS)
_BLOCKS = frozenset(
    {
        "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result",
        "server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
        "bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result",
        "mcp_tool_use", "mcp_tool_result", "container_upload", "compaction",
    }
)  # fmt: skip
"""The blocks of a turn, AN-S4, AN-T9 and AN-M2, which are sent as they are given."""
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")  # AN-M1
_BLOCK_KEYS = ("cache_control", "citations", "context", "title")  # AN-R12, AN-M2
_RESULT_KEYS = ("cache_control", "is_error")  # AN-T9
_CALL_KEYS = ("cache_control", "caller")
_INNER = ("function", "image_url", "file")
_IN_PLACE_BETA = "mid-conversation-system-2026-04-07"  # AN-R13
_DATE = re.compile(r"-(\d{8}|latest)$")


@attrs.frozen
class Conversation:
    """The three places a conversation goes to, and what could not be said as it was."""

    system: Sequence[Mapping[str, Any]]
    turns: Sequence[Mapping[str, Any]]
    adjustments: tuple[Adjustment, ...]

    @property
    def names_files(self) -> bool:
        """Whether a block refers to an uploaded file, which is a beta feature (AN-T15)."""
        sources = (block.get("source") for turn in self.turns for block in turn["content"])
        return any(isinstance(source, Mapping) and source.get("type") == "file" for source in sources)


def conversation(call: Call, tools: WireTools, context: Context) -> Conversation:
    """Return the conversation. Raises UnsupportedFeatureError for what would be silently lost."""
    writer = _Writer(context, {own: sent for sent, own in tools.names.items()}, is_native=is_native(call, context))
    writer.notes.extend(lost_keys(call.messages, context))
    in_place = _IN_PLACE_BETA in names_of(call.extra.get("betas")) and context.facts.quirks.get("system_in_place", True)
    for message, after in zip_longest(call.messages, call.messages[1:]):
        writer.take(message, in_place=in_place and (after is None or after.role == "assistant"))
    turns = [_results_first(turn) for turn in _with_own_ids(writer.turns)]
    if not turns:
        raise UnsupportedFeatureError("Anthropic needs at least one turn besides the system text (AN-R1).")
    turns = _prefill(turns, context)
    if call.prefix:
        turns = _prefill(_begun(turns, call.prefix), context)
    return Conversation(writer.system, turns, tuple(dict.fromkeys(writer.notes)))


def _begun(turns: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """Put the beginning of the answer last, if the rest can be joined to it: blanks at its end are refused (AN-T14)."""
    if prefix != prefix.rstrip():
        raise UnsupportedFeatureError("Anthropic does not go on exactly from a text that ends in white space (AN-T14).")
    before, content = (turns[:-1], turns[-1]["content"]) if turns[-1]["role"] == "assistant" else (turns, [])
    if content and content[-1]["type"] == "text":  # the caller had begun it, and the vendor went on from there
        content, prefix = content[:-1], content[-1]["text"] + prefix
    return [*before, {"role": "assistant", "content": [*content, {"type": "text", "text": prefix}]}]


def _with_own_ids(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each call of the conversation an id of its own: one that an earlier answer has is refused (AN-T9)."""
    given: dict[str, int] = {}
    sent: dict[str, str] = {}
    used: set[str] = set()

    def unused(call_id: str) -> str:
        number = given[call_id] = given.get(call_id, 0) + 1
        new = call_id if number == 1 else f"{call_id}_again_{number}"
        return unused(call_id) if new in used else new

    def own(block: dict[str, Any]) -> dict[str, Any]:
        if block.get("type") == "tool_use":
            new = sent[block["id"]] = unused(block["id"])
            used.add(new)
            return block if new == block["id"] else {**block, "id": new}
        if (
            block.get("type") == "tool_result"
            and sent.get(block["tool_use_id"], block["tool_use_id"]) != block["tool_use_id"]
        ):
            return {**block, "tool_use_id": sent[block["tool_use_id"]]}
        return block

    return [{**turn, "content": [own(block) for block in turn["content"]]} for turn in turns]


def _results_first(turn: dict[str, Any]) -> dict[str, Any]:
    """Put tool results before everything else in their turn (AN-T10)."""
    return {**turn, "content": sorted(turn["content"], key=lambda block: block.get("type") != "tool_result")}


def _prefill(turns: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
    """Trim a last answer that is to be continued, or refuse it where the model does (AN-T14, AN-P5).

    An answer that the vendor itself paused, in the middle of its own tools, goes back as it is (AN-S19).
    """
    last = turns[-1]
    if last["role"] != "assistant" or any(block["type"] not in _OURS for block in last["content"]):
        return turns
    if not context.facts.prefill:
        raise UnsupportedFeatureError(
            f"{context.model} does not continue an answer: the conversation must end with a user turn (AN-T14)."
        )
    block = last["content"][-1]
    if block["type"] != "text":
        return turns
    trimmed = {**block, "text": block["text"].rstrip()}
    return [*turns[:-1], {**last, "content": [*last["content"][:-1], trimmed]}]


class _Writer:
    """Takes one message after another. Turns of one side that follow each other become one (AN-R2, AN-T11).

    `is_native`: the call came in this protocol, and what of it is not known here passes as it is.
    """

    def __init__(self, context: Context, sent_names: Mapping[str, str], *, is_native: bool) -> None:
        self.context = context
        self.is_native = is_native
        self.sent_names = sent_names
        self.system: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []
        self.called: set[str] = set()
        self.notes: list[Adjustment] = []

    def take(self, message: Message, *, in_place: bool) -> None:
        """Take a message; a system text stays `in_place` behind turns."""
        role: str = message.role  # a dict may have brought any
        if message.name is not None:
            self._note("dropped", "messages.name", "speakers have no names here", "AN-R14")
        match role:
            case "system" | "developer":
                self._take_system(message, in_place=in_place)
            case "assistant":
                self._add("assistant", self._marked(self._answer(message), message))
            case "tool":
                self._add("user", [self._result(message)])
            case _:
                if role != "user":
                    self._note("renamed", "messages.role", f"{role} is no role here: sent as user", "AN-R2")
                self._add("user", self._marked(self._parts(message.content), message))

    def _take_system(self, message: Message, *, in_place: bool) -> None:
        if self.turns and in_place:
            self._add("system", self._marked(self._parts(message.content), message))
            return
        if self.turns:  # AN-T12, AN-R13: in place only behind a beta switch, and refused by older models
            self._note("lowered", "messages.system", "moved to the top: system text stands there only", "AN-T12")
        self.system.extend(self._marked(self._parts(message.content), message))

    def _marked(self, blocks: list[dict[str, Any]], message: Message) -> list[dict[str, Any]]:
        """Put a message's cache mark on its last block, where such marks belong; no other key is known (AN-R12)."""
        for name in message.extra:
            if name != "cache_control":
                self._note("dropped", f"messages.{name}", "messages have no such key here", "AN-R14")
        if not blocks or "cache_control" not in message.extra:
            return blocks
        return [*blocks[:-1], {**blocks[-1], "cache_control": message.extra["cache_control"]}]

    def _add(self, role: str, blocks: list[dict[str, Any]]) -> None:
        """Add to the conversation; a turn that has become empty is left out (AN-P6)."""
        if not blocks:
            return
        self.called.update(str(block.get("id")) for block in blocks if block.get("type") == "tool_use")
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"].extend(blocks)
        else:
            self.turns.append({"role": role, "content": blocks})

    def _note(self, kind: Any, field: str, reason: str, fact: str) -> None:
        self.notes.append(Adjustment(kind, field, reason, fact))

    # --- answers

    def _answer(self, message: Message) -> list[dict[str, Any]]:
        """Return an earlier answer: its own blocks, verbatim and in order, where they are still what it says."""
        kept = message.opaque.get(OPAQUE_KEY) if message.origin == self.context.provider.name else None
        if not isinstance(kept, Mapping):
            return self._plain_answer(message)  # AN-T17: reasoning of others, or without a signature, stays here
        content = kept["content"]
        if not all(map(_can_go_back, content)):
            self._note(
                "invalid", "messages", "blocks of this answer are not as they must be: sent as plain text", "AN-K6"
            )
            return self._plain_answer(message)
        blocks = [block for block in content if not _is_blank(block)]
        if not _says(content, message):  # AN-K6
            self._note("dropped", "messages.thinking", "this answer was edited, which voids its signatures", "AN-K6")
            return self._plain_answer(message)
        if _family(kept.get("model")) == _family(self.context.model):
            return blocks
        if any(block["type"] in _THOUGHTS for block in blocks):
            self._note("dropped", "messages.thinking", "signed for another model", "AN-K9")
        return [block for block in blocks if block["type"] not in _THOUGHTS]

    def _plain_answer(self, message: Message) -> list[dict[str, Any]]:
        kept = message.opaque.get(MESSAGE_KEYS)  # of the compatible endpoint, where messages have other keys
        if message.origin == self.context.provider.name and isinstance(kept, Mapping):
            self._known(kept, (), "messages")
        return [*self._parts(message.content), *(self._tool_use(call, message) for call in message.tool_calls)]

    def _tool_use(self, call: ToolCall, message: Message) -> dict[str, Any]:
        name = self.sent_names.get(call.name, wire_name(call.name, longest=128))
        sent_id = _wire_id(call.id)
        if sent_id != call.id:
            self._note("renamed", "messages.tool_call_id", "an id is of letters, digits, _ and -", "AN-T22")
        block = {"type": "tool_use", "id": sent_id, "name": name, "input": _input(call)}
        if message.origin is None:
            return {**block, **self._known(call.extra, _CALL_KEYS, "messages.tool_calls")}
        return {**call.extra, **block} if message.origin == self.context.provider.name else block

    def _known(self, extra: Mapping[str, Any], keys: Sequence[str], field: str) -> dict[str, Any]:
        """Return the keys that stand in such a block; others would be refused, and are told (AN-R14)."""
        if self.is_native:
            return dict(extra)
        for name in _flat(extra):
            if name not in keys:
                self._note("dropped", f"{field}.{name}", "there is no such key here", "AN-R14")
        return {name: value for name, value in extra.items() if name in keys}

    def _result(self, message: Message) -> dict[str, Any]:
        """Return a tool result; without any content it says so, since an empty list is refused (AN-T9).

        Raises UnsupportedFeatureError for one whose call nobody made (AN-T10).
        """
        if _wire_id(message.tool_call_id or "") not in self.called:
            raise self._unsupported(
                f"refuses the result of the tool call {message.tool_call_id!r}, which no earlier answer makes (AN-T10)"
            )
        content = self._parts(message.content) or [{"type": "text", "text": "(no output)"}]
        block = {"type": "tool_result", "tool_use_id": _wire_id(message.tool_call_id or ""), "content": content}
        return {**block, **self._known(message.extra, _RESULT_KEYS, "messages")}

    # --- parts

    def _parts(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """Return content blocks; blank texts are refused, and left out (AN-T13)."""
        blocks = [
            {**block, **self._known(part.extra, _BLOCK_KEYS, "messages.content")} if part.extra else block
            for part in parts
            if (block := self._part(part)) is not None
        ]
        return [block for block in blocks if not _is_blank(block)]

    def _part(self, part: Part) -> dict[str, Any] | None:
        match part:
            case TextPart(text=text):
                return {"type": "text", "text": text}
            case ImagePart():
                if part.detail is not None:
                    self._note("dropped", "messages.image.detail", "images have no levels of detail here", "AN-T15")
                return {"type": "image", "source": self._image_source(part.url)}
            case FilePart():
                title = {"title": part.filename} if part.filename else {}
                return {"type": "document", "source": self._document_source(part), **title}
            case AudioPart():
                raise self._unsupported("takes no audio (AN-M3)")
            case VideoPart():
                raise self._unsupported("takes no video (AN-M3)")
            case VendorPart():
                return self._vendor_part(part)

    def _vendor_part(self, part: VendorPart) -> dict[str, Any] | None:
        """Return a block of this protocol as it is, what can be said as one, and None for what has no like here."""
        if (part.kind in _BLOCKS or self.is_native) and _can_go_back(part.value):
            return dict(part.value)
        inner = part.value.get(part.kind)
        address = inner.get("url") if isinstance(inner, Mapping) else inner
        if isinstance(address, str) and part.kind in ("image_url", "document_url", "file_url"):
            inside = inner.keys() - {"url"} if isinstance(inner, Mapping) else set()
            for name in sorted({*inside, *part.value.keys()} - {"type", part.kind, "cache_control"}):
                self._note("dropped", f"messages.{part.kind}.{name}", "there is only the address here", "AN-R14")
            block = self._part(ImagePart(address) if part.kind == "image_url" else FilePart(data=address))
            mark = part.value.get("cache_control")
            return block if mark is None or block is None else {**block, "cache_control": mark}
        self._note("dropped", "messages.content", f"a part of the type {part.kind!r} has no like here", "AN-M3")
        return None

    def _image_source(self, url: str) -> dict[str, Any]:
        if url[:8].lower().startswith(("https://", "http://")):
            return {"type": "url", "url": url}
        kind, content = split_data_url(url) or ("", "")
        kind = kind.replace("image/jpg", "image/jpeg")
        if kind not in _IMAGE_TYPES:
            raise self._unsupported("takes images by https URL, or as base64 of jpeg, png, gif or webp (AN-M1)")
        return {"type": "base64", "media_type": kind, "data": content}

    def _document_source(self, part: FilePart) -> dict[str, Any]:
        if part.file_id is not None:
            return {"type": "file", "file_id": part.file_id}
        data = part.data or ""
        if data.startswith("https://"):
            return {"type": "url", "url": data}
        kind, content = split_data_url(data) or ("", "")
        if kind == "application/pdf":
            return {"type": "base64", "media_type": kind, "data": content}
        if is_text_type(kind):
            return {"type": "text", "media_type": "text/plain", "data": self._text(content)}
        raise self._unsupported("takes documents as PDF or text in a data URL, by https URL or by file id (AN-M2)")

    def _text(self, content: str) -> str:
        """Return the text of a document, which is UTF-8 here."""
        data = decoded(content)
        if data is None:
            raise BadRequestError("The data URL of a FilePart is no base64.")
        try:
            return data.decode()
        except UnicodeDecodeError:
            self._note("invalid", "messages.file", "bytes of it are no UTF-8, and are replaced", "AN-M2")
            return data.decode("utf-8", "replace")

    def _unsupported(self, problem: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(f"Anthropic {problem}.")


def _flat(extra: Mapping[str, Any]) -> list[str]:
    """Return the names of keys, of those as well that stood inside an object which has no counterpart here."""
    names: list[str] = []
    for name, value in extra.items():
        names += list(value) if name in _INNER and isinstance(value, Mapping) else [name]
    return names


def _input(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as the object they are here (AN-T8); core has mended those that are none."""
    try:
        value = json.loads(call.arguments or "{}")  # which keeps whole numbers of any size
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequestError(f"The arguments of the call {call.id!r} of {call.name!r} are no JSON object.")
    return value


def names_of(value: Any) -> list[str]:
    """Return the names in a list of beta features, or in a header of them (AN-A3)."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value or ())


def _wire_id(call_id: str) -> str:
    """Return a call's id in the letters that are taken here; the vendor's own ids are."""
    return wire_name(call_id, longest=128)


def _is_blank(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "text" and not str(block.get("text") or "").strip()


def _can_go_back(block: Any) -> bool:
    """Whether a block of an earlier answer has what the vendor wants of its kind; unknown kinds are its own matter."""
    match block:
        case {"type": "text"}:
            return isinstance(block.get("text"), str)
        case {"type": "tool_use"}:
            words = [block.get("id"), block.get("name")]
            return isinstance(block.get("input"), Mapping) and all(
                isinstance(word, str) and word and word == _wire_id(word) for word in words
            )
        case {"type": "thinking"}:
            return isinstance(block.get("thinking"), str) and isinstance(block.get("signature"), str)
        case {"type": "redacted_thinking"}:
            return isinstance(block.get("data"), str)
        case {"type": "image" | "document"}:
            return isinstance(block.get("source"), Mapping)
        case {"type": "tool_result"}:
            return isinstance(block.get("tool_use_id"), str)
        case {"type": str()}:
            return True
    return False


def _says(blocks: Sequence[Mapping[str, Any]], message: Message) -> bool:
    """Whether these blocks still say what the message says."""
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [(block["id"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    return text == message.text and calls == [(call.id, _input(call)) for call in message.tool_calls]


def _family(model: Any) -> str:
    """Return a model's id without its date: the answer names the dated one."""
    return _DATE.sub("", str(model))
