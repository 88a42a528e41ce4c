"""The call engine, driven by a script on a clock that only the script moves: no socket, no sleep."""

from __future__ import annotations

import gzip
import json
import traceback
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import attrs
import pytest

import chatport
from chatport import events as ev
from chatport.basics.secret import Secret
from chatport.basics.sizes import Limits
from chatport.call import Context, Failure, Verdict
from chatport.client.base import BaseClient
from chatport.decoding.caller_names import CallerNames
from chatport.decoding.collector import Collector
from chatport.decoding.hints import retry_delay_seconds
from chatport.engine.commands import (
    Block,
    Clock,
    Close,
    Deliver,
    Head,
    HttpRequest,
    Pause,
    Read,
    Send,
    TimerExpired,
    TransportFailure,
    Wait,
)
from chatport.engine.machine import CallMachine, Given
from chatport.engine.route import Route
from chatport.errors import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    DeadlineError,
    MalformedReplyError,
    OverloadedError,
    PluginError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TransportError,
)
from chatport.hooks import hookimpl
from chatport.inputs.options import read_call
from chatport.limits.retry import RetryBudget, RetryPolicy, backoff_seconds
from chatport.setup.config import load_config
from chatport.types import Reply

# --- a vendor in a script

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


class Silence(float):
    """The vendor says nothing for so many seconds."""


Step = bytes | Silence | TransportFailure


@attrs.frozen
class Response:
    """One exchange: what happens before the head, status and headers, and the body step by step."""

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=lambda: SSE)
    body: Sequence[Step] = ()
    before: Sequence[Silence | TransportFailure | TimerExpired] = ()


@attrs.define
class ScriptedDriver:
    """The scripted driver: it moves the clock as the script says, and writes down what the machine asked for."""

    responses: list[Response]
    caller_seconds: float = 0.0
    """How long the caller thinks over each delivery."""
    draws: list[float] = attrs.field(factory=list)
    now: float = 1000.0
    sent: list[HttpRequest] = attrs.field(factory=list)
    sends: list[Send] = attrs.field(factory=list)
    waits: list[float] = attrs.field(factory=list)
    reads: list[float | None] = attrs.field(factory=list)
    deliveries: list[list[ev.Event]] = attrs.field(factory=list)
    closes: int = 0
    steps: list[Step] = attrs.field(factory=list)
    is_open: bool = False

    def clock(self) -> Clock:
        return Clock(
            lambda: self.now,
            lambda: NOW + timedelta(seconds=self.now - 1000.0),
            lambda: self.draws.pop(0) if self.draws else 0.5,
        )

    @property
    def events(self) -> list[ev.Event]:
        return [event for delivery in self.deliveries for event in delivery]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ev.TextDelta))

    @property
    def failed(self) -> list[ev.AttemptFailed]:
        return [event for event in self.events if isinstance(event, ev.AttemptFailed)]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.sent]

    def run(self, machine: CallMachine) -> Reply:
        generator = machine.run()
        answer: Any = None
        thrown: Exception | None = None
        while True:
            try:
                command = generator.send(answer) if thrown is None else generator.throw(thrown)
            except StopIteration as stop:
                return cast(Reply, stop.value)
            answer = thrown = None
            try:
                answer = self._do(command)
            except (TransportFailure, TimerExpired, ChatportError) as problem:
                thrown = problem

    def _do(self, command: Any) -> Any:
        match command:
            case Send():
                assert not self.is_open, "the exchange before was not given back"
                self.sent.append(command.request)
                self.sends.append(command)
                response = self.responses.pop(0)
                for step in response.before:
                    self._pass(step, command.head_seconds)
                self.steps = list(response.body)
                self.is_open = True
                return Head(response.status, response.headers)
            case Read(seconds=seconds):
                self.reads.append(seconds)
                return self._read(seconds)
            case Deliver(events=events):
                self.deliveries.append(events)
                self.now += self.caller_seconds
            case Wait(seconds=seconds):
                self.waits.append(seconds)
                self.now += seconds
            case Close():
                self.closes += 1
                self.is_open = False
            case Block(function=function):
                return function()
        return None

    def _read(self, seconds: float | None) -> bytes:
        left = seconds
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, Silence) and left is not None and step > left:
                self.steps.insert(0, Silence(step - left))
            if isinstance(step, Silence):
                self._pass(step, left)
                left = None if left is None else left - step
            else:
                raise step
        return b""

    def _pass(self, step: Exception | Silence, seconds: float | None) -> None:
        if isinstance(step, Exception):
            raise step
        if seconds is not None and step > seconds:
            self.now += seconds
            raise TimerExpired("io")
        self.now += step


def repeated(times: int, *steps: Step) -> list[Step]:
    return list(steps) * times


