"""One key for all tries of one body, another for any other body: a repeated request is not done twice."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import chatport
from chatport.engine.commands import HttpRequest
from chatport.testing import faults

from .world import TEXT, World, always, on_backends, plain_and_streamed

HEADER = "idempotency-key"
HONOURED = {"dialect": {"idempotency_header": HEADER}}
GOES_ON = {"dialect": {"idempotency_header": HEADER, "prefill": {"message": {"partial": True}}}}


def keys(w: World, name: str = "one") -> list[str | None]:
    return [request.headers.get(HEADER) for request in w.seen(name)]


@on_backends
@plain_and_streamed
def test_all_tries_of_one_body_have_one_key_and_each_call_its_own(backend: str, stream: bool) -> None:
    failing = [faults.status(503), faults.reset_before_head(), None]
    w = World(backend, {"one": failing * 2}, providers={"one": HONOURED})
    for _ in range(2):
        w.clock.advance(120)  # the retry budget is full again
        assert w.ask(stream=stream).reply.text == TEXT
    first, second = keys(w)[:3], keys(w)[3:]
    assert len(set(first)) == len(set(second)) == 1
    assert None not in first
    assert first != second
    assert len({request.content for request in w.seen("one")[:3]}) == 1


@on_backends
@plain_and_streamed
def test_another_target_gets_another_key(backend: str, stream: bool) -> None:
    w = World(backend, {"one": always(faults.status(503)), "two": ()}, providers={"one": HONOURED, "two": HONOURED})
    w.ask(stream=stream)
    assert len(set(keys(w))) == 1
    assert keys(w, "two")[0] not in (None, *keys(w))


@on_backends
def test_two_models_of_one_vendor_get_two_keys(backend: str) -> None:
    w = World(backend, {"one": [faults.status(402)]}, providers={"one": HONOURED}, aliases={"main": ["one:m", "one:n"]})
    w.emulators["one"].vendor.models = ("m", "n")
    assert w.ask().reply.text == TEXT
    assert len(set(keys(w))) == 2


@on_backends
def test_going_on_after_a_cut_is_another_body_with_another_key(backend: str) -> None:
    bad = {"one": [faults.cut(after_events=3), faults.status(503)]}
    w = World(backend, bad, providers={"one": GOES_ON}, retry={"continue_after_cut": True})
    w.ask()
    whole, rest, again = keys(w)
    assert whole != rest == again


@on_backends
def test_a_vendor_that_honours_none_gets_none(backend: str) -> None:
    w = World(backend, {"one": [faults.status(503)]})
    w.ask()
    assert keys(w) == [None, None]


@on_backends
@pytest.mark.parametrize("value", ["mine", chatport.Secret("mine")], ids=["text", "secret"])
def test_a_key_that_the_caller_has_given_stays(backend: str, value: Any) -> None:
    """Whatever the case of its name; beside any other header of the caller's there is ours."""
    w = World(backend, {"one": [faults.status(503), None, None]}, providers={"one": HONOURED})
    assert w.ask(headers={"Idempotency-KEY": value}).reply.text == TEXT
    assert keys(w) == ["mine", "mine"]
    w.ask(headers={"x-other": value})
    own = keys(w)[2]
    assert own is not None
    assert own.startswith("chatport-")
    assert w.seen("one")[2].headers["x-other"] == "mine"


@on_backends
def test_calls_at_the_same_time_have_keys_of_their_own(backend: str) -> None:
    w = World(backend, {"one": ()}, providers={"one": HONOURED})
    w.ask_many(50, threads=8)
    assert len(set(keys(w))) == 50


class FirstHeld:
    """A transport that holds the first request for ever, and keeps the keys of all."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.keys: list[str | None] = []

    async def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        self.keys.append(dict(request.headers).get(HEADER))
        if len(self.keys) == 1:
            await anyio.sleep_forever()
        return await self._inner.send(request, connect_seconds, head_seconds)

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("targets", [["one:m"], ["one:m", "one:n"]], ids=["the same body", "another body"])
def test_a_second_try_beside_the_first_has_a_key_of_its_own(backend: str, targets: list[str]) -> None:
    w = World(
        backend, {"one": ()}, providers={"one": HONOURED}, aliases={"main": targets}, hedge={"after_seconds": 0.01}
    )
    w.emulators["one"].vendor.models = ("m", "n")
    held = FirstHeld(w.options["transport"].asynchronous())
    w.client = chatport.AsyncClient(**{**w.options, "transport": held, "clock": None})
    for _ in range(40):  # a twentieth of the calls may have a second try
        w.client._shared.hedges.count_call()
    assert w.ask(stream=False).reply.text == TEXT
    first, second = held.keys
    assert None not in (first, second)
    assert first != second
