"""Nothing is lost unsaid: every option and every message reaches the wire somewhere, or leaves a note."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from ...basics.media import to_base64
from ...call import Tool
from ...types import AudioPart, FilePart, ImagePart, Message, Part, ToolCall, VideoPart
from .subject import ConformanceTests, Exchange, Subject

__all__ = ["LossTests"]

_WORDS: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "tokens"),
    "reasoning": ("reasoning", "thinking", "effort", "think"),
}
"""What a note may speak of where an option is lost; else the option's own name."""
_OPTIONS: Mapping[str, tuple[Any, ...]] = {
    "temperature": (0, 0.37, 0.83, 1.7),
    "top_p": (0.07, 0.93),
    "max_tokens": (777,),
    "stop": (("#chatport-1",), tuple(f"#chatport-{number}" for number in range(1, 6))),
    "seed": (0, 424_242),
    "reasoning": ("low", "high", "max", 3217),
}
_SAY = "send it, or say that it is lost (WireRequest.drop, .lower, .note); a wrapper keeps what its `yield` gave"
_PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
_CONTENT: Mapping[str, tuple[bytes, Callable[[bytes], Part]]] = {
    "image": (b"\x89PNG\r\n\x1a\nchatport", ImagePart.from_bytes),
    "audio": (b"RIFF1234WAVEchatport", AudioPart.from_bytes),
    "video": (b"\x00\x00\x00\x18ftypmp42chatport", VideoPart.from_bytes),
    "file": (b"%PDF-1.7 chatport", lambda data: FilePart.from_bytes(data, "a.pdf")),
}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "title": "Chatporttitle",
    "description": "chatportdescription",
    "properties": {
        "code": {"type": "string", "pattern": "^chatport[0-9]+$", "minLength": 3, "maxLength": 717},
        "day": {"type": "string", "format": "date", "default": "2026-07-19"},
        "count": {"type": "integer", "minimum": 13, "maximum": 1313, "multipleOf": 7},
        "share": {"type": "number", "exclusiveMinimum": 0.125, "exclusiveMaximum": 0.875},
        "kind": {"type": "string", "enum": ["chatport-a", "chatport-b"]},
        "fixed": {"const": "chatport-const"},
        "list": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 29, "uniqueItems": True},
        "either": {"anyOf": [{"type": "string", "description": "chatport-any"}, {"type": "null"}]},
    },
    "required": ["code", "day", "count", "share", "kind", "fixed", "list", "either"],
    "additionalProperties": False,
}


