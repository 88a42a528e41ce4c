"""Who watches requests: told when one begins, when its answer begins, and when it is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from chatport_surfaces import Record, Surface

if TYPE_CHECKING:
    from .setup import Setup
    from .team.meter import Meter

__all__ = ["LEFT", "Ending", "Visit", "Watcher", "ending_of"]

LEFT = 499
"""The status of a request whose client has gone away."""

Ending: TypeAlias = Literal["ok", "refused", "failed", "left"]
"""`ok`: answered whole. `refused`: nothing was sent to a vendor. `failed`: the answer is an error, or ends in one.
`left`: the client went away."""


class Visit:
    """What is known of a request while it is served. `meter` is a team's, and its record then.

    `setup` is the configuration that it is served with, to its end.
    `surface` is the protocol that is spoken, as the path tells it. `began` and `first_at`, when the first piece of a
    streamed answer was there, are in seconds of the monotonic clock. `cached` is `hit` or `miss` where the response
    cache was asked.
    """

    __slots__ = (
        "began", "cached", "first_at", "is_over", "meter", "method", "path", "record", "request_id", "setup", "surface",
    )  # fmt: skip

    def __init__(self, setup: Setup, method: str, path: str, request_id: str) -> None:
        self.setup = setup
        self.began = time.monotonic()
        self.method = method
        self.path = path
        self.request_id = request_id
        self.surface: Surface | None = None
        self.record = Record()
        self.meter: Meter | None = None
        self.first_at: float | None = None
        self.cached: str | None = None
        self.is_over = False


class Watcher:
    """Hears of each request, on the event loop that serves it: it must not wait, and what it raises ends the request.

    What it does not care for it leaves as it is here.
    """

    def begun(self, visit: Visit) -> None:
        """Hear that a request is here. Nothing is known of it but method, path and id."""

    def first(self, visit: Visit) -> None:
        """Hear that a streamed answer begins."""

    def ended(self, visit: Visit, status: int) -> None:
        """Hear that a request is over, once, just before the last of its answer goes out; 499: its client has left."""


def ending_of(visit: Visit, status: int) -> Ending:
    """Return how a request has ended."""
    if status == LEFT:
        return "left"
    error = visit.record.error
    if error is None and status < 400:
        return "ok"
    was_sent = bool(error is not None and error.attempts) or (visit.meter is not None and visit.meter.is_let_pass)
    return "failed" if was_sent else "refused"
