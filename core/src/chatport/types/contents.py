"""Bytes and files as parts of a message have them: base64, data URLs, the media types that bytes and names tell."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from ..basics import media
from ..basics.typed import check_fields, expect
from ..errors import BadRequestError

__all__ = [
    "UNTYPED",
    "as_base64",
    "as_data_url",
    "as_format",
    "check_part",
    "checked_bytes",
    "document_url",
    "inlined",
    "read_file",
    "sound_format",
    "told_format",
]

UNTYPED = "data:;base64,"
"""How bytes stand until the name of their file is known."""
_KINDS = {"image": "ImagePart", "audio": "AudioPart", "video": "VideoPart"}
_FALLBACKS = {"ImagePart": "image/png", "VideoPart": "video/mp4"}


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a file. Raises OSError."""
    expect(path, (str, Path), "The file of a part is named by its path", BadRequestError)
    return Path(path).expanduser().read_bytes()


def checked_bytes(part: str, data: Any) -> bytes:
    """Return what is bytes, and not empty. Raises BadRequestError for anything else."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise BadRequestError(f"{part}.from_bytes takes bytes, not {type(data).__name__}.")
    if not data:
        raise BadRequestError(f"There is nothing to make the {part} of: these are no bytes at all.")
    return bytes(data)


def check_part(part: Any) -> None:
    """Raise BadRequestError for a field of a part that is no such thing; of a path and of bytes, a part can be made."""
    kind = type(part).__name__
    for field in ("url", "data", "file_id", "filename"):
        value = getattr(part, field, None)
        is_bytes = isinstance(value, bytes | bytearray | memoryview)
        if is_bytes or isinstance(value, PurePath):
            way = "from_bytes" if is_bytes else "from_file"
            raise BadRequestError(
                f"{kind}.{field} is a text, not {type(value).__name__}: make the part by {kind}.{way}."
            )
    check_fields(part, BadRequestError)


def inlined(part: str, data: Any, name: str | Path | None, media_type: str | None = None) -> str:
    """Return the data URL of an image or a video. Raises BadRequestError for bytes that are of another kind."""
    content, fallback = checked_bytes(part, data), _FALLBACKS[part]
    kind = media_type or media.media_type_of(content, name, fallback)
    if media_type is None and kind.partition("/")[0] != fallback.partition("/")[0]:
        raise _of_another_kind(part, kind, name)
    return media.data_url(content, kind)


def _of_another_kind(part: str, kind: str, name: str | Path | None) -> BadRequestError:
    fits = _KINDS.get(kind.partition("/")[0], "FilePart")
    what = "These bytes are" if name is None else f"{Path(name).name!r} is"
    way = "from_bytes" if name is None else "from_file"
    return BadRequestError(
        f"{what} {kind}, and no matter for {part}: use {fits}.{way}, or {part}.from_bytes with the type that you mean."
    )


def sound_format(data: bytes, name: str | Path | None) -> str:
    """Return the format of sound, an empty text if nothing tells it. Raises BadRequestError for other things."""
    kind = media.media_type_of(bytes(data), name, "")
    if kind and not kind.startswith(("audio/", "video/")):
        raise _of_another_kind("AudioPart", kind, name)
    ending = Path(name).suffix[1:].lower() if name is not None else ""
    return media.audio_format(kind) or ending


def document_url(data: bytes, name: str | Path | None, media_type: str | None = None) -> str:
    """Return the data URL of a document, whose type is said, or told by its bytes and its name."""
    return media.data_url(data, media_type or media.media_type_of(data, name, "application/octet-stream"))


def as_base64(data: str | bytes) -> str:
    """Return bytes as base64 text; a text as it is."""
    return media.to_base64(bytes(data)) if isinstance(data, bytes | bytearray | memoryview) else data


def as_format(given: str | None) -> str:
    """Return the format as vendors name it, from a media type or an ending as well."""
    if isinstance(given, str) and "/" in given:
        return media.audio_format(given)
    return given.lstrip(".").lower() if isinstance(given, str) and given.startswith(".") else given or ""


def told_format(data: str) -> str:
    """Return the format that a data URL or the sound itself tells, an empty text if none does."""
    parts = media.split_data_url(data)
    if parts is not None and parts[0]:
        return media.audio_format(parts[0])
    beginning = media.decoded((data if parts is None else parts[1])[:88])
    kind = media.sniffed(beginning) if beginning else None
    return media.audio_format(kind) if kind else ""


def as_data_url(data: str | bytes | None) -> str | None:
    """Return bytes as a data URL whose type is not told yet; a text as it is."""
    return f"{UNTYPED}{media.to_base64(bytes(data))}" if isinstance(data, bytes | bytearray | memoryview) else data
