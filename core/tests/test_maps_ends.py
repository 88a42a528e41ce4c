"""How a map ends: at a limit, when it is left or cancelled, and before it has begun."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import chatport
from chatport import BadRequestError, MapLimitError, MapProgress
from chatport.errors import MisuseError
from chatport.testing import EmulatedRequest, Fault, Script, VirtualClock, faults

from .maps import BACKENDS, MODEL, PRICES, Answers, ask, map_over


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
    for _ in range(1000):  # far more than it takes: both cores may be busy
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
