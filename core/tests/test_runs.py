"""Runs of tools: `client.run`, on asyncio, on trio and without a loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import UserList
from dataclasses import dataclass
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import chatport
from chatport import Approval, BadRequestError, Message, Run, RunFinished, RunLimitError, ToolEnded, ToolStarted
from chatport.errors import MisuseError
from chatport.testing import Emulator, VirtualClock, faults

from .runs import BACKENDS, MODEL, Scripted, play, stream


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def told(run: Run, step: int = 0) -> list[tuple[str, str]]:
    return [(result.outcome, result.content) for result in run.steps[step].results]


def test_a_run_asks_until_no_tool_is_called(backend: str) -> None:
    model = Scripted([[("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})], [("add", {"a": 5, "b": 6})]])
    run = play(backend, model, tools=[add])
    assert (run.outcome, run.text, run.reply) == ("done", "done", run.replies[-1])
    assert [told(run, step) for step in range(3)] == [[("ok", "3"), ("ok", "7")], [("ok", "11")], []]
    assert [message.role for message in run.messages] == [
        "user", "assistant", "tool", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert run.usage.input_tokens == 210
    assert run.usage.output_tokens == sum(reply.usage.output_tokens or 0 for reply in run.replies)


@dataclass
class Place:
    city: str
    days: list[int]


def test_arguments_arrive_as_their_types(backend: str) -> None:
    seen: list[Any] = []

    def visit(place: Place) -> None:
        seen.append(place)

    play(backend, Scripted([[("visit", {"place": {"city": "Rome", "days": [1]}})]]), tools=[visit])
    assert seen == [Place("Rome", [1])]


class Secretive(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_what_goes_wrong_is_told_to_the_model_in_words(backend: str) -> None:
    def fail(how: str) -> Any:
        match how:
            case "words":
                raise LookupError("no such city")
            case "silent":
                raise Secretive
            case "odd":
                return object()
        return None

    wrong = [
        ("fail", {"how": "words"}), ("fail", {"how": "silent"}), ("fail", {"how": "odd"}), ("fail", {"how": "none"}),
        ("fail", {"how": 3}), ("fail", {"who": "x"}), ("fail", "{cut"), ("fall", {}),
    ]  # fmt: skip
    run = play(backend, Scripted([wrong]), tools=[fail])
    outcomes = told(run)
    assert outcomes[:2] == [("error", "LookupError: no such city"), ("error", "Secretive")]
    assert outcomes[2][0] == "error"
    assert "cannot be written as JSON" in outcomes[2][1]
    assert outcomes[3] == ("ok", "null")
    assert [kind for kind, _ in outcomes[4:]] == ["invalid", "invalid", "invalid", "unknown"]
    assert "Expected `str`, got `int`" in outcomes[4][1]
    assert outcomes[7][1] == "There is no tool 'fall'. There are: fail."
    assert not any("Traceback" in words or ".py" in words for _, words in outcomes)
    assert isinstance(run.steps[0].results[0].error, LookupError)
    assert run.outcome == "done"


def test_a_call_that_was_cut_is_not_run(backend: str) -> None:
    class Cut(Scripted):
        def script(self, body: Any) -> Any:
            said = super().script(body)
            return attrs.evolve(said, finish="length") if said.calls else said

    run = play(backend, Cut([[("add", '{"a":1,"b"')]]), tools=[add])
    assert told(run)[0][0] == "invalid"
    assert run.text == "done"


def test_an_error_for_the_model_is_told_as_it_is(backend: str) -> None:
    words = "Two ways:\n1. another city\n2. " + "x" * 5000

    def fail() -> None:
        raise chatport.ToolError(words)

    run = play(backend, Scripted([[("fail", {})]]), tools=[fail])
    assert told(run) == [("error", words)]


def test_pictures_of_a_tool_are_given_to_the_model(backend: str) -> None:
    picture = chatport.ImagePart.from_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 8)

    def draw(what: str) -> Any:
        return {"one": picture, "some": ["Look:", picture, "there."], "texts": [chatport.TextPart("a"), "b"]}[what]

    model = Scripted([[("draw", {"what": "one"}), ("draw", {"what": "some"}), ("draw", {"what": "texts"})]])
    run = play(backend, model, tools=[draw])
    assert told(run) == [("ok", ""), ("ok", "Look:\nthere."), ("ok", "a\nb")]
    one, some, texts = run.messages[2:5]
    assert (one.content, texts.content) == ((picture,), (chatport.TextPart("a\nb"),))
    assert some.content == (chatport.TextPart("Look:"), picture, chatport.TextPart("there."))
    assert chatport.Run.from_json(run.to_json()) == run
    sent = [m["content"] for m in model.requests[-1].json()["messages"] if m["role"] == "tool"]
    assert [part["type"] for part in sent[1]] == ["text", "image_url", "text"]


def test_tools_that_come_and_go_are_those_of_the_moment(backend: str) -> None:
    """A sequence of one's own is read again before each answer but the first; a list is what it was."""

    def enable() -> str:
        live.append(add)
        return "enabled"

    steps: Any = [[("enable", {})], [("add", {"a": 1, "b": 2})]]
    live: Any
    for live, outcome, counts in ((UserList([enable]), "ok", [1, 2, 2]), ([enable], "unknown", [1, 1, 1])):
        model = Scripted(steps)
        run = play(backend, model, tools=live, tool_choice="enable")
        assert told(run, 1)[0][0] == outcome
        assert [len(request.json()["tools"]) for request in model.requests] == counts


