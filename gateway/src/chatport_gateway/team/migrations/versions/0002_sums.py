"""Sums by one thing at a time, errors by day and kind, and indexes for what is looked for: no page has to read all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SUMS = ("calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")
_KINDS = {"all": None, "key": "key_id", "project": "project_id", "model": "model", "target": "target"}


def upgrade() -> None:
    """Make them, with what is there already."""
    op.create_table(
        "usage_sums",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("failed_calls", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("usd_nano", sa.BigInteger, nullable=False),
        sa.Column("unknown_cost_calls", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("kind", "day", "name", name="pk_usage_sums"),
    )
    op.create_table(
        "error_days",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("error", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "error", "outcome", "target", name="pk_error_days"),
    )
    op.create_index("ix_keys_shown", "keys", ["shown"])
    is_not_ok = sa.column("outcome") != sa.bindparam("ok", "ok", sa.String(16), literal_execute=True)
    op.create_index(
        "ix_usage_outcome_at_us",
        "usage",
        ["outcome", "at_us", "id"],
        sqlite_where=is_not_ok,
        postgresql_where=is_not_ok,
    )
    _add_up_days()
    _add_up_errors()


def _add_up_days() -> None:
    names = ("day", "key_id", "project_id", "model", "target", "outcome")
    days = sa.table("usage_days", *[sa.column(name) for name in (*names, *_SUMS)])
    columns = ("kind", "day", "name", *_SUMS, "failed_calls")
    into = sa.table("usage_sums", *[sa.column(name) for name in columns])
    failed = sa.func.sum(sa.case((days.c.outcome.in_(("failed", "lost")), days.c.calls), else_=0))
    for kind, column in {**_KINDS, "outcome": "outcome"}.items():
        name = sa.literal("") if column is None else days.c[column]
        by = [days.c.day] if column is None else [days.c.day, days.c[column]]
        sums = sa.select(
            sa.literal(kind), days.c.day, name, *[sa.func.sum(days.c[one]) for one in _SUMS], failed
        ).group_by(*by)
        op.execute(sa.insert(into).from_select(list(columns), sums))


def _add_up_errors() -> None:
    usage = sa.table("usage", *[sa.column(name) for name in ("at_us", "error", "outcome", "target")])
    seconds = usage.c.at_us / 1_000_000
    if op.get_bind().dialect.name == "postgresql":
        day = sa.func.to_char(sa.func.timezone("UTC", sa.func.to_timestamp(seconds)), "YYYY-MM-DD")
    else:
        day = sa.func.strftime("%Y-%m-%d", sa.cast(seconds, sa.Integer), "unixepoch")
    target = sa.func.coalesce(usage.c.target, "").label("target")
    one = sa.select(day.label("day"), usage.c.error, usage.c.outcome, target).where(usage.c.error.is_not(None))
    found = one.subquery()
    into = sa.table("error_days", *[sa.column(name) for name in ("day", "error", "outcome", "target", "calls")])
    sums = sa.select(*found.c, sa.func.count()).group_by(*found.c)
    op.execute(sa.insert(into).from_select([*found.c.keys(), "calls"], sums))
