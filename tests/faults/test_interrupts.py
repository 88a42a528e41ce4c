"""Ctrl-C at every place of a call where Python would let it in: nothing is held afterwards, and the next call works.

Where that is: at the begin of a function, when a generator goes on, and after a call of what is written in C. A
profiler sees just these, so the tests need no luck: they count them, and interrupt at one after the other. (Also when a
loop goes round, which is soon followed by one of them. Nowhere else: not between two lines, as a tracer could.) The
interrupt is kept while the state is looked at: nothing may depend on the garbage collector.
"""

from __future__ import annotations

import gc
import inspect
import random
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import pytest
from tests.behaviour.raw_server import Connection, RawServer, chunked, head

import chatport
from chatport.engine.commands import Head, HttpRequest
from chatport.testing import VirtualClock, sse

TARGET = "acme:m"
MODEL = {"max_output_tokens": 50, "prices": [{"match": "*", "input": 1.0, "output": 1.0, "source": "s"}]}


def piece(content: str, finish: str | None = None, **more: Any) -> bytes:
    return sse({"id": "r", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more})


USAGE = {"prompt_tokens": 5, "completion_tokens": 7}
ANSWER = [piece("alpha"), piece(" beta"), piece("", "stop", usage=USAGE), b"data: [DONE]\n\n", b""]


class Vendor:
    """A transport that answers, or says 503 while `is_down`. It counts the exchanges that were not closed."""

    def __init__(self) -> None:
        self.is_down = False
        self.open: set[Exchange] = set()

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Exchange:
        return Exchange(self, Head(503, {}) if self.is_down else Head(200, {"content-type": "text/event-stream"}))

    def close(self) -> None:
        """Nothing is open."""


class Exchange:
    def __init__(self, vendor: Vendor, head: Head) -> None:
        self.head, self._vendor = head, vendor
        self._pieces = iter(ANSWER if head.status == 200 else [b"down", b""])

    def read(self, seconds: float | None) -> bytes:
        self._vendor.open.add(self)
        return next(self._pieces)

    def close(self) -> None:
        self._vendor.open.discard(self)