def sse(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return sse({"id": "r1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def text(words: str) -> bytes:
    return delta(content=words)


ROLE = delta(role="assistant", content="")
STOP = delta("stop")
USAGE = sse({"id": "r1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": still here\n\n"
GOOD = Response(body=[ROLE, text("hel"), text("lo"), STOP, USAGE, DONE])
WHOLE = {
    "id": "r1",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
GOOD_JSON = Response(headers=JSON, body=[json.dumps(WHOLE).encode()])


def failure(status: int, body: Any = None, **headers: str) -> Response:
    content = {"error": {"message": "no"}} if body is None else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {**JSON, **named}, [json.dumps(content).encode()])


def cut(kind: str = "ReadError") -> TransportFailure:
    return TransportFailure("connection reset", stage="body", kind=kind)


def configuration(**tables: Any) -> chatport.Config:
    table = {"kind": "compatible", "api_key": "sk-secret-value"}
    providers = {name: {**table, "base_url": f"https://{name}.example/v1"} for name in ("one", "two", "three")}
    aliases = {"main": ["one:m1", "two:m2"], "all": ["one:m1", "two:m2", "three:m3"]}
    merged = {"providers": providers, "aliases": aliases, "model": "one:m1", **tables}
    return load_config(merged, environment={})


@attrs.define
class Call:
    """One client with one scripted world; several calls may be made of it."""

    world: ScriptedDriver
    client: BaseClient

    def machine(self, *, deliver: bool = True, stream: bool | None = None, **options: Any) -> CallMachine:
        return self.client._machine("hi", deliver if stream is None else stream, deliver, options)

    def run(self, *, deliver: bool = True, stream: bool | None = None, **options: Any) -> Reply:
        return self.world.run(self.machine(deliver=deliver, stream=stream, **options))

    def error(self, *, deliver: bool = True, stream: bool | None = None, **options: Any) -> ChatportError:
        with pytest.raises(ChatportError) as caught:
            self.run(deliver=deliver, stream=stream, **options)
        assert not self.world.is_open, "the exchange was not given back"
        return caught.value


def call(
    *responses: Response,
    caller_seconds: float = 0.0,
    draws: Iterable[float] = (),
    plugins: Any = (),
    observers: Any = (),
    **tables: Any,
) -> Call:
    world = ScriptedDriver(list(responses), caller_seconds, list(draws))
    return Call(world, BaseClient(configuration(**tables), plugins=plugins, clock=world.clock(), observers=observers))


# --- the plain way


def test_a_stream_hands_over_its_events_in_order_and_the_reply_last() -> None:
    c = call(GOOD)
    reply = c.run()
    assert c.world.text == reply.text == "hello"
    assert c.world.events[-1] == ev.Finished(reply)
    assert [attempt.outcome for attempt in reply.attempts] == ["ok"]
    assert (reply.finish_reason, reply.usage.output_tokens, reply.provider, reply.model) == ("stop", 2, "one", "m")
    assert c.world.closes == 1


def test_each_piece_is_handed_over_as_it_comes() -> None:
    c = call(GOOD)
    c.run()
    pieces = [[e.text for e in d if isinstance(e, ev.TextDelta)] for d in c.world.deliveries]
    assert [piece for piece in pieces if piece] == [["hel"], ["lo"]]


def test_a_plain_call_hands_nothing_over_before_the_end() -> None:
    c = call(GOOD_JSON)
    reply = c.run(deliver=False)
    assert c.world.events == []
    assert reply.text == "hello"
    assert reply.raw == WHOLE


def test_a_stream_asked_for_may_be_answered_with_a_whole_reply() -> None:
    c = call(GOOD_JSON)
    assert c.run().text == c.world.text == "hello"


def test_a_plain_call_may_be_answered_with_a_stream() -> None:
    assert call(GOOD).run(deliver=False).text == "hello"


def test_blank_lines_before_a_plain_reply_are_heartbeats() -> None:
    lines = [*repeated(3, b"\n", Silence(20)), json.dumps(WHOLE).encode()]
    c = call(Response(headers=JSON, body=lines), timeouts={"silence": 30})
    assert c.run(deliver=False).text == "hello"


def test_what_precedes_content_waits_for_it_and_is_handed_over_with_it() -> None:
    c = call(Response(body=[ROLE, USAGE, text("hi"), STOP, DONE]))
    c.run()
    assert [type(event).__name__ for event in c.world.deliveries[0]] == ["UsageReported", "TextDelta"]


def test_a_reply_without_content_still_hands_over_its_usage() -> None:
    c = call(Response(body=[ROLE, STOP, USAGE, DONE]))
    reply = c.run()
    assert reply.text == ""
    assert [type(event).__name__ for event in c.world.events] == ["UsageReported", "Finished"]


@pytest.mark.parametrize("deliver", [True, False])
def test_unfinished_calls_of_the_machine_give_their_exchange_back(deliver: bool) -> None:
    assert call(failure(400)).error(deliver=deliver).status == 400


# --- retries


def test_three_attempts_in_all_then_the_error_with_the_whole_story() -> None:
    c = call(failure(503), failure(500), failure(503), GOOD, draws=[1.0, 1.0])
    error = c.error()
    assert isinstance(error, OverloadedError)
    assert [a.outcome for a in error.attempts] == ["OverloadedError", "ServerError", "OverloadedError"]
    assert [a.status for a in error.attempts] == [503, 500, 503]
    assert [a.wait_seconds for a in error.attempts] == [0.5, 1.0, 0.0]
    assert c.world.waits == [0.5, 1.0]
    assert len(c.world.sent) == 3


def test_the_reply_tells_of_the_attempts_before_it_and_the_caller_hears_of_them() -> None:
    c = call(failure(503), GOOD, draws=[0.5])
    reply = c.run()
    assert [a.outcome for a in reply.attempts] == ["OverloadedError", "ok"]
    (told,) = c.world.failed
    assert (told.target, told.wait_seconds, type(told.error)) == ("one:m1", 0.25, OverloadedError)
    assert c.world.deliveries[0] == [told], "the caller hears of it before the wait"


def test_waits_double_from_half_a_second_to_eight_with_full_jitter() -> None:
    policy = RetryPolicy()
    assert [backoff_seconds(n, policy, lambda: 1.0) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert backoff_seconds(3, policy, lambda: 0.25) == 0.5
    assert backoff_seconds(3, policy, lambda: 0.0) == 0
    assert backoff_seconds(100, policy, lambda: 1.0) == 8


def test_the_engine_draws_its_jitter_from_the_clock_it_was_given() -> None:
    c = call(
        failure(500),
        failure(500),
        failure(500),
        failure(500),
        GOOD,
        draws=[0.1, 0.9, 0.0, 0.5],
        retry={"attempts": 5, "budget_least": 10},
    )
    c.run()
    assert c.world.waits == pytest.approx([0.05, 0.9, 2.0])  # a wait of nothing is no wait


@pytest.mark.parametrize(
    ("status", "attempts"),
    [
        (400, 1),
        (401, 1),
        (402, 1),
        (403, 1),
        (404, 1),
        (422, 1),
        (408, 2),
        (409, 2),
        (429, 2),
        (500, 2),
        (502, 2),
        (503, 2),
        (529, 2),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(status: int, attempts: int) -> None:
    c = call(failure(status), GOOD)
    if attempts == 1:
        assert c.error().status == status
    else:
        c.run()
    assert len(c.world.sent) == attempts


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"retry-after": "Fri, 01 May 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, 0.0),
        ({"retry-after": "60"}, 60.0),
    ],
)
def test_the_vendors_hint_is_followed_in_every_form(headers: dict[str, str], seconds: float) -> None:
    c = call(Response(429, {**JSON, **headers}, [b'{"error": {"message": "slow"}}']), GOOD)
    c.run()
    assert sum(c.world.waits) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "1e99", "Fri, 99 May 2026", "{}"])
def test_a_hint_that_cannot_be_read_is_none(value: str) -> None:
    assert retry_delay_seconds({"retry-after": value}, NOW) is None
    c = call(Response(429, {**JSON, "retry-after": value, "retry-after-ms": value}, [b"{}"]), GOOD, draws=[1.0])
    c.run()
    assert c.world.waits == [0.5]


def test_a_hint_above_a_minute_ends_the_attempts_at_once_and_the_error_carries_it() -> None:
    c = call(failure(429, retry_after="61"), GOOD)
    error = c.error()
    assert isinstance(error, RateLimitError)
    assert error.retry_after_seconds == 61
    assert error.retryable
    assert "61 s" in str(error)
    assert c.world.waits == []
    assert len(c.world.sent) == 1


def test_a_hint_above_a_minute_leads_to_the_next_target_without_a_wait() -> None:
    c = call(failure(429, retry_after="3600"), GOOD)
    reply = c.run(model="main")
    assert reply.provider == "two"
    assert c.world.waits == []


def test_a_wait_that_would_outlast_the_call_is_not_begun() -> None:
    c = call(failure(429, retry_after="50"), GOOD, timeouts={"total": 40})
    error = c.error()
    assert isinstance(error, RateLimitError)
    assert error.retry_after_seconds == 50
    assert c.world.waits == []


@pytest.mark.parametrize(("status", "said", "attempts"), [(400, "true", 2), (503, "false", 1), (503, "maybe", 2)])
def test_x_should_retry_has_the_last_word(status: int, said: str, attempts: int) -> None:
    c = call(failure(status, x_should_retry=said), GOOD)
    if attempts == 1:
        assert not c.error().retryable
    else:
        c.run()
    assert len(c.world.sent) == attempts


def test_the_policy_is_the_users() -> None:
    table = {"attempts": 2, "first_seconds": 3, "longest_seconds": 3, "longest_hint_seconds": 5}
    c = call(failure(503), failure(503), retry=table, draws=[1.0])
    assert len(c.error().attempts) == 2
    assert c.world.waits == [3.0]
    assert len(call(failure(429, retry_after="6"), retry=table).error().attempts) == 1
    assert len(call(failure(503), retry={"attempts": 1}).error().attempts) == 1


# --- the budget


def test_an_outage_gets_three_retries_a_minute_from_a_quiet_client() -> None:
    c = call(*[failure(503)] * 12)
    counts = [len(c.error().attempts) for _ in range(4)]
    assert counts == [3, 2, 1, 1]
    c.world.now += 61
    assert len(c.error().attempts) == 3, "a minute later the budget is fresh"


def test_a_busy_client_may_retry_a_fifth_of_its_calls() -> None:
    now = [0.0]
    budget = RetryBudget(lambda: now[0])
    for _ in range(100):
        budget.count_call()
    assert sum(budget.take() for _ in range(100)) == 20
    now[0] = 60.5
    assert sum(budget.take() for _ in range(100)) == 3


def test_the_budget_forgets_old_calls_even_if_nothing_is_ever_retried() -> None:
    now = [0.0]
    budget = RetryBudget(lambda: now[0])
    for second in range(1000):
        now[0] = float(second)
        budget.count_call()
    assert len(budget._seconds) <= 62
    assert budget.calls <= 62


# --- what calls share, and what they do not


def test_two_keys_of_a_vendor_have_a_queue_each() -> None:
    """The limits are kept for the provider, the key and the model: what one key waits for is nothing to another."""
    c = call(pacing={"concurrency": 1})
    route = c.client._routes.route(read_call("hi", stream=False)[0], "one:m1", timeouts={}, options={})
    other = attrs.evolve(route.request, auth=("authorization", "Bearer ", Secret("sk-another")))

    def first_command(route: Route) -> Any:
        machine = CallMachine([Given("one:m1", route)], c.client._shared, False)
        running.append(machine.run())
        return next(running[-1])

    running: list[Any] = []
    assert isinstance(first_command(route), Send)
    assert isinstance(first_command(route), Pause), "the same key waits for its turn"
    assert isinstance(first_command(attrs.evolve(route, request=other)), Send)
    for generator in running:
        generator.close()


@pytest.mark.parametrize("seconds", [4.9, 5.0])
def test_a_wait_in_the_queue_that_would_outlast_its_timer_is_not_begun(seconds: float) -> None:
    c = call(pacing={"concurrency": 1}, timeouts={"total": 5})
    route = c.client._routes.route(read_call("hi", stream=False)[0], "one:m1", timeouts={}, options={})
    assert route.pace is not None
    c.client._shared.pacers.get(route.pace_key, route.pace).hold(seconds)
    machine = c.machine(deliver=False).run()
    if seconds < 5:
        command = next(machine)
        assert isinstance(command, Pause)
        assert command.seconds == pytest.approx(seconds)
        machine.close()
        return
    with pytest.raises(DeadlineError) as caught:
        next(machine)
    assert (caught.value.timer, caught.value.seconds) == ("queue", 5)
    assert "the next one is free in 5.0 s" in str(caught.value)


def test_a_retry_settles_no_probe_of_another_call() -> None:
    """The first attempt of a call is the probe; its later ones are like any other, and another call has the probe."""
    c = call(retry={"budget_least": 10}, breaker={"failures": 1, "open_seconds": 10, "probe_beside": False})
    breaker = c.client._shared.breakers.of("one:m1")
    breaker.record("failed")
    c.world.now += 11
    mine = c.machine(deliver=False).run()
    assert isinstance(next(mine), Send)
    assert isinstance(mine.send(Head(503, JSON)), Read)
    while not isinstance(mine.send(b""), Wait):
        pass
    assert breaker.state == "open", "its first attempt has decided"
    c.world.now += 21
    assert breaker.admit() == "probe"
    assert isinstance(mine.send(None), Send)
    mine.send(Head(200, JSON))
    command = mine.send(GOOD_JSON.body[0])
    while not isinstance(command, Close):
        command = mine.send(b"")
    with pytest.raises(StopIteration):
        mine.send(None)
    assert str(breaker.state) == "half-open", "the other one is still to decide"
    breaker.record("ok", probe=True)
    assert breaker.admit() == "closed"


@pytest.mark.parametrize("deliver", [True, False])
def test_the_time_of_the_first_content_is_told_once_and_in_the_end(deliver: bool) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    body: list[Step] = [ROLE, Silence(3), text("hel"), Silence(4), text("lo"), STOP, USAGE, DONE]
    c = call(
        failure(503), Response(body=body), draws=[1.0], observers=[lambda event, fields: told.append((event, fields))]
    )
    c.run(deliver=deliver, stream=True)
    (first,) = [fields for event, fields in told if event == "first_event"]
    assert (first["attempt"], first["seconds"]) == (2, pytest.approx(3.5))
    (finished,) = [fields for event, fields in told if event == "call_finished"]
    assert finished["first_event_seconds"] == pytest.approx(3.5)
    assert finished["seconds"] == pytest.approx(7.5)
    assert [event for event, _ in told] == [
        "call_started", "attempt_started", "attempt_failed", "attempt_started", "first_event", "call_finished",
    ]  # fmt: skip


def test_a_plain_answer_tells_its_first_content_too() -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    answer = Response(headers=JSON, body=[Silence(2), *GOOD_JSON.body])
    call(answer, observers=[lambda event, fields: told.append((event, fields))]).run(deliver=False)
    assert [fields["first_event_seconds"] for event, fields in told if event == "call_finished"] == [pytest.approx(2)]


@pytest.mark.parametrize("end", [cut(), b""], ids=["broken", "ended too early"])
@pytest.mark.parametrize("before", [(), (text("hel"),)], ids=["before content", "after content"])
def test_the_error_of_a_cut_stream_has_no_status(end: Any, before: Sequence[bytes]) -> None:
    """The vendor said 200, which is what did not fail: a status on an error is that of a refusal."""
    error = call(Response(body=[ROLE, *before, *([end] if end else [])]), retry={"attempts": 1}).error()
    assert isinstance(error, StreamInterruptedError)
    assert error.status is None
    assert "HTTP 200" not in str(error)
    assert [attempt.status for attempt in error.attempts] == [200], "there it stands"


def test_an_error_reported_in_a_200_says_that_status_nowhere_but_with_the_attempt() -> None:
    broken = Response(headers=JSON, body=[b'{"cut'])
    error = call(broken, retry={"attempts": 1}).error(deliver=False)
    assert [attempt.status for attempt in error.attempts] == [200]


# --- commitment


def test_a_cut_before_the_first_content_is_tried_again_and_nothing_of_it_is_seen() -> None:
    c = call(Response(body=[ROLE, USAGE, cut()]), GOOD)
    reply = c.run()
    assert c.world.text == reply.text == "hello"
    assert [a.outcome for a in reply.attempts] == ["StreamInterruptedError", "ok"]
    assert sum(isinstance(event, ev.UsageReported) for event in c.world.events) == 1


@pytest.mark.parametrize(
    "content",
    [
        text("hel"),
        delta(reasoning_content="hm"),
        delta(refusal="no"),
        delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]),
    ],
    ids=["text", "reasoning", "refusal", "tool call"],
)
def test_after_the_first_content_nothing_is_tried_again(content: bytes) -> None:
    c = call(Response(body=[ROLE, content, cut()]), GOOD)
    error = c.error(model="main")
    assert isinstance(error, StreamInterruptedError)
    assert error.partial is not None
    assert len(c.world.sent) == 1
    assert c.world.failed == []


def test_the_partial_holds_all_that_came() -> None:
    pieces = [
        delta(reasoning_content="hm"),
        text("hel"),
        text("lo"),
        delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}]),
        USAGE,
    ]
    c = call(Response(headers={**SSE, "x-request-id": "req-7"}, body=[*pieces, cut()]))
    error = c.error()
    partial = error.partial
    assert partial is not None
    assert (partial.text, partial.reasoning, partial.usage.input_tokens) == ("hello", "hm", 3)
    assert partial.finish_reason == "error"
    (tool_call,) = partial.tool_calls
    assert not tool_call.complete
    with pytest.raises(MalformedReplyError, match="do not run it"):
        tool_call.parsed()
    assert error.request_id == partial.request_id == "req-7"


