"""The store, on SQLite and on a real PostgreSQL: keys, limits, the audit log, sums, retention, and its schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from tests.databases import running_postgresql

from chatport import ConfigurationError
from chatport_gateway.team import schema
from chatport_gateway.team.clock import day_of, now_us, us_of
from chatport_gateway.team.figures import Figures
from chatport_gateway.team.migrate import migrate, newest_revision
from chatport_gateway.team.retention import drop_old, make_room
from chatport_gateway.team.rows import Begun, CallRow, lost
from chatport_gateway.team.secrets import digest_of
from chatport_gateway.team.store import NotThere, Store, Taken
from chatport_gateway.team.usage import Usage
from chatport_gateway.team.values import Limits

SCHEMAS = sorted(Path(__file__).with_name("schemas").glob("*.sql"))
TEXTS = {path.stem: path.read_text() for path in SCHEMAS}
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running_postgresql() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database. PostgreSQL's is the same for all tests."""
    if request.param == "sqlite":
        return str(tmp_path / "team.db")
    return str(request.getfixturevalue("postgresql"))


async def test_a_key_is_known_by_its_hash_alone(database: str) -> None:
    """It is found by what it is; what is kept does not tell what that was."""
    async with await Store.open(database) as store:
        made = await store.create_key("ci", actor="ann", limits=Limits.of(usd_day=5, concurrency=3), models=["a*"])
        assert made.secret not in repr(made)
        assert await store.find(digest_of(made.secret)) == (made.key, None, False)
        assert await store.find(digest_of(made.secret + "x")) is None
        assert await store.key(made.key.shown) == made.key
        holder = f"key:{made.key.id}"
        assert await store.limits([holder]) == {holder: Limits(usd_day_nano=5_000_000_000, concurrency=3)}
        later = datetime.now(UTC) + timedelta(hours=1)
        renewed = await store.rotate_key(made.key.id, actor="ann", old_until=later)
        assert await store.find(digest_of(made.secret)) == (renewed.key, None, True)
        assert await store.find(digest_of(renewed.secret)) == (renewed.key, None, False)
        await store.rotate_key(made.key.id, actor="ann")
        assert await store.find(digest_of(renewed.secret)) is None
        await store.revoke_key(made.key.id, actor="bob")
        done = [row for row in await store.audit() if row["subject"] == holder]
        assert [(row["actor"], row["action"]) for row in done] == [
            ("ann", "key.create"), ("ann", "key.rotate"), ("ann", "key.rotate"), ("bob", "key.revoke")
        ]  # fmt: skip
        assert made.secret not in str(done)
        with pytest.raises(NotThere):
            await store.rotate_key(made.key.id, actor="ann")


async def test_projects_have_names_of_their_own(database: str) -> None:
    """A name is taken once, and what failed leaves nothing behind."""
    async with await Store.open(database) as store:
        name = f"web {database[-6:]}"
        made = await store.create_project(name, Limits.of(usd_month=1), actor="ann")
        before = await store.last_change()
        with pytest.raises(Taken):
            await store.create_project(name, actor="ann")
        with pytest.raises(NotThere):
            await store.create_key("x", project_id="nobody", actor="ann")
        with pytest.raises(NotThere):
            await store.set_limits("key:nobody", Limits(), actor="ann")
        assert await store.last_change() == before
        assert await store.project(name) == made
        text = "'; DROP TABLE keys; --"  # a name is a value, never a statement
        assert (await store.project((await store.create_project(text + name, actor=text)).id)).name == text + name


async def test_keys_of_a_project_are_told_apart_and_changed(database: str) -> None:
    """What a key may ask for, and when it ends; who changed it is in the log, and nothing else can be changed."""
    async with await Store.open(database) as store:
        project = await store.create_project(f"its own {database[-6:]}", actor="ann")
        inside = [(await store.create_key(name, project_id=project.id, actor="ann")).key for name in "ab"]
        outside = (await store.create_key("outside", actor="ann")).key
        assert [key.id for key in await store.keys(project.id)] == sorted(key.id for key in inside)
        assert outside.id in [key.id for key in await store.keys()]
        changed = await store.change_key(
            outside.id, actor="bob", name="new", models=("a*", "b"), providers=("acme",), expires_us=7
        )
        assert (changed.name, changed.models, changed.providers, changed.expires_us) == (
            "new",
            ("a*", "b"),
            ("acme",),
            7,
        )
        assert await store.key(outside.id) == changed
        last = (await store.audit(after=await store.last_change() - 1))[-1]
        assert (last["actor"], last["action"], last["subject"]) == ("bob", "key.change", f"key:{outside.id}")
        assert last["details"]["models"] == ["a*", "b"]
        with pytest.raises(TypeError, match=r"^A key has no digest, secret to be changed\.$"):
            await store.change_key(outside.id, actor="bob", name="x", secret="s", digest=b"")
        with pytest.raises(NotThere, match="no key 'nobody'"):
            await store.change_key("nobody", actor="bob", name="x")
        assert (await store.audit(after=await store.last_change() - 1))[-1]["id"] == last["id"]


