"""Pacing that several processes share: one limit of a vendor's, kept by all of them together.

A pacer keeps its own rules first, as one process does; then it takes what the call needs from a lease, or asks for it.
It stays what it was to whoever waits in it: no method blocks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from ..basics.secret import Secret
from ..errors import ConfigurationError, OverloadedError
from ..limits.pacing import PaceLimits, Pacer, PacerBook, Ticket
from .leases import Ask, Demand, Leases, Share
from .limits import Rate, Stock
from .server import lease_server

__all__ = ["SharedPacer", "SharedPacerBook", "shared_pacers"]

# A burst and a minute's filling together come to 98.5 % of the limit, so that calls which travel for a second longer
# than others still fit into a window of the vendor's, wherever it begins. Leases need no deep bucket.
_SHARE = 0.965
_BURST_SHARE = 1 / 50
_SLOT_SECONDS = 0.1
"""After so long a call asks again that found no place: whoever leaves one, in another process, cannot wake it."""
_SLOTS_KEPT_MS = 3_600_000


class SharedPacer(Pacer):
    """A pacer whose limits hold for all processes that name the same store. `refuses`: not without it."""

    def __init__(
        self, limits: PaceLimits, now: Callable[[], float], leases: Leases, name: str, *, refuses: bool
    ) -> None:
        super().__init__(limits, now)
        self._leases = leases
        self._refuses = refuses
        self._asks: dict[Ticket, Ask] = {}
        self._granted: dict[Ticket, Sequence[Demand]] = {}
        self._request_share = _rate(leases, f"{name}:requests", limits.requests_per_minute)
        self._token_share = _rate(leases, f"{name}:tokens", limits.tokens_per_minute)
        self._slot_share: Share | None = None
        if limits.concurrency is not None:
            slots = Stock(limits.concurrency)
            self._slot_share = leases.share(f"{name}:concurrency", slots, kept_ms=_SLOTS_KEPT_MS)

    @property
    def is_idle(self) -> bool:
        """Whether forgetting this pacer would lose nothing."""
        shares = (self._request_share, self._token_share, self._slot_share)
        return super().is_idle and all(share is None or share.is_idle for share in shares)

    def leave(self, ticket: Ticket, *, used_tokens: int | None = None) -> None:
        """The same, and the others hear what was used."""
        was_sent = ticket._state == "active"
        super().leave(ticket, used_tokens=used_tokens)
        ask, granted = self._asks.pop(ticket, None), self._granted.pop(ticket, ())
        if ask is not None:
            self._leases.withdraw(ask)
        if granted:
            used = [self._used(share, taken, used_tokens, was_sent) for share, taken in granted]
            self._leases.settle((share, taken, new) for (share, taken), new in zip(granted, used, strict=True))

    def _used(self, share: Share, taken: int, used_tokens: int | None, was_sent: bool) -> int:
        if share is self._slot_share or not was_sent:
            return 0
        return taken if share is self._request_share or used_tokens is None else max(used_tokens, 0)

    def _wait_seconds(self, ticket: Ticket) -> float:
        seconds = super()._wait_seconds(ticket)
        return seconds if seconds > 0 or ticket in self._granted else self._shared_seconds(ticket)

    def _shared_seconds(self, ticket: Ticket) -> float:
        """Return how long to wait for a lease, `math.inf` until the answer comes."""
        demands = self._demands(ticket)
        ask = self._asks.pop(ticket, None)
        if ask is None:
            if not demands or self._leases.take(demands):
                self._granted[ticket] = demands
                return 0.0
            ask = self._leases.ask(demands, self._wake_head)
        if ask.outcome == "waits":
            self._asks[ticket] = ask
            return math.inf
        if ask.outcome == "refused":
            return max(ask.wait_seconds, 0.001) if ask.wait_seconds < math.inf else _SLOT_SECONDS
        if ask.outcome == "down":
            short = self._without_store(demands)
            if short:
                return short
        self._granted[ticket] = demands
        return 0.0

    def _without_store(self, demands: Sequence[Demand]) -> float:
        """Return how long to wait as if there were no others. Raises OverloadedError where that is not allowed."""
        if self._refuses:
            raise OverloadedError(
                "The store of [pacing], in which processes share limits, cannot be asked. Nothing was sent.",
                retryable=False,
            )
        short = self._leases.take_alone(demands)
        return 0.0 if short is None else min(short[1], _SLOT_SECONDS)

    def _demands(self, ticket: Ticket) -> list[Demand]:
        most = self._limits.tokens_per_minute
        wanted: list[tuple[Share | None, int]] = [
            (self._request_share, 1),
            (self._token_share, ticket.tokens if most is None else min(ticket.tokens, most)),
            (self._slot_share, 1),
        ]
        return [(share, amount) for share, amount in wanted if share is not None]


class SharedPacerBook(PacerBook):
    """The pacers of a client that shares them."""

    def __init__(self, now: Callable[[], float], url: str, *, refuses: bool) -> None:
        super().__init__(now)
        self._leases = lease_server(url, "[pacing] store", self).leases
        self._refuses = refuses

    def get(self, key: Hashable, limits: PaceLimits) -> Pacer:
        """Return the pacer for a key."""
        return self.find((key, limits), partial(self._made, key, limits))

    def _made(self, key: Hashable, limits: PaceLimits) -> Pacer:
        return SharedPacer(limits, self._now, self._leases, _name_of(key), refuses=self._refuses)


def shared_pacers(url: str | None, env: str | None, now: Callable[[], float], *, refuses: bool) -> SharedPacerBook:
    """Return the pacers of a client that shares them at an address, or at the one that a variable holds.

    Raises ConfigurationError for what is no address, and where the client library for it is not installed.
    """
    if env is not None:
        url = os.environ.get(env)
        if not url:
            raise ConfigurationError(f"[pacing] store_env names the variable {env}, which is not set.")
    return SharedPacerBook(now, url or "", refuses=refuses)


def _rate(leases: Leases, name: str, limit: int | None) -> Share | None:
    if limit is None:
        return None
    return leases.share(name, Rate(max(int(limit * _SHARE), 1), 1 + int(limit * _BURST_SHARE)))


def _name_of(key: Any) -> str:
    """Return what the limits of a provider, key and model are called, from which no key can be told."""
    parts = key if isinstance(key, tuple) else (key,)
    told = [part.reveal() if isinstance(part, Secret) else str(part) for part in parts]
    return f"pace:{blake2b(chr(0).join(told).encode(), digest_size=16, person=b'chatport-pacing').hexdigest()}"
