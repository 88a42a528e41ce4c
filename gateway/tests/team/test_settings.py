"""What the tables `[team]` and `[records]` may say."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import SQLAlchemyError

import chatport
from chatport import ConfigurationError
from chatport_gateway.team.settings import read_team
from chatport_gateway.team.team import Team

LOG = structlog.get_logger("test")
SECRET = "s3cr3t-of-the-database"


def read(team: dict[str, Any], records: dict[str, Any] | None = None) -> Any:
    return read_team(
        chatport.load_config({"team": team, "records": records or {}}), {"PLACE": f"redis://:{SECRET}@h/0"}
    )


@pytest.mark.parametrize("name", ["database", "redis"])
def test_a_password_stands_in_no_file(name: str) -> None:
    """And is in no error about it; by a variable it comes in, and is not shown either."""
    address = f"{'postgresql' if name == 'database' else name}://user:{SECRET}@host/x"
    with pytest.raises(ConfigurationError, match=f"{name}_env") as caught:
        read({name: address})
    assert SECRET not in str(caught.value)
    assert getattr(read({name: address.replace(f":{SECRET}", "")}), name)
    by_variable = read({f"{name}_env": "PLACE"})
    assert SECRET in getattr(by_variable, name)
    assert SECRET not in repr(by_variable)


@pytest.mark.parametrize(
    ("team", "records", "words"),
    [
        ({"databse": "x"}, {}, "has no 'databse'"),
        ({"database": 3}, {}, "database is a text"),
        ({"folder": ""}, {}, "folder is a text"),
        ({"on_store_down": "hope"}, {}, "is one of refuse, local"),
        ({"stale_seconds": -1}, {}, "stale_seconds is a number"),
        ({"usd_day": "much"}, {}, "usd_day is a number"),
        ({"redis_env": "NOWHERE"}, {}, "NOWHERE"),
        ({}, {"content": "some"}, "is one of none, hash, full"),
        ({}, {"days": 1.5}, "days is a number"),
        ({}, {"days": True}, "days is a number"),
        ({}, {"write_second": 1}, "has no 'write_second'"),
    ],
)
def test_what_cannot_be_meant_is_an_error(team: dict[str, Any], records: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(team, records)


async def test_one_process_alone_uses_a_folder_and_gives_it_back(tmp_path: Path) -> None:
    """Also where it could not begin: the store cannot be opened, or what was left there cannot be written."""
    settings = read({"folder": str(tmp_path)})
    one = await Team.open(settings, LOG)
    words = rf"^\[team\] another gateway uses {re.escape(str(tmp_path))} already\. With a SQLite file one process"
    with pytest.raises(ConfigurationError, match=words):
        await Team.open(settings, LOG)
    await one.aclose()
    for broken in (b"no database" * 500, None):
        if broken is None:  # a schema that is there, and misses what is asked for at the start
            (tmp_path / "team.db").unlink()
            await (await Team.open(settings, LOG)).aclose()
            connection = sqlite3.connect(tmp_path / "team.db")
            connection.execute("ALTER TABLE audit RENAME TO away")
            connection.close()
        else:
            (tmp_path / "team.db").write_bytes(broken)
        with pytest.raises((ConfigurationError, SQLAlchemyError)):
            await Team.open(settings, LOG)
    connection = sqlite3.connect(tmp_path / "team.db")
    connection.execute("ALTER TABLE away RENAME TO audit")
    connection.close()
    await (await Team.open(settings, LOG)).aclose()
    assert list((tmp_path / "journal").iterdir()) == []


async def test_an_address_of_the_limits_that_is_none_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    settings = read({"folder": str(tmp_path), "redis": "http://x"})
    with pytest.raises(ConfigurationError, match=r"^\[team\] redis is an address like redis://127\.0\.0\.1:6379/0"):
        await Team.open(settings, LOG)
    assert not (tmp_path / "team.db").exists()


def test_without_a_table_there_is_no_team() -> None:
    assert read_team(chatport.load_config({})) is None


def test_the_database_is_in_the_folder_unless_it_is_elsewhere() -> None:
    assert read({"folder": "/a/b"}).database == "/a/b/team.db"
    assert read({"folder": "/a/b", "database": "/c.db"}).database == "/c.db"
    assert read({}).is_sqlite
    assert not read({"database": "postgresql://host/x"}).is_sqlite
