"""What the admin API answers. Money is in USD, times are RFC 3339 in UTC, `seconds` are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from .given import By, Outcome

__all__ = [
    "Audit", "AuditEntry", "Call", "Calls", "Day", "Done", "ErrorKind", "Errors", "Group", "HolderLimits",
    "KeyMade", "KeyShown", "Keys", "LimitShown", "LimitsListed", "Live", "LiveCall", "Overview", "Problem",
    "ProblemDetails", "ProjectShown", "Projects", "Standing", "Sums", "Target", "Targets", "Usage",
]  # fmt: skip


class _Told(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a client gets."""


class ProblemDetails(_Told, kw_only=True, frozen=True):
    """What went wrong: a code for programs, and words for people."""

    code: str
    message: str


class Problem(_Told, kw_only=True, frozen=True):
    """An error."""

    error: ProblemDetails


class LimitShown(_Told, kw_only=True, frozen=True):
    """One limit: what it is, what is used, held by calls under way, and left. `window` is the day, month or `total`."""

    kind: Literal["usd_day", "usd_month", "usd_total", "requests_per_minute", "tokens_per_minute", "concurrency"]
    limit: float
    used: float
    held: float
    left: float
    window: str | None = None


class HolderLimits(_Told, kw_only=True, frozen=True):
    """The limits of a holder: `gateway`, `project:ID` or `key:ID`.

    `is_set` is false where the configuration says them.
    """

    holder: str
    name: str
    is_set: bool
    limits: list[LimitShown]


class LimitsListed(_Told, kw_only=True, frozen=True):
    """Holders with limits, the gateway first."""

    holders: list[HolderLimits]
    next: str | None = None


class KeyShown(_Told, kw_only=True, frozen=True):
    """A key, of which nobody knows more than how it begins."""

    id: str
    name: str
    shown: str
    state: Literal["active", "expired", "revoked"]
    project_id: str | None
    project: str | None
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    old_until: datetime | None
    models: list[str] | None
    providers: list[str] | None


class KeyMade(_Told, kw_only=True, frozen=True):
    """A key as it was just made. `secret` is the key itself: shown this once, and kept nowhere."""

    key: KeyShown
    secret: str


class Keys(_Told, kw_only=True, frozen=True):
    """Keys by id."""

    keys: list[KeyShown]
    next: str | None = None


class ProjectShown(_Told, kw_only=True, frozen=True):
    """A project."""

    id: str
    name: str
    is_closed: bool
    created_at: datetime


class Projects(_Told, kw_only=True, frozen=True):
    """Projects by name."""

    projects: list[ProjectShown]
    next: str | None = None


class Sums(_Told, kw_only=True, frozen=True):
    """Calls, those of them that failed, their tokens and their cost. Of `unknown_cost_calls` the cost is not known."""

    calls: int = 0
    failed_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unknown_cost_calls: int = 0
    seconds: float = 0.0


class Day(Sums, kw_only=True, frozen=True):
    """The sums of one day in UTC."""

    day: str


class Group(Sums, kw_only=True, frozen=True):
    """The sums of one key, model, or whatever the sums are by, and those of its days."""

    id: str
    name: str
    days: list[Day]


class Usage(_Told, kw_only=True, frozen=True):
    """What calls have used, in all, by day, and by group; `rest` is what belongs to no group that is listed."""

    since: str
    until: str
    by: By
    total: Sums
    days: list[Day]
    groups: list[Group]
    rest: Sums


class ErrorKind(_Told, kw_only=True, frozen=True):
    """How many calls ended in one kind of error."""

    error: str
    outcome: str
    target: str
    calls: int


class Errors(_Told, kw_only=True, frozen=True):
    """Errors by kind, the most frequent first."""

    since: str
    until: str
    errors: list[ErrorKind]


class Call(_Told, kw_only=True, frozen=True):
    """One call that is over."""

    id: str
    at: datetime
    request_id: str
    key_id: str | None
    key: str | None
    project_id: str | None
    surface: str
    model: str
    target: str | None
    stream: bool
    status: int
    outcome: Outcome
    error: str | None
    finish_reason: str | None
    is_partial: bool
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    is_estimate: bool
    first_seconds: float | None
    seconds: float


class Calls(_Told, kw_only=True, frozen=True):
    """Calls, the newest first."""

    calls: list[Call]
    next: str | None = None


class LiveCall(_Told, kw_only=True, frozen=True):
    """A call that this process has under way."""

    id: str
    at: datetime
    seconds: float
    state: Literal["waiting", "asking", "streaming"]
    request_id: str
    key_id: str
    key: str
    project_id: str | None
    surface: str
    model: str
    target: str | None
    stream: bool
    reserved_usd: float | None


class Live(_Told, kw_only=True, frozen=True):
    """Calls that this process has under way, the oldest first. `open` is how many there are; not all may be listed."""

    open: int
    calls: list[LiveCall]


class Target(_Told, kw_only=True, frozen=True):
    """A target as this process sees it. `recent` is of the last minute or so, `today` of all processes."""

    target: str
    aliases: list[str]
    health: Literal["up", "failing", "down", "unused"]
    breaker: Literal["closed", "open", "half-open"]
    open_for_seconds: float
    recent_attempts: int
    recent_failed: int
    today: Sums


class Targets(_Told, kw_only=True, frozen=True):
    """Every target that a name leads to, and those that were asked lately."""

    targets: list[Target]


class Standing(_Told, kw_only=True, frozen=True):
    """What was used in a day, a month or in all."""

    usd: float
    tokens: int
    calls: int


class Overview(_Told, kw_only=True, frozen=True):
    """How this process stands, and what all of them have used."""

    version: str
    now: datetime
    open_calls: int
    waiting_bytes: int
    is_behind: bool
    is_full: bool
    lost_rows: int
    today: Standing
    month: Standing
    total: Standing
    failed_today: int
    limits: list[LimitShown]


class AuditEntry(_Told, kw_only=True, frozen=True):
    """Something that was done, and by whom."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


class Audit(_Told, kw_only=True, frozen=True):
    """What was done, the newest first."""

    entries: list[AuditEntry]
    next: int | None = None


class Done(_Told, kw_only=True, frozen=True):
    """It was done."""

    done: Literal[True] = True
