"""Content blocks as parts of a message. What is not known here is a VendorPart, the block as it came."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from chatport import FilePart, ImagePart, Part, TextPart, VendorPart

from .shape import objects, table, text, without

__all__ = ["read_blocks", "read_part", "read_parts"]


def read_blocks(content: Any, where: str) -> list[Mapping[str, Any]]:
    """Return content as blocks: a text is one block, of which an empty one says nothing."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(objects(content, where))


def read_parts(content: Any, where: str) -> tuple[Part, ...]:
    """Return content as parts; empty texts, which no vendor takes, say nothing (AN-T13)."""
    blocks = read_blocks(content, where)
    parts = [read_part(block, f"{where}.{number}") for number, block in enumerate(blocks)]
    return tuple([part for part in parts if part != TextPart("")])


def read_part(block: Mapping[str, Any], where: str) -> Part:
    """Return a block as a part. Its further keys, such as a cache mark, are the part's `extra`."""
    match block.get("type"):
        case "text":
            return TextPart(text(block.get("text"), f"{where}.text"), without(block, "type", "text"))
        case "image":
            return _image(block, f"{where}.source")
        case "document":
            return _document(block, f"{where}.source")
    text(block.get("type"), f"{where}.type")
    return VendorPart(block)


def _image(block: Mapping[str, Any], where: str) -> Part:
    source, extra = table(block.get("source"), where), without(block, "type", "source")
    match source.get("type"):
        case "base64":
            return ImagePart(_data_url(source, where), extra=extra)
        case "url":
            return ImagePart(text(source.get("url"), f"{where}.url"), extra=extra)
    return VendorPart(block)  # an uploaded file, which only its own vendor has (AN-T15)


def _document(block: Mapping[str, Any], where: str) -> Part:
    source, title = table(block.get("source"), where), block.get("title")
    extra = without(block, "type", "source", "title")
    name = title if isinstance(title, str) and title else None
    match source.get("type"):
        case "base64":
            return FilePart(data=_data_url(source, where), filename=name, extra=extra)
        case "text":
            data = base64.b64encode(text(source.get("data"), f"{where}.data").encode("utf-8", "replace")).decode()
            return FilePart(data=f"data:text/plain;base64,{data}", filename=name, extra=extra)
        case "url":
            return FilePart(data=text(source.get("url"), f"{where}.url"), filename=name, extra=extra)
    return VendorPart(block)


def _data_url(source: Mapping[str, Any], where: str) -> str:
    kind, data = text(source.get("media_type"), f"{where}.media_type"), text(source.get("data"), f"{where}.data")
    return f"data:{kind};base64,{data}"
