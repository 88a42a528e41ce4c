"""Records: one row for every call, whatever becomes of it; none lost that was acknowledged; nothing that was said."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from chatport.testing import Emulator, faults
from chatport_gateway.team.clock import now_us
from chatport_gateway.team.journal import Journal, abandoned, entries, lines_at, locked
from chatport_gateway.team.records import Records
from chatport_gateway.team.rows import Begun, CallRow, encode, lost
from chatport_gateway.team.settings import RecordSettings
from chatport_gateway.team.store import Store

Open = Callable[..., Any]
LOG = structlog.get_logger("test")


async def test_a_row_tells_what_a_call_was(world: Open) -> None:
    """Who asked, for what, who answered, tokens, cost and its basis, times and how it ended."""
    one = await world()
    key = await one.key("ci")
    answer = await one.ask(key)
    [row] = await one.rows()
    assert row["request_id"] == answer.headers["x-request-id"]
    assert (row["key_id"], row["surface"], row["model"]) == (key.key.id, "chat", "main")
    assert (row["target"], row["status"], row["outcome"]) == ("compatible:emulated-model", 200, "ok")
    usage = answer.json()["usage"]
    assert (row["input_tokens"], row["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert row["usd_nano"] == usage["prompt_tokens"] * 10_000 + usage["completion_tokens"] * 100_000
    assert (row["currency"], row["is_estimate"], row["is_partial"]) == ("USD", False, False)
    assert row["cost_basis"]
    assert [attempt[:3] for attempt in row["attempts"]] == [["compatible:emulated-model", "ok", 200]]
    assert 0 <= row["queue_seconds"] <= row["seconds"]
    assert row["reserved_nano"] >= row["usd_nano"]
    assert row["request_hash"] is None
    await one.ask(key, stream=True)
    streamed = (await one.rows())[-1]
    assert streamed["stream"]
    assert 0 < streamed["first_seconds"] <= streamed["seconds"]


async def test_every_end_has_its_row(world: Open) -> None:
    """Refused by us, refused by the vendor, tried twice, cut in the middle, and left by its client."""
    emulator = Emulator(
        "compatible", faults=[faults.status(400), faults.status(500), "none", faults.cut(after_events=3)]
    )
    one = await world(emulator, retry={"attempts": 2, "first_seconds": 0.01})
    key = await one.key("ci")
    assert (await one.ask(await one.key("poor", usd_total=0.0))).status_code == 429
    assert (await one.ask(key)).status_code == 400
    assert (await one.ask(key)).status_code == 200
    assert (await one.ask(key, "say: " + "word " * 50, stream=True, max_tokens=200)).status_code == 200
    refused, bad, twice, cut = await one.rows()
    assert (refused["outcome"], refused["error"], refused["usd_nano"]) == ("refused", "BudgetExceededError", None)
    assert (bad["outcome"], bad["error"], bad["usd_nano"]) == ("failed", "BadRequestError", 0)
    assert (twice["outcome"], len(twice["attempts"])) == ("ok", 2)
    assert (cut["outcome"], cut["is_partial"], cut["error"]) == ("failed", True, "StreamInterruptedError")
    assert 0 < cut["usd_nano"] <= cut["reserved_nano"]


async def test_a_client_that_leaves_pays_for_what_had_come(world: Open) -> None:
    """Neither nothing, nor all that might have come; and it holds nothing any more."""
    with Emulator("compatible", faults=[faults.stall(after_events=5)]) as emulator:
        one = await world(emulator, is_on_port=True)
        key = await one.key("ci", concurrency=1)
        with anyio.move_on_after(2.0):
            await one.ask(key, "say: " + "word " * 500, stream=True, max_tokens=100_000)
        [row] = await one.rows()
    assert (row["outcome"], row["is_partial"], row["is_estimate"]) == ("left", True, True)
    assert 0 < row["usd_nano"] < row["reserved_nano"] / 100
    assert one.team.accounts.get(f"key:{key.key.id}").slots.held == 0


async def test_sums_are_those_of_the_rows(world: Open) -> None:
    """Of days and of holders."""
    one = await world()
    project = await one.team.store.create_project("web", actor="test")
    keys = [await one.key("a", project_id=project.id), await one.key("b", project_id=project.id)]
    await asyncio.gather(*[one.ask(keys[n % 2]) for n in range(20)])
    rows = await one.rows()
    total = sum(row["usd_nano"] for row in rows)
    usage = one.team.records.usage
    [day] = await usage.days(since="2026-01-01", by=["project_id"])
    assert (day["calls"], day["usd_nano"], day["project_id"]) == (20, total, project.id)
    assert len(await usage.days(since="2026-01-01", by=["key_id"])) == 2
    standings = await usage.standings(["gateway", f"project:{project.id}", f"key:{keys[0].key.id}"], ["total"])
    assert [one.usd_nano for one in standings.values() if one.holder != f"key:{keys[0].key.id}"] == [total, total]


async def test_names_that_a_key_makes_up_are_one_in_the_sums(world: Open) -> None:
    """Rows have them as they were; sums by name would grow as somebody likes."""
    one = await world()
    key, narrow = await one.key("ci"), await one.key("narrow", models=["other"])
    for number in range(5):
        assert (await one.ask(key, model=f"made-up-{number}")).status_code == 404
        assert (await one.ask(narrow, model=f"elsewhere-{number}")).status_code in (403, 404)
    assert len({row["model"] for row in await one.rows()}) == 10
    for table in ("usage_days", "error_days"):
        assert len(one.sql(f"SELECT * FROM {table}")) <= 4, table
    assert one.sql("SELECT DISTINCT model FROM usage_days") == [("",)]


@pytest.mark.parametrize("content", ["none", "hash", "full"])
async def test_what_was_said_is_kept_only_where_asked(world: Open, content: str, tmp_path: Path) -> None:
    """And what looks like a key is not, nor is the gateway's own: not in the database, its log, or the journal."""
    one = await world(records={"content": content})
    key = await one.key("ci")
    said = "say: canary-prompt sk-canary0123456789abcdefghij"
    await one.ask(key, said, max_tokens=100)
    everything = _all_bytes(tmp_path)
    [row] = await one.rows()
    everything += _all_bytes(tmp_path)
    assert (b"canary-prompt" in everything) == (content == "full")
    assert b"sk-canary" not in everything
    assert key.secret.encode() not in everything
    assert (row["request_hash"] is not None) == (content != "none")
    if content == "full":
        [(request, reply)] = one.sql("SELECT request, reply FROM contents")
        assert "canary-prompt" in json.loads(request)["messages"][0]["content"]
        assert "canary-prompt" in json.loads(reply)["text"]


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _begun(number: int) -> Begun:
    return Begun(f"call{number}", now_us(), f"req{number}", "k", None, "chat", "m", False, 7)


