"""Which hosts are this machine, and which a pattern names: the one answer for keys, facts, policies and proxies."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["ip_of", "is_localhost", "is_loopback", "is_named", "is_private", "is_under", "shown_address"]

_NOT_PUBLIC = ("local", "internal", "home.arpa")
_OLD_FORM = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]+|[0-9]+)){0,3}")


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host is written as, None for a name.

    An IPv4 address inside IPv6 (`::ffff:127.0.0.1`) is the former. The old forms that sockets take too (`127.1`,
    `0x7f000001`) are read as sockets read them.
    """
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return _ip_of_old_form(host)
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _ip_of_old_form(host: str) -> IPv4Address | None:
    if len(host) > 64 or _OLD_FORM.fullmatch(host) is None:
        return None
    import socket  # seldom needed, and not for an import that is to cost little

    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


_ORIGIN = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,15}://(?:\[[0-9A-Fa-f:.]{1,45}\]|[^/?#\\@:\[\]]{1,253})(?::[0-9]{0,5})?(?=[/?#\\]|\Z)"
)
"""Scheme, host and port of a URL that has no user name."""


@lru_cache(maxsize=256)
def is_loopback(host: str | None) -> bool:
    """Whether a URL's host is this machine: 127.0.0.0/8, ::1, localhost, and the names under it."""
    address = ip_of(host or "")
    return is_localhost(host or "") if address is None else address.is_loopback


def shown_address(url: str) -> str:
    """Return as much of a URL as a message may show, "" for nothing: a path, a query or a user name may be a key."""
    found = _ORIGIN.match(url)
    if found is None:
        return ""
    return repr(found[0] if found.end() == len(url) else f"{found[0]}/…")


def is_private(host: str) -> bool:
    """Whether a URL's host can only be the user's own: this machine, a private address, a name that is not public.

    Such a name has no dot (containers, a search domain), or ends in `.local`, `.internal` or `.home.arpa` (RFC 6762,
    ICANN's resolution of 2024, RFC 8375).
    """
    address = ip_of(host)
    if address is not None:
        return address.is_loopback or address.is_private or address.is_link_local
    name = host.lower().removesuffix(".")
    return bool(name) and ("." not in name or is_localhost(name) or any(is_under(end, name) for end in _NOT_PUBLIC))


def is_localhost(host: str) -> bool:
    """Whether a name is one of those that must not be looked up elsewhere (RFC 6761, 6.3)."""
    return f".{host}".lower().removesuffix(".").endswith(".localhost")


def is_named(pattern: str, host: str) -> bool:
    """Whether a pattern is this host: `api.example.com` itself, or `*.example.com` for every name under it."""
    return host == pattern or (pattern.startswith("*.") and is_under(pattern[2:], host))


def is_under(name: str, host: str) -> bool:
    """Whether a host is under a name, at whatever depth. It is not under itself."""
    return host.endswith(f".{name}")
