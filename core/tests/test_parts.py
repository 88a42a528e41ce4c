"""Parts of every kind: made of bytes and files, and looked at before anything is sent."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import Any

import pytest

from chatport import (
    AudioPart,
    BadRequestError,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    VideoPart,
)
from chatport.basics import media
from chatport.inputs.messages import read_messages

PNG, JPEG = b"\x89PNG\r\n\x1a\n-png", b"\xff\xd8\xff\xe0-jpeg"
PDF, WAV, MP3 = b"%PDF-1.7 \xff\xfe", b"RIFF1234WAVEfmt ", b"ID3\x03\x00"
MP4, M4A, MOV = (b"\x00\x00\x00\x18ftyp" + brand + b"----" for brand in (b"mp42", b"M4A ", b"qt  "))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(*content: Any) -> Any:
    """Return what becomes of the parts of a user turn when they are read."""
    parts = read_messages([{"role": "user", "content": list(content)}])[0].content
    return parts[0] if len(parts) == 1 else parts


# --- of bytes


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"), (JPEG, "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF1234WEBPVP8 ", "image/webp"),
        (b"BM12", "image/bmp"), (b"II*\x00", "image/tiff"), (b"MM\x00*", "image/tiff"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"), (b"\x00\x00\x00\x18ftypavif", "image/avif"),
    ],
)  # fmt: skip
def test_the_bytes_of_an_image_tell_its_type(data: bytes, kind: str) -> None:
    assert ImagePart.from_bytes(data).url == f"data:{kind};base64,{b64(data)}"


def test_a_type_that_is_said_is_taken_at_its_word() -> None:
    assert ImagePart.from_bytes(PDF, "application/pdf").url.startswith("data:application/pdf;")
    assert VideoPart.from_bytes(b"x", "video/webm").url == f"data:video/webm;base64,{b64(b'x')}"
    assert FilePart.from_bytes(b"x", "a.bin", media_type="text/plain").data == f"data:text/plain;base64,{b64(b'x')}"
    assert AudioPart.from_bytes(b"x", "pcm16") == AudioPart(b64(b"x"), "pcm16")


def test_what_nothing_tells_has_a_usual_type() -> None:
    assert ImagePart.from_bytes(b"?").url.startswith("data:image/png;")
    assert VideoPart.from_bytes(b"?").url.startswith("data:video/mp4;")
    assert str(FilePart.from_bytes(b"\x00\x01").data).startswith("data:application/octet-stream;")
    assert str(FilePart.from_bytes("ünïcode".encode()).data).startswith("data:text/plain;")


@pytest.mark.parametrize(
    "made", [ImagePart.from_bytes, VideoPart.from_bytes, AudioPart.from_bytes, FilePart.from_bytes]
)
def test_from_bytes_takes_bytes_that_are_there(made: Any) -> None:
    for empty in (b"", bytearray()):
        with pytest.raises(BadRequestError, match="no bytes at all"):
            made(empty)
    with pytest.raises(BadRequestError, match="takes bytes, not str"):
        made("abc")


def test_bytes_of_another_kind_are_refused_with_the_part_they_are_for() -> None:
    with pytest.raises(BadRequestError, match=r"use FilePart\.from_bytes"):
        ImagePart.from_bytes(PDF)
    with pytest.raises(BadRequestError, match=r"use ImagePart\.from_bytes"):
        VideoPart.from_bytes(PNG)
    with pytest.raises(BadRequestError, match=r"use FilePart\.from_bytes"):
        AudioPart.from_bytes(PDF)


@pytest.mark.parametrize(
    ("data", "format"), [(WAV, "wav"), (MP3, "mp3"), (b"fLaC", "flac"), (b"OggS", "ogg"), (M4A, "m4a"), (MP4, "m4a")]
)
def test_sound_tells_its_format(data: bytes, format: str) -> None:
    assert AudioPart(data) == AudioPart.from_bytes(data) == AudioPart(b64(data), format)
    assert AudioPart(b64(data)).format == format


def test_a_format_is_named_as_vendors_name_it() -> None:
    assert [AudioPart("x", given).format for given in ("audio/mpeg", ".WAV", "audio/x-wav", "pcm16", "audio/mp4")] == [
        "mp3", "wav", "wav", "pcm16", "m4a",
    ]  # fmt: skip
    assert AudioPart(f"data:audio/mpeg;base64,{b64(b'x')}").format == "mp3"


def test_a_file_of_bytes_is_a_data_url() -> None:
    """By the constructor too, whose name comes after the bytes."""
    assert FilePart(data=PDF).data == f"data:application/pdf;base64,{b64(PDF)}"
    for data in (b"a,b", bytearray(b"a,b"), memoryview(b"a,b")):
        assert FilePart(data=data, filename="a.csv").data == f"data:text/csv;base64,{b64(b'a,b')}"  # type: ignore[arg-type]
    assert FilePart(data="data:;base64,YSxi", filename="a.csv").data == "data:text/csv;base64,YSxi"


# --- of files


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", PNG, "image/png"), ("a.jpg", JPEG, "image/jpeg"), ("a.webp", b"?", "image/webp"),
        ("wrong.png", JPEG, "image/jpeg"), ("A.PNG", b"?", "image/png"), ("odd", b"\x00", "image/png"),
    ],
)  # fmt: skip
def test_an_image_file_has_the_type_of_its_bytes_then_of_its_name(
    tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert ImagePart.from_file(path).url == ImagePart.from_file(str(path)).url == f"data:{kind};base64,{b64(data)}"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [("a.mp4", MP4, "video/mp4"), ("a.mov", MOV, "video/quicktime"), ("a.webm", b"\x1aE\xdf\xa3", "video/webm"),
     ("a.mkv", b"\x1aE\xdf\xa3", "video/x-matroska"), ("a.mpeg", b"?", "video/mpeg")],
)  # fmt: skip
def test_a_video_file(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert VideoPart.from_file(path).url == f"data:{kind};base64,{b64(data)}"


@pytest.mark.parametrize(
    ("name", "data", "format"),
    [
        ("a.mp3", b"?", "mp3"), ("a.wav", MP3, "mp3"), ("a.pcm16", b"?", "pcm16"), ("a.wav", b"?", "wav"),
        ("a.m4a", b"?", "m4a"), ("a.aac", b"?", "aac"), ("a.ogg", b"?", "ogg"), ("a.oga", b"?", "ogg"),
        ("a.opus", b"?", "opus"), ("a.flac", b"?", "flac"), ("a.aiff", b"?", "aiff"), ("a.aif", b"?", "aiff"),
        ("a.amr", b"?", "amr"), ("a.pcm", b"?", "pcm"),
    ],
)  # fmt: skip
def test_an_audio_file(tmp_path: Path, name: str, data: bytes, format: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert AudioPart.from_file(path) == AudioPart(b64(data), format)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.pdf", PDF, "application/pdf"), ("a.txt", b"x", "text/plain"), ("a.md", b"x", "text/markdown"),
        ("a.json", b"{}", "application/json"), ("README", b"text", "text/plain"),
        ("b", b"\x00", "application/octet-stream"),
        ("a.docx", b"PK", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)  # fmt: skip
def test_a_document_has_its_name_and_type(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert FilePart.from_file(path) == FilePart(None, f"data:{kind};base64,{b64(data)}", name)


def test_what_python_knows_of_a_name_is_what_we_say_of_it(tmp_path: Path) -> None:
    """Its own table, not the system's; `x-` is what a type was called before it was registered."""
    known = {ending[1:]: kind for ending, kind in mimetypes.MimeTypes(filenames=()).types_map[1].items()}
    common = {ending: kind for ending, kind in media._ENDINGS.items() if ending in known and ending not in _RENAMED}
    assert len(common) >= 25
    assert {ending: known[ending].replace("/x-", "/") for ending in common} == {
        ending: kind.replace("/x-", "/") for ending, kind in common.items()
    }


