"""Which kind of content a part is, in the words of the facts: what `input` of a model lists, text aside."""

from __future__ import annotations

from collections.abc import Mapping

from ..types import AudioPart, FilePart, ImagePart, Part, VendorPart, VideoPart

__all__ = ["content_kind", "kind_of_type"]

_KINDS: Mapping[type, str] = {ImagePart: "image", AudioPart: "audio", VideoPart: "video", FilePart: "file"}
_TYPES: Mapping[str, str] = {
    "image_url": "image",
    "image": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio": "audio",
    "file": "file",
    "file_url": "file",
    "input_file": "file",
    "document_url": "file",
    "document": "file",
    "video_url": "video",
    "video": "video",
    "input_video": "video",
}
"""The types of parts that vendors have beside the standard's, and those of the standard in a form of their own."""


def content_kind(part: Part) -> str | None:
    """Return `image`, `audio`, `file` or `video`; None for text, and for what no vendor's facts speak of."""
    return kind_of_type(part.kind) if type(part) is VendorPart else _KINDS.get(type(part))


def kind_of_type(wire_type: str) -> str | None:
    """Return the kind of a part on the wire, by its `type`."""
    return _TYPES.get(wire_type)