def _ended(call: Begun) -> CallRow:
    row = lost(call)
    row.outcome, row.status, row.usd_nano = "ok", 200, 5
    return row


async def _rows(store: Store, records: Records) -> dict[str, str]:
    return {row["id"]: row["outcome"] for row in await records.usage.calls()}


async def test_what_a_process_left_is_taken_over_once(tmp_path: Path) -> None:
    """What had ended is in the sums, what had not is lost, and a line that was being written is neither."""
    folder = tmp_path / "journal"
    async with await Store.open(str(tmp_path / "team.db")) as store:
        dead = Journal(folder)
        calls = [_begun(n) for n in range(5)]
        for call in calls:
            dead.append(encode(call))
        for call in calls[:3]:
            dead.append(encode(_ended(call)))
        first = Records(store, folder, RecordSettings(), LOG)
        await first.usage.write(
            [_ended(calls[0])], dead.name, len(b"".join([*map(encode, calls), encode(_ended(calls[0]))]))
        )
        dead.append(encode(_ended(calls[3]))[:-20])
        dead.close(remove=False)  # as the end of its process would: the lock is free
        await first.start()
        expected = {"call0": "ok", "call1": "ok", "call2": "ok", "call3": "lost", "call4": "lost"}
        assert await _rows(store, first) == expected
        await first.stop()
        second = Records(store, folder, RecordSettings(), LOG)
        await second.start()
        assert await _rows(store, second) == expected
        [standing] = (await second.usage.standings(["gateway"], ["total"])).values()
        assert (standing.usd_nano, standing.calls) == (15, 5)
        await second.stop()
        assert list(folder.iterdir()) == []


