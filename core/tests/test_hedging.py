"""A second try beside a slow first one: who wins, what the other one leaves behind, and how often it may be."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from chatport import AsyncClient, ChatportError, ServerError, TextDelta
from chatport.engine.commands import HttpRequest
from chatport.testing import Emulator
from chatport.testing.server import InProcessTransport

CONFIG = {
    "providers": {
        name: {"kind": "compatible", "base_url": f"http://127.0.0.1:9/{name}", "api_key": "a-key"}
        for name in ("slow", "quick")
    },
    "aliases": {"main": ["slow:emulated-model", "quick:emulated-model"]},
    "hedge": {"after_seconds": 0.02},
    "retry": {"attempts": 1},
}


def test_a_second_try_may_be_made_before_the_first_has_run() -> None:
    """On a machine that is busy elsewhere the time may be over before the first task has had its turn."""
    client = AsyncClient(CONFIG)
    for _ in range(40):
        client._shared.hedges.count_call()
    first = client._machine("hi", False, False, {"model": "main"})
    second = client._second_try(first)
    assert second is not None
    for machine in (second, first):
        next(machine.run())
    assert first.trace is second.trace


class Two:
    """Two servers as one transport: the slow one answers when it is let."""

    def __init__(self, slow_status: int | None = None) -> None:
        self.go = anyio.Event()
        self.go_at = 0
        """With which request the slow server begins to answer."""
        self.open = 0
        self.sent: list[str] = []
        settings: dict[str, Any] = {"models": ("emulated-model",)}
        self._emulator = Emulator("compatible", **settings)
        self._inner = InProcessTransport(self._emulator)
        self._slow_status = slow_status

    async def send(self, request: HttpRequest, connect_seconds: Any, head_seconds: Any) -> Any:
        name = request.url.split("/")[3]
        self.sent.append(name)
        if len(self.sent) == self.go_at:
            self.go.set()
        self.open += 1
        try:
            if name == "slow":
                await self.go.wait()
        finally:
            self.open -= 1
        path = request.url.replace(f"/{name}", "/v1")
        if name == "slow" and self._slow_status is not None:
            self._emulator.misbehave([_status(self._slow_status)])
        changed = HttpRequest(request.method, path, request.headers, request.content, request.auth)
        return await self._inner.send(changed, connect_seconds, head_seconds)

    async def aclose(self) -> None:
        """Nothing is open."""


def _status(status: int) -> Any:
    from chatport.testing import faults

    return faults.status(status)


def client_of(transport: Two, **tables: Any) -> AsyncClient:
    client = AsyncClient(config={**CONFIG, **tables}, transport=transport)
    for _ in range(40):  # calls of the last minutes, a twentieth of which may be tried twice
        client._shared.hedges.count_call()
    return client


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_the_quicker_one_answers_and_both_are_told(stream: bool) -> None:
    transport = Two()
    async with client_of(transport) as client:
        if stream:
            async with client.stream("say: one two", model="main") as events:
                text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
            reply = events.reply
            assert text == "one two"
        else:
            reply = await client.chat("say: one two", model="main")
    assert (reply.text, reply.provider) == ("one two", "quick")
    assert sorted((a.target.split(":")[0], a.outcome) for a in reply.attempts) == [
        ("quick", "ok"),
        ("slow", "cancelled"),
    ]
    assert transport.sent == ["slow", "quick"]
    assert transport.open == 0


async def test_without_content_in_time_the_first_may_still_win() -> None:
    transport = Two()
    transport.go_at = 2
    async with client_of(transport) as client:
        reply = await client.chat("say: late", model="slow:emulated-model")
    assert reply.text == "late"
    assert transport.sent == ["slow", "slow"]
    assert sorted(attempt.outcome for attempt in reply.attempts) in (["cancelled", "ok"], ["ok"], ["ok", "ok"])


async def test_a_quick_first_one_is_alone() -> None:
    transport = Two()
    async with client_of(transport, hedge={"after_seconds": 30}) as client:
        reply = await client.chat("say: quick", model="quick:emulated-model")
    assert reply.text == "quick"
    assert transport.sent == ["quick"]


async def test_an_error_of_one_is_not_the_end() -> None:
    transport = Two(slow_status=500)
    transport.go.set()
    async with client_of(transport, hedge={"after_seconds": 30}) as client:
        reply = await client.chat("say: fine", model="main")  # the machine's own next target, without a second try
        assert [(a.target, a.outcome) for a in reply.attempts] == [
            ("slow:emulated-model", "ServerError"),
            ("quick:emulated-model", "ok"),
        ]
        with pytest.raises(ServerError):
            await client.chat("say: fine", model="slow:emulated-model")


async def test_second_tries_are_few() -> None:
    """One in twenty calls: the next ones wait for their own first try."""
    transport = Two()
    async with client_of(transport) as client:
        for _ in range(2):
            await client.chat("say: twice", model="main")
        before = len(transport.sent)
        with anyio.move_on_after(0.2):
            await client.chat("say: alone", model="main")
        assert transport.sent[before:] == ["slow"]
    assert transport.open == 0


@pytest.mark.parametrize(
    ("calls", "hedge", "tries"),
    [
        (0, {}, 1),
        (18, {}, 1),
        (19, {}, 2),
        (38, {}, 2),
        (39, {}, 3),
        (59, {"share": 0.01}, 1),
        (99, {"share": 0.01}, 2),
    ],
)
async def test_second_tries_are_paid_for_by_a_twentieth_of_the_calls_or_the_share_that_is_set(
    calls: int, hedge: dict[str, float], tries: int
) -> None:
    """A quiet client has none at all: unlike a retry, a second try is paid for where nothing has failed."""
    transport = Two()
    async with AsyncClient(config={**CONFIG, "hedge": {"after_seconds": 0.02, **hedge}}, transport=transport) as client:
        for _ in range(calls):
            client._shared.hedges.count_call()
        taken = 1 + sum(client._shared.hedges.take() for _ in range(tries - 2))
        with anyio.move_on_after(0.3):
            await client.chat("say: twice", model="main")
    assert len(transport.sent) + taken - 1 == tries
    assert (client._shared.hedges._at_least, client._shared.hedges._window) == (0, 600)


async def test_vendor_fields_are_never_sent_twice() -> None:
    transport = Two()
    async with client_of(transport) as client:
        with anyio.move_on_after(0.2):
            await client.chat("say: once", model="main", extra={"store": True})
    assert transport.sent == ["slow"]


async def test_a_cancelled_call_leaves_neither_behind() -> None:
    transport = Two()
    seen: list[str] = []
    async with client_of(transport) as client:
        client._shared = _with_observer(client._shared, seen)
        with anyio.move_on_after(0.01):
            await client.chat("say: never", model="main")
    assert transport.open == 0
    assert seen[-1] == "call_cancelled"
    assert seen.count("call_cancelled") == 1


def _with_observer(shared: Any, seen: list[str]) -> Any:
    import attrs

    return attrs.evolve(shared, observers=(lambda event, fields: seen.append(event),))


def test_the_share_is_small() -> None:
    with pytest.raises(ChatportError, match=r"share is at most 0\.05"):
        AsyncClient(config={"hedge": {"share": 0.5}})