def test_tools_that_cannot_be_read_any_more_end_the_run_with_all_there_is(backend: str) -> None:
    def spoil() -> None:
        live.append(spoil)

    live = UserList[Any]([spoil])
    with pytest.raises(BadRequestError, match="Two tools are called 'spoil'") as caught:
        play(backend, Scripted([[("spoil", {})]]), tools=live)
    assert caught.value.run is not None
    assert told(caught.value.run) == [("ok", "null")]


def test_an_argument_may_be_called_return(backend: str) -> None:
    def anything(**given: Any) -> str:
        return str(given)

    tool = chatport.Tool("anything", function=anything)
    run = play(backend, Scripted([[("anything", {"return": 3, "self": 1})]]), tools=[tool])
    assert told(run) == [("ok", "{'return': 3, 'self': 1}")]


# --- at the same time


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_asynchronous_tools_run_at_the_same_time(loop: str) -> None:
    arrived = 0

    async def meet(name: str) -> str:
        nonlocal arrived
        arrived += 1
        while arrived < 3:  # each would wait for ever if they ran one after the other
            await anyio.lowlevel.checkpoint()
        return name

    calls = [("meet", {"name": name}) for name in "abc"]
    assert told(play(loop, Scripted([calls]), tools=[meet])) == [("ok", "a"), ("ok", "b"), ("ok", "c")]


def test_plain_tools_run_in_threads_on_request(backend: str) -> None:
    barrier = threading.Barrier(3, timeout=20)

    def meet(name: str) -> str:
        barrier.wait()
        return f"{name} {threading.current_thread() is threading.main_thread()}"

    calls = [("meet", {"name": name}) for name in "abc"]
    run = play(backend, Scripted([calls]), tools=[meet], threads=True)
    assert told(run) == [("ok", "a False"), ("ok", "b False"), ("ok", "c False")]


def test_plain_tools_run_where_the_run_is_read(backend: str) -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert told(play(backend, Scripted([[("where", {}), ("where", {})]]), tools=[where])) == [("ok", "true")] * 2


def test_an_asynchronous_tool_is_refused_by_a_client_without_a_loop() -> None:
    async def fetch() -> str:
        return "x"

    class Fetches:
        async def __call__(self) -> str:
            return "x"

    model = Scripted([[("fetch", {})]])
    for tool in (fetch, chatport.Tool("fetch", function=Fetches())):
        with pytest.raises(BadRequestError, match=r"is asynchronous: use run_tool_async, or a run of an AsyncClient"):
            play("sync", model, tools=[tool])
    assert not model.requests
    # one that does not look it is found out when it is called, and its coroutine is closed
    run = play("sync", model, tools=[chatport.Tool("fetch", function=lambda: fetch())])
    assert told(run)[0][0] == "error"
    assert "is asynchronous" in told(run)[0][1]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("threads", [False, True])
def test_what_a_plain_function_gives_to_be_awaited_is_awaited(loop: str, threads: bool) -> None:
    async def fetch() -> str:
        await anyio.lowlevel.checkpoint()
        return "fetched"

    tool = chatport.Tool("fetch", function=lambda: fetch())
    assert told(play(loop, Scripted([[("fetch", {})]]), tools=[tool], threads=threads)) == [("ok", "fetched")]


def test_a_tool_that_cancels_itself_does_not_hang_the_run() -> None:
    async def vanish() -> str:
        raise asyncio.CancelledError

    run = play("asyncio", Scripted([[("vanish", {})]]), tools=[vanish])
    assert told(run) == [("error", "CancelledToolError: it was cancelled before its end")]


def test_a_tool_that_ends_the_program_does(backend: str) -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(backend, Scripted([[("leave", {})]]), tools=[leave])