class LossTests(ConformanceTests):
    """Each wish has a value that nothing else has; so it is found in the body wherever the vendor wants it."""

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("option", list(_OPTIONS))
    def test_an_option_is_sent_or_its_loss_is_said(self, option: str, stream: bool) -> None:
        words = _WORDS.get(option, (option,))
        for it in self.subject.each():
            without = it.exchange("say: fine", stream).sent
            most = it.provider.facts and it.provider.facts.describe(it.model, it.provider.base_url).max_output_tokens
            for value in (*_OPTIONS[option], *((most + 1,) if most and option == "max_tokens" else ())):
                given = f"{it.model}: {option}={value!r}"
                done = it.exchange("say: fine", stream, **{option: value})
                if done.reply is None or done.is_noted(*words):
                    continue
                it.check(done.sent != without, "shape_request", given, f"{option} was lost without a note", _SAY)
                if option != "reasoning":  # whose words differ from vendor to vendor
                    self._check_value(it, option, value, done)

    def _check_value(self, it: Subject, option: str, value: Any, done: Exchange) -> None:
        there = list(_leaves(done.sent))
        for piece in value if isinstance(value, tuple) else (value,):
            sent = any(leaf == piece and not isinstance(leaf, bool) for leaf in there)
            found = f"{option}={piece!r} is not in the request, and no note says so"
            it.check(sent, "shape_request", f"{it.model}: {done.sent}", found, _SAY)

    def test_options_given_together_are_all_sent_or_their_loss_is_said(self) -> None:
        options: dict[str, Any] = {
            "temperature": 0.37,
            "top_p": 0.93,
            "max_tokens": 717,
            "stop": ["#chatport"],
            "seed": 424_242,
        }
        for it in self.subject.each():
            done = it.exchange("say: fine", True, **options)
            for option, value in options.items():
                if done.reply is not None and not done.is_noted(*_WORDS.get(option, (option,))):
                    self._check_value(it, option, value[0] if isinstance(value, list) else value, done)

    def test_every_message_is_sent_in_its_order(self) -> None:
        """The text of each, the instructions not in the user's mouth; a name, and a system message further down."""
        first = [
            Message.system("chatport-system"), Message.developer("chatport-developer"), Message.user("chatport-user-1"),
            Message.assistant("chatport-assistant"), Message("user", Message.user("chatport-user-2").content),
            Message.system("chatport-later"), Message.user("say: fine\nchatport-user-3"),
        ]  # fmt: skip
        for it in self.subject.each():
            done = it.exchange(first)
            if done.reply is None:
                continue
            for message in first:
                text = message.text.rpartition("\n")[2]
                sent = text in _text(done.sent) or done.is_noted(message.role, "messages")
                it.check(sent, "shape_request", text, f"the {message.role} message was lost without a note", _SAY)
            places = [_text(done.sent).find(f"chatport-{name}") for name in ("user-1", "assistant", "user-2", "user-3")]
            it.check(places == sorted(places), "shape_request", done.sent, "the messages are in another order", _SAY)
            for text in ("chatport-system", "chatport-developer"):
                moved = any(text in said for said in _said_by(done.sent, "user"))
                found = f"the instruction {text!r} was put in the user's mouth without a note"
                noted = done.is_noted("messages", "system", "developer")
                it.check(not moved or noted, "shape_request", done.sent, found, _SAY)

    def test_a_name_and_a_picture_are_sent_or_their_loss_is_said(self) -> None:
        for it in self.subject.each():
            named = Message("user", Message.user("say: fine").content, name="chatport_name")
            done = it.exchange([named])
            kept = done.reply is None or "chatport_name" in _text(done.sent) or done.is_noted("name")
            it.check(kept, "shape_request", named, "the message's name was lost without a note", _SAY)
            takes = it.provider.facts is None or "image" in it.provider.facts.describe(it.model).input
            if takes:
                done = it.exchange([Message.user("say: fine", ImagePart(_PICTURE))])
                kept = done.reply is None or _PICTURE.partition(",")[2] in _text(done.sent) or done.is_noted("image")
                it.check(kept, "shape_request", f"{it.model}: a picture", "it was lost without a note", _SAY)

    @pytest.mark.parametrize("kind", list(_CONTENT))
    def test_content_of_every_kind_that_is_taken_is_sent(self, kind: str) -> None:
        """Of bytes, by the kinds that the facts name: as the vendor wants it, refused unsent, or told."""
        data, make = _CONTENT[kind]
        part = make(data)
        for it in self.subject.each():
            takes = () if it.provider.facts is None else it.provider.facts.describe(it.model).input
            if kind not in takes:
                continue
            done = it.exchange([Message.user("say: fine", part)])
            sent = done.reply is None or to_base64(data) in _text(done.sent) or done.is_noted(kind)
            it.check(sent, "shape_request", f"{it.model}: {part!r}", "it was lost without a note", _SAY)

    def test_every_tool_is_sent_whole(self) -> None:
        """Names, descriptions, and all of the schema's properties and values; and all results of parallel calls."""
        tools = [_tool("first"), _tool("second"), _tool("third")]
        calls = (ToolCall("call_1", "first", '{"a_first": "chatport-x"}'), ToolCall("call_2", "second", "{}"))
        messages = [
            Message.user("go"), Message.assistant("chatport-between", tool_calls=calls),
            Message.tool("call_1", "chatport-result-1"), Message.tool("call_2", "chatport-result-2"),
            Message.user("say: fine"),
        ]  # fmt: skip
        for it in self.subject.each():
            done = it.exchange(messages, tools=tools)
            if done.reply is None:
                continue
            parts = [f"{kind}{tool.name}" for tool in tools for kind in ("", "about_", "a_", "value_")]
            for part in (*parts, "chatport-between", "chatport-x", "chatport-result-1", "chatport-result-2"):
                kept = part in _text(done.sent) or done.is_noted("tool")
                it.check(kept, "translate_tools", f"{it.model}: {done.sent}", f"{part!r} was lost without a note", _SAY)

    @pytest.mark.parametrize("where", ["tools", "output"])
    def test_what_a_schema_loses_is_said(self, where: str) -> None:
        """A schema with every keyword: what is not on the wire, in the schema or in words, is in a note."""
        tool = Tool("chatport_tool", "Do it.", _SCHEMA)
        options = {"tools": [tool]} if where == "tools" else {"output": _SCHEMA}
        hook = "translate_tools" if where == "tools" else "shape_request"
        for it in self.subject.each():
            done = it.exchange("say: fine" if where == "tools" else "Fill it in.", **options)
            if done.reply is None:
                continue
            sent = _text(done.sent)
            for keyword, value in _keywords(_SCHEMA):
                kept = keyword in sent and json.dumps(value)[1:-1] in sent
                found = f"the schema lost {keyword}: {value!r}, and no note says so"
                noted = done.is_noted(keyword, "schema", "strict", "response_format")
                it.check(kept or noted, hook, f"{it.model}: {done.sent}", found, _SAY)


def _tool(name: str) -> Tool:
    schema = {"type": "string", "description": f"about_{name}", "enum": [f"value_{name}", "other"]}
    return Tool(name, f"about_{name}", {"type": "object", "properties": {f"a_{name}": schema}})


def _leaves(value: Any) -> Iterator[Any]:
    """Give all texts and numbers of a body."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _text(body: Any) -> str:
    """Return a body as one text, with the JSON in its texts as plain as the rest."""
    return json.dumps(body, ensure_ascii=False).replace("\\", "")


def _said_by(body: Mapping[str, Any], role: str) -> list[str]:
    messages = body.get("messages")
    return [
        _text(message)
        for message in (messages if isinstance(messages, list) else ())
        if isinstance(message, Mapping) and message.get("role") == role
    ]


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Give the keywords of a schema that say something about a value, with what they say."""
    for name, value in schema.items() if isinstance(schema, Mapping) else ():
        if name == "properties":
            for inner in value.values():
                yield from _keywords(inner)
        elif name == "anyOf":
            for inner in value:
                yield from _keywords(inner)
        elif name == "enum":
            yield from (("enum", item) for item in value)
        elif name not in ("type", "required", "items", "title", "default", "additionalProperties"):
            yield name, value
