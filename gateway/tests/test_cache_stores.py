"""Where the cache keeps answers: each store gives back what it was given, the newest, and no more than it may hold."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.databases import RedisServer, running_redis

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway
from chatport_gateway.caching.redis import PREFIX, RedisStore
from chatport_gateway.caching.sqlite import SqliteStore
from chatport_gateway.caching.store import Entry, MemoryStore, Store

from .asking import PROTOCOLS

pytestmark = pytest.mark.anyio
MOST_BYTES = 1000
TTL = 100.0
LOG = structlog.get_logger()


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Run one for all tests of this file."""
    with running_redis() as server:
        yield server


@asynccontextmanager
async def made(kind: str, folder: Path, redis: RedisServer | None = None) -> AsyncIterator[Store]:
    """Open a store of a kind, empty."""
    if kind == "memory":
        store: Store = MemoryStore(MOST_BYTES)
    elif kind == "sqlite":
        store = SqliteStore(str(folder / "cache.db"), MOST_BYTES, LOG)
    else:
        assert redis is not None
        store = RedisStore(redis.url, MOST_BYTES, prefix=f"{{{os.urandom(4).hex()}}}")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


KINDS = ["memory", "sqlite", "redis"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_put_is_got(kind: str, tmp_path: Path, redis: RedisServer) -> None:
    async with made(kind, tmp_path, redis) as store:
        assert await store.get(b"a" * 32) is None
        for at, data in ((1.5, b"\x00\xff some"), (2.25, b""), (3.0, b"another")):
            await store.put(b"a" * 32, Entry(data, at), TTL)
            assert await store.get(b"a" * 32) == Entry(data, at)
        assert await store.get(b"b" * 32) is None


@pytest.mark.parametrize("kind", KINDS)
async def test_it_holds_the_newest_and_no_more_than_it_may(kind: str, tmp_path: Path, redis: RedisServer) -> None:
    async with made(kind, tmp_path, redis) as store:
        for number in range(50):
            await store.put(b"%032d" % number, Entry(bytes(90), 1000.0 + number), TTL)
        held = [number for number in range(50) if await store.get(b"%032d" % number) is not None]
        assert held == list(range(50 - len(held), 50))
        assert len(held) == {"memory": 11, "sqlite": 11, "redis": 7}[kind]  # there 40 bytes go with each
        await store.put(b"%032d" % 99, Entry(bytes(900), 2000.0), TTL)
        assert await store.get(b"%032d" % 49) is None  # as old as that


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(puts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 60)), max_size=25))
def test_stores_agree_with_a_list(tmp_path: Path, puts: list[tuple[int, int, int]]) -> None:
    """Whatever is put in which order: what is there is the newest of each key, within the bound and not too old."""

    async def check() -> None:
        for kind in ("memory", "sqlite"):
            folder = tmp_path / os.urandom(4).hex()
            async with made(kind, folder) as store:
                model: dict[bytes, Entry] = {}
                now = 1000.0
                for key, size, later in puts:
                    now += later + 0.001
                    entry = Entry(bytes(size), now)
                    model.pop(b"%d" % key, None)
                    model[b"%d" % key] = entry
                    await store.put(b"%d" % key, entry, TTL)
                    while sum(len(one.data) for one in model.values()) > MOST_BYTES:
                        del model[next(iter(model))]
                    model = {name: one for name, one in model.items() if one.at_seconds > now - TTL}
                    for name in [b"%d" % number for number in range(6)]:
                        assert await store.get(name) == model.get(name)

    anyio.run(check)


# --- SQLite


async def test_a_file_is_its_owners_alone_and_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.db"
    store = SqliteStore(str(path), MOST_BYTES, LOG)
    await store.open()
    await store.put(b"k", Entry(b"v", 1.0), TTL)
    for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    other = SqliteStore(str(path), MOST_BYTES, LOG)  # as another process has it
    await other.open()
    assert await other.get(b"k") == Entry(b"v", 1.0)
    await other.put(b"o", Entry(b"w", 2.0), TTL)
    assert await store.get(b"o") == Entry(b"w", 2.0)
    await other.close()
    await store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("chatport-cache")]


async def test_two_that_share_a_file_keep_its_bound_together(tmp_path: Path) -> None:
    """Each sums up anew now and then, so what the other has written counts."""
    async with made("sqlite", tmp_path) as one, made("sqlite", tmp_path) as two:
        for number in range(130):
            await (one if number % 2 else two).put(b"%d" % number, Entry(bytes(90), float(number)), 1e6)
        with sqlite3.connect(tmp_path / "cache.db") as connection:
            [(size,)] = connection.execute("SELECT sum(size) FROM kept").fetchall()
        connection.close()
        assert size <= 2 * MOST_BYTES