def test_a_plain_call_that_streams_inside_may_start_again_after_content() -> None:
    c = call(Response(body=[text("hel"), cut()]), GOOD)
    reply = c.run(deliver=False, stream=True)
    assert reply.text == "hello"
    assert len(c.world.sent) == 2


def test_a_plain_call_that_streams_inside_may_go_elsewhere_after_content() -> None:
    c = call(*[Response(body=[text("hel"), cut()])] * 3, GOOD)
    assert c.run(deliver=False, stream=True, model="main").provider == "two"


@pytest.mark.parametrize(
    "body",
    [
        [text("hel")],
        [text("hel"), STOP[:-20]],
        [text("hel"), b"data: {\n\n", STOP],
        [text("hel"), b"data: [DONE"],
    ],
    ids=["clean end", "half an event", "broken JSON", "half a DONE"],
)
def test_a_stream_that_ends_without_its_finish_is_an_error_with_the_partial(body: list[Step]) -> None:
    error = call(Response(body=body)).error()
    assert isinstance(error, StreamInterruptedError | MalformedReplyError)
    assert error.partial is not None
    assert error.partial.text == "hel"


def test_a_finish_without_done_is_complete_when_the_body_is() -> None:
    assert call(Response(body=[text("hel"), STOP])).run().text == "hel"


