"""Pictures, recordings and files in an answer: the shapes in which servers write them, as `Media`.

Known are the parts of the standard and their kin (`{"type": "image_url", "image_url": {"url": …}}`, `{"b64_json": …}`,
`{"inline_data": {"mime_type", "data"}}`), with a URL, a data URL or bare base64 in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from .. import jsoncodec
from ..types import Media

__all__ = ["audio_of", "media_of"]

_Kind: TypeAlias = Literal["image", "audio", "video", "file"]
_KINDS: tuple[tuple[str, _Kind], ...] = (
    ("image", "image"),
    ("audio", "audio"),
    ("video", "video"),
    ("file", "file"),
    ("document", "file"),
)
_PLACES = ("url", "image_url", "audio_url", "video_url", "file_url", "uri", "data", "b64_json", "base64", "file_data")
"""Where the address or the bytes are."""
_TYPES = ("media_type", "mime_type", "mimeType", "mediaType")
_HOLDERS = (
    *("image_url", "image", "input_image", "output_image", "audio", "input_audio", "output_audio"),
    *("video_url", "video", "file", "document", "inline_data", "inlineData", "source"),
)
"""What holds these in a part, if it is not the part itself."""
_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "SUQz": "audio/mpeg",
    "//s": "audio/mpeg",
    "//v": "audio/mpeg",
    "T2dnUw": "audio/ogg",
    "ZkxhQw": "audio/flac",
    "JVBERi": "application/pdf",
}
"""How the base64 of a file begins whose format has a mark there."""


def media_of(part: Any, kind: _Kind | None = None) -> Media | None:
    """Return what a part shows, None where it is no such part. `kind` is what it is if it does not say so itself."""
    if isinstance(part, str):
        part = {"url": part}
    if not isinstance(part, Mapping):
        return None
    inner, outer = _inner(part)
    place = next((inner[name] for name in _PLACES if isinstance(inner.get(name), str) and inner[name]), None)
    if place is None:
        return None
    told = next((str(inner[name]) for name in _TYPES if inner.get(name)), None)
    kind = _kind(str(part.get("type") or ""), part, told) or kind
    if kind is None:
        return None
    taken = (*_PLACES, *_TYPES, "type", "format")
    extra = {name: value for name, value in {**outer, **inner}.items() if name not in taken and value is not None}
    if told is None and isinstance(inner.get("format"), str):
        told = f"{kind}/{inner['format']}"
    return _at(kind, jsoncodec.whole(place), told and jsoncodec.whole(told), extra)


def audio_of(data: str) -> Media | None:
    """Return spoken output, which comes as base64; None where there is none."""
    return Media("audio", _sniffed(data), None, data) if data else None


def _inner(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the object that holds the address or the bytes, and the rest of the part around it."""
    for name in (str(part.get("type") or ""), *_HOLDERS):
        value = part.get(name)
        if isinstance(value, Mapping):
            return value, {key: other for key, other in part.items() if key != name}
        if isinstance(value, str) and name not in _PLACES and value:
            return {"url": value}, {key: other for key, other in part.items() if key != name}
    return part, {}


def _kind(word: str, part: Mapping[str, Any], media_type: str | None) -> _Kind | None:
    said = (word, (media_type or "").partition("/")[0], *(name for name in _HOLDERS if name in part))
    return next((kind for text in said for name, kind in _KINDS if name in text), None)


def _at(kind: _Kind, place: str, media_type: str | None, extra: Mapping[str, Any]) -> Media:
    if place[:5].lower() == "data:":
        head, _, data = place[5:].partition(",")
        return Media(kind, head.partition(";")[0] or media_type or _sniffed(data), None, data, extra)
    if ":" in place[:12]:
        return Media(kind, media_type, place, None, extra)
    return Media(kind, media_type or _sniffed(place), None, place, extra)


def _sniffed(data: str) -> str | None:
    if data.startswith("UklGR"):
        return {"V0FWRQ": "audio/wav", "V0VCUA": "image/webp"}.get(_fourth_word(data))
    return next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), None)


def _fourth_word(data: str) -> str:
    """Return the name of a RIFF file's kind, bytes 8 to 12, as base64 by itself."""
    import base64  # only answers with such a file need it

    try:
        return base64.b64encode(base64.b64decode(data[:16])[8:12]).decode().rstrip("=")
    except ValueError:
        return ""
