"""What an attempt may cost and has cost, against the budgets that hold for it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from ..basics.hosts import is_private
from ..call import Context
from ..errors import ChatportError
from ..facts.prices import charged, cost_of, estimate_cost
from ..limits.budget import Budget, Reservation, in_usd
from ..standard.paths import at
from ..types import Cost, Usage
from .attempt import AttemptRun
from .route import Route
from .shared import Shared

__all__ = ["Expense", "cost_of_attempt"]


class Expense:
    """The reservations of one attempt: made before it is sent, settled by its usage after."""

    def __init__(self, route: Route, shared: Shared) -> None:
        self._route = route
        self._shared = shared
        self._reservations: list[Reservation] = []

    def reserve(self, budgets: Sequence[Budget]) -> None:
        """Set aside what the attempt may cost, in every budget. Raises BudgetExceededError, with nothing set aside."""
        call, context = self._route.call, self._route.context
        if call is None:
            return
        from ..limits.estimate import estimate_input_tokens, estimate_output_tokens  # only calls with a budget need it

        asked, answered = estimate_input_tokens(call), estimate_output_tokens(call, context.facts)
        cost = estimate_cost(context.facts.prices, asked, answered, at=self._shared.clock.utcnow())
        usd = in_usd(cost, self._shared.rates)
        why = "" if usd is not None else _why_unknown(cost, context)
        try:
            for budget in budgets:
                reservation = Reservation(budget, usd, asked + answered, why)
                self._reservations.append(reservation)  # ours before it is granted: an interrupt may come between
                budget.grant(reservation)
        except ChatportError as error:
            error.provider, error.model = context.provider.name, context.model
            raise  # `settle` gives back what other budgets had granted

    def settle(self, attempt: AttemptRun | None) -> None:
        """Put what was used in the place of the estimates; without a sign that anything was used, give them back."""
        usage = None if attempt is None else attempt.collector.usage
        is_begun = attempt is not None and attempt.head is not None and 200 <= attempt.head.status < 300
        while self._reservations:
            reservation = self._reservations[-1]  # taken off when that is done: a second time changes nothing
            if attempt is None or (usage is None and not is_begun):
                reservation.budget.cancel(reservation)
            else:
                counts = () if usage is None else (usage.input_tokens, usage.output_tokens)
                known = [count for count in counts if count is not None]
                usd = in_usd(cost_of_attempt(attempt, self._shared), self._shared.rates)
                reservation.budget.settle(reservation, usd=usd, tokens=sum(known) if len(known) == 2 else None)
            self._reservations.pop()


def _why_unknown(cost: Cost | None, context: Context) -> str:
    """Return why a cost in USD is not known, and what to write so that it is."""
    target, name = context.target, context.provider.name
    if cost is not None:
        currency = cost.currency
        return (
            f"the price of {target} is in {currency} ({cost.basis}), and there is no rate for {currency}. Write what "
            f"one {currency} is in USD: [budget] rates = {{ {currency} = … }}."
        )
    own = f" If nobody bills it, say free = true beside the base_url in [providers.{name}]."
    is_own = is_private(urlsplit(context.base_url).hostname or "")
    return f'no price of {target} is known. State its prices in [models."{target}"].{own if is_own else ""}'


def _charged(usage: Usage, context: Context) -> Cost | None:
    provider = context.provider
    rule = None if provider.facts is None else provider.facts.usage
    if rule is not None and rule.cost is not None:
        return charged(at(usage.raw, rule.cost), rule.cost_factor)
    return None if provider.dialect.cost_field is None else charged(usage.raw.get(provider.dialect.cost_field))


def cost_of_attempt(attempt: AttemptRun, shared: Shared) -> Cost | None:
    """Return what an attempt cost: as the vendor says it charged, else by list price, None where neither is known."""
    usage, context = attempt.collector.usage, attempt.route.context
    if usage is None:
        return None
    said = _charged(usage, context)
    if said is not None or not context.facts.prices:
        return said
    thinking = bool(attempt.collector.first.reasoning or usage.reasoning_tokens)
    return cost_of(usage, context.facts.prices, at=shared.clock.utcnow(), thinking=thinking)