def test_a_finish_is_not_complete_when_the_body_is_cut_after_it() -> None:
    error = call(Response(body=[text("hel"), STOP, cut()])).error()
    assert isinstance(error, StreamInterruptedError)
    assert error.partial is not None
    assert error.partial.finish_reason == "stop"


def test_done_without_a_finish_is_a_warning_never_an_invented_stop() -> None:
    reply = call(Response(body=[text("hel"), DONE])).run()
    assert (reply.finish_reason, reply.raw_finish_reason) == ("other", None)
    assert any(note.kind == "missing" and note.field == "finish_reason" for note in reply.warnings)


EMPTY = sse({"id": "", "choices": None, "usage": None})
NOTHING: dict[str, list[Step]] = {
    "done alone": [DONE],
    "no choices": [EMPTY],
    "no choices, done": [EMPTY, DONE],
    "no choices but their list": [sse({"choices": []}), DONE],
    "a role": [sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})],
    "an end without a reason": [sse({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}), DONE],
    "an end that nobody knows": [delta("unheard_of"), DONE],
    "half an event": [b'data: {"choices": [{"ind\n\n'],
    "half an event, done": [b'data: {"choices": [{"ind\n\n', DONE],
    "a page": [b"<html>We will be back soon</html>"],
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=list(NOTHING))
def test_a_stream_that_is_cut_before_any_content_is_tried_again(body: list[Step]) -> None:
    """However it is cut, in order or not: no reply is made of it, and the next attempt answers."""
    c = call(Response(body=body), GOOD)
    assert c.run().text == "hello"
    assert len(c.world.sent) == 2


WHOLE_BODIES = {
    "a page": b"<html>We will be back soon</html>",
    "half of it": b'{"id": "x", "choices": [{"index": 0, "mess',
    "nothing": b"",
    "no choices": b'{"choices": null}',
    "an empty list of them": b'{"choices": []}',
    "an error of no kind": b'{"error": {"message": "oh"}}',
    "words for a failure": b'{"error": {"message": "Server error, retry later.", "type": "invalid_request_error"}}',
    "an end that nobody knows": b'{"choices": [{"message": {"content": ""}, "finish_reason": "unheard_of"}]}',
}


@pytest.mark.parametrize("body", WHOLE_BODIES.values(), ids=list(WHOLE_BODIES))
@pytest.mark.parametrize("deliver", [False, True])
def test_a_whole_reply_that_is_none_is_tried_again(body: bytes, deliver: bool) -> None:
    c = call(Response(headers=JSON, body=[body] if body else []), GOOD)
    assert c.run(deliver=deliver).text == "hello"
    assert len(c.world.sent) == 2


def test_done_alone_is_no_reply() -> None:
    assert isinstance(call(*[Response(body=[DONE])] * 3).error(), MalformedReplyError)


def test_an_empty_stream_is_tried_again() -> None:
    c = call(Response(body=[]), GOOD)
    assert c.run().text == "hello"
    assert c.world.failed[0].error.partial is not None


def test_a_connection_that_stays_open_after_done_does_not_hold_the_reply_back() -> None:
    c = call(Response(body=[text("hel"), STOP, DONE, Silence(3600)]))
    assert c.run().text == "hel"
    assert c.world.now - 1000 <= 1


def test_what_comes_after_done_is_read_over_but_not_for_ever() -> None:
    c = call(Response(body=[text("hel"), STOP, DONE, *repeated(1000, HEARTBEAT, Silence(0.3))]))
    assert c.run().text == "hel"
    assert c.world.now - 1000 <= 1


def test_a_cut_after_done_is_no_matter() -> None:
    assert call(Response(body=[text("hel"), STOP, DONE, cut()])).run().text == "hel"


# --- timers


def timers(**seconds: float) -> dict[str, Any]:
    return {"timeouts": {"connect": 0, "silence": 0, "first_event": 0, "between_events": 0, "total": 0, **seconds}}


def deadline(c: Call, **options: Any) -> DeadlineError:
    error = c.error(**options)
    assert isinstance(error, DeadlineError)
    assert f"timeouts.{error.timer}" in str(error)
    return error


def test_the_connect_timer() -> None:
    c = call(Response(before=[TimerExpired("connect")]), **timers(connect=5))
    error = deadline(c)
    assert (error.timer, error.seconds) == ("connect", 5)
    assert c.world.sends[0].connect_seconds == 5


def test_the_silence_timer_before_the_head() -> None:
    c = call(Response(before=[Silence(61)]), **timers(silence=60, first_event=120))
    assert deadline(c).timer == "silence"
    assert c.world.now == 1060


def test_the_first_event_timer_before_the_head() -> None:
    assert deadline(call(Response(before=[Silence(61)]), **timers(silence=60, first_event=30))).timer == "first_event"


def test_the_silence_timer_in_the_middle_of_a_stream() -> None:
    c = call(Response(body=[text("hel"), Silence(61), text("lo")]), **timers(silence=60))
    error = deadline(c)
    assert error.timer == "silence"
    assert error.partial is not None
    assert error.partial.text == "hel"


def test_heartbeats_hold_the_silence_timer_but_not_the_first_event() -> None:
    beats = repeated(10, HEARTBEAT, Silence(20))
    c = call(Response(body=[*beats, text("hi"), STOP]), retry={"attempts": 1}, **timers(silence=30, first_event=100))
    assert deadline(c).timer == "first_event"
    assert c.world.now == 1100


def test_heartbeats_hold_the_silence_timer_but_not_the_time_between_events() -> None:
    beats = repeated(10, HEARTBEAT, Silence(20))
    c = call(Response(body=[text("hi"), *beats, STOP]), **timers(silence=30, first_event=10, between_events=70))
    assert deadline(c).timer == "between_events"
    assert c.world.now == 1070


@pytest.mark.parametrize(
    "empty", [ROLE, delta(content=""), delta(content=None), USAGE, sse({"choices": []})],
    ids=["role", "empty text", "null text", "usage", "no choice"],
)  # fmt: skip
def test_empty_deltas_for_ever_end_by_the_timer_between_events(empty: bytes) -> None:
    c = call(Response(body=[text("hi"), *repeated(1000, empty, Silence(1))]), **timers(silence=30, between_events=60))
    assert deadline(c).timer == "between_events"
    assert c.world.now == 1060


def test_empty_deltas_before_any_content_end_by_the_first_event_timer() -> None:
    c = call(Response(body=repeated(500, ROLE, Silence(1))), retry={"attempts": 1}, **timers(silence=9, first_event=60))
    assert deadline(c).timer == "first_event"


def test_content_that_comes_in_time_never_fires_a_timer() -> None:
    body = [Silence(119), text("a"), *repeated(5, Silence(59), text("b")), Silence(59), STOP, DONE]
    c = call(Response(body=body), **timers(silence=120, first_event=120, between_events=60))
    assert c.run().text == "abbbbb"


def test_the_total_covers_attempts_waits_and_targets() -> None:
    slow = Response(503, JSON, [Silence(8), b"{}"])
    c = call(slow, slow, slow, Response(body=[Silence(100)]), draws=[1, 1], **timers(total=30))
    error = deadline(c, model="main")
    assert error.timer == "total"
    assert c.world.now == 1030
    assert [a.target for a in error.attempts] == ["one:m1"] * 3 + ["two:m2"]
    assert not error.retryable


def test_after_the_total_no_further_target_is_tried() -> None:
    c = call(Response(before=[Silence(1)], body=[text("a"), Silence(100)]), GOOD, **timers(total=30))
    assert deadline(c, model="main").timer == "total"
    assert len(c.world.sent) == 1


def test_the_callers_own_pause_is_not_the_vendors_silence() -> None:
    table = timers(silence=10, first_event=10, between_events=10)
    c = call(Response(body=[text("a"), Silence(5), text("b"), Silence(5), STOP, DONE]), caller_seconds=500, **table)
    assert c.run().text == "ab"


def test_the_callers_own_pause_counts_for_the_whole_call() -> None:
    c = call(Response(body=[text("a"), text("b"), STOP, DONE]), caller_seconds=500, **timers(total=600))
    assert deadline(c).timer == "total"


