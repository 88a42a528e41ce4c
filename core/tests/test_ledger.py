"""Ledgers: who is asked before an attempt is sent, may have to wait for the answer, and is told what it has cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import chatport
from chatport import Ledger, Pending, RateLimitError, Reservation
from chatport.testing import Emulator, faults


def config_of(emulator: Emulator, **tables: Any) -> dict[str, Any]:
    """Return the configuration of a server with a price."""
    prices = [{"match": "*", "input": 1.0, "output": 10.0}]
    return emulator.config(models={"compatible:emulated-model": {"prices": prices}}, **tables)


class Book(Ledger):
    """Answers from another thread, and keeps what it is told."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.asked: list[Reservation] = []
        self.told: list[tuple[float | None, int | None, bool]] = []
        self.cancelled = 0
        self.has_answer = False

    def grant(self, reservation: Reservation) -> Pending | None:
        if not self.has_answer:
            return Pending(self._on_wake, 10.0)
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(reservation)
        return None

    def _on_wake(self, wake: Callable[[], None]) -> None:
        def answer() -> None:
            self.has_answer = True
            wake()

        threading.Timer(0.01, answer).start()

    def settle(
        self, reservation: Reservation, *, usd: float | None, tokens: int | None, is_guess: bool = False
    ) -> None:
        self.told.append((usd, tokens, is_guess))

    def cancel(self, reservation: Reservation) -> None:
        self.cancelled += 1


def test_a_ledger_may_answer_from_another_thread() -> None:
    """A call without a loop waits for it, and is sent then."""
    emulator, book = Emulator("compatible"), Book()
    with chatport.Client(config_of(emulator), transport=emulator) as client, book:
        reply = client.chat("say: hi", model="compatible:emulated-model")
    assert reply.text == "hi"
    [reservation] = book.asked
    assert reservation.target == "compatible:emulated-model"
    assert reservation.usd is not None
    [(usd, tokens, is_guess)] = book.told
    assert reply.cost is not None
    assert usd == pytest.approx(reply.cost.amount)
    assert (tokens, is_guess) == (reply.usage.total_tokens, False)


async def test_a_ledger_may_answer_from_another_thread_to_a_loop() -> None:
    """So it is on asyncio and on trio."""
    emulator, book = Emulator("compatible"), Book()
    async with chatport.AsyncClient(config_of(emulator), transport=emulator) as client:
        with book:
            assert (await client.chat("say: hi", model="compatible:emulated-model")).text == "hi"
    assert len(book.asked) == len(book.told) == 1


async def test_what_a_ledger_refuses_is_not_sent() -> None:
    """Its error is the call's, and nothing has come to the vendor."""
    emulator, book = Emulator("compatible"), Book(RateLimitError("Too many.", retry_after_seconds=3.0))
    async with chatport.AsyncClient(config_of(emulator), transport=emulator) as client:
        with book, pytest.raises(RateLimitError, match="Too many") as caught:
            await client.chat("say: hi", model="compatible:emulated-model")
    assert caught.value.attempts == ()
    assert not emulator.requests
    assert book.told == []


async def test_a_stream_that_is_left_counts_with_what_had_come() -> None:
    """Neither for nothing, nor with all that might have come."""
    emulator, book = Emulator("compatible"), Book()
    async with chatport.AsyncClient(config_of(emulator), transport=emulator) as client:
        with book:
            async with client.stream("count: 500", model="compatible:emulated-model", max_tokens=100_000) as stream:
                for _ in range(3):
                    await stream.read()
    [reservation] = book.asked
    [(usd, tokens, is_guess)] = book.told
    assert is_guess
    assert tokens is not None
    assert 0 < tokens < reservation.tokens / 100
    assert usd is not None
    assert reservation.usd is not None
    assert 0 < usd < reservation.usd / 100


async def test_a_call_that_is_left_before_its_answer_counts_with_its_input() -> None:
    """It was sent: the vendor has read it, and bills that."""
    emulator, book = Emulator("compatible", faults=[faults.stall("before_head")]), Book()
    with emulator:
        async with chatport.AsyncClient(config_of(emulator)) as client:
            with book, anyio.move_on_after(0.3):
                await client.chat("say: hi", model="compatible:emulated-model", max_tokens=1000)
    [(_, tokens, is_guess)] = book.told
    assert is_guess
    assert tokens is not None
    assert 0 < tokens < 100
