"""Files and images that go along with a message: text into its text, everything else as a part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..basics.media import media_type_of
from ..errors import BadRequestError
from ..types import AudioPart, FilePart, ImagePart, Message, Part, TextPart, VideoPart

__all__ = ["message_of", "part_of_file", "part_of_image", "parts_of"]

_MOST_BYTES = 64 * 1024 * 1024
_UNKNOWN = "application/octet-stream"


def message_of(text: str, attached: Sequence[Part]) -> Message:
    """Return the user's message: the text, the text files behind it, and then the other parts."""
    texts = [text, *(part.text for part in attached if isinstance(part, TextPart))]
    whole = "\n\n".join(piece for piece in texts if piece)
    return Message.user(whole, *(part for part in attached if not isinstance(part, TextPart)))


def part_of_image(place: str) -> Part:
    """Return an image by its address, or by its file. Raises BadRequestError for a file that is none."""
    if place.startswith(("https://", "http://", "data:")):
        return ImagePart(place)
    try:
        return ImagePart.from_file(place)
    except OSError as error:
        raise BadRequestError(f"Cannot read the image {place}: {error.strerror}.") from error


def part_of_file(place: str) -> Part:
    """Return a text file as text that names it, and a document, a picture or sound as its part.

    Raises BadRequestError for what cannot be read, and for bytes of which nobody knows what they are.
    """
    data = _read(place)
    if not data:
        raise BadRequestError(f"The file {place} is empty.")
    kind = media_type_of(data, place, _UNKNOWN)
    text = None if kind == "application/pdf" else _as_text(data)
    if text is not None:
        return TextPart(_framed(Path(place).name, text))
    match kind.partition("/")[0]:
        case "image":
            return ImagePart.from_bytes(data, kind)
        case "audio":
            return AudioPart.from_file(place)
        case "video":
            return VideoPart.from_bytes(data, kind)
    if kind == _UNKNOWN or kind.startswith("text/"):
        raise BadRequestError(
            f"The file {place} is neither UTF-8 text nor a document that is known by its beginning or its name. "
            "Convert it, for example with iconv, or give it the ending of its kind."
        )
    return FilePart.from_bytes(data, Path(place).name, media_type=kind)


def _read(place: str) -> bytes:
    try:
        with Path(place).expanduser().open("rb") as file:  # also a pipe, such as a shell makes of <(command)
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a NUL in the path
        problem = getattr(error, "strerror", None) or error
        raise BadRequestError(f"Cannot read the file {place}: {problem}.") from error
    if len(data) > _MOST_BYTES:
        raise BadRequestError(f"The file {place} has more than {_MOST_BYTES >> 20} MiB.")
    return data


def _as_text(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _framed(name: str, text: str) -> str:
    """Return a file's text between marks that say where it begins and ends."""
    shown = "".join(_ESCAPES.get(character, character) for character in name)
    return f'<file name="{shown}">\n{text.rstrip()}\n</file>'


_ESCAPES = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "\n": "&#10;"}


def parts_of(files: Iterable[str], images: Iterable[str]) -> list[Part]:
    """Return what is attached, in the order of the files and then the images."""
    return [*map(part_of_file, files), *map(part_of_image, images)]