def test_a_tool_that_ends_the_program_from_a_thread_does_and_has_no_result(backend: str) -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        play(backend, Scripted([[("leave", {})]]), tools=[leave], threads=True)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_two_tools_that_end_the_program_are_no_group_of_errors(loop: str) -> None:
    class Over(BaseException):
        pass

    async def leave() -> None:
        raise Over

    with pytest.raises(Over):
        play(loop, Scripted([[("leave", {})] * 2]), tools=[leave])


def test_who_reads_no_further_than_the_end_has_the_end(backend: str) -> None:
    _, run = stream(backend, Scripted(), stop=lambda event: isinstance(event, RunFinished))
    assert run.outcome == "done"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_no_plain_tool_begins_when_the_time_of_the_run_is_over(loop: str) -> None:
    time = VirtualClock()
    ran: list[int] = []

    def work() -> None:
        ran.append(1)
        time.advance(40)

    with pytest.raises(RunLimitError) as caught:
        play(loop, Scripted([[("work", {})] * 3]), tools=[work], max_seconds=30, clock=time.clock)
    assert ran == [1]
    assert caught.value.run is not None
    assert len(caught.value.run.open_calls) == 2


def test_results_are_in_the_order_of_the_calls_also_where_one_has_waited(backend: str) -> None:
    waits = [Approval.wait()]
    calls: Any = [("add", {"a": 1, "b": n}) for n in range(3)]
    model = Scripted([calls])
    run = play(backend, model, tools=[add], approve=lambda call: waits.pop() if waits else True)
    assert [result.content for result in run.steps[0].results] == ["2", "3"]
    run = play(backend, model, run, tools=[add])
    assert [result.content for result in run.steps[0].results] == ["1", "2", "3"]
    assert [message.text for message in run.messages if message.role == "tool"] == ["1", "2", "3"]


# --- limits


def test_an_endless_run_ends_at_its_steps_and_goes_on_from_there(backend: str) -> None:
    count: list[int] = []

    def more() -> int:
        count.append(1)
        return len(count)

    model = Scripted(endless=[("more", {})])
    with pytest.raises(RunLimitError, match=r"asked 3 times \(max_steps\) and still calls tools: more") as caught:
        play(backend, model, tools=[more], max_steps=3)
    run = caught.value.run
    assert caught.value.limit == "steps"
    assert run is not None
    assert (run.outcome, len(run.steps), len(count)) == ("limit", 3, 2)
    assert [call.name for call in run.open_calls] == ["more"]
    model.endless = ()
    after = play(backend, model, run, tools=[more], max_steps=1)
    assert (after.outcome, len(after.steps), len(count)) == ("done", 4, 3)
    assert after.messages[: len(run.messages)] == run.messages
    assert [told(after, step) for step in range(3)] == [[("ok", "1")], [("ok", "2")], [("ok", "3")]]
    # messages alone will do too
    assert play(backend, model, list(run.messages), tools=[more]).outcome == "done"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_slow_tool_is_stopped_when_the_time_of_the_run_is_over(loop: str) -> None:
    stopped: list[str] = []

    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append("slow")

    model = Scripted([[("add", {"a": 1, "b": 1}), ("slow", {})]])
    with pytest.raises(RunLimitError, match=r"longer than 0\.1 s \(max_seconds\)") as caught:
        # By this clock no time is over before the tools begin, however slow the machine is.
        play(loop, model, tools=[slow, add], max_seconds=0.1, clock=VirtualClock().clock)
    assert stopped == ["slow"]
    assert caught.value.limit == "seconds"
    run = caught.value.run
    assert run is not None
    assert told(run) == [("ok", "2")]
    assert [call.name for call in run.open_calls] == ["slow"]


def test_a_slow_tool_in_a_thread_is_left_behind(backend: str) -> None:
    leave = threading.Event()
    try:
        with pytest.raises(RunLimitError):
            play(backend, Scripted([[("wait", {})]]), tools=[chatport.Tool("wait", function=lambda: leave.wait(20))],
                 threads=True, max_seconds=0.1)  # fmt: skip
    finally:
        leave.set()


def test_the_time_of_a_run_is_that_of_the_clients_clock(backend: str) -> None:
    time = VirtualClock()
    ran: list[int] = []

    def work(number: int) -> None:
        ran.append(number)
        time.advance(40)

    model = Scripted([[("work", {"number": 1})], [("work", {"number": 2})], [("work", {"number": 3})]])
    with pytest.raises(RunLimitError) as caught:
        play(backend, model, tools=[work], max_seconds=60, clock=time.clock)
    run = caught.value.run
    assert run is not None
    assert ran == [1, 2]
    assert run.open_calls == ()
    # nobody's thinking counts
    ran.clear()
    time = VirtualClock()

    def think(call: chatport.ToolCall) -> bool:
        time.advance(1000)
        return True

    with pytest.raises(RunLimitError):
        play(backend, model, tools=[work], max_seconds=60, clock=time.clock, approve=think)
    assert ran == [1, 2]


