"""Pictures and files that the server's own tools have made, as media."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport import Media, MediaAdded
from chatport.helpers import media_of

__all__ = ["made_by"]

_TOLD = ("result", "id", "type", "status", "output_format")


def made_by(item: Mapping[str, Any]) -> Iterator[MediaAdded]:
    """Give what an output item, or a part of a message, shows."""
    kind = item.get("type")
    if kind == "image_generation_call":
        yield from _drawn(item)
    elif kind == "code_interpreter_call":
        outputs = item.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            yield from _shown(output)
    elif kind not in ("output_text", "refusal"):
        yield from _shown(item)


def _drawn(item: Mapping[str, Any]) -> Iterator[MediaAdded]:
    """Give the picture of an item, whose format stands beside its bytes."""
    data = item.get("result")
    if isinstance(data, str) and data:
        extra = {name: value for name, value in item.items() if name not in _TOLD and value is not None}
        media_type = f"image/{item['output_format']}" if isinstance(item.get("output_format"), str) else None
        yield MediaAdded(Media("image", media_type, None, data, extra))


def _shown(part: Any) -> Iterator[MediaAdded]:
    media = media_of(part)
    if media is not None:
        yield MediaAdded(media)
