"""Who may ask the admin port: by the token, by the name it is asked by, and not from pages of others.

There are no cookies, so a browser sends nothing of its own accord, and a page of somebody else cannot ask in our user's
name. The names are looked at all the same: a page whose name was made to lead to this machine (DNS rebinding) would be
of the same origin.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from hashlib import sha256

from .settings import AdminSettings

__all__ = ["has_token", "is_meant", "is_own_page"]

_BEARER = "bearer "


def has_token(settings: AdminSettings, headers: Mapping[str, str]) -> bool:
    """Whether a request brings the token. A key of the gateway never opens this, whatever the hash may be of."""
    sent = headers.get("authorization", "")
    token = sent[len(_BEARER) :].strip() if sent[: len(_BEARER)].lower() == _BEARER else ""
    is_it = hmac.compare_digest(sha256(token.encode("utf-8", "surrogateescape")).digest(), settings.digest)
    return is_it and not token.startswith("cpk_")


def is_meant(settings: AdminSettings, hosts: Sequence[str]) -> bool:
    """Whether a request names this port as it is known: by an address, localhost, or a name of the settings."""
    if len(hosts) != 1:
        return False
    name = _name_of(hosts[0])
    if name is None:
        return False
    if name in ("localhost", settings.host.lower(), *settings.hosts):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not _is_loopback(settings.host)


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from our own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    scheme, mark, rest = origin.lower().partition("://")
    return bool(mark) and scheme in ("http", "https") and rest == headers.get("host", "").lower()


def _name_of(host: str) -> str | None:
    """Return the name or address of a Host header, None for one that is broken."""
    text = host.lower()
    if text.startswith("["):
        name, mark, port = text[1:].partition("]")
        if not mark or (port and not port.startswith(":")):
            return None
        port = port[1:] if port else "0"
    else:
        name, mark, port = text.partition(":")
        port = port if mark else "0"
    return name if name and port.isascii() and port.isdigit() else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
