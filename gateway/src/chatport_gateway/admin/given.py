"""What is sent to the admin API. The description is made of these, and so is every check."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

__all__ = [
    "AuditQuery", "By", "CallsQuery", "KeysQuery", "Limits", "LimitsQuery", "NewKey", "NewProject", "Nothing",
    "Outcome", "PeriodQuery", "ProjectsQuery", "Rotate", "UsageQuery",
]  # fmt: skip

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Day_: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10)]
Cursor: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Page: TypeAlias = Annotated[int, Meta(ge=1, le=200)]
Usd: TypeAlias = Annotated[float, Meta(ge=0, le=1_000_000)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Id: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$", max_length=64)]
Outcome: TypeAlias = Literal["ok", "refused", "failed", "left", "lost"]
By: TypeAlias = Literal["key", "project", "model", "target", "vendor", "outcome"]


class _Given(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a client sends: nothing in it that is not known."""


class Nothing(_Given, kw_only=True, frozen=True):
    """No fields."""


class Limits(_Given, kw_only=True, frozen=True):
    """Limits of a holder. What is missing or null is not limited. Days and months are those of UTC."""

    usd_day: Usd | None = None
    usd_month: Usd | None = None
    usd_total: Usd | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrency: Count | None = None


class NewKey(_Given, kw_only=True, frozen=True):
    """A key to be made. `models` are globs over names that may be asked for, `providers` those that may answer."""

    name: Name
    project_id: Id | None = None
    limits: Limits = field(default_factory=Limits)
    models: Annotated[list[Text], Meta(max_length=100)] = field(default_factory=list)
    providers: Annotated[list[Text], Meta(max_length=100)] = field(default_factory=list)
    expires_seconds: Annotated[int, Meta(ge=1, le=315_360_000)] | None = None


class Rotate(_Given, kw_only=True, frozen=True):
    """For how long the old key is taken too."""

    keep_old_seconds: Annotated[int, Meta(ge=0, le=31_536_000)] = 0


class NewProject(_Given, kw_only=True, frozen=True):
    """A project to be made."""

    name: Name
    limits: Limits = field(default_factory=Limits)


class KeysQuery(_Given, kw_only=True, frozen=True):
    """Which keys: of one project or all, those after a cursor."""

    project_id: Id | None = None
    after: Cursor | None = None
    most: Page = 100


class ProjectsQuery(_Given, kw_only=True, frozen=True):
    """Which projects: those after a cursor, the name of one."""

    after: Cursor | None = None
    most: Page = 100


class LimitsQuery(_Given, kw_only=True, frozen=True):
    """Which holders: those after a cursor."""

    after: Cursor | None = None
    most: Page = 100


class PeriodQuery(_Given, kw_only=True, frozen=True):
    """From one day to another, both included. The last thirty days if not said."""

    since: Day_ | None = None
    until: Day_ | None = None


class UsageQuery(PeriodQuery, kw_only=True, frozen=True):
    """By what the sums are, and how many groups at most; the rest is one more group, `rest`."""

    by: By = "model"
    most: Annotated[int, Meta(ge=1, le=50)] = 8
    key_id: Id | None = None
    project_id: Id | None = None


class CallsQuery(_Given, kw_only=True, frozen=True):
    """Which calls: the newest first, those before a cursor."""

    key_id: Id | None = None
    project_id: Id | None = None
    outcome: Outcome | None = None
    before: Cursor | None = None
    most: Page = 50


class AuditQuery(_Given, kw_only=True, frozen=True):
    """Which changes: the newest first, those before a cursor."""

    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    most: Page = 50
