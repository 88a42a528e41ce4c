"""Media types, of bytes by how they begin and of files by their names; and bytes written as base64 and data URLs."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    "audio_format",
    "data_url",
    "decoded",
    "is_address",
    "is_text_type",
    "may_be_base64",
    "media_type_of",
    "sniffed",
    "split_data_url",
    "to_base64",
]

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
}
_CONTAINERS = ("video/mp4", "video/webm", "audio/ogg")
"""What may hold sound or pictures: which of them, the name says."""
_ENDINGS = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic", "heif": "image/heif",
    "avif": "image/avif", "svg": "image/svg+xml",
    "wav": "audio/wav", "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg",
    "oga": "audio/ogg", "opus": "audio/opus", "flac": "audio/flac", "aif": "audio/aiff", "aiff": "audio/aiff",
    "amr": "audio/amr", "pcm": "audio/pcm",
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/x-matroska",
    "avi": "video/x-msvideo", "mpeg": "video/mpeg", "mpg": "video/mpeg", "flv": "video/x-flv", "wmv": "video/x-ms-wmv",
    "3gp": "video/3gpp", "ogv": "video/ogg",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "markdown": "text/markdown",
    "csv": "text/csv", "html": "text/html", "htm": "text/html", "json": "application/json", "xml": "application/xml",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml", "rtf": "application/rtf",
    "log": "text/plain", "py": "text/x-python", "js": "text/javascript", "ts": "text/plain",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}  # fmt: skip
"""Asked before the system's own table, which is another on every machine."""
_FORMATS = {
    "mpeg": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
    "mp4": "m4a",
    "x-m4a": "m4a",
    "x-flac": "flac",
}
_TEXT_TYPES = ("json", "xml", "yaml", "toml", "javascript", "x-yaml", "x-ndjson", "sql", "x-sh", "rtf")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]++:")  # of two letters and more: `C:` is a drive
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]++={0,2}")
_SAMPLE = 4096


def sniffed(data: bytes) -> str | None:
    """Return the media type of bytes that begin as such a file does, None where they say nothing."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    return next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), None)


def media_type_of(data: bytes, name: str | Path | None, fallback: str) -> str:
    """Return the media type of a file: its bytes decide, then its name, then whether it is text.

    The bytes go first, since a vendor looks at them too, and refuses a picture that is called what it is not.
    """
    found, named = sniffed(data[:64]), None if name is None else _by_name(str(name))
    if found is None or (found in _CONTAINERS and named is not None and named.startswith(("audio/", "video/"))):
        found = named
    if found is None and fallback == "application/octet-stream" and _is_text(data):
        return "text/plain"
    return found or fallback


def _by_name(name: str) -> str | None:
    known = _ENDINGS.get(name.rpartition(".")[2].lower()) if "." in name else None
    if known is None:
        import mimetypes  # which reads the system's tables

        known = mimetypes.guess_type(name)[0]
    return known


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False


def is_text_type(media_type: str) -> bool:
    """Whether files of a media type are text that a person can read."""
    main, _, sub = media_type.partition("/")
    return main == "text" or (main == "application" and (sub in _TEXT_TYPES or sub.endswith(("+json", "+xml"))))


def audio_format(media_type: str) -> str:
    """Return the name of a sound's format as vendors have it, `mp3` for `audio/mpeg`."""
    sub = media_type.lower().rpartition("/")[2].partition(";")[0].strip()
    return _FORMATS.get(sub, sub)


def to_base64(data: bytes) -> str:
    """Return bytes as base64 text."""
    import base64  # only who sends files needs it

    return base64.b64encode(data).decode()


def data_url(data: bytes, media_type: str) -> str:
    """Return bytes as a data URL."""
    return f"data:{media_type};base64,{to_base64(data)}"


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return media type and base64 text of a data URL; None for any other text. A text that is escaped is encoded."""
    if url[:5].lower() != "data:" or "," not in url:
        return None
    head, _, data = url[5:].partition(",")
    media_type = head.partition(";")[0].strip().lower()
    if head.lower().endswith(";base64"):
        return media_type, data
    from urllib.parse import unquote_to_bytes

    return media_type or "text/plain", to_base64(unquote_to_bytes(data))


def decoded(base64_text: str) -> bytes | None:
    """Return the bytes of base64 text, of either alphabet and with or without its padding; None if it is none."""
    import base64
    import binascii

    text = "".join(base64_text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def is_address(text: str) -> bool:
    """Whether a text is a URL of any kind, and no path."""
    return _SCHEME.match(text) is not None and ("://" in text[:64] or text[:5].lower() == "data:")


def may_be_base64(text: str) -> bool:
    """Whether a text has only letters of base64; a long one is judged by its beginning."""
    sample = "".join(text[:_SAMPLE].split())
    return bool(sample) and _BASE64.fullmatch(sample) is not None
