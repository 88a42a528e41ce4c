"""What a server gave for a call, as the tool loop takes it: a text, parts, or a ToolError with words for the model."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from mcp import types

from chatport import AudioPart, FilePart, ImagePart, Part, TextPart, ToolError
from chatport.helpers import is_text_type, jsoncodec

__all__ = ["told"]


def told(result: types.CallToolResult) -> Any:
    """Return what the model is to get. Raises ToolError if the tool says that it failed.

    Servers give structured content as a text beside it, so it counts where there is nothing else.
    """
    parts = list(_parts(result))
    if not parts and result.structured_content is not None:
        parts = [TextPart(jsoncodec.encode_text(result.structured_content))]
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    if result.is_error:
        raise ToolError(text or "The tool failed, and did not say why.")
    return text if all(isinstance(part, TextPart) for part in parts) else parts


def _parts(result: types.CallToolResult) -> Iterator[Part]:
    for block in result.content:
        match block:
            case types.TextContent():
                yield TextPart(block.text)
            case types.ImageContent() | types.AudioContent():
                yield _of_bytes(block.data, block.mime_type, None)
            case types.ResourceLink():
                about = ", ".join(filter(None, (block.title or block.name, block.mime_type, block.description)))
                yield TextPart(f"[{block.uri}: {about}]")
            case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
                yield TextPart(resource.text)
            case types.EmbeddedResource(resource=types.BlobResourceContents() as resource):
                yield _of_bytes(resource.blob, resource.mime_type or "", str(resource.uri))


def _of_bytes(data: str, media_type: str, uri: str | None) -> Part:
    try:
        content = base64.b64decode(data)
        if media_type.startswith("image/"):
            return ImagePart.from_bytes(content, media_type)
        if media_type.startswith("audio/"):
            return AudioPart.from_bytes(content, media_type)
        if is_text_type(media_type):
            return TextPart(content.decode())
        name = (uri or "").rstrip("/").rpartition("/")[2] or None
        return FilePart.from_bytes(content, name, media_type=media_type or None)
    except ValueError as error:
        raise ToolError(f"The tool gave {media_type or 'bytes'} that cannot be read: {error}.") from error
    except Exception as error:  # BadRequestError: no bytes at all
        raise ToolError(f"The tool gave {media_type or 'bytes'} that are no such thing: {error}") from error
