"""Where a `$ref` leads inside its own schema: JSON Pointers (RFC 6901), as fragments of a URI (section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["resolved"]

_MOST_DIGITS = 9


def resolved(reference: Any, root: Any) -> tuple[Any, str] | None:
    """Return what a reference leads to and its path, None where it leads out of the schema or nowhere."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    target, path = root, ""
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(target, Mapping) and name in target:
            target, path = target[name], f"{path}.{name}" if path and name else path or name
        elif isinstance(target, list | tuple) and _is_place(name) and int(name) < len(target):
            target, path = target[int(name)], f"{path}[{name}]"
        else:
            return None
    return target, path


def _is_place(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS  # "²" is a digit too, and no number