_RENAMED = ("webp", "bmp", "md", "ts", "m4a", "xml", "js", "heic", "heif", "3gp")
"""Where Python's table is older than the registered type, or differs from one version of Python to the next."""


def test_a_file_that_is_not_there_or_empty_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ImagePart.from_file(tmp_path / "none.png")
    (tmp_path / "empty.png").write_bytes(b"")
    for made in (ImagePart.from_file, AudioPart.from_file, VideoPart.from_file, FilePart.from_file):
        with pytest.raises(BadRequestError, match="no bytes at all"):
            made(tmp_path / "empty.png")
    (tmp_path / "a.pdf").write_bytes(PDF)
    with pytest.raises(BadRequestError, match=r"'a\.pdf' is application/pdf.*use FilePart\.from_file"):
        ImagePart.from_file(tmp_path / "a.pdf")


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(PNG)
    assert ImagePart.from_file("~/a.png") == ImagePart.from_bytes(PNG)


# --- read


PATHS = (
    "a.png",
    "./a",
    "../a",
    "~/a",
    "/tmp/a.png",
    "/tmp/a",
    "C:\\a\\b.png",
    "pictures/my cat.jpeg",
    "\\\\host\\a.png",
    "some.xhtml",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "part", [ImagePart, VideoPart, lambda path: AudioPart(path, "wav"), FilePart, lambda path: FilePart(data=path)]
)
def test_a_path_in_place_of_content_names_from_file(part: Any, path: str) -> None:
    kind = type(part(path)).__name__
    with pytest.raises(BadRequestError, match=rf"messages\[0\]\.content\[1\].*looks like a path: {kind}\.from_file"):
        read("see", part(path))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(ImagePart, {"url": Path("a.png")}), (VideoPart, {"url": Path("a.mp4")}),
     (AudioPart, {"data": Path("a.wav"), "format": "wav"}), (FilePart, {"file_id": Path("a.pdf")}),
     (FilePart, {"data": Path("a.pdf")}),
     (FilePart, {"data": "data:a/b;base64,eA==", "filename": Path("a.pdf")})],
)  # fmt: skip
def test_a_path_value_names_from_file(kind: Any, fields: Any) -> None:
    with pytest.raises(BadRequestError, match=rf"{kind.__name__}\.from_file"):
        kind(**fields)


