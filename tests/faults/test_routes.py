"""An alias leads to its targets by conditions, weights and health, each error by its own rule; the reply tells why."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from typing import Any

import attrs
import pytest

import chatport
from chatport.facts import RetiredModel
from chatport.testing import Fault, faults

from .world import TEXT, Outcome, World, always, on_backends, plain_and_streamed

OVERFLOW = faults.status(400, body={"error": {"message": "too long", "code": "context_length_exceeded"}})
CUT = faults.cut(after_events=3, how="reset")


def look(place: str) -> str:
    """Look at a place.

    Args:
        place: where
    """
    return place


def passed_over(reply: chatport.Reply) -> list[str]:
    return [warning.reason for warning in reply.warnings if warning.kind == "redirected"]


# --- which target is asked


@on_backends
@plain_and_streamed
def test_conditions_decide_who_is_asked_first(backend: str, stream: bool) -> None:
    choices: list[Any] = [
        {"target": "one:m", "when": {"tools": True}},
        {"target": "two:m", "when": {"above_input_tokens": 500}},
        "three:m",
    ]
    w = World(backend, {"one": (), "two": (), "three": ()}, aliases={"main": choices})
    assert w.ask(stream=stream).reply.provider == "three"
    assert w.ask(stream=stream, tools=[look]).reply.provider == "one"
    assert w.ask("say: yes\n" + "word " * 2000, stream=stream).reply.provider == "two"


@on_backends
def test_a_target_whose_conditions_do_not_hold_is_no_fallback_either(backend: str) -> None:
    choices = ["one:m", {"target": "two:m", "when": {"tools": True}}]
    w = World(backend, {"one": always(faults.status(402)), "two": ()}, aliases={"main": choices})
    assert isinstance(w.ask().error, chatport.QuotaExceededError)
    assert w.ask(tools=[look]).reply.provider == "two"


@on_backends
def test_weights_share_the_calls(backend: str) -> None:
    choices = [{"target": "one:m", "weight": 3}, {"target": "two:m", "weight": 1}]
    w = World(backend, {"one": (), "two": ()}, aliases={"main": choices}, random=random.Random(7).random)
    asked = Counter(outcome.reply.provider for outcome in w.ask_many(400, threads=4))
    assert 0.68 < asked["one"] / 400 < 0.82
    w.emulators["one"].misbehave(always(faults.status(402)))
    assert {outcome.reply.provider for outcome in w.ask_many(20)} == {"two"}, "the others are its fallback"


@on_backends
@plain_and_streamed
def test_what_is_too_long_goes_only_where_the_window_is_known_to_be_larger(backend: str, stream: bool) -> None:
    windows = {"one": 8000, "two": 4000, "four": 32000}
    models = {f"{name}:m": {"context_tokens": tokens} for name, tokens in windows.items()}
    w = World(backend, {"one": [OVERFLOW], "two": (), "three": (), "four": ()}, models=models)
    outcome = w.ask(stream=stream)
    assert outcome.story == [("one", "ContextLengthError"), ("four", "ok")]
    reasons = passed_over(outcome.reply)
    assert [reason.partition(" ")[0] for reason in reasons] == ["two:m", "three:m"]
    assert all("context window" in reason for reason in reasons)


# --- targets that cannot take the call


@on_backends
@plain_and_streamed
def test_a_target_that_the_policy_forbids_is_passed_over_with_a_note(backend: str, stream: bool) -> None:
    w = World(backend, {"one": (), "two": ()}, policy={"deny_models": ["one:*"]})
    reply = w.ask(stream=stream).reply
    assert (reply.provider, w.seen("one")) == ("two", [])
    assert "one:m was passed over: PolicyError" in passed_over(reply)[0]


@on_backends
@plain_and_streamed
def test_a_target_that_cannot_do_what_was_asked_is_passed_over_with_a_note(backend: str, stream: bool) -> None:
    dialect = {"dialect": {"fields": {"seed": {"reason": "there are no seeds here"}}}}
    w = World(backend, {"one": (), "two": ()}, providers={"one": dialect})
    reply = w.ask(stream=stream, seed=1, on_unsupported="raise").reply
    assert (reply.provider, w.seen("one")) == ("two", [])
    assert "UnsupportedFeatureError" in passed_over(reply)[0]


@on_backends
def test_what_forbids_the_fallback_does_not_hide_why_the_first_failed(backend: str) -> None:
    w = World(backend, {"one": always(faults.status(503)), "two": ()}, policy={"deny_models": ["two:*"]})
    error = w.ask().error
    assert isinstance(error, chatport.OverloadedError)
    assert any("two:m was passed over" in note for note in error.__notes__)
    assert w.seen("two") == []


NEXT_AT_ONCE = {
    401: "AuthenticationError",
    402: "QuotaExceededError",
    403: "PermissionDeniedError",
    404: "ModelNotFoundError",
}


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("status", NEXT_AT_ONCE)
def test_what_waiting_cannot_mend_leads_to_the_next_at_once(backend: str, stream: bool, status: int) -> None:
    w = World(backend, {"one": always(faults.status(status)), "two": ()})
    outcome = w.ask(stream=stream)
    assert outcome.story == [("one", NEXT_AT_ONCE[status]), ("two", "ok")]
    assert outcome.seconds == 0


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("status", [400, 422])
def test_a_wrong_request_is_wrong_everywhere(backend: str, stream: bool, status: int) -> None:
    w = World(backend, {"one": always(faults.status(status)), "two": ()})
    assert isinstance(w.ask(stream=stream).error, chatport.BadRequestError)
    assert w.seen("two") == []


@on_backends
def test_the_request_is_shaped_anew_for_each_vendor(backend: str) -> None:
    dialect = {"dialect": {"max_tokens_field": "max_completion_tokens"}}
    w = World(backend, {"one": always(faults.status(503)), "two": ()}, providers={"two": dialect})
    w.ask(max_tokens=50)
    assert "max_tokens" in w.bodies("one")[0]
    assert "max_completion_tokens" in w.bodies("two")[0]
    assert "max_tokens" not in w.bodies("two")[0]


# --- the breaker


DOWN = faults.status(503)


def opened(backend: str, fault: Fault = DOWN) -> World:
    """Return a world in which the first target has failed until its breaker opened."""
    w = World(backend, {"one": always(fault), "two": ()}, retry={"attempts": 1})
    for _ in range(5):
        assert w.breaker().state == "closed"
        w.ask()
    assert w.breaker().state == "open"
    return w


@on_backends
@pytest.mark.parametrize("fault", [faults.status(503), CUT, faults.malformed_chunk(3), faults.refuse_connection()],
                         ids=lambda fault: fault.name)  # fmt: skip
def test_failures_in_a_row_open_it_and_so_do_cut_answers(backend: str, fault: Fault) -> None:
    w = opened(backend, fault)
    reply = w.ask().reply
    assert (reply.provider, len(reply.attempts), len(w.seen("one"))) == ("two", 1, 5)
    assert "keeps failing" in passed_over(reply)[0]


@on_backends
@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_what_is_no_fault_of_the_target_leaves_it_closed(backend: str, status: int) -> None:
    w = World(backend, {"one": always(faults.status(status)), "two": ()}, retry={"attempts": 1})
    for _ in range(12):
        w.ask()
    assert w.breaker().state == "closed"
    assert len(w.seen("one")) == 12


@on_backends
@plain_and_streamed
def test_one_probe_brings_it_back(backend: str, stream: bool) -> None:
    w = opened(backend)
    w.emulators["one"].misbehave(())
    w.clock.advance(9)
    assert w.ask(stream=stream).reply.provider == "two"
    w.clock.advance(2)
    assert w.breaker().state == "half-open"
    first, second = w.ask_one_by_one(2, stream=stream)
    assert first.story == [("two", "ok")], "a request of our own finds out, and no call waits for it"
    assert second.story == [("one", "ok")]
    assert w.breaker().state == "closed"
    assert len(w.seen("one")) == 5 + 1 + 1


@on_backends
def test_the_breaker_of_a_retired_name_opens(backend: str) -> None:
    """The verdict goes to the breaker that is asked: that of the target as it was named."""
    old = RetiredModel("m", "2025-01-01", "m2", source="page")
    facts = chatport.Facts("one", "2026-01-01", retired=(old,))
    provider = chatport.Provider("one", "One", "https://one.example/v1", facts=facts)
    w = World(backend, {"one": always(DOWN), "two": ()}, values=[provider], retry={"attempts": 1})
    for _ in range(5):
        w.ask()
    assert w.breaker().state == "open"
    asked = len(w.seen("one"))
    assert w.ask().reply.provider == "two"
    assert len(w.seen("one")) == asked, "it is left alone"


@on_backends
def test_a_failed_probe_costs_one_request_and_doubles_the_time(backend: str) -> None:
    w = opened(backend)
    w.clock.advance(11)
    w.ask_one_by_one(2)
    assert (w.breaker().state, len(w.seen("one"))) == ("open", 6)
    w.clock.advance(11)
    w.ask_one_by_one(2)
    assert len(w.seen("one")) == 6, "twice the time"
    w.clock.advance(10)
    outcomes = w.ask_one_by_one(2)
    assert [outcome.story for outcome in outcomes] == [[("two", "ok")]] * 2
    assert len(w.seen("one")) == 7


@on_backends
@pytest.mark.parametrize("fault", [DOWN, faults.stall("before_head"), faults.refuse_connection()],
                         ids=lambda fault: fault.name)  # fmt: skip
def test_the_end_of_an_outage_of_a_minute_is_noticed_within_half_a_minute_at_no_callers_cost(
    backend: str, fault: Fault
) -> None:
    w = opened(backend)
    began = w.clock.elapsed_seconds
    w.emulators["one"].misbehave(lambda number, request: fault if w.clock.elapsed_seconds < began + 60 else None)

    def back(outcome: Outcome) -> bool:
        w.clock.advance(1)
        return outcome.reply.provider == "one"

    outcomes = w.ask_until(back, most=200)
    assert 60 < w.clock.elapsed_seconds - began < 90
    assert all(outcome.story == [("two", "ok")] for outcome in outcomes[:-1])
    assert len(w.seen("one")) < 5 + 8
    assert all(len(request.content) < 200 for request in w.seen("one")[5:-1]), "and at little cost"


@on_backends
def test_the_next_outage_is_found_out_beside_the_calls_too(backend: str) -> None:
    w = opened(backend)
    for _ in range(2):
        w.emulators["one"].misbehave(())
        w.clock.advance(11)
        assert [outcome.story for outcome in w.ask_one_by_one(2)] == [[("two", "ok")], [("one", "ok")]]
        w.emulators["one"].misbehave(always(DOWN))
        w.ask_one_by_one(5)
        assert w.breaker().state == "open"


@attrs.frozen
class TakesNoSmallCall:
    """A patch for a vendor that cannot be asked for as little as a probe asks for."""

    provider: str

    @chatport.hookimpl(wrapper=True)
    def shape_request(self, call: chatport.Call) -> Generator[None, Any, Any]:
        wire = yield
        if call.max_tokens == 16:
            raise chatport.UnsupportedFeatureError("There is nothing so small here.")
        return wire


@on_backends
def test_a_target_that_takes_no_probe_is_found_out_about_by_a_call(backend: str) -> None:
    w = World(backend, {"one": always(DOWN), "two": ()}, retry={"attempts": 1}, plugins=[TakesNoSmallCall("one")])
    for _ in range(5):
        w.ask()
    assert w.breaker().state == "open"
    w.emulators["one"].misbehave(())
    w.clock.advance(11)
    assert w.ask().story == [("one", "ok")]
    assert [len(request.json()["messages"][0]["content"]) > 2 for request in w.seen("one")] == [True] * 6


@on_backends
def test_a_target_that_has_been_found_down_during_a_call_is_passed_over_in_it(backend: str) -> None:
    """By another call, which looked at it meanwhile."""

    def look(event: str, fields: Any) -> None:
        if event == "attempt_failed":
            w.breaker("two:m").record("failed")

    w = World(
        backend,
        {"one": always(DOWN), "two": (), "three": ()},
        retry={"attempts": 1},
        breaker={"failures": 1},
        observers=[look],
    )
    outcome = w.ask()
    assert outcome.story == [("one", "OverloadedError"), ("three", "ok")]
    words = "two:m was passed over: it keeps failing, and is left alone for a while"
    assert [note.reason for note in outcome.reply.warnings if "two:m" in note.reason] == [words]
    assert not w.seen("two")


@on_backends
def test_a_probe_is_a_small_request_of_our_own_that_budgets_and_observers_see(backend: str) -> None:
    models = {"one:m": {"prices": [{"match": "*", "input": 1, "output": 1}]}}
    seen: list[tuple[str, str]] = []
    w = World(
        backend,
        {"one": always(DOWN), "two": ()},
        retry={"attempts": 1},
        observers=[lambda event, fields: seen.append((event, fields.get("operation", "")))],
        models=models,
    )
    for _ in range(5):
        w.ask()
    w.emulators["one"].misbehave(())
    w.clock.advance(11)
    seen.clear()
    with w.client.budget(usd=1, unknown_cost="allow") as budget:
        w.ask_one_by_one(1, "say: a secret that is none of its business")
        reply = w.ask_one_by_one(1, max_tokens=5)[0].reply
    body = w.bodies("one")[5]
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert body["max_tokens"] == 16
    assert ("call_started", "probe") in seen
    assert reply.cost is not None
    assert budget.spent_usd > reply.cost.amount, "the probe is in it"


@on_backends
def test_without_another_target_that_is_up_or_by_wish_the_call_itself_finds_out(backend: str) -> None:
    w = World(backend, {"one": always(DOWN), "two": ()}, retry={"attempts": 1}, breaker={"probe_beside": False})
    for _ in range(5):
        w.ask()
    w.clock.advance(11)
    assert w.ask().story == [("one", "OverloadedError"), ("two", "ok")]
    both = World(backend, {"one": always(DOWN), "two": always(DOWN)}, retry={"attempts": 1})
    for _ in range(6):
        both.ask()
    both.clock.advance(11)
    both.emulators["one"].misbehave(())
    assert both.ask().story == [("one", "ok")]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_probe_that_its_loop_has_ended_with_leaves_the_next_one_to_a_call(backend: str) -> None:
    w = opened(backend)
    w.emulators["one"].misbehave(always(faults.stall("before_head")))
    w.breaker().finds_out_beside = False  # as it is while one is under way, and after it was lost
    w.emulators["one"].misbehave(())
    w.clock.advance(11)
    assert w.ask().story == [("one", "ok")]


@on_backends
def test_of_calls_at_the_same_time_one_is_the_probe(backend: str) -> None:
    w = opened(backend)
    w.clock.advance(11)
    outcomes = w.ask_many(20, threads=4)
    assert [outcome.reply.text for outcome in outcomes] == [TEXT] * 20
    probes = len(w.seen("one")) - 5
    assert probes == 1 or (backend == "sync" and probes <= 4), "threads may look at the breaker in the same moment"


@on_backends
def test_the_only_target_is_asked_however_often_it_failed(backend: str) -> None:
    w = World(backend, {"one": always(faults.status(503))}, retry={"attempts": 1})
    for _ in range(8):
        assert isinstance(w.ask().error, chatport.OverloadedError)
    w.emulators["one"].misbehave(())
    assert w.ask().reply.text == TEXT


@on_backends
def test_if_all_are_down_one_is_asked_all_the_same(backend: str) -> None:
    dead = always(faults.status(503))
    w = World(backend, {"one": dead, "two": dead}, retry={"attempts": 1})
    for _ in range(6):
        w.ask()
    w.clock.advance(1)
    before = w.requests
    assert isinstance(w.ask().error, chatport.OverloadedError)
    assert w.requests == before + 1
