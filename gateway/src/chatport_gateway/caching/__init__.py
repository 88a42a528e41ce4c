"""The response cache: answers that are given again where the same is asked once more. Nothing of it is imported without
a `[cache]` table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from chatport import Config
from chatport_surfaces import Answer, AsyncStreamedAnswer, ClientRequest

if TYPE_CHECKING:
    from ..watching import Visit
    from .cache import Cache
    from .calls import CachedCalls

__all__ = ["cache_of", "calls_of", "marked"]


def cache_of(config: Config, log: Any) -> Cache | None:
    """Return the cache, None without a `[cache]` table. Raises ConfigurationError for what the table cannot say."""
    if "cache" not in config.tables:
        return None
    from .cache import Cache
    from .settings import read_cache

    return Cache.of(read_cache(config), log)


async def calls_of(cache: Cache, key: bytes | None, request: ClientRequest, visit: Visit) -> CachedCalls:
    """Return what makes the calls of a request. `key` is the digest of the key that it brings, where no team is."""
    from .calls import CachedCalls
    from .worth import wish_of

    await cache.open()
    member = None if visit.meter is None else visit.meter.member
    return CachedCalls(
        visit.setup.client,
        cache,
        scope=cache.scope(key, member),
        wish=wish_of(request.headers),
        record=visit.record,
        may_answer=(lambda provider: True) if member is None else member.may_be_answered_by,
    )


def marked(answer: Answer | AsyncStreamedAnswer, calls: CachedCalls, visit: Visit) -> Answer | AsyncStreamedAnswer:
    """Return an answer that says whether it was kept, and have whoever watches know it."""
    visit.cached = calls.outcome
    more = calls.headers()
    if not more:
        return answer
    if isinstance(answer, Answer):
        return attrs.evolve(answer, headers=(*answer.headers, *more))
    answer.headers = (*answer.headers, *more)
    return answer