def test_a_route_that_gave_no_byte_is_not_tried_again() -> None:
    for before in (TimerExpired("connect"), Silence(100)):
        c = call(Response(before=[before]), GOOD, timeouts={"silence": 60})
        deadline(c)
        assert len(c.world.sent) == 1
        assert c.world.waits == []


def test_a_route_that_gave_no_byte_is_left_for_the_next() -> None:
    c = call(Response(before=[Silence(100)]), GOOD, timeouts={"silence": 60})
    reply = c.run(model="main")
    assert reply.provider == "two"
    assert [a.outcome for a in reply.attempts] == ["DeadlineError", "ok"]
    assert (c.world.failed[0].target, c.world.failed[0].wait_seconds) == ("one:m1", 0)


def test_a_route_that_spoke_and_fell_silent_before_content_is_tried_again() -> None:
    c = call(Response(body=[ROLE, Silence(100)]), GOOD, timeouts={"silence": 60})
    assert c.run().text == "hello"


def test_timers_of_a_call_of_a_provider_and_of_the_file() -> None:
    one = {"kind": "compatible", "base_url": "https://one.example/v1", "timeouts": {"silence": 20}}
    late = Response(before=[Silence(1000)])
    c = call(late, late, late, timeouts={"silence": 30, "total": 99}, providers={"one": one})
    assert deadline(c).seconds == 20
    assert deadline(c, timeout={"silence": 10}).seconds == 10
    assert deadline(c, timeout=5).timer == "total"


def test_switched_off_timers_wait_for_ever() -> None:
    c = call(Response(before=[Silence(1e6)], body=[Silence(1e6), text("a"), Silence(1e6), STOP]), **timers())
    assert c.run().text == "a"
    assert set(c.world.reads) == {None}
    assert (c.world.sends[0].connect_seconds, c.world.sends[0].head_seconds) == (None, None)


# --- targets


def test_the_next_target_gets_a_request_of_its_own() -> None:
    class Shape:
        provider = "two"

        @hookimpl(wrapper=True)
        def shape_request(self) -> Any:
            wire = yield
            return wire.set("only_for_two", True)

    c = call(*[failure(500)] * 3, GOOD, plugins=[Shape()])
    reply = c.run(model="main")
    assert reply.provider == "two"
    assert [request.url for request in c.world.sent[2:]] == [
        "https://one.example/v1/chat/completions",
        "https://two.example/v1/chat/completions",
    ]
    first, second = c.world.bodies()[2:]
    assert (first["model"], second["model"]) == ("m1", "m2")
    assert "only_for_two" not in first
    assert second["only_for_two"]
    assert [a.target for a in reply.attempts] == ["one:m1"] * 3 + ["two:m2"]
    assert [f.target for f in c.world.failed] == ["one:m1"] * 3
    assert c.world.failed[-1].wait_seconds == 0


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_another_vendor_may_grant_is_asked_of_the_next(status: int) -> None:
    c = call(failure(status), GOOD)
    assert c.run(model="main").provider == "two"
    assert len(c.world.sent) == 2


@pytest.mark.parametrize(
    "response",
    [
        failure(503, x_should_retry="false"),
        failure(429, x_should_retry="false"),
        Response(headers=JSON, body=[b'{"object": "list", "data": []}']),
        Response(before=[TransportFailure("expired", stage="connect", kind="tls")]),
    ],
    ids=["overloaded", "rate limit", "another server's reply", "no TLS"],
)
def test_a_vendors_own_trouble_is_left_for_the_next_even_if_asking_again_would_not_help(response: Response) -> None:
    c = call(response, GOOD)
    assert c.run(model="main").provider == "two"
    assert len(c.world.sent) == 2


def test_a_wrong_request_is_not_sent_elsewhere() -> None:
    c = call(failure(400), GOOD)
    assert type(c.error(model="main")) is BadRequestError
    assert len(c.world.sent) == 1


def test_the_last_targets_error_is_raised_with_all_attempts() -> None:
    c = call(failure(401), failure(404), failure(402))
    error = c.error(model="all")
    assert (error.provider, error.status) == ("three", 402)
    assert [a.target for a in error.attempts] == ["one:m1", "two:m2", "three:m3"]


def test_each_target_has_its_three_attempts_while_the_budget_lasts() -> None:
    c = call(*[failure(503)] * 15)
    error = c.error(model="all")
    assert [a.target for a in error.attempts] == ["one:m1"] * 3 + ["two:m2"] * 3 + ["three:m3"] * 3
    again = c.error(model="all")
    assert [a.target for a in again.attempts] == ["one:m1"] * 2 + ["two:m2"] * 2 + ["three:m3"] * 2


def test_a_target_that_cannot_be_prepared_tells_what_went_before() -> None:
    c = call(failure(402), aliases={"main": ["one:m1", "missing:m"]})
    error = c.error(model="main")
    assert isinstance(error, QuotaExceededError)  # the failure of the vendor, not of the way around it
    assert [a.outcome for a in error.attempts] == ["QuotaExceededError"]  # an attempt is an exchange on the wire
    assert any("missing:m was passed over: ConfigurationError" in note for note in error.__notes__)


def test_a_server_that_is_not_found_is_left_for_the_next() -> None:
    c = call(GOOD)
    good = c.machine()

    class Nowhere:
        target = "local:auto"

        def is_ready(self) -> bool:
            return False

        def prepare(self, prefix: str | None) -> Any:
            raise TransportError("no server answers on the usual ports", retryable=False)

        def window(self) -> None:
            return None

        def probe(self) -> Any:
            return self.prepare(None)

    machine = attrs.evolve(good, targets=[Nowhere(), *good.targets])
    reply = c.world.run(machine)
    assert [(a.target, a.outcome) for a in reply.attempts] == [("one:m1", "ok")]
    assert any("local:auto was passed over: TransportError" in note.reason for note in reply.warnings)
    alone = attrs.evolve(good, targets=machine.targets[:1])
    with pytest.raises(TransportError) as caught:
        c.world.run(alone)
    assert caught.value.attempts == ()


# --- transport failures


def test_a_connection_that_was_closed_while_idle_is_tried_again_at_once() -> None:
    stale = Response(before=[TransportFailure("closed", stage="head", kind="stale_connection")])
    c = call(stale, stale, GOOD, draws=[1.0, 1.0])
    reply = c.run()
    assert [attempt.outcome for attempt in reply.attempts] == ["TransportError", "TransportError", "ok"]
    assert len(c.world.waits) == 1, "the second time in a row it is no accident"


@pytest.mark.parametrize("stage", ["connect", "send", "head"])
def test_a_failure_before_the_head_is_tried_again(stage: Any) -> None:
    c = call(Response(before=[TransportFailure("reset", stage=stage, kind="connect")]), GOOD)
    reply = c.run()
    assert [a.outcome for a in reply.attempts] == ["TransportError", "ok"]
    assert reply.attempts[0].status is None


@pytest.mark.parametrize("kind", ["tls", "unsupported_protocol", "invalid_url"])
def test_what_no_retry_can_mend_is_said_at_once(kind: str) -> None:
    c = call(Response(before=[TransportFailure("no", stage="connect", kind=kind)]), GOOD)
    error = c.error()
    assert (type(error), error.code, error.retryable) == (TransportError, kind, False)


def test_a_cut_plain_body_is_a_transport_error_and_tried_again() -> None:
    c = call(Response(headers=JSON, body=[b'{"choices": ', cut()]), GOOD_JSON)
    reply = c.run(deliver=False)
    assert [a.outcome for a in reply.attempts] == ["TransportError", "ok"]


def test_a_cut_error_body_leaves_the_status_to_speak() -> None:
    error = call(Response(401, JSON, [b'{"error": ', cut()])).error()
    assert (type(error), error.status) == (AuthenticationError, 401)


