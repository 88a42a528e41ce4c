"""From a line of results to an answer: what it says, what it costs, and what is asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import attrs
import msgspec
import pytest

import chatport
from chatport.helpers import BatchRule
from chatport_bulk import Job
from chatport_bulk.batches.log import BatchRow
from chatport_bulk.batches.reading import Result, ResultReader, results_in
from chatport_bulk.batches.settings import rule_of

from .batch_world import BatchWorld

ROW = BatchRow("the key", b"digest", None, {"kept": 1})
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


def read(world: BatchWorld, told: Any, job: Job | None = None, seconds: float = 1.5, **rule: Any) -> Result:
    """Read a result as a run does; `rule` corrects what the facts say of batches."""
    if rule:
        world.config["models"] = {world.model: {"rules": {"batch": rule}}}
    job = job or world.job

    async def main() -> Result:
        async with chatport.AsyncClient(world.config, transport=world.emulator) as client:
            found = rule_of(client, world.model)
            assert found is not None
            reader = ResultReader(client.config, {}, world.model, job, job.call_options(), found)
            result = await reader.read(ROW, told, seconds)
            await reader.aclose()
            return result

    result = anyio.run(main)
    assert not world.emulator.requests, "nothing is sent"
    return result


def completion(content: str | None = "So.", **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **message}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 2000, "total_tokens": 3000},
    }


def line(body: Any, status: Any = 200, error: Any = None) -> dict[str, Any]:
    return {"custom_id": "x", "response": {"status_code": status, "body": body}, "error": error}


COST = (1000 * 0.15 + 2000 * 0.60) / 1e6


@pytest.mark.parametrize(("factor", "cost"), [(0.5, COST / 2), (0.25, COST / 4), (1.0, COST)])
def test_an_answer_is_told_with_its_row_its_time_and_the_price_of_a_batch(
    world: BatchWorld, factor: float, cost: float
) -> None:
    found = read(world, line(completion()), seconds=1.23456, price_factor=factor)
    assert (found.wasted, found.fatal) == (None, None)
    answer = found.answer
    assert answer is not None
    assert (answer.key, answer.answer, answer.kept, answer.error) == ("the key", "So.", {"kept": 1}, None)
    assert (answer.input_tokens, answer.output_tokens) == (1000, 2000)
    assert answer.cost == pytest.approx(cost)
    assert answer.currency == "USD"
    assert (answer.attempts, answer.seconds) == (1, 1.2346)


def test_a_price_of_a_batch_says_that_it_is_one_and_what_was_charged_stands(world: BatchWorld) -> None:
    """Of a price that the vendor itself tells, nothing is to be taken off."""
    with chatport.Client(world.config, transport=world.emulator) as client:
        reply = client.chat("say: x", model=world.model)
        rule = rule_of(chatport.AsyncClient(world.config, transport=world.emulator), world.model)
        assert rule is not None
        reader = ResultReader(client.config, {}, world.model, world.job, {}, rule)
    cost = reply.cost
    assert cost is not None
    priced = reader._priced(reply)
    assert priced.cost == chatport.Cost(cost.amount / 2, "USD", f"in a batch, {cost.basis}")
    charged = attrs.evolve(reply, cost=chatport.Cost(7.0, "USD", "charged by the vendor"))
    assert reader._priced(charged) is charged
    free = attrs.evolve(reply, cost=None)
    assert reader._priced(free) is free


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({}, {}),
        ({"response": None}, {}),
        ({"response": None, "error": None}, {}),
        ({"response": {"status_code": 200}, "error": None}, {}),
        ({"response": "no object", "error": None}, {}),
        ({"response": None, "error": {"code": "batch_expired", "message": "Late."}}, {}),
        ({"response": None, "error": {"code": "batch_cancelled", "message": "Left."}}, {}),
        (line({"error": {"message": "Slow down."}}, 429), {}),
        (line({"error": {"message": "Busy."}}, 503), {}),
        (line({"error": {"message": "Broken."}}, 500), {}),
        (line("no completion"), {}),
    ],
)
def test_what_has_no_answer_or_one_that_may_pass_is_asked_again(
    world: BatchWorld, told: Any, rule: dict[str, Any]
) -> None:
    assert read(world, told) == Result(None)


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        (line({"error": {"message": "Bad words."}}, 400), "BadRequestError", "Bad words."),
        (line(None, 400, {"error": {"message": "Beside."}}), "BadRequestError", "Beside."),
        (line(None, 400, {"message": "Bare."}), "BadRequestError", "Bare."),
        (line(None, 400, "A text."), "BadRequestError", "A text."),
        (line(None, 400, ["A list."]), "BadRequestError", "['A list.']"),
        (line({"error": {"message": "Its own."}}, 400, {"message": "Another."}), "BadRequestError", "Its own."),
    ],
)
def test_a_row_that_is_refused_fails_with_the_vendors_words(
    world: BatchWorld, told: Any, kind: str, words: str
) -> None:
    found = read(world, told)
    assert (found.wasted, found.fatal) == (None, None)
    answer = found.answer
    assert answer is not None
    assert answer.is_failure
    assert (answer.key, answer.kind, answer.kept, answer.attempts, answer.seconds) == (
        "the key", kind, {"kept": 1}, 1, 1.5
    )  # fmt: skip
    assert answer.error is not None
    assert words in answer.error


def test_a_key_that_is_refused_is_of_no_row(world: BatchWorld) -> None:
    found = read(world, line({"error": {"message": "Who?"}}, 401))
    assert (found.answer, found.wasted) == (None, None)
    assert isinstance(found.fatal, chatport.AuthenticationError)


@pytest.mark.parametrize("status", [None, "200", 200.0])
def test_a_status_that_is_no_number_is_that_of_success(world: BatchWorld, status: Any) -> None:
    answer = read(world, line(completion(), status)).answer
    assert answer is not None
    assert answer.answer == "So."


# --- answers of a structure


def test_an_answer_of_a_structure_is_parsed(world: BatchWorld) -> None:
    job = Job(world.model, "{text}", output=SCHEMA)
    answer = read(world, line(completion('{"n": 7}')), job).answer
    assert answer is not None
    assert (answer.parsed, answer.attempts, answer.seconds, answer.error) == ({"n": 7}, 1, 1.5, None)


def test_an_answer_of_the_wrong_structure_is_paid_and_asked_for_again_unless_that_is_not_wanted(
    world: BatchWorld,
) -> None:
    again = read(world, line(completion('{"n": "x"}')), Job(world.model, "{text}", output=SCHEMA))
    assert (again.answer, again.fatal) == (None, None)
    assert again.wasted is not None
    assert (again.wasted.input_tokens, again.wasted.output_tokens) == (1000, 2000)
    assert again.wasted.cost == pytest.approx(COST / 2)
    once = read(world, line(completion('{"n": "x"}')), Job(world.model, "{text}", output=SCHEMA, retry_invalid=0))
    assert (once.wasted, once.fatal) == (None, None)
    assert once.answer is not None
    assert once.answer.is_failure
    assert (once.answer.attempts, once.answer.seconds) == (1, 1.5)
    assert once.answer.cost == pytest.approx(COST / 2)


# --- the lines


def test_results_are_given_with_their_ids_in_the_order_of_the_file(tmp_path: Path) -> None:
    place = tmp_path / "results"
    place.write_bytes(
        b'{"custom_id": "b", "n": 1}\n\n{"custom_id": 7}\n[{"custom_id": "x"}]\n"custom_id"\nnull\n{"custom_id": "c"\n'
        b'{"id": "x"}\n{"custom_id": "a"}\n{"custom_id": "b"}\n{"custom_id": ""}'
    )
    assert list(results_in(place, BatchRule())) == [
        ("b", {"custom_id": "b", "n": 1}),
        ("a", {"custom_id": "a"}),
        ("b", {"custom_id": "b"}),
        ("", {"custom_id": ""}),
    ]


def test_a_result_is_of_one_row_and_the_other_is_another(world: BatchWorld) -> None:
    """The same reader reads one after the other, and keeps nothing of the one before."""

    async def main() -> list[Result]:
        async with chatport.AsyncClient(world.config, transport=world.emulator) as client:
            rule = rule_of(client, world.model)
            assert rule is not None
            reader = ResultReader(client.config, {}, world.model, world.job, world.job.call_options(), rule)
            told = [line({"error": {"message": "Bad."}}, 400), line(completion("Good."), "?"), line(completion("On."))]
            results = [await reader.read(msgspec.structs.replace(ROW, key=n), one, n) for n, one in enumerate(told)]
            await reader.aclose()
            return results

    answers = [result.answer for result in anyio.run(main)]
    assert [(one.key, one.answer, one.kind, one.seconds) for one in answers if one is not None] == [
        (0, None, "BadRequestError", 0), (1, "Good.", None, 1), (2, "On.", None, 2)
    ]  # fmt: skip


def test_no_cap_and_no_pace_of_live_calls_holds_a_result_back(world: BatchWorld) -> None:
    """It is there and paid: reading it is no call, however much it looks like one."""
    world.config["budget"] = {"usd": 1e-9, "tokens": 1}
    world.config["pacing"] = {"requests_per_minute": 1}
    world.config["providers"]["openai"]["pacing"] = {"requests_per_minute": 1}

    async def main() -> list[Result]:
        async with chatport.AsyncClient(world.config, transport=world.emulator) as client:
            rule = rule_of(client, world.model)
            assert rule is not None
            job = Job(world.model, "say: {text}", options={"timeout": {"total": 1e-6}})
            reader = ResultReader(client.config, {}, world.model, job, job.call_options(), rule)
            with anyio.fail_after(20):
                results = [await reader.read(ROW, line(completion()), 0) for _ in range(5)]
            await reader.aclose()
            return results

    answers = [result.answer for result in anyio.run(main)]
    assert [one.answer for one in answers if one is not None] == ["So."] * 5
