"""Whether nothing answers at an address, and which one was meant: a base URL with or without its `/v1`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ..call import Failure

__all__ = ["is_wrong_path", "meant_base_url", "says_wrong_path", "shown_address"]

_ROUTE_WORDS = (
    r"\A\W*(?:404\b\W*)?(?:http )?(?:error )?(?:not found|page not found|file not found|resource not found|no route)"
    r"(?:: .{0,60})?\W*\Z|\b(?:404 )?page not found|\bno route (?:matched|for|found)|\bcould not route to\b"
    r"|\b(?:route|endpoint|path|url|uri|api) (?:was |is |does |did )?not (?:found|exist|match)"
    r"|\bunknown (?:route|endpoint|path|url|request url)|\bcannot (?:post|get) /"
    r"|\binvalid url \((?:post|get)|\bunexpected endpoint or method"
    r"|requested (?:url|resource|path|endpoint) .{0,60}\b(?:not found|not exist|does not exist|could not be found)"
    r"|\bnot found\W{0,4}\s?(?:please )?check the (?:configuration|url|path|address)|\bno (?:handler|endpoint) found"
    r"|\bmethod not allowed|\bunrecognized request url|\binvalid (?:path|endpoint|route)\b|\bno static resource"
)
"""What servers, frameworks and proxies say of a path that they do not have."""
_VERSION = re.compile(r"v[0-9]{1,2}[a-z0-9]{0,10}")
_ENDPOINTS = ("/chat/completions", "/completions", "/chat", "/responses", "/messages", "/embeddings", "/models")


def is_wrong_path(failure: Failure, model: str) -> bool:
    """Whether a 404 or 405 is about the address and not about the model."""
    said = (failure.details.message or failure.body)[:2000]
    if failure.status not in (404, 405):
        return failure.status < 400 and says_wrong_path(said)
    if failure.details.code not in ("", str(failure.status)) and not says_wrong_path(said):
        return False
    if not says_wrong_path(said) and (re.search("model|deployment", said, re.IGNORECASE) or (model and model in said)):
        return False
    return says_wrong_path(said) or not isinstance(failure.data, dict | str) or not said.strip()


def says_wrong_path(text: str) -> bool:
    """Whether these are the words for a path that a server does not have."""
    return re.search(_ROUTE_WORDS, text[:300], re.IGNORECASE) is not None


def shown_address(url: str) -> str:
    """Return an address without what may hold keys: its query, its fragment and a user's name."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def meant_base_url(base_url: str, usual: str) -> str:
    """Return the base URL that was probably meant in place of one where nothing answers.

    `usual` is the vendor's own base URL, "" where there is none: another host that speaks like it has its path.
    """
    parts = urlsplit(shown_address(base_url))
    path = parts.path.rstrip("/")
    meant = _corrected(path, urlsplit(usual).path.rstrip("/") if usual else None)
    return urlunsplit((parts.scheme, parts.netloc, meant, "", ""))


def _corrected(path: str, usual: str | None) -> str:
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            return path.removesuffix(endpoint)
    steps = path.split("/")
    if len(steps) > 2 and steps[-1] == steps[-2]:
        return "/".join(steps[:-1])
    if usual is not None and path != usual:
        return usual
    if _VERSION.fullmatch(steps[-1]):
        return "/".join(steps[:-1])
    return f"{path}/v1"