def test_the_time_of_a_run_ends_a_call_too(backend: str) -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", clock=clock, faults=[faults.stall("before_head")], repeat=True)
    with pytest.raises(RunLimitError) as caught:
        play(backend, emulator, tools=[add], max_seconds=5, clock=clock.clock)
    assert isinstance(caught.value.__cause__, chatport.DeadlineError)
    assert 5 <= clock.elapsed_seconds < 6


def test_the_callers_own_timers_stay(backend: str) -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", clock=clock, faults=[faults.stall("before_head")], repeat=True)
    with pytest.raises(chatport.DeadlineError) as caught:
        play(backend, emulator, tools=[add], max_seconds=50, timeout=5, clock=clock.clock)
    assert caught.value.seconds == 5
    assert caught.value.run is not None
    assert caught.value.run.messages == (Message.user("go"),)


def test_a_budget_ends_a_run(backend: str) -> None:
    model = Scripted(endless=[("add", {"a": 1, "b": 1})])
    budget = chatport.Budget(tokens=9000, name="small")
    with budget, pytest.raises(chatport.BudgetExceededError) as caught:
        play(backend, model, tools=[add], max_steps=1000, max_tokens=1000)
    run = caught.value.run
    assert run is not None
    assert run.outcome == "error"
    assert 0 < budget.spent_tokens <= 9000
    assert run.usage.total_tokens == budget.spent_tokens
    assert run.open_calls == ()  # the calls of the last answer were run


def test_an_error_carries_the_run(backend: str) -> None:
    emulator = Scripted([[("add", {"a": 1, "b": 1})]]).emulator()
    emulator.misbehave([None, faults.status(400)])
    with pytest.raises(BadRequestError) as caught:
        play(backend, emulator, tools=[add])
    run = caught.value.run
    assert run is not None
    assert told(run) == [("ok", "2")]
    assert play(backend, emulator, run, tools=[add]).text == "done"


# --- approval


@pytest.mark.parametrize("asynchronous", [False, True])
def test_each_call_is_approved_before_it_is_run(backend: str, asynchronous: bool) -> None:
    asked: list[int] = []
    ran: list[int] = []

    def work(number: int) -> str:
        ran.append(number)
        return "worked"

    said = [True, False, Approval.allow(), Approval.deny("Ask the boss."), Approval.answer("forty")]

    def approve(call: chatport.ToolCall) -> Any:
        asked.append(call.parsed()["number"])
        assert not ran  # all are asked for before the first begins
        return said[asked[-1]]

    async def approve_slowly(call: chatport.ToolCall) -> Any:
        await anyio.lowlevel.checkpoint()
        return approve(call)

    calls: list[Any] = [("work", {"number": number}) for number in range(5)]
    model = Scripted([[*calls, ("work", {"number": "x"}), ("nobody", {})]])
    if asynchronous and backend == "sync":
        with pytest.raises(MisuseError, match="approve is asynchronous"):
            play(backend, model, tools=[work], approve=approve_slowly)
        return
    run = play(backend, model, tools=[work], approve=approve_slowly if asynchronous else approve)
    assert asked == [0, 1, 2, 3, 4]
    assert sorted(ran) == [0, 2]
    assert told(run)[:5] == [
        ("ok", "worked"),
        ("denied", "This call was not allowed, and was not run."),
        ("ok", "worked"),
        ("denied", "This call was not allowed, and was not run. Ask the boss."),
        ("answered", "forty"),
    ]


def test_a_call_may_wait_and_be_run_later(backend: str) -> None:
    ran: list[int] = []

    def work(number: int) -> str:
        ran.append(number)
        return f"worked {number}"

    model = Scripted([[("work", {"number": number}) for number in range(3)]])

    def wait_for_one(call: chatport.ToolCall) -> Any:
        return Approval.wait() if call.parsed()["number"] == 1 else True

    run = play(backend, model, tools=[work], approve=wait_for_one)
    assert (run.outcome, sorted(ran)) == ("open", [0, 2])
    assert [call.parsed() for call in run.open_calls] == [{"number": 1}]
    after = play(backend, model, run, tools=[work])
    assert (after.outcome, sorted(ran[:2]), ran[2:]) == ("done", [0, 2], [1])
    assert len(model.requests) == 2
    assert {result.content for result in after.steps[0].results} == {f"worked {number}" for number in range(3)}
    # or it is answered by the program
    answered = [*run.messages, Message.tool(run.open_calls[0], "no need")]
    assert play(backend, model, answered, tools=[work]).text == "done"
    assert len(ran) == 3


