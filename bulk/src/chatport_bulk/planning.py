"""What a run will take, before it is paid: rows, tokens, money, time. Nothing is sent."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

import chatport
from chatport import ChatportError

from .job import Job
from .lanes import bulk_config
from .rowlog import RowLog, Standing
from .sources import count_rows, open_source, sample

__all__ = ["Plan", "plan"]

_USUAL_OUTPUT_TOKENS = 1024
"""What the client's own budgets reserve for an answer without `max_tokens`."""


@attrs.frozen
class Plan:
    """What a run will take. Figures are for the rows that are left; None is what nobody knows.

    `input_tokens` and `output_tokens` are of one row, `amount` of all in `currency`, `seconds` at the limits that are
    configured. `basis` says where the size of an answer comes from: `measured`, `max_tokens` or `assumed`.
    """

    model: str
    rows: int | None
    is_exact: bool
    done: int
    sampled: int
    unreadable: int
    problem: str
    input_tokens: float
    output_tokens: float
    basis: str
    amount: float | None
    currency: str
    seconds: float | None
    limit: str
    batch_factor: float | None = None
    """What of the cost is paid with `--lane batch`; None: the model takes no batches."""

    @property
    def left(self) -> int | None:
        """The rows that are still to be asked."""
        return None if self.rows is None else max(self.rows - self.done, 0)

    def lines(self) -> list[str]:
        """Return it in words."""
        about = "" if self.is_exact else "about "
        rows = "rows: not known before they are read" if self.rows is None else f"rows: {about}{self.rows:,}"
        done = f", {self.done:,} done, {self.left:,} left" if self.done else ""
        told = {"measured": "measured", "max_tokens": "the cap", "assumed": "assumed; --max-tokens sets a cap"}
        each = f"{self.input_tokens:,.0f} in, {self.output_tokens:,.0f} out ({told[self.basis]})"
        lines = [f"model: {self.model}", rows + done, f"tokens for a row: {each}, from {self.sampled} rows"]
        if self.left is not None:
            tokens = self.left * (self.input_tokens + self.output_tokens)
            lines.append(f"tokens: about {tokens:,.0f}")
        if self.amount is None:
            lines.append('cost: not known; state the model\'s prices in [models."PROVIDER:MODEL"]')
        else:
            lines.append(f"cost: about {self.amount:,.4f} {self.currency}, at list price")
            if self.batch_factor is not None and self.batch_factor < 1:
                lines.append(f"in batches: about {self.amount * self.batch_factor:,.4f} {self.currency} (--lane batch)")
        if self.seconds is None:
            lines.append("time: not known; no limit is configured, and nothing was measured here yet")
        else:
            lines.append(f"time: about {in_words(self.seconds)} ({self.limit})")
        if self.unreadable:
            lines.append(f"warning: {self.unreadable} of {self.sampled} rows cannot be asked: {self.problem}")
        return lines


def plan(
    input: str | Path,
    job: Job,
    out: str | Path | None = None,
    *,
    config: Any = None,
    rows: int = 100,
    client: Mapping[str, Any] | None = None,
) -> Plan:
    """Return what a run would take, from a sample of so many rows. Nothing is sent.

    With `out`, the folder of a run that has begun, its own figures take the place of estimates.
    """
    source = open_source(input)
    total, is_exact = count_rows(source)
    _, drawn = sample(source, job, rows, random.Random(0).random)
    standing = _standing(out)
    with chatport.Client(bulk_config(config), **(client or {})) as asker:
        target = asker.targets(job.model)[0]
        sizes, problems = [], []
        for row in drawn:
            try:
                if row.problem:
                    raise ChatportError(row.problem)
                sizes.append(asker.estimate_tokens(job.messages(row), model=job.model, **_options(job)))
            except Exception as error:  # the prompt's function is the user's
                problems.append(f"{error}")
        facts = asker.facts(target)
        limits = _limits(asker.config, target)
    rule = None if facts.rules is None else facts.rules.batch
    is_measured = standing is not None and bool(standing.answered)  # what was paid is at whatever price it was
    factor = None if rule is None or not rule.available or is_measured else rule.price_factor
    asked = sum(sizes) / len(sizes) if sizes else 0.0
    answered, basis = _output_tokens(job, facts, standing)
    if standing is not None and standing.answered and standing.totals.get("input_tokens"):
        asked = standing.totals["input_tokens"] / standing.answered
    done = 0 if standing is None else standing.answered + standing.failed
    left = None if total is None else max(total - done, 0)
    amount, currency = _money(facts.prices, asked, answered, left, standing)
    seconds, limit = _time(limits, asked + answered, left, standing)
    return Plan(
        job.model, total, is_exact, done, len(drawn), len(problems), problems[0] if problems else "", asked, answered,
        basis, amount, currency, seconds, limit, factor,
    )  # fmt: skip


