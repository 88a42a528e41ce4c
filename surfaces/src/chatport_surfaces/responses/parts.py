"""The parts of a client's messages as values of ours (RS-I2 to RS-I4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from chatport import AudioPart, BadRequestError, FilePart, ImagePart, Part, TextPart, VendorPart

__all__ = ["bad", "objects", "read_parts", "text_of"]

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def bad(where: str, problem: str) -> NoReturn:
    """Raise BadRequestError for a place in the request."""
    raise BadRequestError(f"{where} {problem}.", code="invalid_value")


def objects(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects; null is an empty one. Raises BadRequestError for anything else."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        bad(where, "must be a list of objects")
    return value


def text_of(value: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text that must be there. Raises BadRequestError if it is not."""
    text = value.get(key)
    if not isinstance(text, str):
        bad(f"{where}.{key}", "must be a text")
    return text


def read_parts(content: Any, where: str) -> tuple[Part, ...]:
    """Return a content, which is a text or a list of parts. Raises BadRequestError for what cannot be meant."""
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    return tuple([_part(part, f"{where}[{number}]") for number, part in enumerate(objects(content, where))])


def _part(part: Mapping[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind in _TEXTS:
        return TextPart(text_of(part, "text", where), _rest(part, "type", "text"))
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        detail = part.get("detail")
        return ImagePart(
            part["image_url"], None if detail == "auto" else detail, _rest(part, "type", "image_url", "detail")
        )
    if kind == "input_file":
        return _file(part, where)
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        sound = part["input_audio"]
        return AudioPart(text_of(sound, "data", where), sound.get("format") or "", _rest(part, "type", "input_audio"))
    return VendorPart(part)


def _file(part: Mapping[str, Any], where: str) -> Part:
    data = part.get("file_data") or part.get("file_url")
    if not data and not part.get("file_id"):
        bad(where, "has neither file_id, nor file_data, nor file_url")
    rest = _rest(part, "type", "file_data", "file_url", "file_id", "filename")
    return FilePart(part.get("file_id"), data, part.get("filename"), rest)


def _rest(part: Mapping[str, Any], *read: str) -> dict[str, Any]:
    """Return the keys that nobody here reads, but for those that say nothing."""
    return {key: value for key, value in part.items() if key not in read and value not in (None, [], {})}