def test_a_tool_without_a_function_leaves_the_run_open(backend: str) -> None:
    schema = {"type": "function", "function": {"name": "elsewhere", "parameters": {"type": "object"}}}
    model = Scripted([[("elsewhere", {}), ("add", {"a": 1, "b": 1})]])
    run = play(backend, model, tools=[schema, add], max_steps=2)
    assert run.outcome == "open"
    assert told(run) == [("ok", "2")]
    assert [call.name for call in run.open_calls] == ["elsewhere"]
    assert play(backend, Scripted([[("elsewhere", {})]]), tools=[schema], max_steps=1).outcome == "open"


@pytest.mark.parametrize("said", [None, "yes", 1])
def test_an_approval_that_says_nothing_is_refused(backend: str, said: Any) -> None:
    with pytest.raises(BadRequestError, match=r"approve returns True, False or a chatport\.Approval"):
        play(backend, Scripted([[("add", {"a": 1, "b": 1})]]), tools=[add], approve=lambda call: said)


# --- streamed


def test_the_events_of_a_run(backend: str) -> None:
    model = Scripted([[("add", {"a": 1, "b": 2}), ("nobody", {})]])
    events, run = stream(backend, model, tools=[add])
    kinds = [type(event).__name__ for event in events if not isinstance(event, chatport.ToolCallDelta)]
    assert kinds == [
        "ToolCallEnded", "ToolCallEnded", "UsageReported", "Finished", "ToolEnded", "ToolStarted", "ToolEnded",
        "TextDelta", "UsageReported", "Finished", "RunFinished",
    ]  # fmt: skip
    assert [event.result.outcome for event in events if isinstance(event, ToolEnded)] == ["unknown", "ok"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].run == run
    assert (run.outcome, run.text) == ("done", "done")


def test_each_tool_ends_as_it_does() -> None:
    """Of two tools that run at the same time, the quicker one is told of while the other still runs."""
    told_of_quick = threading.Event()

    def quick() -> None:
        return None

    def slow() -> bool:
        return told_of_quick.wait(20)

    def hear(event: Any) -> bool:
        if isinstance(event, ToolEnded) and event.result.call.name == "quick":
            told_of_quick.set()
        return False

    for backend in BACKENDS:
        told_of_quick.clear()
        _, run = stream(
            backend, Scripted([[("slow", {}), ("quick", {})]]), stop=hear, tools=[quick, slow], threads=True
        )
        assert told(run) == [("ok", "true"), ("ok", "null")]


def test_a_run_that_was_left_goes_on_later_and_runs_nothing_twice(backend: str) -> None:
    ran: list[int] = []

    def work(number: int) -> int:
        ran.append(number)
        return number

    steps: list[Any] = [[("work", {"number": 10 * step + n}) for n in range(2)] for step in range(2)]
    whole = play(backend, Scripted(steps), tools=[work])
    ends = sum(isinstance(event, ToolEnded) for event in stream(backend, Scripted(steps), tools=[work])[0])
    assert ends == 4
    for at in range(1, 5):
        ran.clear()
        left = [at]

        def last(event: Any, left: list[int] = left) -> bool:
            left[0] -= isinstance(event, ToolEnded)
            return left[0] == 0

        _, run = stream(backend, Scripted(steps), stop=last, tools=[work])
        assert run.outcome == "stopped"
        after = play(backend, Scripted(steps), run, tools=[work])
        assert after.messages == whole.messages
        told_values = [[result.content for result in step.results] for step in after.steps]
        assert told_values == [["0", "1"], ["10", "11"], []]
        assert sorted(ran) == [0, 1, 10, 11]  # also where one had ended beside the last, and was not told of


