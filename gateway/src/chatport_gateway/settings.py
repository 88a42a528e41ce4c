"""The `[gateway]` table: where it listens, who may ask, and how much is taken of a client."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Config, ConfigurationError

from .keys import read_hash

__all__ = ["GatewaySettings", "is_loopback", "read_settings", "variable"]

_MIB = 1024 * 1024
_STORES = ("memory",)
_SHORTEST_SECRET = 16


@attrs.frozen
class GatewaySettings:
    """How the gateway is reached, and its bounds. Times are in seconds, sizes in bytes.

    `key_env` names the variable with the one key that clients send, `key_hashes` are those of several (`sha256:` and 64
    hex digits). Without either it listens on loopback only. `seal_key_env` names the variable with the secret that
    closes what vendors want back: processes that share clients, and restarts, need the same one. `allow_origins` are
    the web pages whose scripts may ask; none unless named. `store` is `memory` to keep the newest answers of Responses,
    `store_answers` and `store_bytes` at most for each key, so that clients can go on from them; None: none are kept.
    `telemetry`: calls become spans and metrics of OpenTelemetry, by the providers that the process has set up.
    """

    host: str = "127.0.0.1"
    port: int = 4000
    key_env: str | None = None
    key_hashes: tuple[str, ...] = ()
    seal_key_env: str | None = None
    body_bytes: int = 64 * _MIB
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    shutdown_seconds: float = 30.0
    connections: int = 2000
    allow_origins: tuple[str, ...] = ()
    store: str | None = None
    store_answers: int = 1000
    store_bytes: int = 64 * _MIB
    telemetry: bool = False

    def key_digests(self, environment: Mapping[str, str] | None = None) -> tuple[bytes, ...]:
        """Return the digests of the keys that are taken. Raises ConfigurationError for a variable that is not set."""
        digests = [read_hash(text, "[gateway] key_hashes") for text in self.key_hashes]
        if self.key_env is not None:
            digests.append(read_hash(variable(self.key_env, "[gateway] key_env", environment), "", is_key=True))
        return tuple(digests)

    def seal_secret(self, environment: Mapping[str, str] | None = None) -> bytes | None:
        """Return the secret of the seal, None for one of this process. Raises ConfigurationError for a short one."""
        if self.seal_key_env is None:
            return None
        secret = variable(self.seal_key_env, "[gateway] seal_key_env", environment).encode()
        if len(secret) < _SHORTEST_SECRET:
            raise ConfigurationError(
                f"[gateway] seal_key_env: the secret in {self.seal_key_env} has at least {_SHORTEST_SECRET} bytes."
            )
        return secret


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings(config: Config, **given: Any) -> GatewaySettings:
    """Return the settings of a configuration, with those that are given over them (None: not given).

    Raises ConfigurationError for what the table cannot say, and for a key that stands in it in the open.
    """
    table = dict(config.tables.get("gateway", {}))
    names = [field.name for field in attrs.fields(GatewaySettings)]
    for name in table:
        if name in ("key", "keys", "api_key"):
            raise ConfigurationError(
                f"[gateway] {name}: a key does not stand in the file. Name the variable that holds it with key_env, or "
                "give the hash of each with key_hashes."
            )
        if name not in names:
            raise ConfigurationError(f"[gateway] has no {name!r}. It has: {', '.join(names)}.")
    values = {**table, **{name: value for name, value in given.items() if value is not None}}
    for name, value in values.items():
        values[name] = _fit(name, value)
    return GatewaySettings(**values)


def _fit(name: str, value: Any) -> Any:
    """Return a value of the kind that a setting has."""
    default = getattr(GatewaySettings(), name)
    if name == "store" and value not in _STORES:
        raise ConfigurationError(f"[gateway] store is one of {', '.join(_STORES)}, not {value!r}.")
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigurationError(f"[gateway] {name} is a list of texts.")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ConfigurationError(f"[gateway] {name} is true or false, not {value!r}.")
    if isinstance(default, int | float):
        kinds = (int,) if isinstance(default, int) else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and value >= 0:
            return value
        raise ConfigurationError(f"[gateway] {name} is a number of at least 0, not {value!r}.")
    if isinstance(value, str) and value:
        return value
    raise ConfigurationError(f"[gateway] {name} is a text, not {value!r}.")


def variable(name: str, setting: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a variable holds that a setting names. Raises ConfigurationError where it is not set."""
    value = (os.environ if environment is None else environment).get(name)
    if not value:
        raise ConfigurationError(f"{setting} names the variable {name}, which is not set.")
    return value
