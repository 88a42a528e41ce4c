"""Maps over items: `client.map`, on asyncio, on trio and without a loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

import chatport
from chatport import BadRequestError, MalformedReplyError, MapLimitError, MapProgress
from chatport.basics.blocking import Room
from chatport.client import crew_sync
from chatport.errors import AuthenticationError, ConfigurationError, MisuseError
from chatport.testing import EmulatedRequest, EmulatedResponse, Fault, Script, VirtualClock, faults

from .maps import BACKENDS, MODEL, PRICES, Answers, ask, map_over


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_item_has_its_answer_in_the_order_of_the_items(backend: str) -> None:
    model = Answers()
    mapped = map_over(backend, model, range(20), concurrency=3, key=lambda n: f"k{n}").whole()
    assert mapped.indexes == list(range(20))
    assert mapped.texts == [f"answer {n}" for n in range(20)]
    assert [(result.item, result.key, result.error, result.is_kept) for result in mapped.results] == [
        (n, f"k{n}", None, False) for n in range(20)
    ]
    assert sorted(model.asked) == list(range(20))
    progress = mapped.progress
    assert (progress.done, progress.failed, progress.running, progress.left, progress.total) == (20, 0, 0, 0, 20)
    assert progress.spent.calls == 20
    assert progress.spent.usage.input_tokens == 2000


def test_items_may_be_messages_themselves(backend: str) -> None:
    items = ["item 1", [{"role": "user", "content": "item 2"}], chatport.Message.user("item 3")]
    assert map_over(backend, Answers(), items, None).whole().texts == ["answer 1", "answer 2", "answer 3"]


def test_no_items_are_no_results(backend: str) -> None:
    assert map_over(backend, Answers(), []).whole().results == []
    assert map_over(backend, Answers(), iter(())).whole().progress.total is None


def test_so_many_calls_are_made_at_the_same_time_and_no_more(backend: str) -> None:
    model = Answers()
    barrier = threading.Barrier(3, timeout=20)  # nobody comes through before three are there
    model.hold = lambda number: barrier.wait()
    with model.emulator() as emulator:
        mapped = map_over(backend, emulator, range(9), concurrency=3).whole()
    assert mapped.indexes == list(range(9))
    assert model.most == 3


def test_results_come_as_they_end_where_the_order_is_of_no_matter(backend: str) -> None:
    """The first item is answered when all others have been handed over, which in order would be never."""
    model = Answers()
    are_others_there = threading.Event()
    heard: list[int] = []
    model.hold = lambda number: number or are_others_there.wait(20)

    def hear(result: Any) -> None:
        heard.append(result.index)
        if len(heard) == 5:
            are_others_there.set()

    with model.emulator() as emulator:
        mapped = map_over(backend, emulator, range(6), stop=hear, concurrency=3, ordered=False).whole()
    assert mapped.indexes[-1] == 0
    assert sorted(mapped.indexes) == list(range(6))


# --- errors


def test_an_error_of_one_item_does_not_end_the_map(backend: str) -> None:
    def say(number: int) -> Any:
        return {3: 400, 5: 500, 6: 429}.get(number, f"answer {number}")

    mapped = map_over(backend, Answers(say), range(9), concurrency=2).whole()
    assert mapped.indexes == list(range(9))
    assert mapped.failed == [3, 5, 6]
    assert [type(mapped.results[at].error).__name__ for at in mapped.failed] == [
        "BadRequestError", "ServerError", "RateLimitError",
    ]  # fmt: skip
    assert (mapped.progress.done, mapped.progress.failed) == (6, 3)
    with pytest.raises(BadRequestError):
        mapped.results[3].parsed()
    assert mapped.results[3].text == ""


def test_calls_are_tried_again_as_any_other(backend: str) -> None:
    emulator = Answers().emulator()
    emulator.misbehave([faults.status(503)])
    clock = VirtualClock()
    mapped = map_over(
        backend, emulator, range(3), concurrency=1, clock=clock, config={"retry": {"attempts": 2}}
    ).whole()
    assert mapped.failed == []
    assert [len(result.reply.attempts) for result in mapped.results if result.reply] == [2, 1, 1]


def test_a_function_that_fails_for_an_item_is_an_error_of_that_item(backend: str) -> None:
    def shape(row: dict[str, Any]) -> str:
        return ask(row["n"])

    rows: list[Any] = [{"n": 0}, {}, {"n": 2}, {"n": 3}]
    mapped = map_over(backend, Answers(), rows, shape, key=lambda row: row.get("k", 1)).whole()
    assert mapped.failed == [1]
    assert isinstance(mapped.results[1].error, KeyError)
    mapped = map_over(backend, Answers(), range(2), lambda n: [] if n else "item 0").whole()
    assert "messages is empty" in str(mapped.results[1].error)
    mapped = map_over(backend, Answers(), range(2), key=lambda n: None).whole()
    assert "key gives a text or a whole number" in str(mapped.results[0].error)


def test_the_first_error_ends_the_map_where_that_is_asked_for(backend: str) -> None:
    model = Answers(lambda number: 400 if number == 3 else "fine")
    mapped = map_over(backend, model, range(1000), concurrency=2, on_error="raise", key=str)
    assert isinstance(mapped.raised, BadRequestError)
    assert mapped.raised.__notes__ == ["This was item 3 of a map, of the key '3'."]
    assert mapped.indexes[:3] == [0, 1, 2]  # what was answered is handed over first, and what was under way
    assert 3 not in mapped.indexes
    assert len(model.asked) <= 3 + 8  # the window from the first that was not handed over


def test_what_would_meet_every_item_ends_the_map(backend: str) -> None:
    model = Answers(api_key="another")
    emulator = model.emulator()
    config = {"providers": {"compatible": {**emulator.config()["providers"]["compatible"], "api_key": "wrong"}}}
    mapped = map_over(backend, emulator, range(1000), concurrency=3, config=config)
    assert isinstance(mapped.raised, AuthenticationError)
    assert mapped.results == []
    assert len(model.asked) <= 3
    mapped = map_over(backend, Answers(), range(1000), model="nobody:m")
    assert isinstance(mapped.raised, ConfigurationError)


def test_items_that_break_off_are_raised_after_what_was_read(backend: str) -> None:
    def rows() -> Iterator[int]:
        yield from range(5)
        raise OSError("the file is gone")

    mapped = map_over(backend, Answers(), rows(), concurrency=2)
    assert mapped.indexes == list(range(5))
    assert isinstance(mapped.raised, OSError)


# --- as much as is needed


def test_an_endless_source_is_read_only_as_far_as_results_are_taken(backend: str) -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        for number in range(10**9):
            read.append(number)
            yield number

    model = Answers()
    mapped = map_over(backend, model, endless(), concurrency=2, window=5, stop=lambda result: result.index == 20)
    assert mapped.indexes == list(range(21))
    assert len(read) <= 21 + 5
    assert len(model.asked) <= 21 + 5


def test_one_slow_item_lets_no_more_than_the_window_pass(backend: str) -> None:
    model = Answers()
    asked_meanwhile: list[int] = []

    def hold(number: int) -> None:
        if number == 0:
            while len(model.asked) < 6:
                time.sleep(0.002)
            time.sleep(0.05)  # a seventh would come by now
            asked_meanwhile.extend(model.asked)

    model.hold = hold
    with model.emulator() as emulator:
        mapped = map_over(backend, emulator, range(30), concurrency=2, window=6).whole()
    assert sorted(asked_meanwhile) == list(range(6))
    assert mapped.indexes == list(range(30))


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_items_may_come_slowly_and_hold_no_result_up(loop: str) -> None:
    """Each item comes when the one before has been answered and handed over."""
    handed_over: list[int] = []

    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[int](1)
        emulator = Answers().emulator()
        async with (
            send,
            receive,
            chatport.AsyncClient(emulator.config(), transport=emulator) as client,
            client.map(receive, ask, model=MODEL) as results,
        ):
            await send.send(0)
            async for result in results:
                handed_over.append(result.index)
                if result.index == 4:
                    send.close()
                else:
                    await send.send(result.index + 1)
        assert results.progress.done == 5

    anyio.run(main, backend=loop)
    assert handed_over == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_asynchronous_source_breaks_off_as_a_plain_one_does(loop: str) -> None:
    async def rows() -> AsyncIterator[int]:
        for number in range(3):
            yield number
        raise OSError("the line is cut")

    mapped = map_over(loop, Answers(), rows())
    assert mapped.indexes == [0, 1, 2]
    assert isinstance(mapped.raised, OSError)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_is_asked_may_be_found_out_asynchronously(loop: str) -> None:
    arrived = 0

    async def shape(number: int) -> str:
        nonlocal arrived
        arrived += 1
        while arrived < 3:  # each would wait for ever if they were awaited one after the other
            await anyio.lowlevel.checkpoint()
        if number == 4:
            raise LookupError("no such row")
        return ask(number)

    mapped = map_over(loop, Answers(), range(6), shape, concurrency=3).whole()
    assert mapped.indexes == list(range(6))
    assert mapped.failed == [4]


@pytest.mark.parametrize("what", ["messages", "items"])
def test_what_cancels_itself_does_not_hang_the_map(what: str) -> None:
    async def shape(number: int) -> str:
        if what == "messages" and number == 1:
            raise asyncio.CancelledError
        return ask(number)

    async def rows() -> AsyncIterator[int]:
        yield 0
        yield 1
        if what == "items":
            raise asyncio.CancelledError

    mapped = map_over("asyncio", Answers(), rows(), shape)
    if what == "messages":
        assert mapped.failed == [1]
        assert "It was cancelled before the end" in str(mapped.results[1].error)
    else:
        assert mapped.indexes == [0, 1]
        assert "The items were cancelled before the end" in str(mapped.raised)


def test_a_hook_that_would_end_its_thread_does_not_hang_the_map() -> None:
    class Leaves(Answers):
        def respond(self, request: EmulatedRequest) -> EmulatedResponse:
            raise SystemExit

    mapped = map_over("sync", Leaves(), [1, 2]).whole()
    assert mapped.failed == [0, 1]
    assert str(mapped.results[0].error) == "The call has ended with SystemExit."


def test_where_no_thread_can_be_had_fewer_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_sync, "_THREADS", Room("calls of maps", most=2))
    model = Answers()
    mapped = map_over("sync", model, range(20), concurrency=6).whole()
    assert mapped.indexes == list(range(20))
    assert model.most <= 2
    monkeypatch.setattr(crew_sync, "_THREADS", Room("calls of maps", most=0))
    mapped = map_over("sync", model, range(20))
    assert isinstance(mapped.raised, OSError)


def test_asynchronous_functions_are_refused_without_a_loop() -> None:
    async def shape(number: int) -> str:
        return ask(number)

    async def hear(progress: MapProgress) -> None:
        return None

    async def rows() -> AsyncIterator[int]:
        yield 1

    mapped = map_over("sync", Answers(), range(3), shape)
    assert isinstance(mapped.raised, MisuseError)
    assert "messages is asynchronous: use an AsyncClient" in str(mapped.raised)
    mapped = map_over("sync", Answers(), range(3), progress=hear)
    assert "progress is asynchronous: use an AsyncClient" in str(mapped.raised)
    with pytest.raises(MisuseError, match="items is asynchronous: use an AsyncClient"):
        map_over("sync", Answers(), rows())


# --- structures


@dataclass
class City:
    name: str
    people: int


def test_answers_arrive_as_their_type_and_are_asked_for_again(backend: str) -> None:
    said: dict[int, list[str]] = {1: ['{"name": 1}', '{"name": "Rome", "people": 3}'], 2: ["no", "nor", "never"]}

    def say(number: int) -> Any:
        left = said.get(number)
        return left.pop(0) if left else '{"name": "Paris", "people": 2}'

    mapped = map_over(backend, Answers(say), range(4), output=City, retry_invalid=1, concurrency=2).whole()
    assert [result.parsed() for result in mapped.results if result.error is None] == [
        City("Paris", 2), City("Rome", 3), City("Paris", 2),
    ]  # fmt: skip
    bad = mapped.results[2]
    assert isinstance(bad.error, MalformedReplyError)
    assert bad.text == "nor"
    assert mapped.failed == [2]
    assert mapped.progress.spent.calls == 6  # two of them were asked for once more, and both were paid for
    assert bad.reply is not None
    assert bad.reply.usage.input_tokens == 200


def test_an_answer_that_was_paid_for_is_kept_when_asking_again_fails(backend: str) -> None:
    said = ["no", 503]
    mapped = map_over(backend, Answers(lambda number: said.pop(0)), [1], output=City, retry_invalid=3).whole()
    assert mapped.results[0].text == "no"
    assert isinstance(mapped.results[0].error, MalformedReplyError)


def test_calls_of_tools_are_an_answer(backend: str) -> None:
    def look(city: str) -> str:
        return city

    model = Answers(lambda number: Script(calls=(("look", '{"city":"Rome"}'),), finish="tool_calls"))
    mapped = map_over(backend, model, [1], tools=[look], output=City).whole()
    assert [call.name for call in mapped.results[0].reply.tool_calls] == ["look"]  # type: ignore[union-attr]
    assert mapped.failed == []


# --- how far it is


def test_progress_is_told_as_items_end(backend: str) -> None:
    told: list[MapProgress] = []
    model = Answers(lambda number: 400 if number == 2 else "fine")
    mapped = map_over(backend, model, range(10), concurrency=2, progress=told.append).whole()
    ended = [progress.done + progress.failed for progress in told]
    assert ended == sorted(set(ended))
    assert ended[-1] == 10
    assert told[-1] == mapped.progress or told[-1].seconds <= mapped.progress.seconds
    assert all(progress.left == 10 - at for progress, at in zip(told, ended, strict=True))
    assert str(told[-1]).startswith("9 of 10 done, 1 failed, 0 running: 9 calls: 900 tokens in")


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_progress_may_be_told_asynchronously(loop: str) -> None:
    told: list[int] = []

    async def hear(progress: MapProgress) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(progress.done)

    map_over(loop, Answers(), range(5), progress=hear).whole()
    assert told[-1] == 5


def test_an_error_of_the_program_s_own_ends_the_map(backend: str) -> None:
    def hear(progress: MapProgress) -> None:
        raise ZeroDivisionError

    assert isinstance(map_over(backend, Answers(), range(5), progress=hear).raised, ZeroDivisionError)


# --- limits


def priced() -> dict[str, Any]:
    return {"models": {MODEL: {"prices": PRICES}}}


def test_money_ends_the_map_and_nothing_is_sent_that_it_would_not_pay_for(backend: str) -> None:
    model = Answers(lambda number: Script("word " * 100, input_tokens=2))  # 102 tokens: 0.000102 USD
    mapped = map_over(
        backend, model, range(100), concurrency=2, max_usd=0.00055, max_tokens=100, config=priced(),
    )  # fmt: skip
    assert isinstance(mapped.raised, MapLimitError)
    assert mapped.raised.limit == "usd"
    assert "of 100 items have a result" in str(mapped.raised)
    assert 4 <= len(mapped.results) <= 5
    assert len(model.asked) == len(mapped.results)
    assert mapped.failed == []
    (cost,) = mapped.progress.spent.costs
    assert cost.amount <= 0.00055


def test_calls_wait_for_what_others_have_reserved_and_do_not_use(backend: str) -> None:
    """Each reserves a third of the budget and uses hardly any, so all are made, though four do not fit at once."""
    model = Answers(lambda number: Script("short", input_tokens=2))
    mapped = map_over(
        backend, model, range(30), concurrency=8, max_usd=0.0033, max_tokens=1000, config=priced(),
    ).whole()  # fmt: skip
    assert mapped.indexes == list(range(30))
    assert mapped.failed == []


def test_a_budget_around_a_map_ends_it_too(backend: str) -> None:
    model = Answers(lambda number: Script("word " * 10, input_tokens=5))
    emulator = model.emulator()
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator) as client, client.budget(tokens=200):
            results = client.map(range(100), ask, model=MODEL, max_tokens=10)
            with pytest.raises(MapLimitError) as caught:
                for _ in results:
                    pass
    else:

        async def main() -> None:
            async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
                with client.budget(tokens=200):
                    async with client.map(range(100), ask, model=MODEL, max_tokens=10) as results:
                        async for _ in results:
                            pass

        with pytest.raises(MapLimitError) as caught:
            anyio.run(main, backend=backend)
    assert caught.value.limit == "tokens"
    assert isinstance(caught.value.__cause__, chatport.BudgetExceededError)
    assert 5 < len(model.asked) <= 13


def test_a_cost_that_nobody_knows_is_said_at_once(backend: str) -> None:
    model = Answers()
    mapped = map_over(backend, model, range(100), max_usd=1.0)
    assert isinstance(mapped.raised, MapLimitError)
    assert "whose cost is not known in USD" in str(mapped.raised)
    assert "resume file" not in str(mapped.raised)
    assert not model.asked


def test_time_ends_the_map_between_calls(backend: str) -> None:
    clock = VirtualClock()

    def rows() -> Iterator[int]:
        for number in range(100):
            clock.advance(10)
            yield number

    mapped = map_over(backend, Answers(), rows(), concurrency=1, max_seconds=75, clock=clock)
    assert isinstance(mapped.raised, MapLimitError)
    assert mapped.raised.limit == "seconds"
    assert "longer than 75 s (max_seconds)" in str(mapped.raised)
    assert 5 <= len(mapped.results) <= 8
    assert mapped.failed == []


def test_time_cuts_the_calls_under_way_which_count_as_not_asked(backend: str) -> None:
    clock = VirtualClock()
    emulator = Answers().emulator(clock)
    emulator.misbehave([None, None, faults.stall("before_head")])
    mapped = map_over(backend, emulator, range(10), concurrency=1, max_seconds=60, clock=clock)
    assert isinstance(mapped.raised, MapLimitError)
    assert mapped.indexes == [0, 1]
    assert (mapped.progress.done, mapped.progress.failed, mapped.progress.left) == (2, 0, 8)
    assert clock.elapsed_seconds == pytest.approx(60)


def test_a_map_that_is_done_within_its_time_is_done(backend: str) -> None:
    clock = VirtualClock()

    def rows() -> Iterator[int]:
        yield 0
        yield 1
        clock.advance(100)

    mapped = map_over(backend, Answers(), rows(), concurrency=1, max_seconds=60, clock=clock).whole()
    assert mapped.indexes == [0, 1]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_time_ends_the_wait_for_an_item_that_does_not_come(loop: str) -> None:
    async def rows() -> AsyncIterator[int]:
        yield 0
        await anyio.sleep_forever()

    mapped = map_over(loop, Answers(), rows(), max_seconds=0.1)
    assert isinstance(mapped.raised, MapLimitError)
    assert mapped.indexes == [0]


# --- leaving


def no_calls_are_left() -> bool:
    for _ in range(200):
        if not any(thread.name == "chatport-blocking" for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


def all_but_the_first_stall(number: int, request: EmulatedRequest) -> Fault | None:
    return None if "item 0" in str(request.json()) else faults.stall("before_head", seconds=60)


def test_leaving_early_stops_what_is_under_way(backend: str) -> None:
    """Each answer but the first would take for ever: the map is left all the same, and nothing more is asked.

    A thread that waits for an answer cannot be called back: it ends with its connection.
    """
    model = Answers()
    with model.emulator() as emulator:
        emulator.misbehave(all_but_the_first_stall)
        began = time.monotonic()
        mapped = map_over(backend, emulator, range(100), concurrency=4, stop=lambda result: True)
        assert mapped.indexes == [0]
        assert time.monotonic() - began < 10
    assert no_calls_are_left()
    assert len(model.asked) <= 2 * 4 + 1


def test_an_error_in_the_block_comes_out_as_it_is(backend: str) -> None:
    def fail(result: Any) -> None:
        raise KeyError("mine")

    with Answers().emulator() as emulator:
        emulator.misbehave(all_but_the_first_stall)
        mapped = map_over(backend, emulator, range(10), stop=fail)
    assert isinstance(mapped.raised, KeyError)


def test_a_plain_loop_without_a_block_stops_when_it_is_left() -> None:
    model = Answers()
    emulator = model.emulator()
    with chatport.Client(emulator.config(), transport=emulator) as client:
        for result in client.map(range(10_000), ask, model=MODEL):
            assert result.text == "answer 0"
            break
        assert no_calls_are_left()
        assert len(model.asked) < 100


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_cancelling_a_map_cancels_its_calls(loop: str) -> None:
    with Answers().emulator() as emulator:
        emulator.misbehave([faults.stall("before_head", seconds=60)], repeat=True)

        async def main() -> None:
            async with chatport.AsyncClient(emulator.config()) as client:
                with anyio.move_on_after(0.2) as scope:
                    async with client.map(range(10), ask, model=MODEL) as results:
                        async for _ in results:
                            pass
                assert scope.cancelled_caught
                assert results.progress.done == 0

        began = time.monotonic()
        anyio.run(main, backend=loop)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_error_that_is_caught_inside_the_block_does_not_stop_the_reader(loop: str) -> None:
    emulator = Answers(lambda number: 400).emulator()

    async def main() -> None:
        async with (
            chatport.AsyncClient(emulator.config(), transport=emulator) as client,
            client.map([1, 2], ask, model=MODEL, on_error="raise") as results,
        ):
            with pytest.raises(BadRequestError):
                async for _ in results:
                    pass
            await anyio.lowlevel.checkpoint()  # the scope of the block is not cancelled
            with pytest.raises(MisuseError):
                await anext(results)

    anyio.run(main, backend=loop)


def test_a_map_is_read_once(backend: str) -> None:
    emulator = Answers().emulator()
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator) as client:
            results = client.map([1], ask, model=MODEL)
            assert results.progress == MapProgress(total=1)
            assert [result.text for result in results] == ["answer 1"]
            assert list(results) == []
            with pytest.raises(MisuseError, match="entered before"), results:
                pass
            with client.map([1], ask, model=MODEL) as results:
                pass
            with pytest.raises(MisuseError, match="left before its end"):
                next(results)
        return

    async def main() -> None:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            results = client.map([1], ask, model=MODEL)
            with pytest.raises(MisuseError, match="inside its block"):
                await anext(results)
            async with results:
                assert [result.text async for result in results] == ["answer 1"]
                assert [result.text async for result in results] == []
            with pytest.raises(MisuseError, match="entered before"):
                await results.__aenter__()

    anyio.run(main, backend=backend)


def test_a_map_that_two_read_goes_on_for_the_first(backend: str) -> None:
    model = Answers()
    inside, leave = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        inside.set()
        leave.wait(20)

    model.hold = hold
    with model.emulator() as emulator:
        if backend == "sync":
            with chatport.Client(emulator.config()) as client:
                results = client.map([1], ask, model=MODEL)
                first = threading.Thread(target=lambda: list(results))
                first.start()
                assert inside.wait(20)
                with pytest.raises(MisuseError, match="being read already"):
                    next(results)
                leave.set()
                first.join()
            assert results.progress.done == 1
            return

        async def main() -> None:
            async def read(stream: chatport.AsyncMapStream) -> None:
                assert [result.text async for result in stream] == ["answer 1"]

            async with (
                chatport.AsyncClient(emulator.config()) as client,
                client.map([1], ask, model=MODEL) as stream,
                anyio.create_task_group() as group,
            ):
                group.start_soon(read, stream)
                await anyio.to_thread.run_sync(inside.wait, 20)
                with pytest.raises(MisuseError, match="being read already"):
                    await anext(stream)
                leave.set()

        anyio.run(main, backend=backend)


def test_a_closed_client_makes_no_map() -> None:
    emulator = Answers().emulator()
    client = chatport.Client(emulator.config(), transport=emulator)
    results = client.map(range(10), ask, model=MODEL)
    client.close()
    with pytest.raises(MisuseError):
        next(results)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency is a whole number of at least 1"),
        ({"concurrency": True}, "concurrency"),
        ({"window": 2}, "window is a whole number of at least concurrency"),
        ({"ordered": 1}, "ordered is True or False"),
        ({"on_error": "ignore"}, 'on_error is "keep" or "raise"'),
        ({"max_usd": 0}, "max_usd is a number above 0"),
        ({"max_seconds": float("inf")}, "max_seconds"),
        ({"resume": 3}, "resume is the path of a file"),
        ({"key": "id"}, "key is a function of one argument"),
        ({"messages": "Translate."}, "messages is a function of one argument"),
        ({"progress": 1}, "progress is a function"),
        ({"retry_invalid": 1}, "retry_invalid asks again"),
        ({"temprature": 1}, "Did you mean"),
        ({"temperature": "hot"}, "temperature is a number"),
        ({"items": "a text"}, "items is one of the type str"),
        ({"items": {"a": 1}}, "items is one of the type dict"),
        ({"items": 7}, "items is iterated"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_sent(backend: str, options: Any, words: str) -> None:
    model = Answers()
    given = {"items": [1], **options}
    with pytest.raises(chatport.ChatportError, match=words):
        map_over(backend, model, given.pop("items"), given.pop("messages", ask), **given)
    assert not model.asked


def test_pacing_holds_for_a_map_as_for_any_call(backend: str) -> None:
    model = Answers()
    limits = {"pacing": {"concurrency": 2}}
    with model.emulator() as emulator:
        mapped = map_over(backend, emulator, range(12), concurrency=6, config=limits).whole()
    assert mapped.failed == []
    assert model.most <= 2