def test_leaving_in_the_middle_of_an_answer(backend: str) -> None:
    model = Scripted([[("add", {"a": 1, "b": 2})]])
    _, run = stream(backend, model, stop=lambda event: isinstance(event, chatport.TextDelta), tools=[add])
    assert (run.outcome, len(run.steps)) == ("stopped", 1)
    assert told(run) == [("ok", "3")]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_cancelling_a_run_cancels_its_tools(loop: str) -> None:
    ended: list[str] = []
    emulator = Scripted([[("hang", {}), ("hang", {})]]).emulator()

    async def main() -> chatport.Run:
        begun = anyio.Event()

        async def hang() -> None:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.append("hang")

        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            running = client.run_stream("go", model=MODEL, tools=[hang])

            async def read() -> None:
                async with running:
                    async for _ in running:
                        pass

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await begun.wait()
                group.cancel_scope.cancel()
        return running.run

    run = anyio.run(main, backend=loop)
    assert ended == ["hang", "hang"]
    assert len(run.open_calls) == 2


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_error_that_is_caught_inside_the_block_stops_the_tools_and_not_the_reader(loop: str) -> None:
    emulator = Scripted([[("hang", {})]]).emulator()

    async def main() -> None:
        stopped = anyio.Event()

        async def hang() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                stopped.set()

        async with (
            chatport.AsyncClient(emulator.config(), transport=emulator, clock=VirtualClock().clock) as client,
            client.run_stream("go", model=MODEL, tools=[hang], max_seconds=0.05) as running,
        ):
            with pytest.raises(RunLimitError):
                async for _ in running:
                    pass
            await stopped.wait()
            with pytest.raises(MisuseError):
                await anext(running)

    anyio.run(main, backend=loop)


def test_a_run_is_read_once(backend: str) -> None:
    emulator = Scripted().emulator()
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator) as client:
            plain = client.run_stream("go", model=MODEL)
            assert [type(event).__name__ for event in plain][-1] == "RunFinished"  # without a block, too
            with client.run_stream("go", model=MODEL) as running:
                pass
            with pytest.raises(MisuseError, match="left before its end"):
                next(running)
            with pytest.raises(MisuseError, match="entered before"), running:
                pass
        return

    async def main() -> None:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            running = client.run_stream("go", model=MODEL)
            with pytest.raises(MisuseError, match="inside its block"):
                await anext(running)
            async with client.run_stream("go", model=MODEL) as running:
                pass
            with pytest.raises(MisuseError, match="entered before"):
                await running.__aenter__()

    anyio.run(main, backend=backend)


def test_a_run_that_two_read_goes_on_for_the_first(backend: str) -> None:
    emulator = Scripted([[("meet", {})]]).emulator()
    if backend == "sync":
        inside, leave = threading.Event(), threading.Event()

        def meet() -> bool:
            inside.set()
            return leave.wait(20)

        with chatport.Client(emulator.config(), transport=emulator) as client:
            running = client.run_stream("go", model=MODEL, tools=[meet])
            first = threading.Thread(target=lambda: list(running))
            first.start()
            assert inside.wait(20)
            with pytest.raises(MisuseError, match="being read already"):
                next(running)
            leave.set()
            first.join()
        assert running.run.outcome == "done"
        return

    async def main() -> Run:
        inside, leave = anyio.Event(), anyio.Event()

        async def meet() -> None:
            inside.set()
            await leave.wait()

        async def read(stream: chatport.AsyncRunStream) -> None:
            async for _ in stream:
                pass

        async with (
            chatport.AsyncClient(emulator.config(), transport=emulator) as client,
            client.run_stream("go", model=MODEL, tools=[meet]) as stream,
            anyio.create_task_group() as group,
        ):
            group.start_soon(read, stream)
            await inside.wait()
            with pytest.raises(MisuseError, match="being read already"):
                await anext(stream)
            leave.set()
        return stream.run

    assert anyio.run(main, backend=backend).outcome == "done"


# --- what is asked


def test_a_forced_choice_holds_for_the_first_answer(backend: str) -> None:
    for choice in ("required", add, "add"):
        model = Scripted([[("add", {"a": 1, "b": 1})]])
        play(backend, model, tools=[add], tool_choice=choice)
        first, second = (request.json() for request in model.requests)
        assert "tool_choice" in first
        assert second.get("tool_choice", "auto") == "auto"
        assert second["tools"] == first["tools"]
    model = Scripted([[("add", {"a": 1, "b": 1})]])
    play(backend, model, tools=[add], tool_choice="auto", temperature=0.5)
    assert [request.json()["temperature"] for request in model.requests] == [0.5, 0.5]


