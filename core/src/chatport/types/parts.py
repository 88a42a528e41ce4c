"""The parts of a message: text, pictures, sound, films, files, and what is a vendor's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from ..basics.frozen import freeze_fields
from ..basics.media import decoded, to_base64
from ..basics.typed import check_fields
from ..basics.values import Value
from ..errors import BadRequestError
from .contents import (
    UNTYPED,
    as_base64,
    as_data_url,
    as_format,
    check_part,
    checked_bytes,
    document_url,
    inlined,
    read_file,
    sound_format,
    told_format,
)

__all__ = ["AudioPart", "FilePart", "ImagePart", "Part", "TextPart", "VendorPart", "VideoPart"]


@attrs.frozen(eq=False, repr=False)
class TextPart(Value):
    """Plain text. `extra` holds vendor-only keys of the part, such as a cache mark; they are sent as they are."""

    text: str
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if type(self.text) is not str or type(self.extra) is not dict:  # there is one for each message
            check_fields(self, BadRequestError)


@attrs.frozen(eq=False, repr=False)
class ImagePart(Value):
    """An image: its address (`https://`, or another that the vendor knows), or a data URL. It is never fetched.

    `extra` holds vendor-only keys beside it; those under `"image_url"` go into the object with the URL.
    """

    url: str
    detail: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_part(self)

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str | None = None, *, detail: str | None = None) -> ImagePart:
        """Return an image part that carries the bytes themselves; unless said, their beginning gives the type."""
        return cls(inlined("ImagePart", data, None, media_type), detail)

    @classmethod
    def from_file(cls, path: str | Path, *, detail: str | None = None) -> ImagePart:
        """Return an image part with the bytes of a file; they and its name give the type. Raises OSError."""
        return cls(inlined("ImagePart", read_file(path), path), detail)

    @property
    def is_inline(self) -> bool:
        """Whether the part carries the image itself."""
        return self.url.startswith("data:")


@attrs.frozen(eq=False, repr=False)
class AudioPart(Value):
    """Spoken input: bytes or their base64 text, and the format (`wav`, `mp3`, …), which sound may tell by itself.

    `data` becomes base64. Where a vendor takes a URL in its place, that goes as it is. `extra` holds vendor-only keys
    beside it; those under `"input_audio"` go into the object with the data.
    """

    data: str = attrs.field(converter=as_base64)
    format: str = attrs.field(default="", converter=as_format)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_part(self)
        if not self.format and isinstance(self.data, str):
            object.__setattr__(self, "format", told_format(self.data))

    @classmethod
    def from_bytes(cls, data: bytes, format: str | None = None) -> AudioPart:
        """Return an audio part of bytes; unless the format is said, they must tell it themselves."""
        return cls(to_base64(checked_bytes("AudioPart", data)), format or sound_format(data, None))

    @classmethod
    def from_file(cls, path: str | Path) -> AudioPart:
        """Return an audio part with the bytes of a file; they and its name give the format. Raises OSError."""
        data = read_file(path)
        return cls(to_base64(checked_bytes("AudioPart", data)), sound_format(data, path))


@attrs.frozen(eq=False, repr=False)
class VideoPart(Value):
    """A video: its address, or a data URL. Chatport never fetches a URL itself.

    `extra` holds vendor-only keys beside it, such as a frame rate; those under `"video_url"` go into the object with
    the URL.
    """

    url: str
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_part(self)

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str | None = None) -> VideoPart:
        """Return a video part that carries the bytes themselves; unless said, their beginning gives the type."""
        return cls(inlined("VideoPart", data, None, media_type))

    @classmethod
    def from_file(cls, path: str | Path) -> VideoPart:
        """Return a video part with the bytes of a file; they and its name give the type. Raises OSError."""
        return cls(inlined("VideoPart", read_file(path), path))


@attrs.frozen(eq=False, repr=False)
class FilePart(Value):
    """A document: the id of an uploaded file, or its bytes with a file name.

    `data` is bytes, a data URL or, where the vendor fetches it, an address. Bytes become a data URL whose type they
    and the name give. `extra` holds vendor-only keys beside it; those under `"file"` go into the object with the data.
    """

    file_id: str | None = None
    data: str | None = attrs.field(default=None, converter=as_data_url)
    filename: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_part(self)
        if isinstance(self.data, str) and self.data.startswith(UNTYPED):
            content = decoded(self.data[len(UNTYPED) :])
            if content:
                object.__setattr__(self, "data", document_url(content, self.filename))

    @classmethod
    def from_bytes(cls, data: bytes, filename: str | None = None, *, media_type: str | None = None) -> FilePart:
        """Return a file part of bytes; unless said, they and the name give the type."""
        return cls(data=document_url(checked_bytes("FilePart", data), filename, media_type), filename=filename)

    @classmethod
    def from_file(cls, path: str | Path) -> FilePart:
        """Return a file part with the bytes of a file, and its name. Raises OSError."""
        data = checked_bytes("FilePart", read_file(path))
        return cls(data=document_url(data, path), filename=Path(path).name)


@attrs.frozen(eq=False, repr=False)
class VendorPart(Value):
    """Content of a kind, or in a form, that is a vendor's own: the part as the wire has it, which is sent as given.

    A vendor of another protocol gets it if it has the like; else it is left out, with a warning.
    """

    value: Mapping[str, Any]

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.value, Mapping):
            raise BadRequestError(f"VendorPart has a dict for its value, not {type(self.value).__name__}.")
        freeze_fields(self, "value", error=BadRequestError)

    @property
    def kind(self) -> str:
        """What the part says that it is, such as `document_url`; an empty text if it does not."""
        kind = self.value.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Nothing, since `value` is all of the part."""
        return {}


Part: TypeAlias = TextPart | ImagePart | AudioPart | VideoPart | FilePart | VendorPart
