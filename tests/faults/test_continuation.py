"""An answer that was cut goes on where it stopped: no character twice, none lost; or the caller is told how to."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs
import pytest

import chatport
from chatport.call import Call, WireRequest
from chatport.hooks import hookimpl
from chatport.provider import Dialect, Prefill, Provider
from chatport.standard.output import as_forced_tool
from chatport.testing import Fault, Script, VendorEmulator, faults, sse

from .world import KEY, PROMPT, TEXT, Outcome, World, always, as_sent, on_backends

WORDS = len(TEXT.split())
GOES_ON = {"continue_after_cut": True}


def vendor(name: str, prefill: Prefill | None = Prefill({"partial": True})) -> Provider:  # noqa: B008  # frozen
    return Provider(name, name.title(), f"https://{name}.example/v1", dialect=Dialect(prefill=prefill))


class Continuing(VendorEmulator):
    """A vendor that goes on from the beginning of an answer, as it documents."""

    models = ("m",)

    def script(self, body: Mapping[str, Any]) -> Script:
        script, last = super().script(body), body["messages"][-1]
        if not last.get("partial"):
            return script
        if last["content"].startswith("{"):  # a structure that is asked for in words now, which no emulator reads
            script = attrs.evolve(script, text=json.dumps({"town": "text"}, separators=(",", ":")))
        assert script.text.startswith(last["content"])
        return attrs.evolve(script, text=script.text.removeprefix(last["content"]))


REFUSED = faults.status(400, body={"error": {"message": "Unknown field: partial.", "type": "invalid_request_error"}})


DOWN = [
    faults.status(503),
    faults.refuse_connection(),
    faults.stall("before_head"),
    faults.status(402),
    faults.status(401),
]


def world(backend: str, one: Sequence[Fault | None], two: Any = None, **tables: Any) -> World:
    """Return a world of one or two vendors that document how to go on."""
    bad = {"one": one} if two is None else {"one": one, "two": two}
    vendors = {name: Continuing() for name in bad}
    tables = {"retry": GOES_ON, **tables}
    return World(backend, bad, vendors=vendors, values=[vendor(name) for name in bad], **tables)


def is_joined(w: World, outcome: Outcome) -> None:
    """Check that all of the text came, once, and that nothing was made up of what nobody counted."""
    reply = outcome.reply
    assert outcome.text == reply.text == TEXT
    assert outcome.events[-1] == chatport.Finished(reply)
    assert len(outcome.attempts) == w.requests
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.cost) == (None, None, None)
    assert any(warning.field == "usage" and "continued" in warning.reason for warning in reply.warnings)


@on_backends
@pytest.mark.parametrize("how", ["clean", "reset", "closed"])
@pytest.mark.parametrize("events", range(2, WORDS + 2))
def test_the_same_target_goes_on_and_the_join_is_exact(backend: str, events: int, how: Any) -> None:
    w = world(backend, [faults.cut(after_events=events, how=how)])
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.story == [("one", "StreamInterruptedError"), ("one", "ok")]
    first, second = w.bodies("one")
    part = "".join(f" {word}" for word in TEXT.split()[: events - 1]).strip()
    assert second["messages"] == [*first["messages"], {"role": "assistant", "content": part, "partial": True}]


@on_backends
def test_a_target_that_cuts_each_time_is_asked_three_times_in_all(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=2)] * 9, ())
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.story == [("one", "StreamInterruptedError")] * 3 + [("two", "ok")]


@on_backends
def test_attempts_at_another_target_leave_the_right_to_go_on(backend: str) -> None:
    w = world(backend, [faults.status(503)] * 3, [faults.cut(after_events=3)])
    is_joined(w, w.ask())


@on_backends
def test_a_content_filter_is_final_for_the_rest_of_an_answer_too(backend: str) -> None:
    filtered = faults.status(400, body={"error": {"message": "no", "code": "content_filter"}})
    w = world(backend, [faults.cut(after_events=3), filtered], ())
    assert isinstance(w.ask().error, chatport.StreamInterruptedError)
    assert w.seen("two") == []


@on_backends
def test_a_continuation_that_is_cut_goes_on_once_more(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=2), faults.cut(after_events=3, how="reset")])
    outcome = w.ask()
    is_joined(w, outcome)
    assert [body["messages"][-1]["content"] for body in w.bodies("one")[1:]] == ["alpha", "alpha beta gamma"]


@on_backends
@pytest.mark.parametrize("events", range(2, WORDS + 2))
def test_the_next_target_goes_on_where_the_first_cannot(backend: str, events: int) -> None:
    w = world(backend, [faults.cut(after_events=events), REFUSED], ())
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.story == [("one", "StreamInterruptedError"), ("one", "BadRequestError"), ("two", "ok")]
    assert w.bodies("two")[0]["messages"][-1]["partial"] is True


@on_backends
@pytest.mark.parametrize("fault", DOWN, ids=lambda fault: fault.name)
def test_the_next_target_goes_on_where_the_first_is_down(backend: str, fault: Fault) -> None:
    w = world(backend, [faults.cut(after_events=3), *[fault] * 9], (), timeouts={"total": 60})
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.story[-1] == ("two", "ok")
    assert outcome.seconds <= 60


@on_backends
@pytest.mark.parametrize("two", [None, always(REFUSED)], ids=["alone", "refused elsewhere too"])
def test_where_nobody_goes_on_the_caller_gets_the_part_and_the_messages(backend: str, two: Any) -> None:
    w = world(backend, [faults.cut(after_events=3), REFUSED], two)
    outcome = w.ask()
    error = outcome.error
    assert isinstance(error, chatport.StreamInterruptedError)
    assert error.partial is not None
    assert outcome.text == error.partial.text == "alpha beta"
    assert [(message.role, message.text) for message in error.messages[:2]] == [
        ("user", PROMPT),
        ("assistant", "alpha beta"),
    ]
    assert error.messages[2].role == "user"
    assert len(outcome.attempts) == w.requests == (2 if two is None else 3)
    assert w.ask(error.messages).raised is None


@on_backends
def test_a_vendor_that_documents_no_way_is_not_asked_to_go_on(backend: str) -> None:
    bad = {"one": [faults.cut(after_events=3)], "two": ()}
    values = [vendor("one", None), vendor("two", None)]
    w = World(backend, bad, vendors={name: Continuing() for name in bad}, values=values, retry=GOES_ON)
    outcome = w.ask()
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert (outcome.text, w.requests) == ("alpha beta", 1)
    assert outcome.error.messages


@on_backends
def test_without_the_users_word_nothing_goes_on(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=3)], (), retry={})
    outcome = w.ask()
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert w.requests == 1


@on_backends
def test_a_plain_call_starts_again_since_nobody_has_seen_a_part(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=3, how="reset")])
    outcome = w.ask(stream=False)
    assert outcome.reply.text == TEXT
    assert outcome.reply.usage.output_tokens is not None
    assert all(body["messages"][-1]["role"] == "user" for body in w.bodies("one"))


@on_backends
def test_nothing_goes_on_after_the_time_of_the_call(backend: str) -> None:
    w = world(backend, [faults.stall(after_events=3)], (), timeouts={"total": 6})
    outcome = w.ask()
    assert isinstance(outcome.error, chatport.DeadlineError)
    assert (outcome.error.timer, outcome.seconds, w.requests) == ("total", 6, 1)
    assert outcome.error.partial is not None
    assert outcome.error.messages


def piece(**delta: Any) -> bytes:
    return sse({"id": "r", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


END = sse({"id": "r", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]")
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a'}}
NEVER = {
    "a tool call": [piece(content="Let me see"), piece(tool_calls=[CALL])],
    "reasoning only": [piece(reasoning_content="Hm, let me")],
    "a refusal": [piece(refusal="I can")],
}


@on_backends
@pytest.mark.parametrize("what", NEVER)
def test_tool_calls_and_reasoning_are_never_joined(backend: str, what: str) -> None:
    w = world(backend, [as_sent(what, lambda scene: iter(NEVER[what]))], ())
    outcome = w.ask()
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert w.requests == 1
    assert outcome.error.partial is not None
    assert all(not call.complete for call in outcome.error.partial.tool_calls)


@attrs.frozen
class ForcedTool:
    """A patch for a vendor that has no structured output but for the arguments of a tool."""

    provider: str

    @hookimpl(wrapper=True)
    def shape_request(self, call: Call) -> Generator[None, WireRequest, WireRequest]:
        return as_forced_tool((yield), call, "there is no other way")


TOWN = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}


@on_backends
def test_a_structured_answer_that_a_tool_stands_for_is_never_joined(backend: str) -> None:
    """Its text is the arguments of a call, and the vendor would begin the call anew."""
    w = world(backend, [faults.cut(after_events=4)], (), plugins=[ForcedTool("one")])
    outcome = w.ask("Where?", output=TOWN)
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert w.bodies("one")[0]["tool_choice"]["type"] == "function"
    assert outcome.text
    assert w.requests == 1


@on_backends
def test_a_structured_text_goes_on_as_text_only(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=2), faults.status(402)], (), plugins=[ForcedTool("two")])
    outcome = w.ask("Where?", output=TOWN)
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert outcome.text
    assert w.seen("two") == []
    assert any("two:m was passed over" in note for note in outcome.error.__notes__)


@on_backends
def test_reasoning_before_the_text_stays_that_of_the_first_half(backend: str) -> None:
    first = [piece(reasoning_content="Greek letters."), piece(content="alpha"), piece(content=" beta")]
    w = world(backend, [as_sent("a cut", lambda scene: iter(first))])
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.reply.reasoning == "Greek letters."
    thoughts = [event.text for event in outcome.events if isinstance(event, chatport.ReasoningDelta)]
    assert thoughts == ["Greek letters."]


@on_backends
def test_what_is_thought_after_a_cut_is_not_added_to_the_thoughts_before_it(backend: str) -> None:
    left = TEXT.removeprefix("alpha beta")
    halves = [
        [piece(reasoning_content="Greek letters."), piece(content="alpha"), piece(content=" beta")],
        [piece(reasoning_content="And so on."), piece(content=left), END],
    ]
    first, second = halves
    sent = [as_sent("a half", lambda scene: iter(first)), as_sent("the rest", lambda scene: iter(second))]
    w = world(backend, sent)
    outcome = w.ask()
    is_joined(w, outcome)
    assert outcome.reply.reasoning == "Greek letters."
    assert [event.text for event in outcome.events if isinstance(event, chatport.ReasoningDelta)] == ["Greek letters."]


@on_backends
def test_what_was_said_beside_a_call_that_did_not_come_is_in_the_part_of_a_cut_answer(backend: str) -> None:
    said = [piece(content="Let me"), piece(content=" see.")]
    table = {"attempts": 1, **GOES_ON}
    w = world(backend, [as_sent("a cut", lambda scene: iter(said))], plugins=[ForcedTool("one")], retry=table)
    outcome = w.ask("Where?", output=TOWN)
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert outcome.text == "", "nobody could know yet whether it is the answer"
    assert outcome.error.partial is not None
    assert outcome.error.partial.text == "Let me see."


@on_backends
def test_the_budget_of_retries_ends_it_and_is_named(backend: str) -> None:
    """Where another target can go on, it does."""
    cuts, retry = [faults.cut(after_events=2)] * 5, {**GOES_ON, "budget_share": 0, "budget_least": 1}
    alone = world(backend, cuts, retry=retry).ask()
    assert isinstance(alone.error, chatport.StreamInterruptedError)
    assert [name for name, _ in alone.story] == ["one", "one"]
    assert "no more than 0 of all (or 1) may be tried again in vain: [retry] budget_share" in str(alone.error)
    others = world(backend, cuts, (), retry=retry)
    outcome = others.ask()
    assert [name for name, _ in outcome.story] == ["one", "one", "two"]
    is_joined(others, outcome)


@on_backends
def test_what_is_the_callers_own_fault_in_the_middle_of_an_answer_is_final(backend: str) -> None:
    """It would be the same anywhere: nobody is asked to go on from there."""
    said = [piece(content="alpha"), sse({"error": {"message": "Bad.", "type": "invalid_request_error", "code": 400}})]
    w = world(backend, [as_sent("an error", lambda scene: iter(said))], ())
    outcome = w.ask()
    assert isinstance(outcome.error, chatport.BadRequestError)
    assert outcome.text == "alpha"
    assert outcome.story == [("one", "BadRequestError")]
    assert outcome.error.messages[-2].text == "alpha", "the caller may go on by hand"


@on_backends
def test_the_key_is_in_no_message_to_go_on_with(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=3), *[faults.echo_key()] * 3])
    error = w.ask().error
    assert [attempt.outcome for attempt in error.attempts] == ["StreamInterruptedError", "AuthenticationError"]
    assert KEY not in repr(vars(error))