@pytest.mark.parametrize(("kind", "data"), [(ImagePart, PNG), (VideoPart, MP4), (FilePart, PDF)])
def test_bytes_in_place_of_a_text_name_from_bytes(kind: Any, data: bytes) -> None:
    with pytest.raises(BadRequestError, match=rf"{kind.__name__}\.from_bytes"):
        kind(data)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Path("a.png"), r"PosixPath.*ImagePart\.from_file\('a\.png'\)"),
        (PNG, "bytes.*from_bytes"),
        (
            {"type": "image_url", "image_url": {"url": Path("a.png")}},
            r"image_url\.url must be a text.*ImagePart\.from_file",
        ),
        ({"type": "file", "file": {"file_data": PDF}}, r"file_data must be a text, not bytes: FilePart\.from_bytes"),
        ({"type": "video_url", "video_url": {}}, r"video_url must be \{'url'"),
        ({"type": "video_url"}, r"video_url must be \{'url'"),
    ],
)
def test_what_is_no_part_says_how_one_is_made(given: Any, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        read(given)
    if not isinstance(given, dict):
        with pytest.raises(BadRequestError, match=words):
            read_messages([Message.user(given)])


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(""), ImagePart("data:image/png;base64,"), VideoPart(""), AudioPart("", "wav"), AudioPart(b"", "wav"),
        FilePart(), FilePart(filename="a.pdf"), FilePart(data=b"", filename="a.pdf"), FilePart(""), FilePart(data=" "),
    ],
)  # fmt: skip
def test_an_empty_part_is_refused(part: Any) -> None:
    with pytest.raises(BadRequestError, match=r"empty|needs the bytes"):
        read(part)


@pytest.mark.parametrize("text", [b"x", Path("a"), None, 5])
def test_the_text_of_a_part_is_a_text(text: Any) -> None:
    """Bytes would become base64 in silence."""
    with pytest.raises(BadRequestError, match="is a text, not"):
        TextPart(text)


def test_sound_without_a_format_is_refused() -> None:
    with pytest.raises(BadRequestError, match="says its format"):
        read(AudioPart(b"????"))
    with pytest.raises(BadRequestError, match=r"AudioPart\(format=…\) is a text, not a value of the type int"):
        read(AudioPart(b"????", 5))  # type: ignore[arg-type]  # tested


ADDRESSES = (
    "https://x.example/a", "HTTP://x.example/a", "gs://bucket/a.mp4", "file:///srv/a", "oss://a/b", "ms://id",
    "mm_file://1", "s3://b/k", "data:application/pdf;base64,JVBERi0=", "data:image/svg+xml,%3Csvg/%3E",
)  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_of_any_kind_is_left_to_the_vendor(url: str) -> None:
    for part in (ImagePart(url), VideoPart(url), FilePart(data=url), AudioPart(url, "wav")):
        assert read(part) == part


