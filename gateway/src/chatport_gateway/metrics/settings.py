"""The `[metrics]` table: where metrics are served, and who may read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Config, ConfigurationError

from ..keys import read_hash
from ..settings import is_loopback, variable

__all__ = ["MetricsSettings", "read_metrics"]


@attrs.frozen
class MetricsSettings:
    """Where `/metrics` is served: on an address of its own. Without a key it is one of this machine alone.

    `key_env` names the variable with the key of whoever reads them, `key_hashes` are those of several.
    """

    host: str = "127.0.0.1"
    port: int = 9464
    key_env: str | None = None
    key_hashes: tuple[str, ...] = ()
    digests: tuple[bytes, ...] = attrs.field(default=(), repr=False)


def read_metrics(config: Config, environment: Mapping[str, str] | None = None) -> MetricsSettings:
    """Return what the `[metrics]` table says. Raises ConfigurationError for what it cannot say."""
    values = dict(config.tables.get("metrics", {}))
    kinds: dict[str, tuple[type, str]] = {
        "host": (str, "a text"),
        "port": (int, "a number from 0 to 65535"),
        "key_env": (str, "the name of a variable"),
        "key_hashes": (list, "a list of texts"),
    }
    for name, value in values.items():
        if name not in kinds:
            raise ConfigurationError(f"[metrics] has no {name!r}. It has: {', '.join(kinds)}.")
        kind, words = kinds[name]
        if not isinstance(value, kind) or isinstance(value, bool) or not (value or value == 0):
            raise ConfigurationError(f"[metrics] {name} is {words}.")
    if not 0 <= values.get("port", 0) <= 65535:
        raise ConfigurationError("[metrics] port is a number from 0 to 65535.")
    values["key_hashes"] = tuple(values.get("key_hashes", ()))
    settings = MetricsSettings(**values, digests=_digests(values, environment))
    if not settings.digests and not is_loopback(settings.host):
        raise ConfigurationError(
            f"[metrics] host is {settings.host}, and no key is set: anybody could read what is asked here, and what it "
            "costs. Set key_env or key_hashes, or listen on 127.0.0.1."
        )
    return settings


def _digests(values: Mapping[str, Any], environment: Mapping[str, str] | None) -> tuple[bytes, ...]:
    found = [read_hash(str(text), "[metrics] key_hashes") for text in values["key_hashes"]]
    if "key_env" in values:
        found.append(read_hash(variable(values["key_env"], "[metrics] key_env", environment), "", is_key=True))
    return tuple(found)