async def test_partitions_of_months_that_are_over_are_dropped_whole(postgresql: str) -> None:
    """Those of which a part is to be kept are not, nor the rows in them that are young enough."""
    async with await Store.open(postgresql) as store:
        async with store.engine.begin() as connection:
            for name, begin, end in (("2021_01", (2021, 1), (2021, 2)), ("2021_02", (2021, 2), (2021, 3))):
                first, last = (us_of(datetime(*month, 1, tzinfo=UTC)) for month in (begin, end))
                await connection.execute(
                    text(f"CREATE TABLE usage_{name} PARTITION OF usage FOR VALUES FROM ({first}) TO ({last})")
                )
        usage, border = Usage(store), us_of(datetime(2021, 2, 1, tzinfo=UTC))
        before = len(await usage.calls(most=10_000))
        at = [border - 1, border, border + DAY_US - 1, border + DAY_US, border + 2 * DAY_US]
        await usage.write([_row(900 + n, us) for n, us in enumerate(at)], "partitions", 1)
        days = (now_us() - border) // DAY_US - 1  # what is before some moment of the second of February
        assert await drop_old(store, usage_days=days, content_days=0) == 3  # those of February
        async with store.engine.connect() as connection:
            names = await connection.run_sync(lambda one: set(inspect(one).get_table_names()))
        assert "usage_2021_01" not in names
        assert "usage_2021_02" in names
        assert len(await usage.calls(most=10_000)) == before + 1
        assert await drop_old(store, usage_days=365, content_days=0) == 0
        assert len(await usage.calls(most=10_000)) == before
        async with store.engine.connect() as connection:
            assert "usage_2021_02" not in await connection.run_sync(lambda one: inspect(one).get_table_names())


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("mysql://host/x", r"^\[team\] database is sqlite:///PATH or postgresql://…, not mysql://…\.$"),
        (
            "postgresql://u:s3cret@127.0.0.1:9/x",
            r"^\[team\] database postgresql\+asyncpg://u:\*\*\*@127\.0\.0\.1:9/x cannot ",
        ),
        (
            "no database",
            r"^\[team\] database sqlite\+aiosqlite:///.*/team\.db cannot be opened: \(sqlite3\.DatabaseError\) ",
        ),
        ("sqlite://host/x", r"^\[team\] database cannot be used: Invalid SQLite URL: "),
        ("postgresql://u:s3cret@host:port/x", r"^\[team\] database is no address: its host or its port cannot "),
    ],
)
async def test_a_database_that_cannot_be_opened(database: str, words: str, tmp_path: Path) -> None:
    """It is said in a line, without a password; "no database" stands for a file that is none."""
    if database == "no database":
        database = str(tmp_path / "team.db")
        (tmp_path / "team.db").write_bytes(b"no database" * 500)
    with pytest.raises(ConfigurationError, match=words) as caught:
        await Store.open(database)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def _row(number: int, at_us: int, key: str = "k", project: str = "p") -> CallRow:
    row = lost(Begun(f"{at_us}-{number}"[-32:], at_us, "r", key, project, "chat", "m", False, 7))
    row.outcome, row.usd_nano, row.input_tokens, row.output_tokens = "ok", 3, 10, 5
    return row


async def test_sums_are_added_up_with_the_rows(database: str) -> None:
    """And a journal's position moves with them."""
    async with await Store.open(database) as store:
        await make_room(store)
        usage, now = Usage(store), now_us()
        for batch in range(3):
            rows = [_row(100 * batch + n, now + 100 * batch + n, "sums", "adding") for n in range(100)]
            await usage.write(rows, "journal", 1000 * (batch + 1))
        assert await usage.position("journal") == 3000
        standings = await usage.standings(["key:sums", "project:adding"], ["total"])
        assert {(one.usd_nano, one.tokens, one.calls) for one in standings.values()} == {(900, 4500, 300)}
        [day] = await usage.days(since="2026-01-01", by=["key_id", "model"], key_id="sums")
        assert (day["calls"], day["input_tokens"], day["usd_nano"]) == (300, 3000, 900)
        page = await usage.calls(key_id="sums", most=200)
        rest = await usage.calls(key_id="sums", most=200, before=(page[-1]["at_us"], page[-1]["id"]))
        assert (len(page), len(rest)) == (200, 100)
        with pytest.raises(ValueError, match="day"):
            await usage.days(since="2026-01-01", by=["digest"])


async def test_what_is_old_is_dropped_and_sums_stay(database: str) -> None:
    """Rows of a year ago go, those of today stay."""
    async with await Store.open(database) as store:
        await make_room(store)
        usage, now = Usage(store), now_us()
        before = len(await usage.calls(most=10_000))
        await usage.write([_row(n, now - 400 * DAY_US + n) for n in range(50)], "old", 1)
        await usage.write([_row(n, now + n) for n in range(5)], "new", 1)
        assert await drop_old(store, usage_days=365, content_days=30) == 50
        assert len(await usage.calls(most=10_000)) == before + 5


