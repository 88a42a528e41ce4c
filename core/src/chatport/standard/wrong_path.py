"""Whether nothing answers at an address, and which one was meant: a base URL with or without its `/v1`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ..call import Failure

__all__ = ["is_wrong_path", "meant_base_url", "says_wrong_path", "shown_address"]

_BESIDE = frozenset(("code", "error", "file", "http", "nginx", "openresty", "page", "resource", "the", "was"))
"""Words beside a bare "not found", as frameworks word it whose routes have no names."""
_CHECK = re.compile(r"not found\W{1,3}(?:please )?check the (?:configuration|url|path|address)")
_ROUTE_WORDS = (
    re.compile(r"page not found|\bno route (?:matched|for|found)|\bcould not route to\b|\bno static resource"),
    re.compile(r"\b(?:route|endpoint|path|url|uri|api) (?:was |is |does |did )?not (?:found|exist|match)"),
    re.compile(r"\b(?:unknown|unrecognized|invalid|no such) (?:route|endpoint|path|url|uri|request url)\b"),
    re.compile(r"\bcannot (?:post|get) /|\bunexpected endpoint or method|\bno (?:handler|endpoint) found"),
    re.compile(r"requested (?:url|resource|path|endpoint) .{0,60}\b(?:not found|not exist|could not be found)"),
    re.compile(r"\bmethod not allowed"),
)
"""What servers, frameworks and proxies say of a path that they do not have."""
_VERSION = re.compile(r"v[0-9]{1,2}[a-z0-9]{0,10}")
_ENDPOINTS = ("/chat/completions", "/completions", "/chat", "/responses", "/messages", "/embeddings", "/models")


def is_wrong_path(failure: Failure, model: str) -> bool:
    """Whether a 404 or 405 is about the address and not about the model."""
    said = (failure.details.message or failure.body)[:2000]
    if failure.status not in (404, 405):
        return failure.status < 400 and says_wrong_path(said)
    if says_wrong_path(said):
        return True
    names_model = re.search("model|deployment", said, re.IGNORECASE) or (model and model in said)
    return failure.data is None and not names_model  # a page, a text or nothing: no API of the usual shape has said it


def says_wrong_path(text: str) -> bool:
    """Whether these are the words for a path that a server does not have."""
    said = text[:300].lower()
    rest = [word for word in re.findall(r"[a-z/]+", said) if word not in _BESIDE and "/" not in word]
    is_bare = bool(rest) and set(rest) == {"not", "found"}
    return is_bare or _CHECK.search(said) is not None or any(words.search(said) for words in _ROUTE_WORDS)


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
