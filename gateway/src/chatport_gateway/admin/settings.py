"""The `[admin]` table: where the admin port listens, and the token that opens it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import attrs

from chatport import Config, ConfigurationError

from ..keys import read_hash

__all__ = ["AdminSettings", "read_admin"]

_SHORTEST = 32
_KEY_MARK = "cpk_"


@attrs.frozen
class AdminSettings:
    """How the admin port is reached. `digest` is the SHA-256 of its token.

    `hosts` are the names, besides addresses and localhost, that it may be asked by.
    """

    digest: bytes = attrs.field(repr=False)
    host: str = "127.0.0.1"
    port: int = 4001
    hosts: tuple[str, ...] = ()


def read_admin(config: Config, environment: Mapping[str, str] | None = None) -> AdminSettings | None:
    """Return the settings, None without an `[admin]` table. Raises ConfigurationError for what they cannot say."""
    table = config.tables.get("admin")
    if table is None:
        return None
    if "team" not in config.tables:
        raise ConfigurationError("[admin] needs a [team] table: without one there are no keys and no records.")
    names = ("host", "port", "hosts", "token_env", "token_hash")
    for name in table:
        if name == "token":
            raise ConfigurationError(
                "[admin] token: it does not stand in the file. Name the variable that holds it with token_env, or give "
                "its hash with token_hash."
            )
        if name not in names:
            raise ConfigurationError(f"[admin] has no {name!r}. It has: {', '.join(names)}.")
    values: dict[str, Any] = {"digest": _digest(table, environment)}
    if "host" in table:
        values["host"] = _text(table["host"], "host")
    if "port" in table:
        values["port"] = _port(table["port"])
    if "hosts" in table:
        values["hosts"] = _texts(table["hosts"])
    return AdminSettings(**values)


def _digest(table: Mapping[str, Any], environment: Mapping[str, str] | None) -> bytes:
    if ("token_env" in table) == ("token_hash" in table):
        raise ConfigurationError(
            "[admin] needs a token, which is neither a vendor's key nor one of the gateway's: name the variable that "
            "holds it with token_env, or give its hash with token_hash (`chatport serve --hash-key` prints it)."
        )
    if "token_hash" in table:
        return read_hash(_text(table["token_hash"], "token_hash"), "[admin] token_hash")
    name = _text(table["token_env"], "token_env")
    token = (os.environ if environment is None else environment).get(name)
    if not token:
        raise ConfigurationError(f"[admin] token_env names the variable {name}, which is not set.")
    if len(token) < _SHORTEST:
        raise ConfigurationError(f"[admin] token_env: the token in {name} has at least {_SHORTEST} characters.")
    if token.startswith(_KEY_MARK):
        raise ConfigurationError(f"[admin] token_env: {name} holds a key of the gateway. The token is another one.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError(f"[admin] token_env: the token in {name} is of ASCII, without spaces.")
    return sha256(token.encode()).digest()


def _text(value: Any, name: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise ConfigurationError(f"[admin] {name} is a text, not {value!r}.")


def _port(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535:
        return value
    raise ConfigurationError(f"[admin] port is a number from 0 to 65535, not {value!r}.")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value):
        return tuple(item.lower() for item in value)
    raise ConfigurationError("[admin] hosts is a list of texts.")