def test_an_error_body_that_does_not_come_is_not_waited_for() -> None:
    c = call(Response(503, JSON, [b'{"error": ', Silence(3600)]), retry={"attempts": 1})
    error = c.error(deliver=False)
    assert (type(error), error.status) == (OverloadedError, 503)
    assert c.world.now - 1000 <= 10


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_refused_and_never_followed(status: int) -> None:
    c = call(Response(status, {"location": "https://evil.example/v1"}), GOOD)
    error = c.error(model="main")
    assert isinstance(error, TransportError)
    assert error.status == status
    assert "evil.example" in str(error)
    assert "base_url" in str(error)
    assert len(c.world.sent) == 1


# --- errors inside a 200


def test_an_error_written_as_a_bare_line_in_a_stream_is_found() -> None:
    line = b': queued\n\n{"error": {"message": "busy", "code": "server_is_overloaded"}}\n\n'
    c = call(Response(body=[line]), GOOD)
    assert [a.outcome for a in c.run().attempts] == ["OverloadedError", "ok"]


def test_an_error_in_a_200_body_is_an_error() -> None:
    c = call(Response(headers=JSON, body=[b'{"error": {"message": "bad key", "code": "invalid_api_key"}}']))
    error = c.error(deliver=False)
    assert (type(error), error.code) == (AuthenticationError, "invalid_api_key")
    assert "bad key" in str(error)


def test_a_passing_error_in_a_200_body_is_tried_again() -> None:
    busy = Response(headers=JSON, body=[b'{"error": {"message": "busy", "type": "overloaded_error"}}'])
    assert call(busy, GOOD_JSON).run(deliver=False).text == "hello"


def test_an_error_in_place_of_a_stream_is_an_error() -> None:
    c = call(Response(body=[b'{"error": {"message": "busy", "type": "overloaded_error"}}']), GOOD)
    assert [a.outcome for a in c.run().attempts] == ["OverloadedError", "ok"]


@pytest.mark.parametrize(
    "chunk",
    [
        sse({"error": {"message": "busy", "code": "server_is_overloaded"}}),
        b'event: error\ndata: {"message": "busy", "code": "server_is_overloaded"}\n\n',
        sse({"id": "r1", "choices": [{"index": 0, "delta": {}, "error": {"code": "server_is_overloaded"}}]}),
    ],
    ids=["error member", "event name", "in a choice"],
)
def test_an_error_in_a_chunk_before_content_is_tried_again_and_after_it_raised(chunk: bytes) -> None:
    c = call(Response(body=[ROLE, chunk]), GOOD)
    assert [a.outcome for a in c.run().attempts] == ["OverloadedError", "ok"]
    late = call(Response(body=[ROLE, text("hel"), chunk]), GOOD)
    error = late.error(model="main")
    assert isinstance(error, OverloadedError)
    assert error.partial is not None
    assert error.partial.text == late.world.text == "hel"


def test_what_came_before_an_error_in_the_same_read_is_handed_over_once_committed() -> None:
    oops = sse({"error": {"message": "oops"}})
    c = call(Response(body=[text("a"), text("b") + text("c") + oops + text("d")]))
    error = c.error()
    assert c.world.text == "abc"
    assert error.partial is not None
    assert error.partial.text == "abc"


def test_what_came_before_an_error_in_the_same_read_commits_nothing() -> None:
    oops = sse({"error": {"message": "oops"}})
    c = call(Response(body=[text("a") + oops]), GOOD)
    assert c.run().text == c.world.text == "hello"


def test_broken_json_mid_batch_is_raised_after_what_came_before_it() -> None:
    c = call(Response(body=[text("a"), text("b") + b"data: {oops}\n\n" + text("c")]))
    error = c.error()
    assert isinstance(error, MalformedReplyError)
    assert c.world.text == "ab"


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"null", b"[]", b'"text"', b'{"choices": []}', b"{"])
def test_a_200_that_is_no_reply_is_malformed(body: bytes) -> None:
    error = call(*[Response(headers=JSON, body=[body] if body else [])] * 3).error(deliver=False)
    assert isinstance(error, MalformedReplyError)
    assert error.status == 200


def test_a_failure_can_be_turned_into_a_reply() -> None:
    class Groq:
        provider = "one"

        @hookimpl
        def classify_error(self, failure: Failure, context: Context) -> Verdict | None:
            if failure.details.code != "tool_use_failed":
                return None
            generated = failure.details.data["failed_generation"]
            return Verdict(BadRequestError, events=[ev.TextDelta(generated), ev.FinishReported("stop", "repaired")])

    error = {"error": {"message": "m", "code": "tool_use_failed", "failed_generation": "hello"}}
    for response in (
        failure(400, error),
        Response(headers=JSON, body=[json.dumps(error).encode()]),
        Response(body=[ROLE, sse(error)]),
    ):
        c = call(response, plugins=[Groq()])
        reply = c.run()
        assert (reply.text, reply.raw_finish_reason) == ("hello", "repaired")
        assert c.world.text == "hello"
        assert c.world.events[-1] == ev.Finished(reply)
        assert call(response, plugins=[Groq()]).run(deliver=False, stream=True).text == "hello"


@pytest.mark.parametrize("hook", ["decode_chunk", "decode_reply", "classify_error"])
def test_a_hook_that_breaks_is_a_plugin_error_that_names_it(hook: str) -> None:
    def broken(*args: Any) -> Any:
        raise ZeroDivisionError("oops")

    namespace: dict[str, Any] = {"provider": "one", "broken": staticmethod(broken)}
    arguments = {
        "decode_chunk": "chunk, state, context", "decode_reply": "data, context", "classify_error": "failure, context",
    }[hook]  # fmt: skip
    exec(f"def {hook}(self, {arguments}): return self.broken({arguments})", namespace)
    namespace[hook] = hookimpl(namespace[hook])
    plugin = type("Broken", (), namespace)()
    response = {"decode_chunk": GOOD, "decode_reply": GOOD_JSON, "classify_error": failure(500)}[hook]
    c = call(response, plugins=[plugin])
    error = c.error()
    assert isinstance(error, PluginError)
    assert "ZeroDivisionError" in str(error)
    assert error.provider == "one"
    assert isinstance(error.__cause__, ZeroDivisionError)
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    assert [frame.name for frame in frames] == [hook, "broken"]  # none of ours, whose locals hold the answer


def test_an_event_that_cannot_be_collected_is_the_hooks_fault() -> None:
    """What a decoder gives is read where hooks are guarded: an odd event is no exception of Python's own."""

    class Odd:
        provider = "one"

        @hookimpl
        def decode_chunk(self, chunk: Any, state: Any, context: Any) -> Any:
            return [ev.TextDelta("fine"), ev.ToolCallDelta(0, "id", "f", "{}", {})]  # type: ignore[arg-type]  # the mistake

    error = call(GOOD, plugins=[Odd()]).error()
    assert isinstance(error, PluginError)
    assert "A decode_chunk hook of one failed: TypeError: unhashable" in str(error)
    assert error.partial is not None
    assert error.partial.text == "fine"


def test_a_hook_that_looks_at_an_error_does_not_hide_it() -> None:
    class Looks:
        provider = "one"

        @hookimpl
        def read_rate_limits(self, headers: Any, context: Any) -> Any:
            raise ZeroDivisionError("oops")

    with pytest.warns(RuntimeWarning, match="A read_rate_limits hook of one failed: ZeroDivisionError: oops"):
        error = call(failure(400), plugins=[Looks()]).error()
    assert isinstance(error, BadRequestError)


# --- compression and sizes


def gzipped(*pieces: bytes) -> bytes:
    return gzip.compress(b"".join(pieces), mtime=0)


GZIP_SSE = {**SSE, "content-encoding": "gzip"}
GZIP_JSON = {**JSON, "content-encoding": "gzip"}


def in_pieces(data: bytes, size: int) -> list[Step]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_compressed_replies_are_read_in_any_cut(size: int) -> None:
    stream = gzipped(ROLE, text("hel"), text("lo"), STOP, DONE)
    assert call(Response(headers=GZIP_SSE, body=in_pieces(stream, size))).run().text == "hello"
    whole = gzipped(json.dumps(WHOLE).encode())
    assert call(Response(headers=GZIP_JSON, body=in_pieces(whole, size))).run(deliver=False).text == "hello"