async def test_a_line_that_is_broken_is_passed_over(tmp_path: Path) -> None:
    """In the middle of a journal, too; what comes after it counts."""
    folder = tmp_path / "journal"
    async with await Store.open(str(tmp_path / "team.db")) as store:
        dead = Journal(folder)
        for call in (_begun(0), _begun(1)):
            dead.append(encode(call))
            dead.append(b'{"type": "nothing of ours"}\n{"half\n')
            dead.append(encode(_ended(call)))
        dead.close(remove=False)
        records = Records(store, folder, RecordSettings(), LOG)
        await records.start()
        assert await _rows(store, records) == {"call0": "ok", "call1": "ok"}
        await records.stop()


def test_lines_are_read_whole_however_long_they_are(tmp_path: Path) -> None:
    """About so many bytes at once; a last one that has no end is not there yet."""
    data = b"ab\n" + b"c" * 100 + b"\nde\nfg"
    (tmp_path / "lines").write_bytes(data)
    with (tmp_path / "lines").open("rb") as file:
        assert lines_at(file, 0, 8) == b"ab\n"
        assert lines_at(file, 3, 6) == b"c" * 100 + b"\n"
        assert lines_at(file, 3, 1000) == data[3:-2]
        assert lines_at(file, 104, 8) == b"de\n"
        assert lines_at(file, 107, 1) == b""
        assert lines_at(file, 109, 8) == b""


def test_a_journal_that_somebody_else_takes_over_is_left_to_them(tmp_path: Path) -> None:
    """Whether it is locked, or gone between two looks."""
    for name in "abc":
        (tmp_path / f"{name}.journal").write_bytes(b"")
    with (tmp_path / "b.journal").open("rb") as theirs:
        assert locked(theirs)
        found = abandoned(tmp_path)
        name, _, file = next(found)
        assert name == "a"
        (tmp_path / "c.journal").unlink()
        assert list(found) == []
        file.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int | None]]:
    """Return a list whose one number is how many bytes of a line the disk takes; None: all of it."""
    takes: list[int | None] = [None]
    real = os.write

    def write(number: int, data: bytes) -> int:
        most = takes[0]
        if most is None or data == b"\n":
            return real(number, data)
        if not most:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(number, data[:most])

    monkeypatch.setattr("chatport_gateway.team.journal.os.write", write)
    yield takes
    takes[0] = None


def test_what_a_full_disk_took_of_a_line_ends_there(tmp_path: Path, disk: list[int | None]) -> None:
    """So that the next line is whole, and the size is that of the file."""
    journal, call = Journal(tmp_path), _begun(0)
    disk[0] = 9
    with pytest.raises(OSError, match=r"^The disk of the journal is full\.$"):
        journal.append(encode(call))
    disk[0] = None
    journal.append(encode(call))
    data = journal.path.read_bytes()
    assert data == encode(call)[:9] + b"\n" + encode(call)
    assert (journal.size, list(entries(data))) == (len(data), [call])
    assert journal.read(0, 1000) == data
    journal.close(remove=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [0, 9])
