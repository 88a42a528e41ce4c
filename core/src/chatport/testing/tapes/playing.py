"""Playing: each request gets the next answer that was recorded for it, and any other request is an error."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import anyio
import anyio.lowlevel

from ...engine.commands import Head, HttpRequest, TimerExpired, TransportFailure
from .errors import TapeMissError
from .exchanges import Asked, Exchange, Step
from .files import read_exchanges
from .hiding import Hider
from .matching import asked_of, differences, key_of

__all__ = ["AsyncPlayedExchange", "PlayedExchange", "Player"]


class Player:
    """What is on a tape, and what of it was asked for. Safe to ask from several threads."""

    def __init__(self, path: Path, hider: Hider, ignored: Sequence[str], *, repeat: bool) -> None:
        self._path = path
        self._hider = hider
        self._ignored = ignored
        self._repeat = repeat
        self._lock = threading.Lock()
        self._exchanges = read_exchanges(path)
        self._of_key: defaultdict[str, list[int]] = defaultdict(list)
        for number, exchange in enumerate(self._exchanges):
            self._of_key[key_of(exchange.asked, ignored)].append(number)
        self._asked: defaultdict[str, int] = defaultdict(int)
        self._used: set[int] = set()
        self.misses: list[TapeMissError] = []

    @property
    def unused(self) -> list[str]:
        """The requests that nobody asked, as numbers and addresses."""
        left = [number for number in range(len(self._exchanges)) if number not in self._used]
        return [f"{number + 1}: {_shown(self._exchanges[number].asked)}" for number in left]

    def next(self, request: HttpRequest) -> Exchange:
        """Return the next exchange for a request. Raises TapeMissError."""
        with self._lock:
            asked = asked_of(request, self._hider)
            key = key_of(asked, self._ignored)
            known, times = self._of_key.get(key, []), self._asked[key]
            if not known or (times >= len(known) and not self._repeat):
                raise self.miss(self._words(asked, len(known)))
            self._asked[key] += 1
            number = known[times % len(known)]
            self._used.add(number)
        return self._exchanges[number]

    def miss(self, problem: str) -> TapeMissError:
        """Return the error for what is not on the tape, and remember it: somebody may swallow it."""
        words = f"{problem}\nThe tape: {self._path}. Nothing was sent. To record it anew: CHATPORT_TAPE=record."
        error = TapeMissError(words)
        self.misses.append(error)
        return error

    def _words(self, asked: Asked, known: int) -> str:
        if known:
            return f"{_shown(asked)}: it is on the tape {known} times, and was asked once more."
        if not self._exchanges:
            return f"{_shown(asked)}: nothing is on the tape."
        found = [differences(exchange.asked, asked, self._ignored) for exchange in self._exchanges]
        used = [number in self._used for number in range(len(found))]
        # The same address before others, then what differs least, then what nobody has asked for yet.
        ranks = [
            (self._exchanges[number].asked.url != asked.url, len(lines), used[number])
            for number, lines in enumerate(found)
        ]
        nearest = ranks.index(min(ranks))
        lines = "".join(f"\n  {line}" for line in found[nearest])
        return f"{_shown(asked)}: this request is not on the tape. The nearest there is number {nearest + 1}:{lines}"


def _shown(asked: Asked) -> str:
    return f"{asked.method} {asked.url}"


class _Playing:
    """One answer, step by step; who reads it does the waiting. Invariant: `_at` is a place among the steps."""

    def __init__(self, exchange: Exchange, player: Player, *, keeps_time: bool) -> None:
        self._exchange = exchange
        self._player = player
        self._keeps_time = keeps_time
        self._at = -1 if exchange.head is not None else 0
        self._owed = 0.0
        self._owe()

    def pause(self, seconds: float | None) -> tuple[float, bool]:
        """Return how long to wait now, and whether the time that is given is over then."""
        limit = math.inf if seconds is None else seconds
        if self._owed > limit:
            self._owed -= limit
            return limit, True
        owed, self._owed = self._owed, 0.0
        return owed, False

    def take_head(self) -> Head:
        """Return the head. Raises what came in its place."""
        if self._exchange.head is None:
            self.take()
            raise self._left()
        self._move()
        return self._exchange.head

    def take(self) -> bytes:
        """Return the next piece, b"" at the proved end. Raises what ended it in another way."""
        step = self._exchange.steps[self._at]
        if step.kind == "left":
            raise self._left()
        if step.kind == "failure":  # a broken connection stays broken
            raise _failure(step)
        if step.kind != "whole":
            self._move()
        if step.kind == "timeout":
            raise _expired(step)
        return step.data

    def _left(self) -> TapeMissError:
        return self._player.miss(
            f"{_shown(self._exchange.asked)}: no more is on the tape of this answer. It was left here when it was "
            "recorded, and now it is read on."
        )

    def _move(self) -> None:
        if self._at + 1 < len(self._exchange.steps):
            self._at += 1
            self._owe()

    def _owe(self) -> None:
        if self._keeps_time:
            step = self._exchange.head_after_seconds if self._at < 0 else self._exchange.steps[self._at].after_seconds
            self._owed = step or 0.0


def _failure(step: Step) -> TransportFailure:
    return TransportFailure(step.words, stage=step.stage, kind=step.failure)  # type: ignore[arg-type]  # read so


def _expired(step: Step) -> TimerExpired:
    return TimerExpired(step.stage)  # type: ignore[arg-type]  # read so


class PlayedExchange:
    """A recorded answer. `sleep` lets seconds pass, None: times are not kept."""

    def __init__(
        self, exchange: Exchange, player: Player, head_seconds: float | None, sleep: Callable[[float], object] | None
    ) -> None:
        self._sleep = sleep
        self._playing = _Playing(exchange, player, keeps_time=sleep is not None)
        self._pass(head_seconds)
        self.head = self._playing.take_head()

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises what was met when it was recorded."""
        self._pass(seconds)
        return self._playing.take()

    def close(self) -> None:
        """Nothing is open."""

    def _pass(self, seconds: float | None) -> None:
        pause, is_over = self._playing.pause(seconds)
        if pause:
            (self._sleep or time.sleep)(pause)
        if is_over:
            raise TimerExpired("io")


class AsyncPlayedExchange:
    """The same for an asynchronous client. Made by `begin`, which waits for the head."""

    head: Head

    def __init__(self, exchange: Exchange, player: Player, sleep: Callable[[float], object] | None) -> None:
        self._sleep = sleep
        self._playing = _Playing(exchange, player, keeps_time=sleep is not None)

    async def begin(self, head_seconds: float | None) -> AsyncPlayedExchange:
        """Wait for the head, and return the exchange."""
        await self._pass(head_seconds)
        self.head = self._playing.take_head()
        return self

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises what was met when it was recorded."""
        await self._pass(seconds)
        return self._playing.take()

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _pass(self, seconds: float | None) -> None:
        pause, is_over = self._playing.pause(seconds)
        if pause and self._sleep is time.sleep:
            await anyio.sleep(pause)
        else:
            await anyio.lowlevel.checkpoint()  # so that a call can be cancelled here as on a network
            if pause:
                cast("Callable[[float], object]", self._sleep)(pause)
        if is_over:
            raise TimerExpired("io")
