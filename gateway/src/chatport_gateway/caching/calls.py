"""The calls of one request, made by way of the cache: an answer that is kept is given again, any other is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport import (
    AsyncClient,
    AsyncReplyStream,
    AttemptFailed,
    ChatportError,
    Embeddings,
    Event,
    Fingerprint,
    Finished,
    Reply,
    ServerStep,
    TextDelta,
)
from chatport.helpers import KeptAnswer
from chatport_surfaces import Record

from .cache import Cache
from .kept import FREE, vectors_from_bytes, vectors_to_bytes
from .worth import Wish, is_repeatable, is_worth_keeping

__all__ = ["CachedCalls"]

_EVENT_BYTES = 40
"""About how much an event takes that says nothing."""


class CachedCalls:
    """Makes calls in the place of a client. `outcome` is `hit` or `miss` once the cache was asked.

    `age_seconds` is for how long a hit has been kept. `scope` is who may see what is kept, `may_answer` whether a
    provider may answer whoever asks now.
    """

    def __init__(
        self,
        client: AsyncClient,
        cache: Cache,
        *,
        scope: bytes,
        wish: Wish,
        record: Record,
        may_answer: Callable[[str], bool],
    ) -> None:
        self.outcome: str | None = None
        self.age_seconds = 0.0
        self._client = client
        self._cache = cache
        self._scope = scope
        self._wish = wish
        self._record = record
        self._may_answer = may_answer

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return what a client is told of it."""
        if self.outcome is None:
            return ()
        age = (("age", str(int(self.age_seconds))),) if self.outcome == "hit" else ()
        return (("x-chatport-cache", self.outcome), *age)

    # --- in the place of the client

    async def chat(self, messages: Any, **options: Any) -> Reply:
        """Return the answer that is kept, or one of the client."""
        asked = await self._asked(messages, options)
        kept = await self._found(asked)
        if kept is not None:
            return kept.reply
        reply = await self._client.chat(messages, **options)
        await self.keep(asked, messages, options, reply, ())
        return reply

    def stream(self, messages: Any, **options: Any) -> AsyncReplyStream:
        """Return a stream of the answer that is kept, or of one of the client: its first read finds out which."""
        return AsyncReplyStream(_Reads(self, self._client, messages, options))

    async def embed(self, texts: Any, **options: Any) -> Embeddings:
        """Return the vectors that are kept, or those of the client."""
        asked = None
        if self._is_wished():
            with contextlib.suppress(ChatportError):  # which the call itself is about to raise
                asked = await self._client.embed_fingerprint(texts, **options)
        data = await self._data(asked)
        if data is not None:
            try:
                vectors = vectors_from_bytes(data[0])
            except ValueError:
                pass
            else:
                self._hit(data[1])
                return vectors
        self._missed(asked)
        vectors = await self._client.embed(texts, **options)
        written = vectors_to_bytes(vectors) if asked is not None and self._wish.writes else None
        if asked is not None and written is not None:
            self._cache.keep(self._cache.key(self._scope, asked.digest), written)
        return vectors

    # --- what both kinds of answers do

    async def look_up(self, messages: Any, options: Mapping[str, Any]) -> tuple[Fingerprint | None, KeptAnswer | None]:
        """Return what a call is known by, and the answer that is kept of it; None for what there is not."""
        asked = await self._asked(messages, options)
        return asked, await self._found(asked)

    async def keep(
        self,
        asked: Fingerprint | None,
        messages: Any,
        options: Mapping[str, Any],
        reply: Reply,
        reads: Sequence[Sequence[Event]],
    ) -> None:
        """Keep an answer under the request that it is an answer to: that of the target that has answered."""
        if asked is None or not self._wish.writes or not is_worth_keeping(reply):
            return
        answered = reply.attempts[-1].target if reply.attempts else asked.target
        try:
            if answered != asked.target:
                found = await self._client.fingerprint(messages, answered=answered, **options)
                if found is None or found.has_server_tools or _tells_of_others(reply):
                    return
                asked = found
            data = KeptAnswer(reply, tuple([tuple(read) for read in reads])).to_bytes()
        except (ChatportError, TypeError, ValueError):  # of a vendor's or a plugin's own, that is no JSON
            return
        self._cache.keep(self._cache.key(self._scope, asked.digest), data)

    @property
    def largest_bytes(self) -> int:
        """The most that is kept of one answer."""
        return self._cache.largest_bytes

    def _is_wished(self) -> bool:
        asked = self._record.asked
        return (self._wish.reads or self._wish.writes) and asked is not None and is_repeatable(asked.body)

    async def _asked(self, messages: Any, options: Mapping[str, Any]) -> Fingerprint | None:
        if not self._is_wished():
            return None
        try:
            found = await self._client.fingerprint(messages, **options)
        except ChatportError:  # which the call itself is about to raise, or which another target does not
            return None
        return None if found is None or found.has_server_tools else found

    async def _found(self, asked: Fingerprint | None) -> KeptAnswer | None:
        data = await self._data(asked)
        if data is not None:
            try:
                kept = KeptAnswer.from_bytes(data[0])
            except ValueError:  # damaged, or of another version: there is nothing then
                kept = None
            if kept is not None and self._may_answer(kept.reply.provider):
                self._hit(data[1])
                return attrs.evolve(kept, reply=attrs.evolve(kept.reply, cost=FREE))
        self._missed(asked)
        return None

    async def _data(self, asked: Fingerprint | None) -> tuple[bytes, float] | None:
        if asked is None or not self._wish.reads:
            return None
        data = await self._cache.find(self._cache.key(self._scope, asked.digest))
        return data if data is not None and data[1] <= self._wish.most_seconds else None

    def _hit(self, age_seconds: float) -> None:
        self.outcome, self.age_seconds = "hit", age_seconds
        self._cache.hits += 1

    def _missed(self, asked: Fingerprint | None) -> None:
        if asked is not None:
            self.outcome = "miss"
            self._cache.misses += 1