async def test_a_full_disk_lets_no_call_pass_and_holds_nothing(world: Open, disk: list[int | None], most: int) -> None:
    """Nothing is sent, and once there is room all goes on."""
    one = await world(records={"write_seconds": 600})
    key = await one.key("ci", concurrency=1, usd_total=1.0, requests_per_minute=100)
    assert (await one.ask(key)).status_code == 200
    disk[0] = most
    for _ in range(2):
        refused = await one.ask(key)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "true")
        assert "The gateway cannot write records now, so no call is let pass." in refused.json()["error"]["message"]
    disk[0] = None
    assert (await one.ask(key)).status_code == 503  # until something was written, which may have made room
    assert len(one.emulator.requests) == 1
    account = one.team.accounts.get(f"key:{key.key.id}")
    assert (account.slots.held, account.money["usd_total"].held) == (0, 0)
    spent = sum(row["usd_nano"] or 0 for row in await one.rows())
    assert (account.money["usd_total"].spent, spent) == (spent, 200_000)  # what nobody was asked for costs nothing
    assert (await one.ask(key)).status_code == 200
    assert one.team.records.open_calls == 0


async def test_an_answer_is_not_lost_for_want_of_its_record(world: Open, disk: list[int | None]) -> None:
    """What finds no room at the end of a call is counted and said; the client has its answer."""
    one = await world(records={"write_seconds": 600})
    key = await one.key("ci")
    with structlog.testing.capture_logs() as logs:
        one.team.records._log = structlog.get_logger()
        record = _begun(1)
        one.team.records.begin(record)
        disk[0] = 0
        one.team.records.end(_ended(record))
        disk[0] = None
    [told] = [line for line in logs if line["event"] == "record_lost"]
    assert (told["request_id"], told["error"]) == ("req1", "[Errno 28] No space left on device")
    assert (one.team.records.lost_rows, one.team.records.open_calls) == (1, 0)
    assert one.team.records.is_full
    await one.team.records.flush()
    assert not one.team.records.is_full
    assert (await one.ask(key)).status_code == 200


async def test_while_the_database_is_away_it_is_said_once_and_tried_again(tmp_path: Path) -> None:
    """The waits double, from a tenth of a second to five; and then all is written."""
    async with await Store.open(str(tmp_path / "team.db")) as store:
        records = Records(store, tmp_path / "journal", RecordSettings(write_seconds=0.01), LOG)
        call = _begun(1)
        records.begin(call)
        records.end(_ended(call))
        _sql(tmp_path, "ALTER TABLE usage RENAME TO away")
        with structlog.testing.capture_logs() as logs:
            records._log = structlog.get_logger()
            waits = [await records._write() for _ in range(8)]
        assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
        assert records.is_behind
        [told] = [line for line in logs if line["event"] == "records_wait"]
        assert told["error"].startswith("OperationalError: ")
        assert len(told["error"]) <= 300
        _sql(tmp_path, "ALTER TABLE away RENAME TO usage")
        assert await records._write() == 0.01
        assert (records.is_behind, records.waiting_bytes) == (False, 0)
        assert await _rows(store, records) == {"call1": "ok"}
        await records.stop()


async def test_old_records_are_dropped_each_hour_as_the_settings_say(tmp_path: Path) -> None:
    """What goes wrong then is said, and tried again an hour later."""
    async with await Store.open(str(tmp_path / "team.db")) as store:
        records = Records(store, tmp_path / "journal", RecordSettings(days=10, content_days=5), LOG)
        day = 86_400_000_000
        rows = [_ended(_begun(number)) for number in range(4)]
        for row, days in zip(rows, (0, 4, 6, 11), strict=True):
            row.at_us -= days * day
            row.request, row.reply = "{}", "{}"
        await records.usage.write(rows, "some", 1)
        assert await records._maintain() == 3600.0
        assert set(await _rows(store, records)) == {"call0", "call1", "call2"}
        assert _sql(tmp_path, "SELECT count(*) FROM contents") == [(2,)]
        _sql(tmp_path, "ALTER TABLE usage RENAME TO away")
        with structlog.testing.capture_logs() as logs:
            records._log = structlog.get_logger()
            assert await records._maintain() == 3600.0
        [told] = logs
        assert told["event"] == "maintenance_failed"
        assert told["error"].startswith("OperationalError: ")
        _sql(tmp_path, "ALTER TABLE away RENAME TO usage")
        await records.stop()


