"""One client, many threads and event loops at the same time: timers fire, pacing wakes, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import trio

import chatport
from chatport.errors import MisuseError
from chatport.transport.sockets_async import SocketsAsyncTransport

from .raw_server import Connection, RawServer, chunked, head

THREADS = 8
ROUNDS = 5
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
KINDS = {
    "asyncio": ("asyncio",) * THREADS,
    "trio": ("trio",) * THREADS,
    "mixed": ("asyncio", "trio") * (THREADS // 2),
    "sync": ("sync",) * THREADS,
}


def vendor(connection: Connection) -> None:
    """Answer in a stream; a request that says `silent` gets its head and one piece and nothing more."""
    while request := connection.request():
        if b"silent" in request:
            connection.send(head(transfer_encoding="chunked") + chunked(PIECE, last=False))
            connection.until_left()
            return
        connection.send(head(transfer_encoding="chunked") + chunked(PIECE, FINISH))


def config(server: RawServer, **tables: Any) -> dict[str, Any]:
    return {
        "providers": {"raw": {"kind": "compatible", "base_url": server.base_url}},
        "model": "raw:m",
        "retry": {"attempts": 1},
        **tables,
    }


def in_threads(kinds: tuple[str, ...], work: Callable[[str, int], None]) -> None:
    """Run the work of each kind in a thread of its own, all at the same time; raise the first error."""
    together, errors = threading.Barrier(len(kinds)), list[BaseException]()

    def one(kind: str, number: int) -> None:
        try:
            together.wait(10)
            work(kind, number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(kind, n), daemon=True) for n, kind in enumerate(kinds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


def silent_stream(client: Any, kind: str, seconds: float) -> float:
    """Read a stream that falls silent; return after how long its timer fired."""
    began = time.monotonic()
    timeout = {"silence": seconds, "between_events": 20, "total": 20}

    async def read() -> None:
        async with client.stream("silent", timeout=timeout) as stream:
            async for _ in stream:
                began_at[0] = time.monotonic()

    def read_here() -> None:
        with client.stream("silent", timeout=timeout) as stream:
            for _ in stream:
                began_at[0] = time.monotonic()

    began_at = [began]
    with pytest.raises(chatport.ChatportError) as caught:
        read_here() if kind == "sync" else anyio.run(read, backend=kind)
    assert isinstance(caught.value, chatport.DeadlineError), caught.value
    assert caught.value.timer == "silence"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "word "
    return time.monotonic() - began_at[0]


def good_calls(client: Any, kind: str, number: int) -> None:
    async def calls() -> None:
        for _ in range(ROUNDS):
            assert (await client.chat(f"hello {number}")).text == "word "
            async with client.stream("hello") as stream:
                async for _ in stream:
                    pass
            assert stream.reply.text == "word "

    if kind != "sync":
        anyio.run(calls, backend=kind)
        return
    for _ in range(ROUNDS):
        assert client.chat("hello").text == "word "


@contextlib.contextmanager
def client_for(kinds: tuple[str, ...], settings: Any) -> Iterator[Any]:
    """Open a client; what an AsyncClient has opened is closed by each loop when it ends."""
    if "sync" in kinds:
        with chatport.Client(settings) as client:
            yield client
    else:
        yield chatport.AsyncClient(settings)


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_every_timer_fires_on_its_own_loop(kinds: tuple[str, ...]) -> None:
    """Each has another time; none is late because another loop has its turn, ends, or has a later one."""
    waited: dict[int, float] = {}
    with RawServer(vendor) as server, client_for(kinds, config(server)) as client:

        def work(kind: str, number: int) -> None:
            waited[number] = silent_stream(client, kind, 0.2 + 0.1 * number)

        in_threads(kinds, work)
    for number, seconds in waited.items():
        assert 0.15 + 0.1 * number <= seconds < 5 + 0.1 * number


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_calls_of_all_loops_are_answered_while_timers_fire_on_others(kinds: tuple[str, ...]) -> None:
    with RawServer(vendor) as server, client_for(kinds, config(server)) as client:

        def work(kind: str, number: int) -> None:
            if number % 2:
                silent_stream(client, kind, 0.2)
            good_calls(client, kind, number)

        in_threads(kinds, work)


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_a_place_under_pacing_goes_from_one_loop_to_the_other(kinds: tuple[str, ...]) -> None:
    """One at a time: whoever waits is woken by whoever leaves, in another thread, and long before any timer."""
    tables = {"pacing": {"concurrency": 1}, "timeouts": {"total": 20}}
    with RawServer(vendor) as server, client_for(kinds, config(server, **tables)) as client:
        began = time.monotonic()
        in_threads(kinds, lambda kind, number: good_calls(client, kind, number))
        assert time.monotonic() - began < 15
        assert server.open_connections <= THREADS


def test_what_eight_loops_count_together_is_right() -> None:
    """Budgets and retry budgets: no call is lost between two threads."""
    with RawServer(vendor) as server:
        client = chatport.AsyncClient(config(server))
        budget = chatport.Budget(tokens=10**9)

        def work(kind: str, number: int) -> None:
            async def calls() -> None:
                with budget:
                    for _ in range(ROUNDS * 4):
                        await client.chat("hello")

            anyio.run(calls, backend=kind)

        in_threads(KINDS["mixed"], work)
        assert budget.unknown_calls == THREADS * ROUNDS * 4
        assert budget.reserved_tokens == 0
        assert client._shared.retries.of(str(client.config.model)).calls == THREADS * ROUNDS * 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_idle_connection_is_used_again_on_its_own_loop_only(backend: str) -> None:
    with RawServer(vendor) as server:
        client = chatport.AsyncClient(config(server))

        async def twice() -> None:
            await client.chat("hello")
            await client.chat("hello")

        for _ in range(3):
            anyio.run(twice, backend=backend)
        assert server.connections == 3


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files as Linux shows them")
@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_loops_that_have_ended_are_forgotten_with_their_connections(run: Any) -> None:
    """A thousand runs with one client that nobody closes between them; no collection of garbage is needed for it."""
    gc.collect()  # of what other tests have left: its warnings are none of this test's
    with RawServer(vendor) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        client = chatport.AsyncClient(config(server))

        async def ask() -> None:
            await client.chat("hello")

        async def ask_by_coroutine() -> None:
            await ask()

        for _ in range(3):
            run(ask_by_coroutine() if run is asyncio.run else ask)
        gc.collect()
        files = open_files()
        gc.disable()
        try:
            for _ in range(1000 if run is asyncio.run else 300):
                run(ask_by_coroutine() if run is asyncio.run else ask)
            deadline = time.monotonic() + 5
            while server.open_connections and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.open_connections == 0
            assert open_files() <= files + 2
        finally:
            gc.enable()
        transport = client._opened
        assert isinstance(transport, SocketsAsyncTransport)
        for made in (transport._asyncio, transport._trio):
            assert made is None or not (getattr(made, "_loops", None) or getattr(made, "_runs", None))


def test_a_loop_that_another_thread_runs_later_has_a_buffer_of_its_own() -> None:
    """Its connections would otherwise read into the buffer of the thread that made them, beside that thread's own."""
    with RawServer(vendor) as server:
        client = chatport.AsyncClient(config(server))
        moved, kept = asyncio.new_event_loop(), asyncio.new_event_loop()

        async def calls(times: int) -> None:
            for _ in range(times):
                assert (await client.chat("hello")).text == "word "

        for loop in (moved, kept):
            loop.run_until_complete(calls(1))
        views = [own.view.obj for own in client._opened._asyncio._loops.values()]  # type: ignore[union-attr]
        assert len(set(map(id, views))) == 2
        thread = threading.Thread(target=moved.run_until_complete, args=(calls(50),))
        thread.start()
        kept.run_until_complete(calls(50))
        thread.join(20)
        for loop in (moved, kept):
            loop.run_until_complete(client.aclose())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


