"""What a file is, by the bytes that it begins with, then by its name: as the registries and their users have it."""

from __future__ import annotations

import pytest

from chatport.basics.media import media_type_of, sniffed

BEGINNINGS = {
    "image/png": [b"\x89PNG\r\n\x1a\n"],
    "image/jpeg": [b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb"],
    "image/gif": [b"GIF87a", b"GIF89a"],
    "image/bmp": [b"BM6\x00"],
    "image/tiff": [b"II*\x00", b"MM\x00*"],
    "image/webp": [b"RIFF....WEBPVP8 "],
    "image/avif": [b"\0\0\0\x20ftypavif"],
    "image/heic": [b"\0\0\0\x20ftypheic", b"\0\0\0\x20ftypheix"],
    "image/heif": [b"\0\0\0\x20ftypmif1"],
    "application/pdf": [b"%PDF-1.7"],
    "audio/mpeg": [b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf3\x40", b"\xff\xf2\x40"],
    "audio/aac": [b"\xff\xf1\x50", b"\xff\xf9\x50"],
    "audio/flac": [b"fLaC\0"],
    "audio/ogg": [b"OggS\0"],
    "audio/wav": [b"RIFF....WAVEfmt "],
    "audio/mp4": [b"\0\0\0\x20ftypM4A ", b"\0\0\0\x20ftypM4B "],
    "video/quicktime": [b"\0\0\0\x14ftypqt  "],
    "video/mp4": [b"\0\0\0\x20ftypisom", b"\0\0\0\x20ftypmp42"],
    "video/webm": [b"\x1a\x45\xdf\xa3"],
    "video/x-msvideo": [b"RIFF....AVI LIST"],
}
NAMES = {
    "image/jpeg": "jpg jpeg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
    "image/tiff": "tif tiff", "image/heic": "heic", "image/heif": "heif", "image/avif": "avif", "image/svg+xml": "svg",
    "audio/wav": "wav", "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/aac": "aac", "audio/ogg": "ogg oga",
    "audio/opus": "opus", "audio/flac": "flac", "audio/aiff": "aif aiff", "audio/amr": "amr", "audio/pcm": "pcm",
    "video/mp4": "mp4 m4v", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv",
    "video/x-msvideo": "avi", "video/mpeg": "mpeg mpg", "video/x-flv": "flv", "video/x-ms-wmv": "wmv",
    "video/3gpp": "3gp", "video/ogg": "ogv",
    "application/pdf": "pdf", "text/plain": "txt log ts", "text/markdown": "md markdown", "text/csv": "csv",
    "text/html": "html htm", "application/json": "json", "application/xml": "xml", "application/yaml": "yaml yml",
    "application/toml": "toml", "application/rtf": "rtf", "text/x-python": "py", "text/javascript": "js",
    "application/msword": "doc", "application/vnd.ms-excel": "xls", "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "data"), [(kind, data) for kind, every in BEGINNINGS.items() for data in every])
def test_bytes_say_what_a_file_is(kind: str, data: bytes) -> None:
    assert sniffed(data) == kind
    assert sniffed(b"x" + data) is None or kind.endswith(("mp4", "quicktime"))
    assert media_type_of(data + b"\0" * 64, None, "application/octet-stream") == kind


@pytest.mark.parametrize(("kind", "ending"), [(kind, end) for kind, ends in NAMES.items() for end in ends.split()])
def test_a_name_says_what_bytes_do_not(kind: str, ending: str) -> None:
    assert media_type_of(b"\x01\x02", f"a.b.{ending}", "application/octet-stream") == kind
    assert media_type_of(b"\x01\x02", f"A.{ending.upper()}", "application/octet-stream") == kind


def test_what_nothing_is_known_of() -> None:
    assert sniffed(b"RIFF....????") is None
    assert media_type_of(b"plain", "README", "application/octet-stream") == "text/plain"
    assert media_type_of(b"pl\0in", "README", "application/octet-stream") == "application/octet-stream"
    assert media_type_of(b"pl\0in", "README", "image/png") == "image/png"


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"OggS\0", "a.ogv", "video/ogg"),
        (b"\x1a\x45\xdf\xa3", "a.mkv", "video/x-matroska"),
        (b"\0\0\0\x20ftypisom", "a.m4a", "audio/mp4"),
        (b"OggS\0", "a.png", "audio/ogg"),
        (b"%PDF-1", "a.png", "application/pdf"),
    ],
)
def test_of_a_container_the_name_says_what_it_holds(data: bytes, name: str, kind: str) -> None:
    assert media_type_of(data, name, "application/octet-stream") == kind
