"""Parts of a message, looked at before anything is sent: a path in place of an address, bare base64, nothing at all.

What can be meant in one way only is made what it means; everything else is refused, with the place and the way out.
"""

from __future__ import annotations

import reprlib
from pathlib import PurePath
from typing import Any, TypeGuard

import attrs

from ..basics.media import data_url, decoded, is_address, may_be_base64, media_type_of, sniffed
from ..errors import BadRequestError
from ..types import AudioPart, FilePart, ImagePart, Part, TextPart, VendorPart, VideoPart

__all__ = ["PARTS", "fit_part", "is_part", "no_part"]

PARTS = (TextPart, ImagePart, AudioPart, VideoPart, FilePart, VendorPart)
_LONGEST_PATH = 1024
_SURELY_BASE64 = 100
_SNIFFED = 88  # characters of base64, of which the first bytes are made


def is_part(value: Any) -> TypeGuard[Part]:
    """Whether a value is a content part."""
    return isinstance(value, PARTS)


def no_part(value: Any, problem: str) -> BadRequestError:
    """Return the error for what is no part, with its type: of a file or of bytes, one can be made."""
    hint = ""
    if isinstance(value, PurePath):
        hint = f" A file becomes one by ImagePart.from_file({str(value)!r}), or that of AudioPart, VideoPart, FilePart."
    elif isinstance(value, bytes | bytearray | memoryview):
        hint = " Bytes become one by from_bytes of ImagePart, AudioPart, VideoPart or FilePart."
    return BadRequestError(f"{problem} {type(value).__name__}.{hint}")


def fit_part(part: Part, where: str) -> Part:
    """Return the part as it can be sent. Raises BadRequestError for one that says nothing, or a path."""
    match part:
        case TextPart():
            if not isinstance(part.text, str):
                raise BadRequestError(f"{where}: the text of a TextPart is a text, not {type(part.text).__name__}.")
            return part
        case ImagePart() | VideoPart():
            return _linked(part, where)
        case AudioPart():
            return _sound(part, where)
        case FilePart():
            return _document(part, where)
        case VendorPart():
            return part


def _linked(part: ImagePart | VideoPart, where: str) -> Part:
    """Look at an image's or a video's URL, which stands alone for it."""
    kind, url = type(part).__name__, part.url
    _check_text(url, "url", kind, where)
    if is_address(url):
        _check_filled(url, kind, where)
        return attrs.evolve(part, url=_unbroken(url)) if _is_broken(url) else part
    media_type = _told_type(url)
    if media_type is not None and may_be_base64(url):
        return attrs.evolve(part, url=f"data:{media_type};base64,{url}")
    if len(url) >= _SURELY_BASE64 and may_be_base64(url):
        return part  # of a type that we do not know: it is the vendor's matter
    raise BadRequestError(f"{where} needs an http(s) or data URL{_instead(url, kind)}")


def _sound(part: AudioPart, where: str) -> Part:
    _check_text(part.data, "data", "AudioPart", where)
    _check_text(part.format, "format", "AudioPart", where)
    _check_filled(part.data, "AudioPart", where)
    if _is_path(part.data):
        raise BadRequestError(f"{where} needs sound in base64{_instead(part.data, 'AudioPart')}")
    if not part.format and not is_address(part.data):
        raise BadRequestError(f"{where}: an AudioPart says its format, such as 'wav' or 'mp3'.")
    return attrs.evolve(part, data=_unbroken(part.data)) if _is_broken(part.data) else part


def _document(part: FilePart, where: str) -> Part:
    for name in ("file_id", "data", "filename"):
        if getattr(part, name) is not None:
            _check_text(getattr(part, name), name, "FilePart", where)
    if not part.file_id and not part.data and "file" not in part.extra:
        raise BadRequestError(f"{where}: a FilePart needs the bytes of a file (data), or the id of an uploaded one.")
    if part.file_id and _is_path(part.file_id):
        raise BadRequestError(f"{where}: a file_id is the id of an uploaded file{_instead(part.file_id, 'FilePart')}")
    if not part.data:
        return part
    _check_filled(part.data, "FilePart", where)
    if _is_path(part.data):
        raise BadRequestError(f"{where} needs bytes or a data URL{_instead(part.data, 'FilePart')}")
    return _with_data_url(attrs.evolve(part, data=_unbroken(part.data)) if _is_broken(part.data) else part)


def _with_data_url(part: FilePart) -> FilePart:
    """Put what vendors want before bare base64, where bytes or name tell the media type."""
    data = part.data or ""
    if is_address(data) or not may_be_base64(data) or (_told_type(data) is None and not part.filename):
        return part
    content = decoded(data)
    if not content:
        return part
    return attrs.evolve(part, data=data_url(content, media_type_of(content, part.filename, "application/octet-stream")))


def _told_type(text: str) -> str | None:
    """Return the media type of what base64 text begins, if it is a known one."""
    beginning = decoded(text[:_SNIFFED])
    return sniffed(beginning) if beginning else None


def _check_text(value: Any, name: str, kind: str, where: str) -> None:
    if isinstance(value, str):
        return
    way = "from_bytes" if isinstance(value, bytes | bytearray | memoryview) else "from_file"
    hint = f": make the part by {kind}.{way}" if isinstance(value, PurePath) or way == "from_bytes" else ""
    raise BadRequestError(f"{where}: {kind}.{name} is a text, not {type(value).__name__}{hint}.")


def _check_filled(text: str, kind: str, where: str) -> None:
    """Raise BadRequestError for a text, or a data URL, with nothing in it."""
    is_data_url = text[:5].lower() == "data:"
    if not text or text.isspace() or (is_data_url and "," in text[-2:] and not text.rpartition(",")[2].strip()):
        raise BadRequestError(f"{where}: this {kind} is empty: there is nothing to send.")
    if is_data_url and "," not in text:
        raise BadRequestError(f"{where}: {reprlib.repr(text)} is no data URL: the data stand behind a comma.")


def _is_broken(text: str) -> bool:
    """Whether base64 is broken into lines, as some programs write it; no vendor takes it like that."""
    return "\n" in text and (text[:5].lower() == "data:" or not is_address(text))


def _unbroken(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _is_path(text: str) -> bool:
    """Whether a text is the path of a file: it has signs that no base64 and no id has, or begins like one."""
    if len(text) > _LONGEST_PATH or is_address(text):
        return False
    if text.startswith(("~", "./", "../", "\\")) or text[1:3] in (":\\", ":/"):
        return True
    if text.startswith("/") and "=" not in text:
        return _told_type(text) is None
    name, dot, ending = text.replace("\\", "/").rpartition("/")[2].rpartition(".")
    return bool(name and dot) and ending.isalnum() and len(ending) <= 5 and not ending.isdigit()


def _instead(text: str, kind: str) -> str:
    """Return what is said of a text that is neither an address nor the thing itself."""
    if not text.strip():
        return ", and this one is empty."
    shown = reprlib.repr(text)
    if _is_path(text):
        return f", and {shown} looks like a path: {kind}.from_file({shown}) reads the file."
    return f", not {shown}: {kind}.from_file reads a file, {kind}.from_bytes takes bytes."
