"""What never gets onto a tape: headers and parts of a query that nobody listed, and every key, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ...basics.hosts import is_loopback
from ...basics.secret import Secret
from ...decoding.body import body_decoder
from ...decoding.redaction import cover_key
from ...engine.commands import Head, HttpRequest
from ...errors import ChatportError

__all__ = ["HIDDEN", "SHORTEST_SECRET", "Hider"]

HIDDEN = "***"
SHORTEST_SECRET = 8
"""In characters. What is shorter, such as "none" for a server of one's own, stands in many a word."""

_OF_REQUESTS = ("accept", "content-type", "*-version", "*-beta")
_OF_RESPONSES = (
    "content-type", "content-encoding", "date", "location", "server", "retry-after*", "x-should-retry", "*-request-id",
    "request-id", "*requestid", "*correlation-id", "*trace-id", "*traceid", "*-generation-id", "*ratelimit*",
    "*rate-limit*", "*tokenlimit*", "*-processing-ms", "*-version", "*-region", "*errortype",
)  # fmt: skip
"""Headers that are kept, as patterns. What else comes (cookies, accounts, routes) is nobody's business."""
_OF_QUERIES = ("api-version", "alt", "beta", "limit", "after", "before", "page*", "order")
"""Parts of a query whose values are kept. Of others there is only the name."""
_TEXT = re.compile(r'"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"?+')
"""A text in JSON. It ends with its line, whatever stands there: so one that is no JSON does not confuse the next."""


class Hider:
    """Makes what was sent and received fit to be kept. It knows the keys of all requests that it has seen."""

    def __init__(self, secrets: Iterable[str | Secret], headers: Sequence[str], query: Sequence[str]) -> None:
        self._headers = tuple(name.lower() for name in headers)
        self._query = (*_OF_QUERIES, *query)
        self._secrets: dict[Secret, None] = {}
        for secret in secrets:
            self._secrets[Secret(secret) if isinstance(secret, str) else secret] = None

    def learn(self, request: HttpRequest) -> None:
        """Note the keys of a request: from now on they are hidden wherever they turn up."""
        self._secrets.update(dict.fromkeys(request.secrets))

    def text(self, text: str) -> str:
        """Return a text with all keys under stars, as long as it was."""
        for secret in self._secrets:
            if len(secret.reveal()) >= SHORTEST_SECRET:
                text = cover_key(text, secret.reveal())
        return text

    def content(self, content: bytes) -> bytes:
        """Return bytes with all keys under stars."""
        return self.text(content.decode("latin-1")).encode("latin-1")

    def url(self, request: HttpRequest) -> str:
        """Return the address as it is matched and kept.

        Values in the query that are not on the list are hidden. A server on this machine has another port each time.
        """
        parts = urlsplit(request.shown_url)
        place = f"{parts.scheme}://localhost" if is_loopback(parts.hostname) else f"{parts.scheme}://{parts.netloc}"
        named = parse_qsl(parts.query, keep_blank_values=True)
        query = sorted((name, value if _is_listed(name, self._query) else HIDDEN) for name, value in named)
        scheme, netloc, path, _, _ = urlsplit(place + parts.path)
        return self.text(urlunsplit((scheme, netloc, path, urlencode(query, safe="*"), "")))

    def sent_headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the headers of a request that are kept."""
        return self._kept(dict(headers), _OF_REQUESTS)

    def head(self, head: Head) -> Head:
        """Return a response's head with the headers that are kept."""
        headers = self._kept(head.headers, _OF_RESPONSES)
        if "location" in headers:  # what leads on may be signed
            headers["location"] = headers["location"].partition("?")[0]
        return Head(head.status, headers)

    def _kept(self, headers: Mapping[str, str], usual: Sequence[str]) -> dict[str, str]:
        listed = (*usual, *self._headers)
        return {name: self.text(value) for name, value in headers.items() if _is_listed(name.lower(), listed)}

    def body(self, head: Head, pieces: Sequence[bytes]) -> tuple[Head, list[bytes]]:
        """Return head and body with all keys under stars, also those cut over pieces, or spelled over events.

        The pieces keep their lengths. Where a key is inside a compression, what it means is kept in its place.
        """
        encoding = head.headers.get("content-encoding", "")
        meant = _meant(encoding, pieces) if encoding else list(pieces)
        covered = self._pieces(meant)
        if not encoding or covered == meant:
            return head, list(pieces) if encoding else covered
        plain = {name: value for name, value in head.headers.items() if name != "content-encoding"}
        return Head(head.status, plain), covered

    def _pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        whole = b"".join(pieces).decode("latin-1")  # a character for each byte
        covered = self._spelled(self.text(whole)).encode("latin-1")
        found, start = [], 0
        for piece in pieces:
            found.append(covered[start : start + len(piece)])
            start += len(piece)
        return found

    def _spelled(self, text: str) -> str:
        """Return a text without the keys that its fields spell one after the other, as the deltas of a stream do."""
        fields: dict[str, list[re.Match[str]]] = {}
        for name, field in _fields(text):
            fields.setdefault(name, []).append(field)
        letters = None
        for found in fields.values():
            joined = "".join(field[1] for field in found)
            covered = self.text(joined)
            if covered != joined:
                letters, start = list(text) if letters is None else letters, 0
                for field in found:
                    letters[field.start(1) : field.end(1)] = covered[start : start + len(field[1])]
                    start += len(field[1])
        return text if letters is None else "".join(letters)


def _fields(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Give the fields whose values are texts: their names, and where the values are."""
    name: re.Match[str] | None = None
    for found in _TEXT.finditer(text):
        if name is not None and text[name.end() : found.start()].strip() == ":":
            yield name[1], found
            name = None
        else:
            name = found


def _is_listed(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _meant(encoding: str, pieces: Sequence[bytes]) -> list[bytes]:
    """Return what compressed pieces mean, as far as they can be read."""
    found: list[bytes] = []
    try:
        decoder = body_decoder(encoding)
        for piece in pieces:
            found.append(b"".join(decoder.feed(piece)))
    except ChatportError:
        found += [b""] * (len(pieces) - len(found))
    return found
