"""From rows to the requests of a batch: what the provider's own shaping would send online, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import chatport
from chatport.helpers import estimate_cost, jsoncodec

from ..answers import Answer, failure_of
from ..job import Job
from ..rows import Row, digest_of
from .api import VendorBatches
from .draft import Line
from .log import BatchRow

__all__ = ["Shaper"]

_USUAL_OUTPUT_TOKENS = 1024
_NOT_IN_A_BATCH = ("stream", "stream_options")


class Shaper:
    """Shapes rows. `counts`: tokens and cost are estimated, since a bound on them holds."""

    def __init__(
        self,
        client: chatport.AsyncClient,
        vendor: VendorBatches,
        target: str,
        job: Job,
        options: Mapping[str, Any],
        *,
        counts: bool,
    ) -> None:
        self._client = client
        self._vendor = vendor
        self._target = target
        self._job = job
        self._options = {name: value for name, value in options.items() if name != "retry_invalid"}
        self._counts = counts
        self._facts = client.facts(target)
        most = self._facts.max_output_tokens or _USUAL_OUTPUT_TOKENS
        cap = options.get("max_tokens")
        self._output_tokens = cap if isinstance(cap, int) else min(_USUAL_OUTPUT_TOKENS, most)
        self._rates = {**client.config.budget.rates, "USD": 1.0}

    @property
    def has_price(self) -> bool:
        """Whether what a row may cost is known in USD."""
        cost = estimate_cost(self._facts.prices, 1, 1, datetime.now(UTC))
        return cost is not None and cost.currency in self._rates

    def shaped(self, rows: Sequence[Row]) -> list[tuple[Row, Line | Answer | None]]:
        """Return each row with its request; with its failure, or None where no batch can take it. Blocks."""
        return [(row, self._shaped(row)) for row in rows]

    def _shaped(self, row: Row) -> Line | Answer | None:
        kept = self._job.kept(row)
        if row.problem:
            return Answer(row.key, error=row.problem, kind="UnreadableRow", kept=kept)
        try:
            messages = self._job.messages(row)
            said = self._client.explain(messages, model=self._target, changes=False, **self._options)
            tokens = self._client.estimate_tokens(messages, model=self._target, **self._options) if self._counts else 0
        except Exception as error:  # the function of the prompt is the user's, and one bad row never ends a run
            return failure_of(row.key, error, kept)
        endpoint = self._vendor.endpoint_of(said.url)
        if endpoint is None:
            return None
        body = {name: value for name, value in said.body.items() if name not in _NOT_IN_A_BATCH}
        question = digest_of(messages) if self._job.dedupe else None
        there = BatchRow(row.key, digest_of(row.content), question, kept)
        return Line(there, endpoint, jsoncodec.encode(body), tokens, self._usd(tokens))

    def _usd(self, tokens: int) -> float:
        cost = estimate_cost(self._facts.prices, tokens, self._output_tokens) if self._counts else None
        if cost is None:
            return 0.0
        return cost.amount * self._vendor.rule.price_factor * self._rates.get(cost.currency, 0.0)