def _options(job: Job) -> dict[str, Any]:
    return {name: value for name, value in job.call_options().items() if name != "retry_invalid"}


def _standing(out: str | Path | None) -> Standing | None:
    path = None if out is None else Path(out) / "run.sqlite"
    if path is None or not path.exists():
        return None
    log = RowLog(path, read_only=True)
    try:
        return log.standing()
    finally:
        log.close()


def _output_tokens(job: Job, facts: chatport.ModelFacts, standing: Standing | None) -> tuple[float, str]:
    if standing is not None and standing.answered and standing.totals.get("output_tokens"):
        return standing.totals["output_tokens"] / standing.answered, "measured"
    cap = job.options.get("max_tokens")
    if isinstance(cap, int) and cap > 0:
        return float(cap), "max_tokens"
    return float(min(_USUAL_OUTPUT_TOKENS, facts.max_output_tokens or _USUAL_OUTPUT_TOKENS)), "assumed"


def _money(
    prices: Any, asked: float, answered: float, left: int | None, standing: Standing | None
) -> tuple[float | None, str]:
    """Return what the rest costs: by what was paid until now, else by the list price of today."""
    if left is None:
        return None, "USD"
    if standing is not None and len(standing.costs) == 1 and standing.answered:
        ((currency, paid),) = standing.costs.items()
        known = standing.answered - standing.totals.get("without_cost", 0)
        if known > 0:
            return paid / known * left, currency
    today = datetime.now(UTC).date().isoformat()
    valid = [p for p in prices if (p.since or "") <= today and (p.until is None or today < p.until)]
    price = max(valid, key=lambda p: (bool(p.hosts), p.since or ""), default=None)
    if price is None:
        return None, "USD"
    reached = [tier for tier in price.tiers if asked > tier.above_input_tokens]
    rates = max(reached, key=lambda tier: tier.above_input_tokens, default=price)
    each = asked * rates.input + answered * max(rates.output, rates.thinking_output or 0.0)
    return each * left / 1_000_000, price.currency


def _limits(config: chatport.Config, target: str) -> Any:
    provider = config.providers.get(target.partition(":")[0])
    return provider.pacing if provider is not None and provider.pacing is not None else config.pacing


def _time(limits: Any, tokens: float, left: int | None, standing: Standing | None) -> tuple[float | None, str]:
    if left is None:
        return None, ""
    found: list[tuple[float, str]] = []
    if limits is not None and limits.requests_per_minute:
        found.append((left / limits.requests_per_minute * 60, f"{limits.requests_per_minute} requests a minute"))
    if limits is not None and limits.tokens_per_minute and tokens:
        found.append((left * tokens / limits.tokens_per_minute * 60, f"{limits.tokens_per_minute} tokens a minute"))
    if limits is not None and limits.concurrency and standing is not None and standing.answered:
        each = standing.totals.get("seconds", 0) / standing.answered
        found.append((left * each / limits.concurrency, f"{limits.concurrency} calls at once, {each:.1f} s each"))
    return max(found, default=(None, ""))


def in_words(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
