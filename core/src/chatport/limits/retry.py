"""When to try again: our backoff, and a budget that an outage cannot double. What vendors ask for is in `hints`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from ..basics.bounded import MOST_RETRY_BUDGETS, Shelf
from ..basics.forks import new_lock
from ..basics.values import Value

__all__ = ["RetryBook", "RetryBudget", "RetryPolicy", "backoff_seconds"]


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """`attempts` in all on one target; waits double from `first_seconds` to `longest_seconds`, with full jitter.

    A vendor's hint is followed up to `longest_hint_seconds`; a longer one ends the attempts on this target.
    `continue_after_cut`: an answer that is cut after a part of it was handed over goes on from there, where the
    vendor documents a way. Without, it is an error that carries the part.

    `budget_share` and `budget_least` bound the retries that a failing vendor costs: see `RetryBudget`.
    """

    attempts: int = 3
    first_seconds: float = 0.5
    longest_seconds: float = 8.0
    longest_hint_seconds: float = 60.0
    continue_after_cut: bool = False
    budget_share: float = 0.2
    budget_least: int = 3


def backoff_seconds(failures: int, policy: RetryPolicy, random: Callable[[], float]) -> float:
    """Return a wait after so many failures (1 for the first): uniform between 0 and the doubled ceiling."""
    ceiling = min(policy.first_seconds * 2.0 ** (failures - 1), policy.longest_seconds)
    return ceiling * random()


class RetryBudget:
    """Allow retries up to a share of the calls of the last minute, and always a few. Thread-safe.

    An answer gives one spent retry back. So a vendor that answers most of the time is asked again as often as that
    helps, while one that answers nothing costs the share and no more: what was given back is not saved up, and a good
    hour buys no storm in the next one.

    `parent` is a wider budget in which there must be room too.
    """

    # Invariants: `_retries` has a time for each retry of the last `window_seconds` that no answer has given back;
    # `calls` is the sum of `_seconds`, whose entries are [second, calls], oldest first.

    def __init__(
        self,
        now: Callable[[], float],
        *,
        share: float = 0.2,
        at_least: int = 3,
        window_seconds: float = 60.0,
        parent: RetryBudget | None = None,
    ) -> None:
        self._now = now
        self._share = share
        self._at_least = at_least
        self._window = window_seconds
        self._parent = parent
        self.calls = 0
        self._seconds: deque[list[int]] = deque()
        self._retries: deque[float] = deque()
        self._hopes: dict[object, None] = {}
        self._lock = new_lock()

    def count_call(self) -> None:
        """Note a call; to be said once per call."""
        now = self._now()
        self._note(now)
        if self._parent is not None:
            self._parent._note(now)

    def take(self) -> bool:
        """Return whether one more retry is allowed now, and count it if so."""
        if not self._take():
            return False
        if self._parent is None or self._parent.take():
            return True
        self._give_back()
        return False

    def hope(self, caller: object) -> None:
        """Note a call whose answer may give a retry back; `give_up` takes that back, and twice changes nothing."""
        self._hopes[caller] = None

    def give_up(self, caller: object) -> None:
        """Note that nothing is to be hoped for from this call: it has ended, or waits for room itself."""
        self._hopes.pop(caller, None)

    def answered(self) -> None:
        """Give one spent retry back, here and in the wider budget. Nearly always there is none."""
        if self._retries:
            self._give_back()
        if self._parent is not None and self._parent._retries:
            self._parent._give_back()

    @property
    def may_get_room(self) -> bool:
        """Whether an answer may still come that makes room."""
        return bool(self._hopes)

    @property
    def is_idle(self) -> bool:
        """Whether forgetting this budget would lose nothing: no call under way, no retry of the last minute."""
        with self._lock:
            self._forget_old()
            return not self._hopes and not self._retries

    def _take(self) -> bool:
        with self._lock:
            self._forget_old()
            if len(self._retries) + 1 > max(self._at_least, self._share * self.calls):
                return False
            self._retries.append(self._now())
            return True

    def _give_back(self) -> None:
        with self._lock:
            if self._retries:
                self._retries.popleft()

    def _note(self, now: float) -> None:
        second = int(now)
        with self._lock:
            if not self._seconds or self._seconds[-1][0] != second:
                self._forget_old()
                self._seconds.append([second, 0])
            self._seconds[-1][1] += 1
            self.calls += 1

    def _forget_old(self) -> None:
        horizon = self._now() - self._window
        while self._seconds and self._seconds[0][0] < horizon:
            self.calls -= self._seconds.popleft()[1]
        while self._retries and self._retries[0] < horizon:
            self._retries.popleft()


class RetryBook:
    """The retry budgets of a client, one for each target within one for each provider, made when first asked for.

    One for each target, so that the answers of one model pay for no other that is down; within one for its provider,
    so that a thousand models of a vendor that is down are no thousand vendors. Of more targets than are kept, those
    with nothing spent are forgotten; see `Shelf`.
    """

    def __init__(self, policy: RetryPolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._targets: Shelf[str, RetryBudget] = Shelf(MOST_RETRY_BUDGETS, lambda budget: budget.is_idle)
        self._providers: Shelf[str, RetryBudget] = Shelf(MOST_RETRY_BUDGETS, lambda budget: budget.is_idle)

    def of(self, target: str) -> RetryBudget:
        """Return the budget of a target, `provider:model`."""
        return self._targets.find(target, lambda: self._new(self._of_provider(target.partition(":")[0])))

    def take_over(self, other: RetryBook, of_target: Callable[[str], bool], of_provider: Callable[[str], bool]) -> None:
        """Have the budgets of some targets and providers that another book has."""
        self._targets.take_over(other._targets, of_target)
        self._providers.take_over(other._providers, of_provider)

    def _of_provider(self, name: str) -> RetryBudget:
        return self._providers.find(name, lambda: self._new(None))

    def _new(self, parent: RetryBudget | None) -> RetryBudget:
        policy = self._policy
        return RetryBudget(self._now, share=policy.budget_share, at_least=policy.budget_least, parent=parent)
