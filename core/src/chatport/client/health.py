"""How the targets of a client stand: what its breakers and queues say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ..basics.values import Value
from ..limits.breaker import BreakerState

if TYPE_CHECKING:
    from ..engine.shared import Shared

__all__ = ["TargetHealth", "health_of"]


@attrs.frozen(eq=False, repr=False)
class TargetHealth(Value):
    """How one target stands with a client now.

    `breaker` is `closed` while the target is asked as usual, `open` while it is left alone, for `open_for_seconds`
    more, and `half-open` while one call finds out whether it is back. `waiting` calls are in the client's own queue
    before it, `active` are let through; both are 0 where nothing paces it.
    """

    target: str
    breaker: BreakerState = "closed"
    open_for_seconds: float = 0.0
    waiting: int = 0
    active: int = 0


def health_of(shared: Shared) -> tuple[TargetHealth, ...]:
    """Return how each target stands that was asked lately, by name."""
    found: dict[str, dict[str, Any]] = {}
    for target, breaker in shared.breakers.known().items():
        found[target] = {"breaker": breaker.state, "open_for_seconds": breaker.open_for_seconds}
    for (key, _), pacer in shared.pacers.known().items():
        place: Any = key  # as `Route.pace_key` makes it
        provider, _, model = place
        told = found.setdefault(f"{provider}:{model}", {})
        told["waiting"] = told.get("waiting", 0) + pacer.waiting
        told["active"] = told.get("active", 0) + pacer.active
    return tuple([TargetHealth(target, **told) for target, told in sorted(found.items())])
