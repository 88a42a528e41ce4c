"""Errors by day and kind, and indexes for what did not go well and how keys begin: no page has to read all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both, the sums from the calls that are there."""
    op.create_table(
        "error_days",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("error", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "error", "key_id", "project_id", "model", "target", "outcome", name="pk_error_days"
        ),
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
    _add_up()


def _add_up() -> None:
    names = ("at_us", "error", "key_id", "project_id", "model", "target", "outcome")
    usage = sa.table("usage", *[sa.column(name) for name in names])
    seconds = usage.c.at_us / 1_000_000
    if op.get_bind().dialect.name == "postgresql":
        at = sa.func.timezone("UTC", sa.func.to_timestamp(seconds))
        day = sa.func.to_char(at, "YYYY-MM-DD")
    else:
        day = sa.func.strftime("%Y-%m-%d", sa.cast(seconds, sa.Integer), "unixepoch")
    kinds = [
        day.label("day"),
        usage.c.error,
        *[sa.func.coalesce(usage.c[name], "").label(name) for name in names[2:]],
    ]
    one = sa.select(*kinds).where(usage.c.error.is_not(None)).subquery()
    into = sa.table("error_days", *[sa.column(name) for name in ("day", *names[1:], "calls")])
    sums = sa.select(*one.c, sa.func.count()).group_by(*one.c)
    op.execute(sa.insert(into).from_select([*one.c.keys(), "calls"], sums))