async def test_what_was_there_before_is_in_the_new_sums(database: str) -> None:
    """Taken back to the schema before and brought up again, a database has the sums that it had."""
    async with await Store.open(database) as store:
        await make_room(store)
        rows = [_row(n, now_us() + n, f"key {n % 3}", "sums of sums") for n in range(40)]
        for n, row in enumerate(rows):
            row.target = ("one:a", "two:b", None)[n % 3]
            row.outcome = ("ok", "failed", "refused", "lost")[n % 4]
            row.error = (None, "ServerError", "LimitReachedError", None)[n % 4]
        await Usage(store).write(rows, "sums", 1)
        added_up = await _all_sums(store)
        async with store.engine.begin() as connection:
            for table in (schema.usage_sums, schema.error_days):
                await connection.run_sync(table.drop)
            for name in ("ix_keys_shown", "ix_usage_outcome_at_us"):
                await connection.exec_driver_sql(f"DROP INDEX {name}")
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    async with await Store.open(database) as store:
        assert await _all_sums(store) == added_up
        assert sum(key[0] == "all" for key in added_up) >= 1


async def _all_sums(store: Store) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    async with store.engine.connect() as connection:
        for table in (schema.usage_sums, schema.error_days):
            places = len(table.primary_key.columns)
            for row in await connection.execute(select(table)):
                found[tuple(row[:places])] = tuple(round(float(number), 6) for number in row[places:])
    return found


async def test_figures_are_the_same_from_few_sums_and_from_many(database: str) -> None:
    """What is asked of one key is added up from other rows than what is asked of all."""
    async with await Store.open(database) as store:
        await make_room(store)
        at_us = us_of(datetime(2026, 6, 1 if database.startswith("postgresql") else 2, 12, tzinfo=UTC))
        rows = [_row(n, at_us + n, "alone", "only") for n in range(30)]
        for n, row in enumerate(rows):
            row.target, row.outcome = ("one:a", "one:b", "two:c", None)[n % 4], ("ok", "failed")[n % 2]
        await Usage(store).write(rows, "figures", 1)
        figures, day = Figures(store), day_of(at_us)
        for by in ("key", "project", "model", "target", "vendor", "outcome"):
            few, many = [
                await figures.by_group(by, day, day, key_id=key, project_id=None, most=9) for key in (None, "alone")
            ]
            assert [dict(row) for row in few] == [dict(row) for row in many], by
            groups = [row["group"] for row in few]
            assert sum(row["calls"] for row in few) == 30
            few, many = [
                await figures.by_group_and_day(by, groups, day, day, key_id=key, project_id=None)
                for key in (None, "alone")
            ]
            assert sorted(map(str, few)) == sorted(map(str, many))
        vendors = await figures.by_group("vendor", day, day, key_id=None, project_id=None, most=9)
        assert {row["group"]: row["failed_calls"] for row in vendors} == {"one": 8, "two": 0, "": 7}


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """It says so in words, and changes nothing."""
    database = str(tmp_path / "team.db")
    await (await Store.open(database)).close()
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer"):
        await Store.open(database)


def _differences(connection: Connection) -> list[object]:
    partitions = {name for name in inspect(connection).get_table_names() if name.startswith("usage_2")}
    context = MigrationContext.configure(connection, opts={"include_name": lambda name, *_: name not in partitions})
    found = compare_metadata(context, schema.metadata)
    return [one for one in found if "usage_rest" not in str(one)]


async def test_the_migrations_make_what_the_code_wants(database: str) -> None:
    """On both databases: what the tables are said to be is what the revisions make of them."""
    async with await Store.open(database) as store, store.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


@pytest.mark.parametrize("released", SCHEMAS, ids=lambda path: path.stem)
async def test_every_released_schema_can_be_brought_up_to_date(released: Path, tmp_path: Path) -> None:
    """With what was in it."""
    database = tmp_path / "team.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(TEXTS[released.stem])
    async with await Store.open(str(database)) as store:
        async with store.engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
        assert [key.name for key in await store.keys()] == ["kept"]
        async with store.engine.begin() as connection:
            await connection.run_sync(migrate)  # once more changes nothing


async def test_the_newest_schema_is_among_the_released(tmp_path: Path) -> None:
    """Whoever adds a revision adds what it makes: `python -m gateway.tests.team.test_store` prints it."""
    assert newest_revision() in [path.stem for path in SCHEMAS]


async def _dump(folder: Path) -> str:
    database = folder / "team.db"
    async with await Store.open(str(database)) as store, store.engine.begin() as connection:
        values = {"id": "k", "name": "kept", "shown": "cpk_kept", "digest": bytes(32), "created_us": 1}
        await connection.execute(insert(schema.keys), values)
    with sqlite3.connect(database) as dumped:
        return "\n".join(dumped.iterdump()) + "\n"


if __name__ == "__main__":
    import asyncio
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        print(asyncio.run(_dump(Path(place))))
