"""Recording: what goes through is handed on as it is, and written down when an exchange has ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import attrs

from ...engine.commands import Head, HttpRequest, TimerExpired, TransportFailure
from ...transport import AsyncExchange, Exchange as SyncExchange
from .exchanges import Asked, Exchange, Step
from .files import append_exchanges
from .hiding import Hider
from .matching import asked_of

__all__ = ["AsyncRecordedExchange", "RecordedExchange", "Recorder", "Taking", "uncompressed"]


class Recorder:
    """Writes exchanges to the file, in the order in which they were asked, each when it and those before have ended."""

    def __init__(self, path: Path, hider: Hider, now: Callable[[], float] | None) -> None:
        """`now` gives seconds, None: times are not kept."""
        self._path = path
        self._hider = hider
        self._now = now
        self._open: deque[Taking] = deque()
        self._is_begun = False
        self._lock = threading.Lock()

    def begin(self, request: HttpRequest) -> Taking:
        """Return what takes down the exchange of a request. It must be ended."""
        with self._lock:
            taking = Taking(asked_of(request, self._hider), self._now, self._write)
            self._open.append(taking)
        return taking

    def drop(self, taking: Taking) -> None:
        """Forget an exchange that did not come about, and by nobody's fault on the wire."""
        with self._lock:
            self._open.remove(taking)
        self._write()

    def close(self) -> None:
        """Write all there is, that which is still under way as left. Raises OSError."""
        for taking in list(self._open):
            taking.end(Step("left"))
        self._write()

    def _write(self) -> None:
        with self._lock:
            ended = []
            while self._open and self._open[0].has_ended:
                ended.append(self._covered(self._open.popleft()))
            if ended:
                append_exchanges(self._path, ended, is_new=not self._is_begun)
                self._is_begun = True

    def _covered(self, taking: Taking) -> Exchange:
        """Return an exchange without keys."""
        hider, head = self._hider, taking.head
        steps = [attrs.evolve(step, words=hider.text(step.words)) for step in taking.steps]
        if head is not None:
            at = [number for number, step in enumerate(steps) if step.kind == "piece"]
            head, pieces = hider.body(hider.head(head), [steps[number].data for number in at])
            for number, piece in zip(at, pieces, strict=True):
                steps[number] = attrs.evolve(steps[number], data=piece)
        return Exchange(taking.asked, head, tuple(steps), taking.head_after_seconds)


class Taking:
    """One exchange while it is under way."""

    def __init__(self, asked: Asked, now: Callable[[], float] | None, on_end: Callable[[], None]) -> None:
        self.asked = asked
        self.head: Head | None = None
        self.head_after_seconds: float | None = None
        self.steps: list[Step] = []
        self.has_ended = False
        self._now = now
        self._last = 0.0 if now is None else now()
        self._on_end = on_end

    def answered(self, head: Head) -> None:
        """Note that the head is there."""
        self.head, self.head_after_seconds = head, self._passed()

    def came(self, data: bytes) -> None:
        """Note a piece, b"" for the proved end."""
        if not self.has_ended:
            self.steps.append(Step("piece" if data else "whole", data, after_seconds=self._passed()))
            if not data:
                self._finish()

    def went_wrong(self, error: TransportFailure | TimerExpired) -> None:
        """Note a failure or a timer. After a timer there may be more."""
        if self.has_ended:
            return
        if isinstance(error, TimerExpired):
            self.steps.append(Step("timeout", stage=error.stage, after_seconds=self._passed()))
            if self.head is None:
                self._finish()
        else:
            self.end(Step("failure", b"", str(error), error.stage, error.kind, self._passed()))

    def end(self, step: Step) -> None:
        """Note the end, if it was not known. Raises OSError where the file cannot be written."""
        if not self.has_ended:
            self.steps.append(step)
            self._finish()

    def _finish(self) -> None:
        self.has_ended = True
        self._on_end()

    def _passed(self) -> float | None:
        if self._now is None:
            return None
        now = self._now()
        passed, self._last = now - self._last, now
        return passed


def uncompressed(request: HttpRequest) -> HttpRequest:
    """Return a request that asks for no compression: what is recorded is to be read by people."""
    others = [(name, value) for name, value in request.headers if name.lower() != "accept-encoding"]
    return attrs.evolve(request, headers=(*others, ("accept-encoding", "identity")))


class RecordedExchange:
    """A response that is taken down while it is read."""

    def __init__(self, exchange: SyncExchange, taking: Taking) -> None:
        self.head = exchange.head
        self._exchange = exchange
        self._taking = taking

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises TransportFailure (stage body), TimerExpired."""
        try:
            data = self._exchange.read(seconds)
        except (TransportFailure, TimerExpired) as error:
            self._taking.went_wrong(error)
            raise
        self._taking.came(data)
        return data

    def distrust(self) -> None:
        """Say that the connection is not to be used again."""
        getattr(self._exchange, "distrust", lambda: None)()

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._exchange.close()
        self._taking.end(Step("left"))


class AsyncRecordedExchange:
    """The same for an asynchronous client."""

    def __init__(self, exchange: AsyncExchange, taking: Taking) -> None:
        self.head = exchange.head
        self._exchange = exchange
        self._taking = taking

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises TransportFailure (stage body), TimerExpired."""
        try:
            data = await self._exchange.read(seconds)
        except (TransportFailure, TimerExpired) as error:
            self._taking.went_wrong(error)
            raise
        self._taking.came(data)
        return data

    def distrust(self) -> None:
        """Say that the connection is not to be used again."""
        getattr(self._exchange, "distrust", lambda: None)()

    async def aclose(self) -> None:
        """Give the connection back. Safe to call twice."""
        try:
            await self._exchange.aclose()
        finally:  # also where the task is cancelled
            self._taking.end(Step("left"))
