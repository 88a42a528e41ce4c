"""The timers of a call, as a configuration or a caller sets them."""

from __future__ import annotations

import attrs

from ..basics.values import Value

__all__ = ["Timeouts"]


@attrs.frozen(eq=False, repr=False)
class Timeouts(Value):
    """Seconds; None is off. `silence`: no byte at all. `first_event`, `between_events`: heartbeats do not count.

    `total` is the whole call: attempts, waits and fallbacks. The time in this client's own queue, which `[pacing]`
    makes, is not in it: that has the timer `queue`, as long as `total` unless it is set.
    """

    connect: float | None = 5.0
    silence: float | None = 60.0
    first_event: float | None = 120.0
    between_events: float | None = 60.0
    total: float | None = 600.0
    queue: float | None = 600.0