class Interrupt:
    """Interrupts at the so-manieth place; with 0 it only counts them."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.places = 0
        self._throws = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" and getattr(argument, "__name__", "") in ("close", "throw"):
            self._throws += 1 if event == "c_call" else -1
        name, code = frame.f_globals["__name__"], frame.f_code
        is_ours = name.startswith("chatport.") or (name == __name__ and code.co_name in ("send", "read"))
        if not is_ours or not (event == "c_return" or (event == "call" and self._lets_in(code))):
            return
        self.places += 1
        if self.places == self.at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    def _lets_in(self, code: CodeType) -> bool:
        """Whether an interrupt may come at a begin: not where a generator goes on with an exception.

        Nor at that of `__exit__`: there no context manager can do anything, and the garbage collector has to.
        """
        is_thrown_into = self._throws and code.co_flags & inspect.CO_GENERATOR
        return not is_thrown_into and code.co_name not in ("__exit__", "__del__")

    def during(self, action: Callable[[], Any]) -> BaseException | None:
        """Do something; return the interrupt, with its traceback, or None if the place was never reached."""
        sys.setprofile(self)
        try:
            action()
        except KeyboardInterrupt as interrupt:
            return interrupt
        finally:
            sys.setprofile(None)
        return None


class Scene:
    """A client whose vendor was down a while ago: its next call is the probe. It takes one call at a time."""

    def __init__(self) -> None:
        self.vendor, self.clock = Vendor(), VirtualClock()
        self.client = chatport.Client(
            transport=self.vendor,
            clock=self.clock.clock,
            config={
                "providers": {"acme": {"kind": "compatible", "base_url": "http://acme.invalid/v1"}},
                "models": {TARGET: MODEL},
                "pacing": {"concurrency": 1, "requests_per_minute": 100_000, "tokens_per_minute": 10_000_000},
                "breaker": {"failures": 1},
                "retry": {"attempts": 1},
                "budget": {"usd": 1e6, "tokens": 10**9},
            },
        )
        self.go_down()

    def go_down(self) -> None:
        """Let the vendor fail once, and half a minute pass."""
        self.vendor.is_down = True
        with pytest.raises(chatport.OverloadedError):
            self.client.chat("hello", model=TARGET)
        self.vendor.is_down = False
        self.clock.advance(31)
        assert self.breaker.state == "half-open"

    @property
    def breaker(self) -> Any:
        return self.client._shared.breakers.of(TARGET)

    def chat(self) -> None:
        assert self.client.chat("hello", model=TARGET).text == "alpha beta"

    def stream(self) -> None:
        with self.client.stream("hello", model=TARGET) as events:
            for _ in events:
                pass

    def leave(self) -> None:
        """Leave a stream after its first event."""
        with self.client.stream("hello", model=TARGET) as events:
            next(iter(events))

    def check(self, place: int) -> None:
        """Nothing is held by a call that is over."""
        for pacer in self.client._shared.pacers._recent.values():
            assert (pacer.active, pacer.waiting) == (0, 0), f"place {place}: the pacer's slot is gone"
        budget = self.client._budget
        assert budget is not None
        assert (budget.reserved_usd, budget.reserved_tokens) == (0, 0), f"place {place}: money is reserved for ever"
        assert not budget._open
        assert self.breaker.open_for_seconds == 0, f"place {place}: the probe is gone"
        assert not self.vendor.open, f"place {place}: an exchange was not closed"
        self.chat()
        assert self.breaker.state == "closed"


def places(action: Callable[[Scene], None]) -> range:
    """Return all places of an action, as a first run counts them."""
    scene = Scene()
    count = Interrupt()
    assert count.during(lambda: action(scene)) is None
    assert count.places > 500
    return range(1, count.places + 100)  # the first calls of a client have more of them


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # some interrupts Python itself swallows
@pytest.mark.parametrize(("action", "step"), [(Scene.chat, 1), (Scene.stream, 3), (Scene.leave, 2)])
def test_an_interrupt_anywhere_leaves_nothing_held(action: Callable[[Scene], None], step: int) -> None:
    """Nothing: no place in the queue, no reservation, no probe, no exchange; and the next call works.

    At every place of a plain call; a stream goes mostly the same way, so there it is one in two or three.
    """
    arrived = 0
    kept = Scene()
    kept.chat()
    for place in places(action)[random.Random(7).randrange(step) :: step]:
        kept.go_down()
        fresh = [Scene()] if place % 16 == 0 else []  # some where everything is made for the first time
        for scene in (kept, *fresh):
            interrupt = Interrupt(place).during(lambda scene=scene: action(scene))  # type: ignore[misc]  # bound at once
            arrived += interrupt is not None
            scene.check(place)
    assert arrived > 500 / step


# --- with connections


def echoing(connection: Connection) -> None:
    """Answer each request with the word that it asks for, in three pieces."""
    while request := connection.request():
        word = request.rpartition(b"say ")[2].partition(b'"')[0]
        said = [sse({"id": "r", "choices": [{"index": 0, "delta": {"content": word.decode()}, "finish_reason": None}]})]
        answer = [*said, piece("", "stop", usage=USAGE), b"data: [DONE]\n\n"]
        connection.send(head(transfer_encoding="chunked") + chunked(*answer))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that the collector closes
def test_an_interrupt_leaves_no_connection_that_gives_another_calls_answer() -> None:
    """One in seven places: a call that was interrupted is followed by one that must get its own answer."""
    with RawServer(echoing) as server:
        config = {"providers": {"raw": {"kind": "compatible", "base_url": server.base_url}}, "model": "raw:m"}
        client = chatport.Client(config=config)

        def ask(word: str) -> None:
            with client.stream(f"say {word}") as events:
                for _ in events:
                    pass
            assert events.reply.text == word

        ask("first")
        count = Interrupt()
        count.during(lambda: ask("second"))
        for place in range(1 + random.Random(5).randrange(7), count.places, 7):
            Interrupt(place).during(lambda place=place: ask(f"lost{place}"))  # type: ignore[misc]  # bound at once
            ask(f"found{place}")
        transport: Any = client._opened
        assert 1 <= len(transport._pool) <= 2
        client.close()
        gc.collect()
        for thread in server.threads:
            thread.join(5)
        assert server.open_connections == 0