def _sql(folder: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(folder / "team.db", isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_calls_of_tools_are_kept_with_what_was_said(world: Open) -> None:
    one = await world(records={"content": "full"})
    key = await one.key("ci")
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    await one.ask(key, 'call: look_up {"a": 1}', tools=[tool])
    await one.ask(key, "say: hi", max_tokens=30)
    await one.rows()
    called, said = [json.loads(reply) for [reply] in one.sql("SELECT reply FROM contents ORDER BY at_us")]
    [call] = called["tool_calls"]
    assert call.keys() == {"id", "name", "arguments"}
    assert (call["name"], call["arguments"]) == ("look_up", '{"a": 1}')
    assert (said["text"], "tool_calls" in said) == ("hi", False)


async def test_a_journal_begins_anew_and_keeps_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file grows for ever; a call that is under way meanwhile is not lost."""
    monkeypatch.setattr("chatport_gateway.team.records._ROTATED_BYTES", 2000)
    async with await Store.open(str(tmp_path / "team.db")) as store:
        records = Records(store, tmp_path / "journal", RecordSettings(write_seconds=0.01), LOG)
        await records.start()
        slow = _begun(0)
        records.begin(slow)
        for number in range(1, 60):
            call = _begun(number)
            records.begin(call)
            records.end(_ended(call))
            await asyncio.sleep(0.005)
        assert records.waiting_bytes < 10_000
        records.end(_ended(slow))
        await records.flush()
        assert len(await records.usage.calls()) == 60
        await records.stop()


@pytest.mark.parametrize("steps", range(6))
async def test_a_batch_is_written_once_whoever_stops_waiting_for_it(tmp_path: Path, steps: int) -> None:
    """It goes on in a thread: what it writes is noted, and not written a second time."""
    async with await Store.open(str(tmp_path / "team.db")) as store:
        records = Records(store, tmp_path / "journal", RecordSettings(write_seconds=600), LOG)
        for call in [_begun(n) for n in range(60)]:
            records.begin(call)
            records.end(_ended(call))
        waiting = asyncio.create_task(records.flush())
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await records.flush()
        assert len(await records.usage.calls()) == 60
        [standing] = (await records.usage.standings(["gateway"], ["total"])).values()
        assert standing.calls == 60
        await records.stop()


async def test_a_full_journal_lets_no_call_pass(world: Open) -> None:
    """Rather than calls of which nobody knows."""
    one = await world(records={"journal_bytes": 1, "write_seconds": 600})
    key = await one.key("ci")
    assert (await one.ask(key)).status_code == 200
    refused = await one.ask(key)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "true")
    await one.team.records.flush()
    assert (await one.ask(key)).status_code == 200


@pytest.mark.parametrize("number", [1, 25, 57])
async def test_many_rows_at_once_are_each_what_they_are(world: Callable[..., Any], number: int) -> None:
    here = await world()
    key = await here.key()
    await here.ask(key)
    first = (await here.rows())[0]
    made = [
        changed(
            first, id=f"row-{place:03}", request_id=f"req-{place}", input_tokens=place, attempts=[["t", "ok", place]]
        )
        for place in range(number)
    ]
    await here.team.records.usage.write(made, "another", 1)
    rows = {row["id"]: row for row in await here.rows()}
    assert len(rows) == number + 1
    for place in range(number):
        row = rows[f"row-{place:03}"]
        assert (row["request_id"], row["input_tokens"]) == (f"req-{place}", place)
        assert row["attempts"] == [["t", "ok", place]]
        assert {name: row[name] for name in ("model", "target", "seconds", "usd_nano", "stream")} == {
            name: first[name] for name in ("model", "target", "seconds", "usd_nano", "stream")
        }


def changed(row: Mapping[str, Any], **other: Any) -> CallRow:
    """Return a row as the journal has it, with some of it changed."""
    known = {name: row[name] for name in CallRow.__struct_fields__ if name in row}
    return CallRow(**{**known, **other})