@pytest.mark.parametrize("size", [1, 1000])
def test_deflate_is_read_though_only_gzip_is_asked_for(size: int) -> None:
    data = zlib.compress(json.dumps(WHOLE).encode())
    c = call(Response(headers={**JSON, "content-encoding": "deflate"}, body=in_pieces(data, size)))
    assert c.run(deliver=False).text == "hello"
    assert ("accept-encoding", "gzip") in c.world.sent[0].headers


@pytest.mark.parametrize("size", [1, 1000])
def test_gzip_in_several_members_is_read_to_its_end(size: int) -> None:
    body = gzipped(ROLE, text("hel")) + gzipped(text("lo"), STOP) + gzipped(DONE)
    assert call(Response(headers=GZIP_SSE, body=in_pieces(body, size))).run().text == "hello"


def test_gzip_followed_by_something_else_is_malformed() -> None:
    body = gzipped(json.dumps(WHOLE).encode()) + b"rubbish"
    error = call(Response(headers=GZIP_JSON, body=[body])).error(deliver=False)
    assert isinstance(error, MalformedReplyError)


def test_gzip_that_ends_early_is_a_cut_however_whole_its_text_looks() -> None:
    whole = gzipped(json.dumps(WHOLE).encode())
    c = call(Response(headers=GZIP_JSON, body=[whole[:-8]]), GOOD_JSON)
    assert [a.outcome for a in c.run(deliver=False).attempts] == ["TransportError", "ok"]
    stream = gzipped(ROLE, text("hel"), STOP)
    error = call(Response(headers=GZIP_SSE, body=[stream[:-8]])).error()
    assert isinstance(error, TransportError | StreamInterruptedError)
    assert error.partial is not None
    assert error.partial.text == "hel"


def test_broken_gzip_is_malformed() -> None:
    error = call(Response(headers=GZIP_JSON, body=[b"not gzip at all"])).error(deliver=False)
    assert isinstance(error, MalformedReplyError)
    assert "gzip" in str(error)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "rot13"])
def test_an_encoding_that_was_not_offered_is_refused_by_name(encoding: str) -> None:
    c = call(Response(headers={**JSON, "content-encoding": encoding}, body=[b"..."]))
    error = c.error(deliver=False)
    assert isinstance(error, MalformedReplyError)
    assert encoding.lower() in str(error)


def test_an_error_status_counts_even_if_its_body_cannot_be_read() -> None:
    c = call(Response(503, {**JSON, "content-encoding": "br"}, [b"\x0b\x02"]), GOOD)
    assert [a.outcome for a in c.run().attempts] == ["OverloadedError", "ok"]


def test_a_gzip_bomb_is_stopped_at_the_limit_not_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(1024) * 1024 * 64, mtime=0)
    produced = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, *args: Any) -> None:
            self._inner = real(*args)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal produced
            piece = self._inner.decompress(data, most)
            produced += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    for headers in (GZIP_JSON, GZIP_SSE):
        produced = 0
        c = call(Response(headers=headers, body=[bomb]), limits={"body_bytes": 1_000_000, "event_bytes": 1_000_000})
        error = c.error()
        assert isinstance(error, MalformedReplyError)
        assert "1000000 bytes" in str(error)
        assert produced < 3_000_000
    produced = 0
    c = call(Response(500, GZIP_JSON, [bomb]), limits={"body_bytes": 1_000_000}, retry={"attempts": 1})
    assert isinstance(c.error(), ServerError)
    assert produced < 3_000_000


def test_a_body_over_the_limit_is_refused_with_the_setting_named() -> None:
    c = call(Response(headers=JSON, body=[b'{"a": "', *[b"x" * 1000] * 100]), limits={"body_bytes": 50_000})
    error = c.error(deliver=False)
    assert isinstance(error, MalformedReplyError)
    assert "limits.body_bytes" in str(error)
    assert len(c.world.reads) < 60


@pytest.mark.parametrize("piece", [b"x" * 1000, b": " + b"x" * 998])
def test_an_event_over_the_limit_is_refused_with_the_setting_named(piece: bytes) -> None:
    c = call(Response(body=[text("a"), b"data: ", *[piece] * 100]), limits={"event_bytes": 50_000})
    error = c.error()
    assert isinstance(error, MalformedReplyError)
    assert "limits.event_bytes" in str(error)
    assert error.partial is not None
    assert error.partial.text == "a"


def test_a_long_stream_of_small_events_has_no_limit() -> None:
    body = [text("x" * 100)] * 100
    c = call(Response(body=[*body, STOP]), limits={"event_bytes": 1000, "body_bytes": 1000})
    assert len(c.run().text) == 10_000


@pytest.mark.parametrize("nested", [b'{"a":' * 100_000, b"[" * 100_000])
def test_nesting_without_end_is_malformed(nested: bytes) -> None:
    assert isinstance(call(Response(headers=JSON, body=[nested])).error(deliver=False), MalformedReplyError)


def test_a_long_answer_is_held_in_few_pieces() -> None:
    collector = Collector()
    said = {ev.TextDelta: "", ev.ReasoningDelta: "", ev.ToolCallDelta: ""}
    for number in range(20_000):
        piece = f"{number} "
        for event in (ev.TextDelta(piece), ev.ReasoningDelta(piece), ev.ToolCallDelta(0, "c", "f", piece)):
            collector.add(event)
            said[type(event)] += piece
        if number % 1_000 == 0:
            collector.compact()
    collector.compact()
    first = collector.first
    assert max(map(len, (first.text, first.reasoning, first.calls[0].arguments))) < 30
    assert collector.weight() == (sum(map(len, said.values())), 0)
    collector.end()
    reply = collector.reply()
    assert (reply.text, reply.reasoning, reply.tool_calls[0].arguments) == tuple(said.values())


# --- what is built


def sse_choice(choice: dict[str, Any]) -> bytes:
    return sse({"choices": [choice]})


COUNTED = [
    ("values", 50, text("[]," * 60)),
    ("choices", 2, *(sse_choice({"index": n, "delta": {"content": "a"}}) for n in range(3))),
    ("tool_calls", 3, *(sse_choice({"index": n % 2, "delta": {"tool_calls": [{"index": n}]}}) for n in range(4))),
    ("tool_calls", 3, sse_choice({"index": 0, "delta": {"tool_calls": [{"index": 0}] * 4}})),
    ("parts", 2, sse_choice({"index": 0, "delta": {"content": ["a", "b", "c"]}})),
    ("parts", 2, sse_choice({"index": 0, "delta": {"reasoning_details": [{"text": "a"}] * 3}})),
]


@pytest.mark.parametrize(("setting", "most", "pieces"), [(row[0], row[1], row[2:]) for row in COUNTED])
def test_what_a_stream_builds_is_bounded_by_a_setting(setting: str, most: int, pieces: tuple[bytes, ...]) -> None:
    body = [text("first "), *pieces, DONE]
    error = call(Response(body=body), limits={setting: most}).error()
    assert isinstance(error, MalformedReplyError)
    assert f"limits.{setting} " in str(error)
    assert error.partial is not None
    assert error.partial.text.startswith("first ")
    call(Response(body=body), limits={setting: 500}).run()


WHOLES = [
    ("values", 50, [{"message": {"content": "[]," * 60}}]),
    ("choices", 2, [{"index": n, "message": {"content": "a"}} for n in range(3)]),
    ("tool_calls", 3, [{"index": n, "message": {"tool_calls": [{"id": "a"}, {"id": "b"}]}} for n in range(2)]),
    ("parts", 2, [{"message": {"content": ["a", "b", "c"]}}]),
]


@pytest.mark.parametrize(("setting", "most", "choices"), WHOLES)
def test_what_a_reply_builds_is_bounded_by_a_setting(setting: str, most: int, choices: list[Any]) -> None:
    body = [json.dumps({"choices": choices}).encode()]
    error = call(Response(headers=JSON, body=body), limits={setting: most}).error(deliver=False)
    assert isinstance(error, MalformedReplyError)
    assert f"limits.{setting} " in str(error)
    call(Response(headers=JSON, body=body), limits={setting: 500}).run(deliver=False)


