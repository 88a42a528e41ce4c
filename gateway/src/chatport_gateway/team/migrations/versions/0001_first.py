"""The first schema.

What is written here stays as it is: databases were made by it. A change is a revision of its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "projects",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("closed_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(32)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("shown", sa.String(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("old_digest", sa.LargeBinary(32)),
        sa.Column("old_until_us", sa.BigInteger),
        sa.Column("models", sa.JSON),
        sa.Column("providers", sa.JSON),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("rotated_us", sa.BigInteger),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_keys_project_id"),
        sa.UniqueConstraint("digest", name="uq_keys_digest"),
        sa.UniqueConstraint("old_digest", name="uq_keys_old_digest"),
    )
    op.create_index("ix_keys_project_id", "keys", ["project_id"])
    op.create_table(
        "limits",
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("usd_day_nano", sa.BigInteger),
        sa.Column("usd_month_nano", sa.BigInteger),
        sa.Column("usd_total_nano", sa.BigInteger),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("concurrency", sa.BigInteger),
        sa.PrimaryKeyConstraint("holder", name="pk_limits"),
    )
    op.create_table(
        "spent",
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("window", sa.String(16), nullable=False),
        sa.Column("usd_nano", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("holder", "window", name="pk_spent"),
    )
    _usage()
    op.create_table(
        "usage_days",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("usd_nano", sa.BigInteger, nullable=False),
        sa.Column("unknown_cost_calls", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("day", "key_id", "project_id", "model", "target", "outcome", name="pk_usage_days"),
    )
    op.create_table(
        "contents",
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("at_us", "id", name="pk_contents"),
    )
    op.create_table(
        "journals",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_journals"),
    )
    op.create_table(
        "audit",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )


def _usage() -> None:
    """Make the table of calls. In PostgreSQL it is one of partitions, so that old ones can be dropped whole."""
    op.create_table(
        "usage",
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("key_id", sa.String(32)),
        sa.Column("project_id", sa.String(32)),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("target", sa.String(256)),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.String(64)),
        sa.Column("finish_reason", sa.String(32)),
        sa.Column("is_partial", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.JSON),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cached_input_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("usd_nano", sa.BigInteger),
        sa.Column("is_estimate", sa.Boolean, nullable=False),
        sa.Column("reserved_nano", sa.BigInteger),
        sa.Column("cost", sa.Float),
        sa.Column("currency", sa.String(8)),
        sa.Column("cost_basis", sa.String(256)),
        sa.Column("queue_seconds", sa.Float),
        sa.Column("first_seconds", sa.Float),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("vendor_request_id", sa.String(256)),
        sa.Column("request_hash", sa.String(64)),
        sa.Column("reply_hash", sa.String(64)),
        sa.PrimaryKeyConstraint("at_us", "id", name="pk_usage"),
        postgresql_partition_by="RANGE (at_us)",
    )
    op.create_index("ix_usage_key_id_at_us", "usage", ["key_id", "at_us"])
    op.create_index("ix_usage_project_id_at_us", "usage", ["project_id", "at_us"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("CREATE TABLE usage_rest PARTITION OF usage DEFAULT"))
