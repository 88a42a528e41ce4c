"""Where in a request keys are put, when it is not the usual place: another header, or the query of the address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..basics.secret import Secret
from ..basics.values import Value
from ..errors import ConfigurationError
from .keys import read_reference

__all__ = ["KeyHeader", "is_harmless", "read_auth", "read_query"]

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_QUERY_NAME = re.compile(r"[A-Za-z0-9$_][A-Za-z0-9$._~-]{0,99}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,40}")
_OURS = frozenset(("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "te",
                   "transfer-encoding", "upgrade", "user-agent"))  # fmt: skip
_HARMLESS = re.compile(r"v?[0-9]{1,4}(?:[.-][0-9]{1,2}){0,3}(?:[.-]?(?:preview|beta|alpha|latest))?|[A-Za-z]{1,16}")
_KEY_LIKE = re.compile(r"key|token|secret|sig|password|auth|code", re.IGNORECASE)


@attrs.frozen(eq=False, repr=False)
class KeyHeader(Value):
    """The header of a key, and the word before it (such as "Bearer"), "" for none."""

    header: str = "authorization"
    scheme: str = "Bearer"

    @property
    def prefix(self) -> str:
        """What stands before the key."""
        return f"{self.scheme} " if self.scheme else ""


def read_auth(table: Any, where: str) -> KeyHeader | None:
    """Read `auth = { header = "api-key", scheme = "" }`. A text is a provider's own setting, and none of ours."""
    if table is None or isinstance(table, str):
        return None
    if not isinstance(table, Mapping) or not table or not set(table) <= {"header", "scheme"}:
        raise ConfigurationError(f'{where} is {{ header = "api-key", scheme = "" }}; the key itself is api_key.')
    header = table.get("header", "authorization")
    if not isinstance(header, str) or not _NAME.fullmatch(header) or header.lower() in _OURS:
        raise ConfigurationError(f"{where}.header is the name of a header that Chatport does not write itself.")
    scheme = table.get("scheme", "Bearer" if header.lower() == "authorization" else "")
    if not isinstance(scheme, str) or (scheme and not _SCHEME.fullmatch(scheme)):
        raise ConfigurationError(f'{where}.scheme is one word that stands before the key, or "" for none.')
    return KeyHeader(header.lower(), scheme)


def read_query(table: Mapping[str, Any], where: str) -> Mapping[str, Secret | Mapping[str, Any]]:
    """Read `query = { api-version = "…", key = { env = "…" } }`. No error shows a value: each may be a key."""
    read: dict[str, Secret | Mapping[str, Any]] = {}
    for name, value in table.items():
        if not _QUERY_NAME.fullmatch(name):
            raise ConfigurationError(f"{where} query holds a name that is not of letters, digits, - and _.")
        if callable(value) or (isinstance(value, Mapping) and "function" in value):
            raise ConfigurationError(f"{where} query.{name}: a function gives an api_key, and nothing else.")
        found = read_reference(value, where, f"query.{name}")
        if found is None:
            raise ConfigurationError(f"{where} query.{name} has no value.")
        read[name] = found
    return read


def is_harmless(name: str, value: Secret | Mapping[str, Any]) -> bool:
    """Whether a part of a query is no key: a version or a word that stands in the configuration. It may be shown."""
    if not isinstance(value, Secret) or _KEY_LIKE.search(name):
        return False
    return _HARMLESS.fullmatch(value.reveal()) is not None
