"""Embeddings: a vector for each text, in their order, or an error; in as many requests as the vendor's caps need."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import attrs
import msgspec
import pytest

import chatport
from chatport import BadRequestError, DeadlineError, MalformedReplyError, Provider, UnsupportedFeatureError
from chatport.engine.commands import Clock
from chatport.facts import Facts
from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator, VendorEmulator, VirtualClock

Answer = Callable[[Mapping[str, Any]], Any]


class Vendor(VendorEmulator):
    """A server that embeds by `answer`."""

    name = "compatible"
    answer: Any = None
    seconds = 0.0

    def respond(self, request: EmulatedRequest) -> EmulatedResponse:
        self.requests.append(request)
        return EmulatedResponse(
            200, {"content-type": "application/json"}, [json.dumps(self.answer(request.json())).encode()]
        )


FACTS: dict[str, Any] = {
    "provider": "acme",
    "date": "2026-11-29",
    "models": [
        {
            "match": "*",
            "source": "s",
            "facts": {"rules": {"embeddings": {"most_inputs": 3, "most_tokens": 40, "fact": "AC-1"}}},
        },
        {"match": "fixed", "source": "s", "facts": {"rules": {"embeddings": {"dimensions": False}}}},
    ],
    "prices": [{"match": "*", "input": 2.0, "output": 0.0, "source": "s"}],
}


def provider() -> Provider:
    return Provider(
        "acme", "Acme", "https://acme.example/v1", facts=msgspec.convert(FACTS, Facts), emulator=f"{__name__}:Vendor"
    )


def vector_of(text: str) -> list[float]:
    return [float(len(text)), 0.5]


def good(body: Mapping[str, Any]) -> Any:
    data = [{"index": n, "embedding": vector_of(text)} for n, text in enumerate(body["input"])]
    return {"data": data[::-1], "model": "m", "usage": {"prompt_tokens": 10, "total_tokens": 10}}


def embed(texts: Any, answer: Answer = good, model: str = "acme:e", **options: Any) -> tuple[Any, Emulator]:
    value = provider()
    emulator = Emulator(value, answer=answer)
    with chatport.Client(emulator.config(retry={"attempts": 1}), transport=emulator, providers=[value]) as client:
        return client.embed(texts, model=model, **options), emulator


def inputs(emulator: Emulator) -> list[Any]:
    return [request.json()["input"] for request in emulator.requests]


def test_one_vector_for_each_text_in_their_order() -> None:
    found, emulator = embed(["a", "bb", "ccc"])
    assert found.vectors == ((1.0, 0.5), (2.0, 0.5), (3.0, 0.5))
    assert (found.model, found.usage.input_tokens, found.usage.total_tokens) == ("m", 10, 10)
    assert found.cost is not None
    assert found.cost.amount == pytest.approx(10 * 2e-6)
    assert inputs(emulator) == [["a", "bb", "ccc"]]
    assert embed("a")[0].vectors == ((1.0, 0.5),)


def test_more_texts_than_are_taken_at_once_go_in_several_requests() -> None:
    texts = [f"{n:02}" + "x" * n for n in range(8)]
    found, emulator = embed(texts)
    assert [vector[0] for vector in found.vectors] == [len(text) for text in texts]
    assert [len(batch) for batch in inputs(emulator)] == [3, 3, 2]
    assert found.usage.input_tokens == 30
    assert found.cost.amount == pytest.approx(30 * 2e-6)


def test_texts_that_are_too_long_together_go_apart() -> None:
    long = "word " * 20
    found, emulator = embed([long, long, "a"])
    assert len(found.vectors) == 3
    assert [len(batch) for batch in inputs(emulator)] == [1, 2]
    assert inputs(embed([long * 9, "a"])[1]) == [[long * 9], ["a"]]  # one that is too long is the vendor's to refuse


def plain_vendor(answer: Answer = good, clock: Clock | None = None, **facts: Any) -> tuple[chatport.Client, Emulator]:
    """Return a client of a vendor that caps how many texts a request has, and nothing else; of no known price."""
    rules = {"match": "*", "source": "s", "facts": {"rules": {"embeddings": {"most_inputs": 2, "fact": "AC-1"}}}}
    told = {"provider": "acme", "date": "2026-11-29", "models": [rules], **facts}
    value = attrs.evolve(provider(), facts=msgspec.convert(told, Facts))
    emulator = Emulator(value, answer=answer)
    options: dict[str, Any] = {"transport": emulator, "providers": [value], "clock": clock}
    return chatport.Client(emulator.config(retry={"attempts": 1}), **options), emulator


def test_where_only_their_number_is_capped_their_length_does_not_matter() -> None:
    client, emulator = plain_vendor()
    long = "word " * 500
    with client:
        found = client.embed([long, "a", long], model="acme:e")
    assert inputs(emulator) == [[long, "a"], [long]]
    assert [vector[0] for vector in found.vectors] == [2500.0, 1.0, 2500.0]
    assert found.cost is None, "nobody knows a price"
    assert found.usage.input_tokens == 20


def test_the_cost_of_several_requests_is_known_where_each_ones_is() -> None:
    counts = iter(({"prompt_tokens": 10}, None))

    def answer(body: Mapping[str, Any]) -> Any:
        told = {name: value for name, value in good(body).items() if name != "usage"}
        usage = next(counts)
        return told if usage is None else {**told, "usage": usage}

    client, emulator = plain_vendor(answer, prices=FACTS["prices"])
    with client:
        found = client.embed(["a", "b", "c"], model="acme:e")
    assert len(emulator.requests) == 2
    assert found.cost is None
    assert found.usage.input_tokens is None


def test_without_a_total_timer_there_is_as_much_time_as_they_need() -> None:
    now = [0.0]

    def slow(body: Mapping[str, Any]) -> Any:
        now[0] += 100_000.0
        return good(body)

    clock = Clock(lambda: now[0], lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: 0.5)
    client, emulator = plain_vendor(slow, clock)
    with client:
        assert len(client.embed(["a"] * 5, model="acme:e", timeout={"total": 0}).vectors) == 5
    assert len(emulator.requests) == 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_without_blocking_too(backend: str) -> None:
    value = provider()
    emulator = Emulator(value, answer=good)

    async def main() -> Any:
        async with chatport.AsyncClient(emulator.config(), transport=emulator, providers=[value]) as client:
            return await client.embed(["a", "bb", "ccc", "dddd"], model="acme:e")

    assert [vector[0] for vector in anyio.run(main, backend=backend).vectors] == [1, 2, 3, 4]
    assert len(emulator.requests) == 2


def entries(*places: Any) -> Answer:
    data = [
        {"embedding": [float(n), 1.0], **({} if place is None else {"index": place})} for n, place in enumerate(places)
    ]
    return lambda body: {"data": data, "usage": {"prompt_tokens": 1}}


@pytest.mark.parametrize("places", [(0, 0, 0), (None, None, None), (0, 1, 2), (1, 2, 3), (5, 6, 9)], ids=str)
def test_places_that_tell_the_order(places: Sequence[Any]) -> None:
    assert [vector[0] for vector in embed(["a", "b", "c"], entries(*places))[0].vectors] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "places", [(0, 1), (0, 1, 2, 3), (), (0, 0, 1), (None, 0, 1), ("0", "1", "2"), (True, 0, 2)], ids=str
)
def test_another_number_or_an_order_that_cannot_be_told_is_an_error(places: Sequence[Any]) -> None:
    with pytest.raises(MalformedReplyError, match="does not hold the embeddings"):
        embed(["a", "b", "c"], entries(*places))


@pytest.mark.parametrize(
    "wrong", [[], [[1.0], [1.0, 2.0]], ["x"], [None, 1.0], [float("1e400")], "AAA", [True]], ids=str
)
def test_what_is_no_vector_is_an_error(wrong: Any) -> None:
    vectors = wrong if wrong and isinstance(wrong[0], list) else [wrong]
    data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    with pytest.raises(MalformedReplyError):
        embed(["a"] * len(vectors), lambda body: {"data": data})


def test_vectors_in_base64() -> None:
    packed = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()
    found, emulator = embed(
        ["a"], lambda body: {"data": [{"index": 0, "embedding": packed}]}, extra={"encoding_format": "base64"}
    )
    assert found.vectors == ((0.5, -1.0, 2.0),)
    assert emulator.requests[0].json()["encoding_format"] == "base64"
    assert found.usage.input_tokens is None
    assert found.cost is None


def test_other_shapes() -> None:
    assert embed(["a", "b"], lambda body: {"embeddings": [[1.0], [2.0]]})[0].vectors == ((1.0,), (2.0,))
    counted = embed("a", lambda body: {"data": [{"embedding": [1.0]}], "usage": {"total_tokens": 7}})[0]
    assert counted.usage.input_tokens == 7


def test_the_length_of_the_vectors() -> None:
    found, emulator = embed("a", dimensions=2)
    assert emulator.requests[0].json()["dimensions"] == 2
    assert found.warnings == ()
    assert [note.field for note in embed("a", dimensions=7)[0].warnings] == ["dimensions"]
    assert "dimensions" not in embed("a")[1].requests[0].json()
    with pytest.raises(UnsupportedFeatureError, match="one length only"):
        embed("a", model="acme:fixed", dimensions=2)
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(BadRequestError, match="dimensions is a whole number"):
            embed("a", dimensions=wrong)


def test_requests_of_one_call_give_vectors_of_one_length() -> None:
    lengths = iter((2, 3))

    def answer(body: Mapping[str, Any]) -> Any:
        vector = [0.5] * next(lengths)
        return {"data": [{"index": n, "embedding": vector} for n in range(len(body["input"]))]}

    with pytest.raises(MalformedReplyError, match="different lengths"):
        embed(["a"] * 4, answer)


def test_the_total_timer_is_for_all_requests_together() -> None:
    value = provider()
    now = [0.0]

    def slow(body: Mapping[str, Any]) -> Any:
        now[0] += 4.0
        return good(body)

    emulator = Emulator(value, answer=slow)
    clock = Clock(lambda: now[0], lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: 0.5)
    client = chatport.Client(emulator.config(retry={"attempts": 1}), transport=emulator, providers=[value], clock=clock)
    with client, pytest.raises(DeadlineError):
        client.embed(["a"] * 12, model="acme:e", timeout=10)
    assert len(emulator.requests) == 3


def test_a_fault_shows_no_key() -> None:
    def echoing(body: Mapping[str, Any]) -> Any:
        return {"data": [{"embedding": "emulated-key"}], "key": "emulated-key"}

    with pytest.raises(MalformedReplyError) as caught:
        embed("a", echoing)
    assert "emulated-key" not in f"{caught.value!r} {caught.value.raw}"


def test_limits_of_calls_do_not_hold_them_back() -> None:
    """They are limits of a chat model; a request for vectors waits for no turn, and takes none."""
    value, clock = provider(), VirtualClock()
    emulator = Emulator(value, answer=good, clock=clock)
    tables = emulator.config(pacing={"requests_per_minute": 1, "concurrency": 1})
    with chatport.Client(tables, transport=emulator, providers=[value], clock=clock.clock) as client:
        assert len(client.embed(["a"] * 12, model="acme:e").vectors) == 12
        assert len(client.embed(["a"] * 12, model="acme:e").vectors) == 12
    assert len(emulator.requests) == 8
    assert clock.elapsed_seconds == 0


def test_they_count_in_a_budget() -> None:
    """They cost money as well: what goes in is set aside, and replaced by what the vendor says."""
    value = provider()
    emulator = Emulator(value, answer=good)
    with chatport.Client(emulator.config(), transport=emulator, providers=[value]) as client:
        with client.budget(usd=1.0, tokens=1000) as budget:
            client.embed(["some text", "and another"], model="acme:e")
        assert budget.spent_tokens == 10
        assert budget.spent_usd == pytest.approx(10 * 2e-6)
        assert not budget.has_unknown
        with client.budget(tokens=1), pytest.raises(chatport.BudgetExceededError):
            client.embed(["some text", "and another"], model="acme:e")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("setting", "what"), [("embedding_values", "4 numbers"), ("values", "4 values beside its numbers")]
)
def test_an_answer_with_more_than_is_accepted_says_which_setting_bounds_it(setting: str, what: str) -> None:
    value = provider()
    emulator = Emulator(value, answer=good)
    config = emulator.config(retry={"attempts": 1}, limits={"values": 100, "embedding_values": 100, setting: 4})
    with (
        chatport.Client(config, transport=emulator, providers=[value]) as client,
        pytest.raises(MalformedReplyError, match=f"JSON has more than {what}; raise limits.{setting} if it really has"),
    ):
        client.embed(["a", "b", "c"], model="acme:e")