# --- httpx


def test_by_the_name_httpx_each_loop_has_a_client_of_its_own() -> None:
    with RawServer(vendor) as server:
        client = chatport.AsyncClient(config(server, transport="httpx"))

        def work(kind: str, number: int) -> None:
            async def calls() -> None:
                for _ in range(ROUNDS):
                    assert (await client.chat(f"hello {number}")).text == "word "

            anyio.run(calls, backend=kind)

        in_threads(("asyncio", "trio", "asyncio", "trio"), work)


def test_an_httpx_client_that_was_given_is_refused_to_a_second_loop_while_the_first_runs() -> None:
    refused: list[BaseException] = []
    begun, over = threading.Event(), threading.Event()
    with RawServer(vendor) as server:
        given = httpx.AsyncClient(verify=False)
        client = chatport.AsyncClient(config(server), transport=given)

        async def first() -> None:
            await client.chat("hello")
            begun.set()
            await asyncio.to_thread(over.wait, 10)
            await given.aclose()
            with pytest.raises(MisuseError, match="is closed"):
                await client.chat("hello")

        thread = threading.Thread(target=lambda: asyncio.run(first()))
        thread.start()
        assert begun.wait(10)
        for backend in ("asyncio", "trio"):
            with pytest.raises(MisuseError, match="in use on another event loop") as caught:
                anyio.run(client.chat, "hello", backend=backend)
            refused.append(caught.value)
        over.set()
        thread.join(10)
    assert len(refused) == 2
