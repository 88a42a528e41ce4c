"""The page, and the headers of all that goes out: nothing is kept, framed, or fetched from elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files

import attrs

__all__ = ["HEADERS", "PAGE_HEADERS", "File", "file_at"]

HEADERS: tuple[tuple[str, str], ...] = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)
_NOTHING = (("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),)
PAGE_HEADERS: tuple[tuple[str, str], ...] = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    *HEADERS,
)
HEADERS = (*_NOTHING, *HEADERS)

_FILES: Mapping[str, tuple[str, str]] = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),  # browsers ask for it by themselves
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("page", "chart", "dialogs", "elements", "sections")
    },
}


@attrs.frozen
class File:
    """A file of the page."""

    kind: str
    content: bytes = attrs.field(repr=False)


@functools.cache
def file_at(path: str) -> File | None:
    """Return the file at a path, None where there is none. No path of a client is ever one of the disk."""
    found = _FILES.get(path)
    if found is None:
        return None
    name, kind = found
    return File(kind, files(__package__).joinpath("static", name).read_bytes())