def test_a_run_without_tools_is_one_answer(backend: str) -> None:
    run = play(backend, Scripted())
    assert (run.outcome, run.text, len(run.steps)) == ("done", "done", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_steps": 0}, "max_steps is a whole number of at least 1"),
        ({"max_steps": True}, "max_steps"),
        ({"max_seconds": 0}, "max_seconds is a number of seconds above 0"),
        ({"max_seconds": float("inf")}, "max_seconds"),
        ({"approve": "yes"}, "approve is a function"),
        ({"threads": 1}, "threads is True or False"),
        ({"tools": [add, add]}, "Two tools are called 'add'"),
        ({"tools": add}, "tools must be a list"),
        ({"temprature": 1}, "Did you mean"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_sent(backend: str, options: Any, words: str) -> None:
    model = Scripted()
    with pytest.raises(chatport.ChatportError, match=words):
        play(backend, model, **options)
    assert not model.requests


def test_a_closed_client_begins_no_run() -> None:
    emulator = Scripted().emulator()
    client = chatport.Client(emulator.config(), transport=emulator)
    running = client.run_stream("go", model=MODEL)
    client.close()
    with pytest.raises(MisuseError):
        next(running)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_that_may_go_nowhere_any_more_ends_the_run_with_all_there_is(backend: str) -> None:
    """What the tool has found is too long for each of the targets."""

    def look_up(name: str) -> str:
        return "word " * 5000

    alias = {"targets": [{"target": MODEL, "when": {"below_input_tokens": 1000}}]}
    emulator = Scripted([[("look_up", {"name": "a"})]]).emulator()
    tables = emulator.config(aliases={"short": alias})
    options: dict[str, Any] = {"model": "short", "tools": [look_up]}

    async def main() -> None:
        async with chatport.AsyncClient(tables, transport=emulator) as client:
            await client.run("go", **options)

    with pytest.raises(chatport.ConfigurationError, match="No target's conditions hold for this call") as caught:  # noqa: PT012
        if backend == "sync":
            with chatport.Client(tables, transport=emulator) as client:
                client.run("go", **options)
        anyio.run(main, backend=backend)
    assert len(emulator.requests) == 1
    assert caught.value.run is not None
    assert [message.role for message in caught.value.run.messages] == ["user", "assistant", "tool"]


def test_a_run_that_has_no_answer_says_so() -> None:
    run = Run((Message.user("hi"),), (), "stopped")
    assert (run.text, run.usage, run.cost, run.open_calls) == ("", chatport.Usage(), None, ())
    with pytest.raises(MisuseError, match="no answer yet"):
        _ = run.reply


def test_calls_with_one_id_each_have_their_result() -> None:
    calls = tuple(chatport.ToolCall("same", name, "{}") for name in "ab")
    messages = (Message.user("q"), Message.assistant(tool_calls=calls), Message.tool("same", "r"))
    assert [call.name for call in Run(messages).open_calls] == ["b"]
    assert Run((*messages, Message.tool("same", "r"))).open_calls == ()
    assert Run((*messages, Message.user("and?"))).open_calls == ()


# --- one call


def test_one_tool_can_be_run_by_itself() -> None:
    async def fetch(name: str) -> list[str]:
        await anyio.lowlevel.checkpoint()
        return [name]

    call = chatport.ToolCall("c", "fetch", '{"name":"x"}')
    for loop in ("asyncio", "trio"):
        assert anyio.run(chatport.run_tool_async, call, [fetch], backend=loop) == '["x"]'
        plain = chatport.ToolCall("c", "add", '{"a":1,"b":2}')
        assert anyio.run(chatport.run_tool_async, plain, [add], backend=loop) == "3"
    for tool in (fetch, chatport.Tool("fetch", function=lambda name: fetch(name))):
        with pytest.raises(BadRequestError, match="is asynchronous: use run_tool_async"):
            chatport.run_tool(call, [tool])


# --- whatever comes

KINDS = ("ok", "error", "slow", "invalid", "unknown", "cut", "odd")


def outcome_of(kind: str) -> str:
    return {"slow": "ok", "cut": "invalid", "odd": "error"}.get(kind, kind)


def call_of(kind: str, number: int) -> tuple[str, Any]:
    match kind:
        case "unknown":
            return "nobody", {}
        case "invalid":
            return "act", {"kind": kind}
        case "cut":
            return "act", '{"kind": "'
    return "act", {"kind": kind, "number": number}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), max_size=4),
    is_endless=st.booleans(),
    max_steps=st.integers(1, 5),
    threads=st.booleans(),
    asynchronous=st.booleans(),
    verdicts=st.lists(st.sampled_from(["allow", "deny", "answer"]), max_size=6),
    streamed=st.booleans(),
)
def test_whatever_tools_do(
    backend: str,
    steps: list[list[str]],
    is_endless: bool,
    max_steps: int,
    threads: bool,
    asynchronous: bool,
    verdicts: list[str],
    streamed: bool,
) -> None:
    """Each call has one result, in its place, each tool runs once, and the run ends as it should and goes on after."""
    ran: list[int] = []
    began: list[str] = []

    def act(kind: str, number: int) -> Any:
        ran.append(number)
        if kind == "error":
            raise RuntimeError("broken")
        return object() if kind == "odd" else f"did {number}"

    async def act_later(kind: str, number: int) -> Any:
        for _ in range(3 if kind == "slow" else number % 2):
            await anyio.lowlevel.checkpoint()
        return act(kind, number)

    act_later.__name__ = "act"
    left = list(verdicts)

    def approve(call: chatport.ToolCall) -> Approval:
        began.append(call.id)
        verdict = left.pop() if left else "allow"
        return {"allow": Approval.allow(), "deny": Approval.deny(), "answer": Approval.answer("said")}[verdict]

    numbered = [[call_of(kind, 10 * at + n) for n, kind in enumerate(kinds)] for at, kinds in enumerate(steps)]
    model = Scripted(numbered, endless=[call_of("ok", 999)] if is_endless else ())
    tool = act_later if asynchronous and backend != "sync" else act
    options: dict[str, Any] = {"tools": [tool], "max_steps": max_steps, "threads": threads, "approve": approve}
    runs_over = is_endless or len(steps) >= max_steps
    if runs_over:
        with pytest.raises(RunLimitError) as caught:
            stream(backend, model, **options) if streamed else play(backend, model, **options)
        run = caught.value.run
        assert run is not None
        assert len(run.steps) == max_steps
        assert len(run.open_calls) == len(run.steps[-1].reply.tool_calls)
        model.endless = ()
        run = play(backend, model, run, **{**options, "max_steps": 10})
    elif streamed:
        events, run = stream(backend, model, **options)
        check_events(events, run)
    else:
        run = play(backend, model, **options)
    check(run, steps + ([["ok"]] * (max_steps - len(steps)) if is_endless else []))
    allowed = [r for step in run.steps for r in step.results if r.outcome in ("ok", "error")]
    assert len(ran) == len(allowed)
    assert sorted(ran) == sorted(result.call.parsed()["number"] for result in allowed)


