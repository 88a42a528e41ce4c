"""A small request that finds out whether a target is back, beside a call that another target answers meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import attrs

from ..errors import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from ..limits.breaker import Breaker, Outcome
from ..limits.budget import Ledger
from ..types import Reply
from .attempt import AttemptRun
from .commands import Clock, Command
from .route import Route
from .shared import Shared
from .target import TargetRun
from .trace import CallTrace

__all__ = ["Probe"]

_IS_UP = (AuthenticationError, BadRequestError, ModelNotFoundError, PermissionDeniedError, RateLimitError)
"""Answers of a vendor that is there, whatever it thinks of the request."""


@attrs.define(eq=False, repr=False)
class Probe:
    """The request, as a machine of its own for a driver of its own. It is made once, and counts in the call's budgets.

    Its end closes the breaker or opens it again. Until it has come to its end the breaker has no trust in probes of the
    kind: if this one is lost, because its loop ends with the call, the next call is the probe itself.
    """

    route: Route
    shared: Shared
    breaker: Breaker
    budgets: Sequence[Ledger] = ()
    is_quiet: bool = False

    @property
    def clock(self) -> Clock:
        """The clock that drivers sleep by."""
        return self.shared.clock

    def run(self) -> Generator[Command, Any, Reply]:
        """Make the request; the generator's value is what came. Raises the error that it ended in."""
        once = attrs.evolve(self.shared, policy=attrs.evolve(self.shared.policy, attempts=1))
        trace = CallTrace(once, self.clock.monotonic())
        trace.turn_to(self.route, 1)
        try:
            turn = TargetRun(
                self.route,
                trace,
                self.breaker,
                deliver=False,
                is_probe=True,
                budgets=self.budgets,
                judge=_judge,
            )
            reply = (yield from turn.run()).partial()
        except GeneratorExit:
            trace.cancelled()
            raise
        except ChatportError as error:
            self.breaker.finds_out_beside = True
            trace.failed(error)
            raise
        finally:
            self.breaker.give_back(self)
        self.breaker.finds_out_beside = True
        trace.finished(reply)
        return reply

    def partial(self) -> Reply:
        """Return an empty reply: nobody waits for what it says."""
        return Reply()


def _judge(error: ChatportError, attempt: AttemptRun) -> Outcome:
    return "ok" if isinstance(error, _IS_UP) else "failed"
