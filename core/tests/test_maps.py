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
from chatport import BadRequestError, MalformedReplyError, MapProgress
from chatport.basics.blocking import Room
from chatport.client import crew_sync
from chatport.errors import AuthenticationError, ConfigurationError, MisuseError
from chatport.testing import EmulatedRequest, EmulatedResponse, Script, VirtualClock, faults

from .maps import BACKENDS, MODEL, Answers, ask, map_over


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
