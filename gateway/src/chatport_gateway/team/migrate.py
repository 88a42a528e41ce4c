"""The schema of a database, brought to what this version wants. Alembic does it, with no file of its own.

A database that a newer version has been at is left alone: an older one would write into tables that it does not know.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url

from chatport import ConfigurationError

__all__ = ["migrate", "newest_revision", "one_by_one"]

_LOCK = 0x63686174706F7274  # "chatport", as PostgreSQL's lock has a number


def migrate(connection: Connection) -> None:
    """Bring the schema up to date, in the connection's transaction; two processes that start do it one by one.

    Raises ConfigurationError for a database of a newer version.
    """
    one_by_one(connection)
    revision = MigrationContext.configure(connection).get_current_revision()
    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigurationError(
            f"The database {_shown(connection)} has the schema {revision}, which is newer than this chatport-gateway. "
            "Upgrade it, or go back to a backup from before."
        )
    command.upgrade(config, "head")


def one_by_one(connection: Connection) -> None:
    """Wait until no other process changes the schema, and let none until this transaction is over."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def newest_revision() -> str:
    """Return the revision that this version wants."""
    return str(ScriptDirectory.from_config(_config(None)).get_current_head())


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def _shown(connection: Connection) -> str:
    return make_url(connection.engine.url).render_as_string(hide_password=True)
