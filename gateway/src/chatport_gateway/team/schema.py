"""The tables of the store, as SQLAlchemy's core has them. Every statement is made of these, and none of text.

Money is in nanodollars (`*_nano`): whole numbers, which add up in every database, and of which a 64-bit integer holds
nine thousand million dollars. Times are UTC, as microseconds since 1970 (`*_us`): sorted and compared alike everywhere.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    bindparam,
    column,
)

__all__ = [
    "audit",
    "contents",
    "error_days",
    "journals",
    "keys",
    "limits",
    "metadata",
    "projects",
    "spent",
    "usage",
    "usage_days",
    "usage_sums",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OK = bindparam("ok", "ok", String(16), literal_execute=True)
"""As it stands in an index: a database takes that index where a statement says the same, with no parameter."""

_ID = String(32)
_BIG = BigInteger().with_variant(Integer, "sqlite")  # which counts by itself in columns of this type alone

projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("closed_us", BigInteger),
)

keys = Table(
    "keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), index=True),
    Column("name", String(200), nullable=False),
    Column("shown", String(32), nullable=False, index=True),  # the beginning of the key, for people
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("old_digest", LargeBinary(32), unique=True),  # of the key before, taken until `old_until_us`
    Column("old_until_us", BigInteger),
    Column("models", JSON(none_as_null=True)),  # globs over the names that clients may ask for; null: all
    Column("providers", JSON(none_as_null=True)),  # those that may answer; null: all
    Column("created_us", BigInteger, nullable=False),
    Column("rotated_us", BigInteger),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
)

limits = Table(
    "limits",
    metadata,
    Column("holder", String(64), primary_key=True),  # "gateway", "project:ID", "key:ID"
    Column("usd_day_nano", BigInteger),
    Column("usd_month_nano", BigInteger),
    Column("usd_total_nano", BigInteger),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrency", BigInteger),
)

spent = Table(
    "spent",
    metadata,
    Column("holder", String(64), nullable=False),
    Column("window", String(16), nullable=False),  # "2026-11-30", "2026-11", "total"
    Column("usd_nano", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    PrimaryKeyConstraint("holder", "window"),
)

usage = Table(
    "usage",
    metadata,
    Column("at_us", BigInteger, nullable=False),  # when it was asked
    Column("id", _ID, nullable=False),  # our own: two calls never share it
    Column("request_id", String(128), nullable=False),  # as the client was told, or has said itself
    Column("key_id", _ID),
    Column("project_id", _ID),
    Column("surface", String(32), nullable=False),
    Column("model", String(256), nullable=False),  # as asked for
    Column("target", String(256)),  # "provider:model" that answered
    Column("stream", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("error", String(64)),
    Column("finish_reason", String(32)),
    Column("is_partial", Boolean, nullable=False),
    Column("attempts", JSON(none_as_null=True)),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_input_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("usd_nano", BigInteger),  # null: not known
    Column("is_estimate", Boolean, nullable=False),
    Column("reserved_nano", BigInteger),
    Column("cost", Float),  # as the vendor's prices have it, in `currency`
    Column("currency", String(8)),
    Column("cost_basis", String(256)),
    Column("queue_seconds", Float),
    Column("first_seconds", Float),
    Column("seconds", Float, nullable=False),
    Column("vendor_request_id", String(256)),
    Column("request_hash", String(64)),
    Column("reply_hash", String(64)),
    PrimaryKeyConstraint("at_us", "id"),
    Index(None, "key_id", "at_us"),
    Index(None, "project_id", "at_us"),
    Index(  # what did not go well is seldom, and looked for
        "ix_usage_outcome_at_us",
        "outcome",
        "at_us",
        "id",
        sqlite_where=column("outcome") != OK,
        postgresql_where=column("outcome") != OK,
    ),
    postgresql_partition_by="RANGE (at_us)",
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("day", String(10), nullable=False),
    Column("key_id", _ID, nullable=False),  # "" for calls without a key, so that it can be part of the primary key
    Column("project_id", _ID, nullable=False),
    Column("model", String(256), nullable=False),
    Column("target", String(256), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("usd_nano", BigInteger, nullable=False),
    Column("unknown_cost_calls", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    PrimaryKeyConstraint("day", "key_id", "project_id", "model", "target", "outcome"),
)

usage_sums = Table(  # the same once more, by one thing at a time: few rows, for whoever asks for months of it
    "usage_sums",
    metadata,
    Column("kind", String(8), nullable=False),  # "all", "key", "project", "model", "target", "outcome"
    Column("day", String(10), nullable=False),
    Column("name", String(256), nullable=False),  # the id, name or outcome; "" of "all"
    Column("calls", BigInteger, nullable=False),
    Column("failed_calls", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("usd_nano", BigInteger, nullable=False),
    Column("unknown_cost_calls", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    PrimaryKeyConstraint("kind", "day", "name"),
)

error_days = Table(
    "error_days",
    metadata,
    Column("day", String(10), nullable=False),
    Column("error", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("target", String(256), nullable=False),
    Column("calls", BigInteger, nullable=False),
    PrimaryKeyConstraint("day", "error", "outcome", "target"),
)

contents = Table(
    "contents",
    metadata,
    Column("at_us", BigInteger, nullable=False),
    Column("id", _ID, nullable=False),
    Column("request", Text, nullable=False),
    Column("reply", Text, nullable=False),
    PrimaryKeyConstraint("at_us", "id"),
)

journals = Table(
    "journals",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),  # how many of its bytes are in `usage`
    Column("at_us", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(64), nullable=False),  # a holder, see `limits`
    Column("details", JSON(none_as_null=True), nullable=False),
)
