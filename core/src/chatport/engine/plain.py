"""A request that is no call of a model, such as for a file: the same attempts, timers, limits and errors as a call's.

Its answer is JSON, or is handed on piece by piece as it comes, so that it may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import attrs

from .. import jsoncodec
from ..decoding.body import body_decoder
from ..errors import ChatportError, MalformedReplyError
from ..types import Reply
from .attempt import AttemptRun, Steps
from .commands import Clock, Command, Head, Read, Send
from .route import Route
from .shared import Shared
from .target import TargetRun
from .trace import CallTrace

__all__ = ["Into", "PlainRequest"]

Into: TypeAlias = Callable[[], Callable[[bytes], object]]
"""Called when an answer begins, again if that attempt fails: it gives the function that takes its pieces."""


@attrs.define(eq=False, repr=False)
class PlainRequest:
    """A request as a machine. `data` is the answer's JSON once it has come, None where `into` takes it.

    `repeats`: it may be sent again where nobody knows what became of it. If not, it is sent once.
    """

    route: Route
    shared: Shared
    into: Into | None = None
    repeats: bool = True
    data: Any = None
    is_quiet: bool = False

    @property
    def clock(self) -> Clock:
        """The clock that drivers sleep by."""
        return self.shared.clock

    def run(self) -> Generator[Command, Any, Reply]:
        """Make the request; the generator's value is an empty reply. Raises the error that it ended in."""
        shared = self.shared
        if not self.repeats:
            shared = attrs.evolve(shared, policy=attrs.evolve(shared.policy, attempts=1))
        trace = CallTrace(shared, self.clock.monotonic())
        trace.turn_to(self.route, 1)
        try:
            breaker = shared.breakers.of(self.route.context.target)
            turn = _Turn(self.route, trace, breaker, deliver=False)
            turn.into = self.into
            attempt = yield from turn.run()
            assert isinstance(attempt, _Attempt)
            self.data = attempt.data
            reply = attempt.partial()
        except GeneratorExit:
            trace.cancelled()
            raise
        except ChatportError as error:
            trace.failed(error)
            raise
        if trace.is_heard:
            trace.finished(reply)
        return reply

    def partial(self) -> Reply:
        """Return an empty reply: nothing was said by a model."""
        return Reply()


class _Turn(TargetRun):
    into: Into | None = None

    def _new_attempt(self) -> AttemptRun:
        now = self._trace.started + self.queued_seconds
        attempt = _Attempt(self.route, self._shared.clock, now, deliver=False)
        attempt.into = self.into
        return attempt


class _Attempt(AttemptRun):
    into: Into | None = None
    data: Any = None

    def _exchange(self) -> Steps:
        route = self.route
        left = self._timers.remaining(streams=False)
        head: Head = yield Send(route.request, route.timeouts.connect, left)
        self.head, self.heard = head, True
        self._timers.byte_arrived()
        if not 200 <= head.status < 300:
            yield from self._fail(head)
            return
        body = body_decoder(head.headers.get("content-encoding", ""))
        if self.into is None:
            content = yield from self._whole_body(body, ())
            self.data = self._json(content)
            return
        take = self.into()
        self._timers.answer_begun()
        while True:
            data: bytes = yield Read(self._timers.remaining(streams=False))
            if not data:
                body.close()
                return
            self._timers.byte_arrived()
            for piece in body.feed(data):
                take(piece)

    def _json(self, content: bytes) -> Any:
        try:
            return jsoncodec.decode(content, self._limits.values) if content.strip() else None
        except ValueError as error:
            raise MalformedReplyError(f"The answer is no JSON that can be read: {error}.", retryable=True) from None
