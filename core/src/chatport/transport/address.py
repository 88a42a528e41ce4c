"""Where a request goes, read off its URL."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote, urlsplit

import msgspec

from ..basics.bounded import LONGEST_URL
from ..basics.hosts import is_localhost, shown_address
from ..engine.commands import TransportFailure

__all__ = ["Address", "Origin", "address_of"]

Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port: what connections are kept for."""

_PORTS = {"http": 80, "https": 443}
_KEPT = "/%:@!$&'()*+,;=~-._?[]"
"""What stays as it is in a path; everything else beyond letters and digits is escaped."""


class Address(msgspec.Struct, frozen=True):
    """`target` and `authority` are what the request line and the `host` header say."""

    scheme: str
    host: str
    port: int
    target: str
    authority: str
    origin: Origin

    @property
    def is_secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"


def address_of(url: str) -> Address:
    """Read a URL. Raises TransportFailure (invalid_url, unsupported_protocol)."""
    return _known_address(url) if len(url) <= LONGEST_URL else _read_address(url)


def _read_address(url: str) -> Address:
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):  # urlsplit drops some of them without a word
        raise _invalid(url, "it holds blanks or control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _invalid(url, str(error)) from None
    if parts.scheme not in _PORTS:
        words = f"The address has no usable protocol: {shown_address(url) or '(not shown)'}"
        raise TransportFailure(words, stage="connect", kind="unsupported_protocol")
    if not host or "@" in parts.netloc or port == 0 or "%" in host:
        raise _invalid(url, "it needs a host, without a user name")
    host = _ascii(host, url)
    usual = _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    if parts.scheme == "http" and is_localhost(host):
        host = "localhost"  # a key may go there in the clear: whoever answers for names must not say where that is
    target = quote(parts.path or "/", safe=_KEPT) + (f"?{quote(parts.query, safe=_KEPT)}" if parts.query else "")
    return Address(
        scheme=parts.scheme,
        host=host,
        port=port or usual,
        target=target,
        authority=shown if port in (None, usual) else f"{shown}:{port}",
        origin=(parts.scheme, host, port or usual),
    )


_known_address = lru_cache(maxsize=256)(_read_address)


def _ascii(host: str, url: str) -> str:
    """Return a host name as DNS and certificates have it."""
    if not host.isascii():
        import idna

        try:
            return idna.encode(host).decode("ascii")
        except idna.IDNAError as error:
            raise _invalid(url, str(error)) from None
    if len(host) > 253 or any(not 0 < len(label) < 64 for label in host.rstrip(".").split(".")):
        raise _invalid(url, "its host is no name that can exist")
    return host


def _invalid(url: str, why: str) -> TransportFailure:
    shown = shown_address(url) or "(not shown: it may hold a key)"
    return TransportFailure(f"The address {shown} is not valid: {why}", stage="connect", kind="invalid_url")