@pytest.mark.parametrize("file_id", ["file-abc123", "file_01AbC", "0190-ab", "fileid://x", "a/b", "assistant-1.5"])
def test_an_id_is_no_path(file_id: str) -> None:
    assert read(FilePart(file_id)) == FilePart(file_id)


def test_bare_base64_becomes_a_data_url_where_it_can_be_told() -> None:
    assert read(ImagePart(b64(PNG))) == ImagePart.from_bytes(PNG)
    assert read(ImagePart(b64(JPEG), "low")) == ImagePart.from_bytes(JPEG, detail="low")
    assert read(VideoPart(b64(MP4))) == VideoPart.from_bytes(MP4)
    assert read(FilePart(data=b64(PDF))) == FilePart.from_bytes(PDF)
    assert read(FilePart(data=b64(b"a,b"), filename="a.csv")) == FilePart.from_bytes(b"a,b", "a.csv")
    assert read(FilePart(data="d", filename="n")) == FilePart(data="d", filename="n")
    with pytest.raises(BadRequestError, match=r"ImagePart\.from_file reads a file"):
        read(ImagePart(b64(b"neither this nor that")))
    for kind in (ImagePart, VideoPart):  # surely bytes, and of a type that the vendor may know
        assert read(kind("QUJD" * 25)) == kind("QUJD" * 25)
        with pytest.raises(BadRequestError, match=rf"{kind.__name__}\.from_file reads a file"):
            read(kind("QUJD" * 24 + "QUJ"))


def test_base64_in_lines_is_joined() -> None:
    lines = base64.encodebytes(PNG * 20).decode()
    assert "\n" in lines
    assert read(ImagePart(f"data:image/png;base64,{lines}")).url == f"data:image/png;base64,{b64(PNG * 20)}"
    assert read(AudioPart(lines, "wav")).data == b64(PNG * 20)
    assert read(FilePart(data=f"data:a/b;base64,{lines}")).data == f"data:a/b;base64,{b64(PNG * 20)}"


def test_half_a_data_url_is_refused() -> None:
    for part in (ImagePart("data:image/png"), FilePart(data="data:x"), AudioPart("data:x", "wav")):
        with pytest.raises(BadRequestError, match="is no data URL"):
            read(part)


def test_dicts_of_every_kind_are_read_with_all_their_keys() -> None:
    video = {"type": "video_url", "video_url": {"url": "https://x/a.mp4", "fps": 2}, "min_pixels": 3}
    assert read(video) == VideoPart("https://x/a.mp4", {"min_pixels": 3, "video_url": {"fps": 2}})
    assert read({"type": "video_url", "video_url": "https://x/a.mp4"}) == VideoPart("https://x/a.mp4")
    sound = {"type": "input_audio", "input_audio": {"data": b64(WAV), "rate": 8}}
    assert read(sound) == AudioPart(b64(WAV), "wav", {"input_audio": {"rate": 8}})
    file = {"type": "file", "file": {"file_id": "f", "format": "pdf"}}
    assert read(file) == FilePart("f", extra={"file": {"format": "pdf"}})
    image = {"type": "image_url", "image_url": {"url": "https://x/a", "max": 1}, "cache_control": {}}
    assert read(image) == ImagePart("https://x/a", extra={"cache_control": {}, "image_url": {"max": 1}})


# --- texts


def test_data_urls_are_split() -> None:
    assert media.split_data_url("data:Text/Plain;charset=utf-8;base64,eA==") == ("text/plain", "eA==")
    assert media.split_data_url("DATA:text/plain,a%20b") == ("text/plain", b64(b"a b"))
    assert media.split_data_url("data:,x") == ("text/plain", b64(b"x"))
    assert media.split_data_url("https://x") is None
    assert media.split_data_url("data:image/png") is None


def test_base64_is_decoded_of_either_alphabet() -> None:
    assert media.decoded("__8") == media.decoded("//8=") == media.decoded("//\n8") == b"\xff\xff"
    assert media.decoded("!!!!") is None
    assert media.decoded("a") is None
