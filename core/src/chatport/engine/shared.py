"""What the calls of one client share: clock, retry budgets, breakers, pacers, and who listens."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from ..basics.bounded import MOST_BREAKERS, Shelf
from ..basics.display import one_line
from ..basics.forks import new_lock
from ..basics.log import emit, is_read, warn
from ..basics.secret import Revealed
from ..basics.values import Value
from ..limits.breaker import Breaker, BreakerPolicy
from ..limits.pacing import PacerBook
from ..limits.retry import RetryBook, RetryBudget, RetryPolicy
from ..types import COUNTS, Cost, Usage
from .commands import Clock

if TYPE_CHECKING:
    from ..types.totals import Totals

__all__ = ["BreakerBook", "ContentPolicy", "HedgePolicy", "Observer", "Shared", "Tally"]

_LONGEST_WARNING = 600

Observer: TypeAlias = Callable[[str, Mapping[str, Any]], None]


@attrs.frozen(eq=False, repr=False)
class HedgePolicy(Value):
    """A second try beside a first one that has no content after `after_seconds`, for at most a `share` of the calls.

    None: no second tries.
    """

    after_seconds: float | None = None
    share: float = 0.05


@attrs.frozen(eq=False, repr=False)
class ContentPolicy(Value):
    """That what is told of a call has its content in it: at most so many bytes of one event's texts.

    `keys` gives the texts of all keys that are to be hidden in them.
    """

    most_bytes: int
    keys: Callable[[], Revealed]


class BreakerBook:
    """The breakers of a client, one for each target, made when first asked for.

    Of more targets than are kept, those that were used least recently are forgotten, with what they had counted. One
    that holds calls back is never forgotten, nor one with a probe under way; see `Shelf`.
    """

    def __init__(self, policy: BreakerPolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._breakers: Shelf[str, Breaker] = Shelf(MOST_BREAKERS, lambda breaker: not breaker.open_for_seconds)

    @property
    def probe_beside(self) -> bool:
        """Whether a request of our own is the probe where another target is up."""
        return self._policy.probe_beside

    def of(self, target: str) -> Breaker:
        """Return the breaker of a target."""
        return self._breakers.find(target, self._new)

    def known(self) -> Mapping[str, Breaker]:
        """Return those that there are, by target."""
        return self._breakers.known()

    def _new(self) -> Breaker:
        return Breaker(self._policy, self._now)


class Tally:
    """What answers have used and cost. They wait in `answers` until somebody asks, or there are many of them.

    So an answer costs no more than an append, which needs no lock.
    """

    def __init__(self) -> None:
        self.answers: deque[tuple[Usage, Cost | None]] = deque()
        self._lock = new_lock()
        self._calls = self._without_usage = self._without_cost = 0
        self._counts: Counter[str] = Counter()
        self._costs: dict[str, float] = {}

    def fold(self) -> None:
        """Add up what waits."""
        with self._lock:
            while self.answers:
                usage, cost = self.answers.popleft()
                self._calls += 1
                known = {name: getattr(usage, name) for name in COUNTS}
                self._counts.update({name: count for name, count in known.items() if count is not None})
                self._without_usage += usage.total_tokens is None
                if cost is None:
                    self._without_cost += 1
                else:
                    self._costs[cost.currency] = self._costs.get(cost.currency, 0.0) + cost.amount

    def totals(self) -> Totals:
        """Return the sums."""
        from ..types.totals import Totals

        self.fold()
        with self._lock:
            usage = Usage(**cast("dict[str, Any]", dict(self._counts)))
            costs = tuple([Cost(amount, currency) for currency, amount in sorted(self._costs.items())])
            return Totals(self._calls, usage, costs, self._without_usage, self._without_cost)


@attrs.frozen(eq=False, repr=False)
class Shared(Value):
    """`rates` says how many USD one unit of another currency is, for budgets; `observers` see every event of a call.

    `content` None: no event has what is asked and answered in it.
    """

    clock: Clock
    policy: RetryPolicy = attrs.field(factory=RetryPolicy)
    retries: RetryBook = attrs.field()
    breakers: BreakerBook = attrs.field()
    pacers: PacerBook = attrs.field()
    rates: Mapping[str, float] = attrs.field(factory=dict)
    observers: tuple[Observer, ...] = ()
    hedging: HedgePolicy = attrs.field(factory=HedgePolicy)
    hedges: RetryBudget = attrs.field()
    tally: Tally = attrs.field(factory=Tally)
    content: ContentPolicy | None = None

    @retries.default
    def _retries(self) -> RetryBook:
        return RetryBook(self.policy, self.clock.monotonic)

    @breakers.default
    def _breakers(self) -> BreakerBook:
        return BreakerBook(BreakerPolicy(), self.clock.monotonic)

    @pacers.default
    def _pacers(self) -> PacerBook:
        return PacerBook(self.clock.monotonic)

    @hedges.default
    def _hedges(self) -> RetryBudget:
        share = self.hedging.share
        return RetryBudget(self.clock.monotonic, share=share, at_least=0, window_seconds=600)

    @property
    def is_heard(self) -> bool:
        """Whether anybody reads the log or observes."""
        return bool(self.observers) or is_read()

    def tell(self, event: str, fields: Mapping[str, Any]) -> None:
        """Tell the log and the observers. An observer that fails is a warning: the call goes on."""
        emit(event, **fields)
        for observer in self.observers:
            try:
                observer(event, fields)
            except Exception as error:
                name = getattr(observer, "__qualname__", type(observer).__qualname__)
                text = f"The observer {name} failed at {event}: {type(error).__name__}: {error}."
                warn(one_line(text, _LONGEST_WARNING))