@pytest.mark.parametrize("damage", [b"this is no database at all, and longer than a header of one" * 20, b"half"])
async def test_a_file_that_is_broken_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(damage)
    store = SqliteStore(str(path), MOST_BYTES, LOG)
    with structlog.testing.capture_logs() as logs:
        await store.open()
    await store.put(b"k", Entry(b"v", 1.0), TTL)
    assert await store.get(b"k") == Entry(b"v", 1.0)
    await store.close()
    assert [line["event"] for line in logs] == ["cache_begun_anew"]
    assert path.with_suffix(".db.broken").read_bytes() == damage  # a test may wait


async def test_a_file_that_breaks_while_it_is_used(tmp_path: Path) -> None:
    """Pages in the middle of it are overwritten: what is asked then is not there, and it goes on."""
    path = tmp_path / "cache.db"
    store = SqliteStore(str(path), 10_000_000, LOG)
    await store.open()
    for number in range(100):
        await store.put(b"%d" % number, Entry(os.urandom(3000), 1000.0 + number), TTL)
    await store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xee" * (len(data) - 4096)
    path.write_bytes(data)
    store = SqliteStore(str(path), 10_000_000, LOG)
    await store.open()
    for number in range(100):
        found = await store.get(b"%d" % number)
        assert found is None or len(found.data) == 3000
    await store.put(b"new", Entry(b"v", 2000.0), TTL)
    assert await store.get(b"new") == Entry(b"v", 2000.0)
    await store.close()


async def test_a_file_without_its_table_is_not_broken_and_is_made_up_for(tmp_path: Path) -> None:
    """Whoever asks then is told that it failed; whoever comes next finds it mended, with nothing set aside."""
    path = tmp_path / "cache.db"
    store = SqliteStore(str(path), MOST_BYTES, LOG)
    await store.open()
    asked: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.get(b"k"), lambda: store.put(b"k", Entry(b"v", 1.0), TTL)
    ]  # fmt: skip
    with structlog.testing.capture_logs() as logs:
        for ask in asked:
            await store.put(b"k", Entry(b"old", 1.0), TTL)
            with sqlite3.connect(path) as connection:
                connection.execute("DROP TABLE kept")
            connection.close()
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await ask()
            assert await store.get(b"k") is None
    assert logs == []
    assert not any("broken" in name for name in os.listdir(tmp_path))
    await store.close()


async def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    """And nothing half done: what comes next is written."""
    async with made("sqlite", tmp_path) as store:
        await store.put(b"k", Entry(b"v", 1.0), TTL)
        with pytest.raises(OverflowError):
            await store.put(b"k", Entry(b"w", 2**70), TTL)
        assert await store.get(b"k") == Entry(b"v", 1.0)
        await store.put(b"l", Entry(b"w", 2.0), TTL)
        assert await store.get(b"l") == Entry(b"w", 2.0)


async def test_one_that_is_closed_is_not_used_and_may_be_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "cache.db"), MOST_BYTES, LOG)
    with pytest.raises(RuntimeError, match=r"^The cache is closed\.$"):
        await store.get(b"k")
    await store.open()
    await store.put(b"k", Entry(b"v", 1.0), TTL)
    await store.close()
    await store.close()
    with pytest.raises(RuntimeError, match=r"^The cache is closed\.$"):
        await store.put(b"k", Entry(b"w", 1.0), TTL)
    await store.open()
    assert await store.get(b"k") == Entry(b"v", 1.0)
    await store.close()


async def test_the_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    store = SqliteStore(str(path), MOST_BYTES, LOG)
    with pytest.raises(chatport.ConfigurationError, match="of something else"):
        await store.open()
    await store.close()
    assert path.read_bytes() == before


async def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    gateway = Gateway({"cache": {"store": str(tmp_path / "file" / "cache.db")}})
    with pytest.raises(chatport.ConfigurationError, match=r"\[cache\] store: .* cannot be used"):
        await gateway.open()
    await gateway.aclose()


# --- Redis


async def test_entries_and_what_is_known_of_them_expire(redis: RedisServer) -> None:
    """Where nobody asks any more, nothing is left."""
    import coredis

    prefix = "{expiring}"
    store = RedisStore(redis.url, MOST_BYTES, prefix=prefix)
    await store.open()
    await store.put(b"k", Entry(b"v", 1000.0), TTL)
    async with coredis.Redis.from_url(redis.url) as client:
        assert 0 < await client.pttl(f"{prefix}:k:{b'k'.hex()}") <= TTL * 1000
        for name in ("ages", "sizes", "total"):
            assert 0 < await client.pttl(f"{prefix}:{name}") <= TTL * 2000
        await store.put(b"l", Entry(b"w", 1000.0 + TTL), TTL)
        assert await client.zcard(f"{prefix}:ages") == 1
        assert int(await client.get(f"{prefix}:total") or 0) == 10
    await store.close()