def check(run: Run, steps: list[list[str]]) -> None:
    assert (run.outcome, run.text) == ("done", "done")
    assert len(run.steps) == len(steps) + 1
    for step, kinds in zip(run.steps, steps, strict=False):
        assert [result.call for result in step.results] == list(step.reply.tool_calls)
        for result, kind in zip(step.results, kinds, strict=True):
            assert result.outcome in (outcome_of(kind), "denied", "answered"), (kind, result)
            assert kind not in ("invalid", "unknown", "cut") or result.outcome == outcome_of(kind)
    told_messages = [message for message in run.messages if message.role == "tool"]
    assert told_messages == [result.message for step in run.steps for result in step.results]
    assert run.usage.input_tokens == 100 * len(steps) + 10


def check_events(events: list[Any], run: Run) -> None:
    started = [(event.step, event.call) for event in events if isinstance(event, ToolStarted)]
    ended = [(event.step, event.result.call) for event in events if isinstance(event, ToolEnded)]
    assert sorted(ended, key=repr) == sorted(
        ((at, result.call) for at, step in enumerate(run.steps) for result in step.results), key=repr
    )
    for begun in started:
        assert events.index(ToolStarted(begun[1], begun[0])) < next(
            at for at, event in enumerate(events) if isinstance(event, ToolEnded) and event.result.call == begun[1]
        )
    assert sum(isinstance(event, chatport.Finished) for event in events) == len(run.steps)
    assert events[-1] == RunFinished(run)


def test_nothing_of_a_run_is_loaded_by_a_plain_call() -> None:
    import subprocess
    import sys

    code = """
import sys, chatport
from chatport.testing import Emulator
emulator = Emulator("compatible")
chatport.Client(emulator.config(), transport=emulator).chat("say: hi", model="compatible:emulated-model")
print(sorted(name for name in sys.modules if name.startswith("chatport.runs") or "running" in name or name.endswith("types.runs")))
"""  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_both_streams_of_a_run_have_the_same_methods() -> None:
    one, other = (
        {name for name, member in inspect.getmembers(cls) if not name.startswith("_")}
        for cls in (chatport.AsyncRunStream, chatport.RunStream)
    )
    assert one == other


def test_a_run_gives_the_structure_of_its_last_answer() -> None:
    class Sums(Scripted):
        def script(self, body: Any) -> Any:
            said = super().script(body)
            return said if said.calls else attrs.evolve(said, text='{"sum": 3}')

    run = play("sync", Sums([[("add", {"a": 1, "b": 2})]]), tools=[add], output={"type": "object"})
    assert len(run.steps) == 2
    assert run.parsed() == {"sum": 3}
    with pytest.raises(MisuseError, match="This run has no answer yet"):
        Run((), (), "open").parsed()


def test_where_no_answer_stands_before_the_results_no_call_is_open() -> None:
    assert Run((), (), "open").open_calls == ()
    assert Run((Message.tool("c", "r"),), (), "open").open_calls == ()
