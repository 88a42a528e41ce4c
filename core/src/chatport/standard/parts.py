"""Images, sound, video and files as a vendor takes them: the `parts` rules of the facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..basics.media import audio_format, decoded, is_text_type, split_data_url
from ..call import Context, WireRequest
from ..errors import UnsupportedFeatureError
from ..facts.rules import PartRule

__all__ = ["PART_KINDS", "shape_parts"]

PART_KINDS = {"image_url": "image", "input_audio": "audio", "file": "file", "video_url": "video"}
_PLACES = ("url", "file_data", "data")
_IN_THE_STANDARD = {"audio": "data", "file": "file_data"}


def shape_parts(wire: WireRequest, rules: Mapping[str, PartRule], context: Context) -> WireRequest:
    """Return the request with its parts as this model takes them. Raises UnsupportedFeatureError."""
    shaper = _Shaper(rules, context)
    messages = [shaper.message(message, f"messages[{n}]") for n, message in enumerate(wire.body["messages"])]
    wire = wire.set("messages", messages)
    for kind, field, reason, fact in shaper.notes:
        wire = wire.note(kind, field, reason, fact)
    return wire


@attrs.define(eq=False, repr=False)
class _Shaper:
    """Takes one message after another; `notes` tell what became of their parts, each thing once."""

    rules: Mapping[str, PartRule]
    context: Context
    notes: dict[tuple[str, str, str, str], None] = attrs.field(factory=dict)

    def message(self, message: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        return {**message, "content": [self.part(part, place) for part in content]}

    def part(self, part: Any, place: str) -> Any:
        wire_type = part.get("type") if isinstance(part, Mapping) else None
        kind = PART_KINDS.get(str(wire_type), "")
        rule = self.rules.get(kind)
        inner = part.get(wire_type) if rule is not None else None
        if rule is None or not isinstance(inner, Mapping):
            return part
        if kind == "file" and not rule.text_files:
            text = _text_of(inner)
            if text is not None:
                return self._as_text(part, inner, text, rule)
        _check_source(f"{place}: ", kind, inner, rule, self.context)
        inner = self._known(_placed(inner, kind, rule), kind, rule)
        if rule.type is None and inner is part[wire_type]:
            return part
        name = rule.type or str(wire_type)
        return {
            **{k: v for k, v in part.items() if k not in ("type", wire_type)},
            "type": name,
            rule.field or name: inner,
        }

    def _known(self, inner: Mapping[str, Any], kind: str, rule: PartRule) -> Mapping[str, Any]:
        lost = [key for key in inner if rule.keys is not None and key not in rule.keys]
        if not lost:
            return inner
        self._note("dropped", f"messages.{kind}", f"unknown here: {', '.join(lost)}", rule)
        return {key: value for key, value in inner.items() if key not in lost}

    def _as_text(self, part: Mapping[str, Any], inner: Mapping[str, Any], text: str, rule: PartRule) -> Any:
        """Write a file of text into the message, under its name: the model reads the same."""
        self._note("renamed", "messages.file", "a file of text goes as a text part", rule)
        name = inner.get("filename")
        marks = {key: value for key, value in part.items() if key not in ("type", "file")}
        return {"type": "text", "text": f"{name}:\n\n{text}" if name else text, **marks}

    def _note(self, kind: str, field: str, reason: str, rule: PartRule) -> None:
        self.notes[kind, field, reason, rule.fact] = None


def _text_of(inner: Mapping[str, Any]) -> str | None:
    """Return the text of a file that is nothing but text, None for any other."""
    data = inner.get("file_data")
    parts = split_data_url(data) if isinstance(data, str) else None
    if parts is None or not is_text_type(parts[0]):
        return None
    content = decoded(parts[1])
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


def _check_source(where: str, kind: str, inner: Mapping[str, Any], rule: PartRule, context: Context) -> None:
    """Raise UnsupportedFeatureError for content in a form that the vendor would refuse or not read."""
    upload = inner.get("file_id")
    place = _place(inner)
    is_address = place[:8].lower().startswith(("http://", "https://"))
    is_own = not is_address and "://" in place[:32]  # gs://, ms://, file:// are the vendor's matter
    problem = None
    if (upload is not None or place) and not (rule.addresses or rule.inline or rule.uploads):
        problem = f"no {kind}"
    elif upload is not None and not rule.uploads:
        problem = f"no {kind} by the id of an upload"
    elif is_address and not rule.addresses:
        problem = f"no {kind} by its address: {_instead(kind, rule)}"
    elif is_own:
        return
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


def _instead(kind: str, rule: PartRule) -> str:
    if not rule.inline:
        return "upload it, and give the id"
    return f"send the bytes as a {'text in base64' if kind == 'audio' and not rule.data_url else 'data URL'}"


def _place(inner: Mapping[str, Any]) -> str:
    return str(next((inner[name] for name in _PLACES if inner.get(name)), ""))


def _format(inner: Mapping[str, Any], place: str) -> str | None:
    """Return the format of inline content: as the part names it, or the subtype of its data URL."""
    named = inner.get("format")
    if isinstance(named, str):
        return named
    head = place[:100].partition(",")[0].partition(";")[0]
    return head.partition("/")[2] or None if head.startswith("data:") else None


def _placed(inner: Mapping[str, Any], kind: str, rule: PartRule) -> Mapping[str, Any]:
    """Return what is in a part with its bytes as the vendor wants them: in a data URL, or bare."""
    field = _IN_THE_STANDARD.get(kind)
    data = inner.get(field) if field is not None else None
    if field is None or not isinstance(data, str):
        return inner
    if rule.data_url and (kind == "audio" or rule.type is not None):
        return _as_data_url(inner, data, rule)
    url = split_data_url(data) if rule.data_url is False else None
    if url is None:
        return inner
    told = {"format": audio_format(url[0])} if kind == "audio" and not inner.get("format") and url[0] else {}
    return {**inner, field: url[1], **told}


def _as_data_url(inner: Mapping[str, Any], data: str, rule: PartRule) -> Mapping[str, Any]:
    kind = inner.get("format") if rule.type is not None else None
    url = data if ":" in data[:16] else f"data:audio/{kind};base64,{data}" if kind else f"data:;base64,{data}"
    if rule.type is None:
        return {**inner, "data": url}
    return {"url": url, **{key: value for key, value in inner.items() if key not in ("data", "file_data", "format")}}
