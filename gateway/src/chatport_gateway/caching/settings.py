"""The `[cache]` table: which answers are kept, where, for how long, and who may see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from chatport import Config, ConfigurationError

from ..settings import variable

__all__ = ["CacheSettings", "read_cache"]

_MIB = 1024 * 1024
_SHARED = ("key", "project", "all")


@attrs.frozen
class CacheSettings:
    """`store` is `memory`, or the path of a SQLite file; `redis` the address of a Valkey or Redis, in its place.

    `most_bytes` is the size of all that is kept together. `shared` says who sees an answer: whoever brings the same
    `key`, the same `project`, or `all`.
    """

    ttl_seconds: float = 3600.0
    most_bytes: int = 256 * _MIB
    store: str = "memory"
    redis: str | None = attrs.field(default=None, repr=False)
    shared: Literal["key", "project", "all"] = "key"


def read_cache(config: Config, environment: Mapping[str, str] | None = None) -> CacheSettings:
    """Return the settings. Raises ConfigurationError for what they cannot say."""
    values = dict(config.tables.get("cache", {}))
    if "redis_env" in values:
        values["redis"] = variable(str(values.pop("redis_env")), "[cache] redis_env", environment)
    elif "redis" in values and urlsplit(str(values["redis"])).password:
        raise ConfigurationError(
            "[cache] redis: a password does not stand in the file. Name the variable that holds the whole address with "
            "redis_env."
        )
    known = [field.name for field in attrs.fields(CacheSettings)]
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(f"[cache] has no {name!r}. It has: {', '.join([*known, 'redis_env'])}.")
        _check(name, value)
    if "redis" in values:
        if "store" in values:
            raise ConfigurationError("[cache] has a store and a redis: name one of them.")
        from chatport.sharing import check_address

        check_address(values["redis"], "[cache] redis")
    if values.get("shared") == "project" and "team" not in config.tables:
        raise ConfigurationError('[cache] shared = "project" needs a [team] table: there are no projects without it.')
    return CacheSettings(**values)


def _check(name: str, value: Any) -> None:
    if name == "shared":
        if value not in _SHARED:
            raise ConfigurationError(f"[cache] shared is one of {', '.join(_SHARED)}, not {value!r}.")
    elif name in ("store", "redis"):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"[cache] {name} is a text.")
    elif isinstance(value, bool) or not isinstance(value, int if name == "most_bytes" else (int, float)) or value <= 0:
        raise ConfigurationError(f"[cache] {name} is a number above 0, not {value!r}.")
