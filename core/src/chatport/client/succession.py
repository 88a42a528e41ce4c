"""One client in the place of another: what calls have found out goes on, where the configuration says the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from ..limits.pacing import PaceLimits
    from .base import BaseClient

__all__ = ["take_over"]


def take_over(client: BaseClient, before: BaseClient) -> None:
    """Let a client go on from where another one stands."""
    here, there = client.config, before.config
    mine, theirs = client._shared, before._shared

    def is_same(name: str) -> bool:
        return here.providers.get(name) == there.providers.get(name)

    of_target: Callable[[str], bool] = lambda target: is_same(target.partition(":")[0])  # noqa: E731

    def of_pacer(key: tuple[Any, PaceLimits]) -> bool:
        return is_same(key[0][0])  # as `Route.pace_key` makes them

    if here.breaker == there.breaker:
        mine.breakers.take_over(theirs.breakers, of_target)
    if here.retry == there.retry:
        mine.retries.take_over(theirs.retries, of_target, is_same)
    if here.pacing_store == there.pacing_store:
        mine.pacers.take_over(theirs.pacers, of_pacer)
    hedges = theirs.hedges if here.hedge == there.hedge else mine.hedges
    client._shared = attrs.evolve(mine, tally=theirs.tally, hedges=hedges)
    if client._budget is not None and before._budget is not None:
        wanted = here.budget
        before._budget.resize(usd=wanted.usd, tokens=wanted.tokens, unknown_cost=wanted.unknown_cost)
        client._budget = before._budget