async def test_who_gives_up_waiting_gets_nobody_an_answer_of_another(redis: RedisServer) -> None:
    """Clients leave while the store is asked, at any moment; whoever asks beside them gets what is theirs."""
    store = RedisStore(redis.url, 10_000_000, prefix="{leaving}")
    await store.open()
    keys = [b"%032d" % number for number in range(20)]
    for key in keys:
        await store.put(key, Entry(key * 20, 1000.0), 1e6)

    answered: list[bytes] = []

    async def ask(number: int) -> None:
        key = keys[number % len(keys)]
        if number % 3:
            with anyio.move_on_after((number % 7) * 0.0002):
                await store.get(key)
            return
        try:
            found = await store.get(key)
        except (TimeoutError, ConnectionError):  # a machine that is very busy; the vendor is asked then
            return
        assert found is not None
        assert found.data == key * 20
        answered.append(key)

    for _ in range(10):
        await asyncio.gather(*[ask(number) for number in range(60)])
    assert answered
    await store.close()


async def test_an_entry_of_another_key_is_not_taken(redis: RedisServer) -> None:
    import coredis

    store = RedisStore(redis.url, 10_000_000, prefix="{mixed}")
    await store.open()
    await store.put(b"a" * 32, Entry(b"of a", 1000.0), 1e6)
    async with coredis.Redis.from_url(redis.url) as client:
        value = await client.get(f"{{mixed}}:k:{(b'a' * 32).hex()}")
        assert value is not None
        await client.set(f"{{mixed}}:k:{(b'b' * 32).hex()}", value)
    with pytest.raises(ValueError, match="another entry"):
        await store.get(b"b" * 32)
    await store.close()


@contextmanager
def killed_afterwards() -> Iterator[RedisServer]:
    """Run one that a test may kill."""
    with running_redis() as server:
        yield server


async def test_calls_go_on_while_it_is_down(tmp_path: Path) -> None:
    """Killed, and back again: calls are answered all the time, and kept again when it is there."""
    with killed_afterwards() as server:
        emulator = Emulator("deepseek")
        config = emulator.config(aliases={"main": ["deepseek:deepseek-flash"]}, cache={"redis": server.url})
        async with chatport.AsyncClient(config, transport=emulator) as client:
            gateway = Gateway(client=client)
            await gateway.open()
            assert gateway.cache is not None

            async def ask() -> str:
                transport = httpx.ASGITransport(gateway)
                async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
                    answer = await http.post(PROTOCOLS[0].path, json=PROTOCOLS[0].body("say: hi", stream=False))
                assert gateway.cache is not None
                await gateway.cache.written()
                assert answer.status_code == 200
                return answer.headers["x-chatport-cache"]

            assert [await ask(), await ask()] == ["miss", "hit"]
            server.kill()
            assert [await ask() for _ in range(3)] == ["miss"] * 3
            server.start()
            with anyio.fail_after(20):
                while await ask() != "hit":
                    gateway.cache._left_alone_until = 0.0  # as if that time were over
                    await asyncio.sleep(0.05)
            await gateway.aclose()


async def test_two_gateways_share_what_they_know(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one has been answered the other gives again; a password in the address stands in no repr."""
    monkeypatch.setenv("CACHE_URL", redis.url)
    seen: list[Any] = []
    for _ in range(2):
        emulator = Emulator("deepseek")
        config = emulator.config(aliases={"main": ["deepseek:deepseek-flash"]}, cache={"redis_env": "CACHE_URL"})
        async with chatport.AsyncClient(config, transport=emulator) as client:
            gateway = Gateway(client=client)
            transport = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
                body = PROTOCOLS[0].body("say: shared by two", stream=False)
                answer = await http.post(PROTOCOLS[0].path, json=body)
                seen.append((answer.headers["x-chatport-cache"], len(emulator.requests)))
            await gateway.aclose()
    assert seen == [("miss", 1), ("hit", 0)]
    assert repr(RedisStore("redis://:secret@x/0", 1)) == "<chatport_gateway.RedisStore x>"
    assert "secret" not in repr(gateway.cache and gateway.cache.settings)
    assert PREFIX.startswith("{")
