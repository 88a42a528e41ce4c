"""What an attempt may cost and has cost, against the budgets that hold for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from ..basics.hosts import is_private
from ..call import Call, Context
from ..errors import ChatportError
from ..facts.models import ModelFacts
from ..facts.prices import charged, cost_of, estimate_cost
from ..limits.budget import Ledger, Reservation, in_usd
from ..standard.paths import at
from ..types import Cost, Usage
from .attempt import AttemptRun
from .commands import Command, Pause
from .route import Route
from .shared import Shared

__all__ = ["Expense", "cost_of_attempt"]


class Expense:
    """The reservations of one attempt: made before it is sent, settled by its usage after."""

    def __init__(self, route: Route, shared: Shared) -> None:
        self._route = route
        self._shared = shared
        self._reservations: list[Reservation] = []

    def reserve(self, budgets: Sequence[Ledger]) -> Generator[Command, Any, None]:
        """Set aside what the attempt may cost, in every budget. Raises BudgetExceededError, with nothing set aside."""
        counts = _estimated(self._route)
        if counts is None:
            return
        context = self._route.context
        cost = estimate_cost(context.facts.prices, *counts, at=self._shared.clock.utcnow())
        usd = in_usd(cost, self._shared.rates)
        why = "" if usd is not None else _why_unknown(cost, context)
        try:
            for budget in budgets:
                reservation = Reservation(budget, usd, sum(counts), why, context.target)
                self._reservations.append(reservation)  # ours before it is granted: an interrupt may come between
                while pending := budget.grant(reservation):
                    yield Pause(pending.on_wake, pending.seconds)
        except ChatportError as error:
            error.provider, error.model = context.provider.name, context.model
            raise  # `settle` gives back what other budgets had granted

    def settle(self, attempt: AttemptRun | None, *, is_left: bool = False) -> None:
        """Put what was used in the place of the estimates; without a sign that anything was used, give them back.

        `is_left`: nobody has waited for its end, so the vendor has not said what it was.
        """
        usage = None if attempt is None else attempt.collector.usage
        is_begun = attempt is not None and attempt.head is not None and 200 <= attempt.head.status < 300
        while self._reservations:
            reservation = self._reservations[-1]  # taken off when that is done: a second time changes nothing
            if attempt is None or (usage is None and not is_begun and not is_left):
                reservation.budget.cancel(reservation)
            elif usage is None and is_left:
                reservation.budget.settle(reservation, **self._come_until_left(attempt, reservation))
            else:
                usd = in_usd(cost_of_attempt(attempt, self._shared), self._shared.rates)
                reservation.budget.settle(reservation, usd=usd, tokens=None if usage is None else self._tokens(usage))
            self._reservations.pop()

    def _tokens(self, usage: Usage) -> int | None:
        """Return how many tokens an attempt has used, None where that is not known. Vectors are none."""
        output = usage.output_tokens if self._route.call is not None else usage.output_tokens or 0
        return None if usage.input_tokens is None or output is None else usage.input_tokens + output

    def _come_until_left(self, attempt: AttemptRun, reservation: Reservation) -> dict[str, Any]:
        """Return about what the input has cost, and what had come of the answer: what is billed of it, as a rule.

        Never more than was reserved. Reasoning that the vendor does not show is not seen here.
        """
        from ..limits.estimate import estimate_text_tokens

        counts = _estimated(self._route) or (0, 0)
        first = attempt.collector.first
        texts = ("".join(first.text), "".join(first.reasoning), *[call.arguments for call in first.tool_calls()])
        come = min(math.ceil(sum(estimate_text_tokens(text) for text in texts if text)), counts[1])
        cost = estimate_cost(self._route.context.facts.prices, counts[0], come, at=self._shared.clock.utcnow())
        return {"usd": in_usd(cost, self._shared.rates), "tokens": counts[0] + come, "is_guess": True}


@cache
def _estimators() -> tuple[Callable[[Call], int], Callable[[Call, ModelFacts], int], Callable[[str], float]]:
    """Return the estimates of input, output and text: loaded where a call has a budget, looked up once."""
    from ..limits.estimate import estimate_input_tokens, estimate_output_tokens, estimate_text_tokens

    return estimate_input_tokens, estimate_output_tokens, estimate_text_tokens


def _estimated(route: Route) -> tuple[int, int] | None:
    """Return about how many tokens go out and come back; None for what is no call of a model."""
    estimate_input_tokens, estimate_output_tokens, estimate_text_tokens = _estimators()
    if route.call is not None:
        return estimate_input_tokens(route.call), estimate_output_tokens(route.call, route.context.facts)
    texts = route.wire.body.get("input") if route.operation == "embeddings" else None
    if not isinstance(texts, list):
        return None
    return math.ceil(sum(estimate_text_tokens(text) for text in texts if isinstance(text, str))), 0


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
    if not context.facts.prices:
        return _charged(usage, context)
    thinking = bool(attempt.collector.first.reasoning or usage.reasoning_tokens)
    known = attempt.known_cost
    if known is not None and known[0] is usage and known[1] is thinking:
        return known[2]
    cost = _charged(usage, context)
    if cost is None:
        cost = cost_of(usage, context.facts.prices, at=shared.clock.utcnow(), thinking=thinking)
    attempt.known_cost = usage, thinking, cost
    return cost
