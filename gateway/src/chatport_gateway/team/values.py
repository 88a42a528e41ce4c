"""What the store holds, as values: projects, keys, and what each may use up."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs
from attrs import validators

__all__ = [
    "GATEWAY",
    "NANO",
    "Holder",
    "Key",
    "Limits",
    "NewKey",
    "Project",
    "Standing",
    "holder_of",
    "holders_of",
    "nano_of",
]

NANO = 1_000_000_000
"""How many nanodollars a dollar has."""
GATEWAY = "gateway"
"""The holder that stands for all calls."""

Holder: TypeAlias = str
"""Who has limits: "gateway", "project:ID" or "key:ID"."""

_MOST = 2**53  # as far as a script in Redis counts exactly


def _whole(least: int) -> Any:
    kinds = [validators.instance_of(int), validators.ge(least), validators.le(_MOST)]
    return attrs.field(default=None, validator=validators.optional(kinds))


def holder_of(kind: Literal["project", "key"], id: str) -> Holder:
    """Return the holder that a project or a key is."""
    return f"{kind}:{id}"


def holders_of(key_id: str | None, project_id: str | None) -> list[Holder]:
    """Return whose limits a call counts against."""
    holders = [GATEWAY]
    if project_id is not None:
        holders.append(holder_of("project", project_id))
    if key_id is not None:
        holders.append(holder_of("key", key_id))
    return holders


def nano_of(usd: float) -> int:
    """Return dollars as whole nanodollars."""
    return round(usd * NANO)


@attrs.frozen
class Limits:
    """What a holder may use up. None: no limit. Days and months are those of UTC."""

    usd_day_nano: int | None = _whole(0)
    usd_month_nano: int | None = _whole(0)
    usd_total_nano: int | None = _whole(0)
    requests_per_minute: int | None = _whole(1)
    tokens_per_minute: int | None = _whole(1)
    concurrency: int | None = _whole(1)

    @classmethod
    def of(cls, **given: Any) -> Limits:
        """Return limits as people write them: `usd_day`, `usd_month`, `usd_total` in dollars, the others as they are.

        Raises TypeError and ValueError for what is no limit.
        """
        values: dict[str, Any] = {}
        for name, value in given.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
                raise ValueError(f"{name} is a number of at least 0, not {value!r}.")
            values[f"{name}_nano" if name.startswith("usd_") else name] = (
                nano_of(value) if name.startswith("usd_") else value
            )
        return cls(**values)

    def told(self) -> dict[str, float | int | None]:
        """Return them as people write them."""
        return {
            name.removesuffix("_nano"): value / NANO if value is not None and name.endswith("_nano") else value
            for name, value in attrs.asdict(self).items()
        }


@attrs.frozen
class Project:
    """A team, an application, or whatever else keys belong to."""

    id: str
    name: str
    created_us: int
    closed_us: int | None = None


@attrs.frozen
class Key:
    """A key, of which nobody knows more than its hash. `shown` is its beginning, for people.

    `models` are globs over the names that may be asked for, `providers` those that may answer; None: all.
    """

    id: str
    project_id: str | None
    name: str
    shown: str
    created_us: int
    rotated_us: int | None = None
    expires_us: int | None = None
    revoked_us: int | None = None
    old_until_us: int | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None


@attrs.frozen
class NewKey:
    """A key as it was just made. `secret` is the key itself: shown once, kept nowhere."""

    key: Key
    secret: str = attrs.field(repr=False)


@attrs.frozen
class Standing:
    """What a holder has spent in a window: "2026-11-30", "2026-11" or "total"."""

    holder: Holder
    window: str
    usd_nano: int = 0
    tokens: int = 0
    calls: int = 0
