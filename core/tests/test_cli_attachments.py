"""What a file or an image that goes along with a question becomes: text, or a part of its kind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from chatport.cli.attachments import message_of, part_of_file, part_of_image, parts_of
from chatport.errors import BadRequestError
from chatport.types import AudioPart, FilePart, ImagePart, Message, TextPart, VideoPart

PDF = b"%PDF-1.4\n1 0 obj\n"
PNG = b"\x89PNG\r\n\x1a\n\xff"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \xff"
FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00\xff"
WORD = b"PK\x03\x04\xff"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, data: bytes) -> str:
    Path(name).write_bytes(data)
    return name


def refused(place: str, *, image: bool = False) -> str:
    with pytest.raises(BadRequestError) as failed:
        part_of_image(place) if image else part_of_file(place)
    return failed.value.message


def test_each_kind_of_bytes_is_a_part_of_its_kind() -> None:
    assert part_of_file(written("dot", PNG)) == ImagePart.from_bytes(PNG, "image/png")
    assert part_of_file(written("tone.wav", WAV)) == AudioPart.from_bytes(WAV, "wav")
    assert part_of_file(written("film", FILM)) == VideoPart.from_bytes(FILM, "video/mp4")
    letter = part_of_file(written("letter.docx", WORD))
    assert isinstance(letter, FilePart)
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert letter == FilePart.from_bytes(WORD, "letter.docx", media_type=kind)


def test_a_document_is_one_though_all_of_it_is_text() -> None:
    Path("deep").mkdir()
    report = part_of_file(written("deep/report.txt", PDF))
    assert report == FilePart.from_bytes(PDF, "report.txt", media_type="application/pdf")


def test_what_is_text_is_text_whatever_its_name_says() -> None:
    Path("deep").mkdir()
    assert part_of_file(written("deep/a.svg", b"\xef\xbb\xbf  <svg/> \n\n")) == TextPart(
        '<file name="a.svg">\n  <svg/>\n</file>'
    )
    assert part_of_file(written("a.mp3", "Grüße".encode())) == TextPart('<file name="a.mp3">\nGrüße\n</file>')


@pytest.mark.parametrize(
    ("character", "shown"), [("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;"), ("\n", "&#10;"), ("'", "'")]
)
@pytest.mark.skipif(os.name != "posix", reason="a name may have any character where POSIX is")
def test_a_name_cannot_end_the_mark_that_it_stands_in(character: str, shown: str) -> None:
    part = part_of_file(written(f"a{character}b", b"x"))
    assert part == TextPart(f'<file name="a{shown}b">\nx\n</file>')


@pytest.mark.parametrize("name", ["blob", "notes.txt", "page.html"])
@pytest.mark.parametrize("data", [b"caf\xe9", b"a\0b"])
def test_what_is_neither_text_nor_of_a_known_kind_is_refused(name: str, data: bytes) -> None:
    assert refused(written(name, data)) == (
        f"The file {name} is neither UTF-8 text nor a document that is known by its beginning or its name. "
        "Convert it, for example with iconv, or give it the ending of its kind."
    )


def test_a_file_that_cannot_be_read_is_said_with_the_systems_words() -> None:
    assert refused("missing") == "Cannot read the file missing: No such file or directory."
    assert refused(".") == "Cannot read the file .: Is a directory."
    assert refused("a\0b") == "Cannot read the file a\0b: embedded null byte."
    assert refused(written("empty", b"")) == "The file empty is empty."
    assert refused("missing.png", image=True) == "Cannot read the image missing.png: No such file or directory."


def test_a_home_is_looked_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("USERPROFILE", str(folder / "home"))
    Path("home").mkdir()
    written("home/note", b"mine")
    assert part_of_file("~/note") == TextPart('<file name="note">\nmine\n</file>')


@pytest.mark.skipif(os.name != "posix", reason="pipes have names where POSIX is")
def test_a_pipe_is_read_to_its_end(folder: Path) -> None:
    """As a shell makes one of <(command)."""
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=(b"x" * 100_000,))
    writer.start()
    part = part_of_file("pipe")
    writer.join()
    assert part == TextPart(f'<file name="pipe">\n{"x" * 100_000}\n</file>')


@pytest.mark.parametrize("place", ["https://a.example/b", "http://a.example/b", "data:image/png;base64,iVBORw0KGgo="])
def test_an_address_is_no_file(place: str) -> None:
    assert part_of_image(place) == ImagePart(place)


def test_an_image_of_a_file_has_its_bytes() -> None:
    assert part_of_image(written("dot.png", PNG)) == ImagePart.from_bytes(PNG, "image/png")
    assert part_of_image(written("https", PNG)) == ImagePart.from_bytes(PNG, "image/png")


def test_files_come_before_images_each_in_their_order() -> None:
    one, two = written("one", b"1"), written("two", PNG)
    address = "https://a.example/b"
    assert parts_of([two, one], [address, two]) == [
        part_of_file(two), part_of_file(one), ImagePart(address), part_of_image(two),
    ]  # fmt: skip
    assert parts_of([], []) == []


def test_texts_stand_behind_the_message_and_the_other_parts_behind_them() -> None:
    dot, film = part_of_image(written("dot.png", PNG)), part_of_file(written("film", FILM))
    attached = [dot, TextPart("one"), film, TextPart("two")]
    assert message_of("Look:", attached) == Message.user("Look:\n\none\n\ntwo", dot, film)
    assert message_of("", attached) == Message.user("one\n\ntwo", dot, film)
    assert message_of("Look:", []) == Message.user("Look:")