def test_values_kept_of_a_stream_are_bounded() -> None:
    """Many small chunks, none of them over the limit."""
    kept = sse_choice({"index": 0, "delta": {"reasoning_details": [[[]] * 2_000]}})
    error = call(Response(body=[kept] * 1_000), limits={"values": 1_000_000}).error()
    assert isinstance(error, MalformedReplyError)
    assert "limits.values " in str(error)
    assert error.partial is None or not error.partial.text


def test_a_long_compressed_read_lets_others_have_their_turn() -> None:
    """A few bytes may mean the work of seconds: between its pieces the loop is given back, and timers are looked at."""
    body = gzip.compress(text("a") + b": still there\n\n" * 100_000 + STOP)
    c = call(Response(headers=GZIP_SSE, body=[body]))
    assert c.run().text == "a"
    assert len(c.world.waits) > 10
    assert set(c.world.waits) == {0.0}
    assert not call(Response(headers=GZIP_SSE, body=[gzip.compress(text("a") + STOP)])).world.waits


def test_calls_are_told_once_however_often_their_choice_ends() -> None:
    collector = Collector()
    for event in (ev.ToolCallDelta(0, "c", "f", "{}"), ev.FinishReported("stop", "stop")):
        collector.add(event)
    assert [each.id for each in collector.ended_calls(0)] == ["c"]
    collector.add(ev.FinishReported("stop", "stop"))
    assert collector.ended_calls(0) == []


class OwnDelta(ev.ToolCallDelta, frozen=True):
    """As a plugin may give it."""


@pytest.mark.parametrize("kind", [ev.ToolCallDelta, OwnDelta])
def test_an_answer_holds_no_more_than_its_limits_whoever_gives_the_events(kind: type[ev.ToolCallDelta]) -> None:
    """The standard looks for itself; a plugin need not."""
    media = ev.MediaAdded(chatport.Media("image", url="https://x.example/a.png"))
    limits = Limits(tool_calls=2, choices=2, parts=2)
    for events, words in (
        (
            [kind(number, str(number), "f", "{}") for number in range(3)],
            "more than 2 tool calls; raise limits.tool_calls",
        ),
        ([kind(0, str(number), "f", "{}", number) for number in range(3)], "more than 2 choices; raise limits.choices"),
        ([ev.TextDelta("a", number) for number in range(3)], "more than 2 choices; raise limits.choices"),
        ([media] * 3, "more than 2 pictures and files; raise limits.parts"),
    ):
        collector = Collector(limits)
        assert [collector.add(event) for event in events[:2]] == [True, True], "each is content"
        if events[0] is not media:
            collector.add(events[0])  # a further piece of what there is
        with pytest.raises(MalformedReplyError, match=f"The reply has {words}"):
            collector.add(events[2])


def test_a_call_of_a_plugins_own_class_is_a_call() -> None:
    collector = Collector()
    for event in (OwnDelta(0, "c", "f", '{"a"'), OwnDelta(0, "", "", ": 1}"), ev.FinishReported("stop", "stop")):
        collector.add(event)
    reply = collector.reply()
    assert reply.tool_calls == (chatport.ToolCall("c", "f", '{"a": 1}'),)
    assert reply.finish_reason == "tool_calls"


def test_what_is_said_beside_a_forced_call_is_held_in_few_pieces() -> None:
    asked = CallerNames({}, "answer", is_resumed=False)
    for _ in range(5_000):
        assert not asked.events([ev.TextDelta("ab")])
    assert asked.compact() == 10_000
    assert asked.left_beside() == [ev.TextDelta("ab" * 5_000, 0)]


def test_a_forced_calls_name_that_comes_in_pieces_ends_nothing_that_is_said_beside_it() -> None:
    """It may still be that of another tool, whose call is handed on."""
    asked = CallerNames({}, "answer", is_resumed=False)
    assert not asked.events([ev.TextDelta("Hm.")])
    assert not asked.events([ev.ToolCallDelta(0, "c", "an", "")])
    other = ev.ToolCallDelta(0, "c", "another", "")
    assert asked.events([other]) == [other]
    assert asked.compact() == len("Hm.")
    assert not asked.events([ev.ToolCallDelta(0, "c", "answer", "")])
    assert asked.events([ev.ToolCallDelta(0, "c", "answer", '{"a": 1}')]) == [ev.TextDelta('{"a": 1}', 0)]
    assert asked.left_beside() == []


# --- tools


def test_tool_names_are_mapped_back_to_the_callers_own() -> None:
    tool = chatport.Tool("weather.in/town", "…")
    sent = json.loads(call(GOOD).machine(tools=[tool]).targets[0].prepare(None).request.content)
    wire_name = sent["tools"][0]["function"]["name"]
    assert wire_name != tool.name
    fragments = [
        delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": wire_name, "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"town": '}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '"Oslo"}'}}]),
        delta("tool_calls"),
        DONE,
    ]
    c = call(Response(body=fragments))
    reply = c.run(tools=[tool])
    named = [e.name for e in c.world.events if isinstance(e, ev.ToolCallDelta | ev.ToolCallEnded)]
    assert set(named) == {"weather.in/town"}
    assert [(t.name, t.parsed()) for t in reply.tool_calls] == [("weather.in/town", {"town": "Oslo"})]
    assert any(note.kind == "renamed" for note in reply.warnings)


def test_content_is_noted_although_something_after_it_is_refused() -> None:
    late = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}
    one = {"index": 0, "delta": {"content": "hello"}, "finish_reason": "length"}
    both = sse({"choices": [one]}) + sse({"choices": [{"index": 0, "delta": {"tool_calls": [late]}}]})
    told: list[str] = []
    c = call(Response(body=[both]), observers=[lambda event, fields: told.append(event)])
    error = c.error()
    assert isinstance(error, MalformedReplyError)
    assert error.partial is not None
    assert error.partial.text == "hello"
    assert "first_event" in told


def test_ended_tool_calls_come_with_the_finish_and_cut_ones_never() -> None:
    fragment = delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}])
    c = call(Response(body=[fragment, delta("tool_calls"), DONE]))
    c.run()
    assert [type(e).__name__ for e in c.world.events] == ["ToolCallDelta", "ToolCallEnded", "Finished"]
    for end in ([delta("length"), DONE], [cut()]):
        c = call(Response(body=[fragment, *end]))
        if len(end) == 2:
            assert not c.run().tool_calls[0].complete
        else:
            c.error()
        assert not any(isinstance(e, ev.ToolCallEnded) for e in c.world.events)


# --- secrets


def test_the_key_is_in_no_error_whatever_the_vendor_echoes() -> None:
    echo = {"error": {"message": "Incorrect key sk-secret-value", "code": "invalid_api_key"}}
    error = call(failure(401, echo)).error()
    assert "sk-secret-value" not in str(error) + repr(error) + repr(error.raw) + repr(error.attempts)


# --- telemetry


def test_the_observe_hook_hears_of_every_step() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    class Watch:
        provider = "one"

        @hookimpl
        def observe(self, event: str, fields: dict[str, Any], context: Context) -> None:
            seen.append((event, dict(fields)))

    c = call(failure(503), GOOD, plugins=[Watch()], draws=[1.0])
    c.run()
    assert [event for event, _ in seen] == [
        "call_started",
        "attempt_started",
        "attempt_failed",
        "attempt_started",
        "first_event",
        "call_finished",
    ]
    failed, finished = seen[2][1], seen[5][1]
    assert {"seconds": 0.0, "error": "OverloadedError", "wait_seconds": 0.5, "attempt": 1}.items() <= failed.items()
    assert {"seconds": 0.5, "finish_reason": "stop", "attempts": 2, "output_tokens": 2}.items() <= finished.items()
    assert len({fields["call_id"] for _, fields in seen}) == 1
    seen.clear()
    call(failure(400), plugins=[Watch()]).error()
    assert [event for event, _ in seen] == ["call_started", "attempt_started", "attempt_failed", "call_failed"]
