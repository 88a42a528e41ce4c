"""The `[team]` and `[records]` tables: where keys, limits and records are kept, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from chatport import Config, ConfigurationError

from ..settings import variable
from .values import Limits

__all__ = ["RecordSettings", "TeamSettings", "read_team"]

_LIMITS = (
    "usd_day", "usd_month", "usd_total", "requests_per_minute", "tokens_per_minute", "concurrency",
)  # fmt: skip
_MIB = 1024 * 1024


@attrs.frozen
class RecordSettings:
    """What is kept of each call, and for how many days (0: for ever).

    `content`: "none" of what was said, its "hash", or "full", with what looks like a key taken out. `journal_bytes` is
    how much may wait for the database; when that is full no call is let pass.
    """

    content: Literal["none", "hash", "full"] = "none"
    days: int = 365
    content_days: int = 30
    journal_bytes: int = 512 * _MIB
    write_seconds: float = 0.2


@attrs.frozen
class TeamSettings:
    """Where the store is, and what holds for all calls.

    `database` is the path of a SQLite file, or an address of PostgreSQL; `database_env` names the variable that holds
    it. `redis` and `redis_env` say where limits are shared, which more than one process needs. `on_store_down`: while a
    store cannot be asked calls are refused, or each process goes on by itself ("local"). `unknown_cost` says what
    becomes of a call of which no price is known where a budget in USD holds. `limits` are those of all calls together.
    """

    database: str = attrs.field(default="chatport-team/team.db", repr=False)
    redis: str | None = attrs.field(default=None, repr=False)
    folder: str = "chatport-team"
    on_store_down: Literal["refuse", "local"] = "refuse"
    unknown_cost: Literal["refuse", "allow"] = "refuse"
    stale_seconds: float = 1.0
    limits: Limits = attrs.field(factory=Limits)
    records: RecordSettings = attrs.field(factory=RecordSettings)

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a file, which one process alone serves from."""
        return "://" not in self.database or self.database.startswith("sqlite")


def read_team(config: Config, environment: Mapping[str, str] | None = None) -> TeamSettings | None:
    """Return the settings, None without a `[team]` table. Raises ConfigurationError for what they cannot say."""
    table = config.tables.get("team")
    if table is None:
        return None
    values: dict[str, Any] = {}
    given = dict(table)
    for name in ("database", "redis"):
        if f"{name}_env" in given:
            values[name] = variable(str(given.pop(f"{name}_env")), f"[team] {name}_env", environment)
        elif name in given:
            values[name] = _without_password(given.pop(name), name)
    values["limits"] = _limits(given)
    values["records"] = RecordSettings(**_fitting(RecordSettings(), config.tables.get("records", {}), "[records]"))
    values |= _fitting(TeamSettings(), given, "[team]", leave_out=("database", "redis", "limits", "records"))
    if "database" not in values and "folder" in values:
        values["database"] = str(Path(values["folder"], "team.db"))
    return TeamSettings(**values)


def _limits(given: dict[str, Any]) -> Limits:
    try:
        return Limits.of(**{name: given.pop(name) for name in _LIMITS if name in given})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"[team] {error}") from None


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "on_store_down": ("refuse", "local"),
    "unknown_cost": ("refuse", "allow"),
    "content": ("none", "hash", "full"),
}


def _fitting(usual: Any, given: Mapping[str, Any], where: str, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what is given, each of the kind of its default."""
    names = [field.name for field in attrs.fields(type(usual)) if field.name not in leave_out]
    for name, value in given.items():
        if name not in names:
            also = ", ".join(
                (*names, "database", "database_env", "redis", "redis_env", *_LIMITS) if leave_out else names
            )
            raise ConfigurationError(f"{where} has no {name!r}. It has: {also}.")
        default = getattr(usual, name)
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise ConfigurationError(f"{where} {name} is one of {', '.join(_CHOICES[name])}, not {value!r}.")
        elif isinstance(default, str):
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{where} {name} is a text, not {value!r}.")
        elif (
            isinstance(value, bool)
            or not isinstance(value, int if isinstance(default, int) else (int, float))
            or value < 0
        ):
            raise ConfigurationError(f"{where} {name} is a number of at least 0, not {value!r}.")
    return dict(given)


def _without_password(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"[team] {name} is a text.")
    if "://" in value and urlsplit(value).password:
        raise ConfigurationError(
            f"[team] {name}: a password does not stand in the file. Name the variable that holds the whole address "
            f"with {name}_env."
        )
    return value