class _Reads:
    """What a stream reads: from what is kept, or from the client, and then it is kept if it comes to its end."""

    def __init__(self, calls: CachedCalls, client: AsyncClient, messages: Any, options: Mapping[str, Any]) -> None:
        self.reply: Reply | None = None
        self._calls = calls
        self._client = client
        self._messages, self._options = messages, options
        self._asked: Fingerprint | None = None
        self._kept: Iterator[tuple[Sequence[Event], Reply]] | None = None
        self._live: AsyncReplyStream | None = None
        self._so_far = Reply()
        self._reads: list[Sequence[Event]] | None = []
        self._size = 0

    async def advance(self) -> list[Event] | None:
        """Return the next events, None at the end."""
        if self._live is None and self._kept is None:
            await self._begin()
        if self._kept is not None:
            events, self._so_far = next(self._kept, ((), self._so_far))
            return list(events) or None
        assert self._live is not None
        events = await self._live.read()
        if events:
            await self._note(events)
        return list(events) or None

    async def _begin(self) -> None:
        self._asked, kept = await self._calls.look_up(self._messages, self._options)
        if kept is not None:
            self._kept = kept.stream()
            return
        if self._asked is None:
            self._reads = None
        self._live = self._client.stream(self._messages, **self._options)
        await self._live.__aenter__()

    async def _note(self, events: Sequence[Event]) -> None:
        """Note what has come, as long as there is a chance that it is kept."""
        if self._reads is None:
            return
        last = events[-1]
        if type(last) is Finished:
            reads, self._reads = self._reads, None
            await self._calls.keep(self._asked, self._messages, self._options, last.reply, reads)
            return
        events = [event for event in events if type(event) is not AttemptFailed]
        self._size += sum(
            _EVENT_BYTES + (len(event.text) if type(event) is TextDelta else _size(event)) for event in events
        )
        is_too_much = self._size > self._calls.largest_bytes or any(type(event) is ServerStep for event in events)
        if is_too_much:
            self._reads = None
        elif events:
            self._reads.append(events)

    def partial(self) -> Reply:
        """Return what has come so far."""
        return self._so_far if self._live is None else self._live.partial

    async def abandon(self) -> None:
        """Stop."""
        self._reads = None
        self._kept = iter(()) if self._live is None else None
        if self._live is not None:
            await self._live.__aexit__(None, None, None)

    def be_quiet(self, quiet: bool = True) -> None:
        """Nobody races this one."""


def _tells_of_others(reply: Reply) -> bool:
    """Whether a warning says that another target was to answer: that holds for this once."""
    return any(note.kind == "redirected" and note.field == "model" for note in reply.warnings)


def _size(event: Any) -> int:
    """Return about how many bytes an event's texts are."""
    values = [getattr(event, name) for name in event.__struct_fields__]
    return sum(len(value) for value in values if isinstance(value, str | bytes))
