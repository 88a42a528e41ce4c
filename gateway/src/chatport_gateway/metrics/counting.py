"""What is counted of each request, when it is over: a few additions, and nothing that could wait.

Names are those of the conventions for generative AI, as Prometheus writes them, and `chatport_gateway_…` for what these
have no name for. What can be looked up instead is looked up when somebody asks, see `standing.py`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from chatport import Attempt, ChatportError, Cost, Usage

from ..watching import Ending, Visit, Watcher, ending_of
from .names import OTHER, Names

if TYPE_CHECKING:
    from ..app import Gateway

__all__ = ["Counting"]

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(float(4**power) for power in range(14))
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_VENDOR = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_OPERATIONS = {"chat": "chat", "embed": "embeddings"}
_REASONS = {
    "AuthenticationError": "key",
    "BudgetExceededError": "budget",
    "ModelNotFoundError": "model",
    "PermissionDeniedError": "permission",
    "PolicyError": "policy",
    "StoreDownError": "store",
}
"""Error -> why a request was refused. A limit says its own name; all else is `request`."""
_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


class Counting(Watcher):
    """Counts requests into a registry. `in_flight` is how many are under way."""

    def __init__(self, gateway: Gateway, registry: CollectorRegistry) -> None:
        self._gateway = gateway
        self._names = Names(gateway.client.config)
        self._children: dict[tuple[Any, ...], Any] = {}  # by metric and labels, of which there are few
        self.in_flight = 0

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, registry=registry)

        def histogram(name: str, about: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, about, labels, buckets=bounds, registry=registry)

        self._requests = counter(
            "chatport_gateway_requests", "Requests.", "surface", "gen_ai_request_model", "status", "outcome"
        )
        self._refused = counter("chatport_gateway_refused", "Requests that were refused, by the reason.", "reason")
        self._duration = histogram(
            "gen_ai_client_operation_duration_seconds", "GenAI operation duration.", _SECONDS, *_VENDOR, "error_type"
        )
        self._tokens = histogram(
            "gen_ai_client_token_usage",
            "Number of input and output tokens used.",
            _TOKENS,
            *_VENDOR,
            "gen_ai_token_type",
        )
        self._first = histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time to receive the first chunk.",
            _SECONDS,
            *_VENDOR,
        )
        self._cost = counter("chatport_gateway_cost", "What answers have cost.", *_VENDOR[1:], "currency")
        self._attempts = counter("chatport_gateway_attempts", "Requests to vendors.", *_VENDOR[1:], "outcome")
        self._fallbacks = counter(
            "chatport_gateway_fallbacks", "Calls for which more than one target was asked.", "gen_ai_request_model"
        )
        self._cached = counter("chatport_gateway_cache_requests", "Calls that the cache was asked for.", "result")
        self.lag = histogram(
            "chatport_gateway_event_loop_lag_seconds", "By how much later than wanted the event loop wakes.", _LAGS
        )

    # --- as a watcher

    def begun(self, visit: Visit) -> None:
        self.in_flight += 1

    def ended(self, visit: Visit, status: int) -> None:
        self.in_flight -= 1
        surface, record = visit.surface, visit.record
        if surface is None and status < 400:
            return  # whether it lives, which others ask every few seconds
        asked = record.asked
        has_call = asked is not None and asked.kind in _OPERATIONS
        ending = ending_of(visit, status)
        alias = self._known().model(asked.model) if asked is not None and has_call else ""
        self._of(self._requests, surface.name if surface else "", alias, str(status), ending).inc()
        if ending == "refused":
            self._of(self._refused, _reason(record.error, status)).inc()
        elif asked is not None and has_call:
            self._call(visit, _OPERATIONS[asked.kind], alias, ending)

    def _call(self, visit: Visit, operation: str, alias: str, ending: Ending) -> None:
        """Count a call for which a vendor was asked."""
        record = visit.record
        reply, vectors, error = record.reply, record.vectors, record.error
        attempts = reply.attempts if reply is not None else ()
        if error is not None and error.attempts:
            attempts = error.attempts
        cost = reply.cost if reply is not None else None if vectors is None else vectors.cost
        if visit.cached is not None:
            self._of(self._cached, visit.cached).inc()
        if visit.cached == "hit":
            return
        target = self._target(visit, attempts)
        provider, model = self._names.target(target)
        vendor = (operation, provider, model)
        if ending != "left":  # whose time says when the client lost interest
            kind = "" if error is None else type(error).__name__
            self._of(self._duration, *vendor, kind).observe(time.monotonic() - visit.began)
        usage = reply.usage if reply is not None else None if vectors is None else vectors.usage
        if usage is not None:
            self._count_tokens(vendor, usage)
        if ending == "ok" and visit.first_at is not None:
            self._of(self._first, *vendor).observe(visit.first_at - visit.began)
        if cost is not None:
            self._count_cost(provider, model, cost)
        self._count_attempts(attempts, alias)

    def _target(self, visit: Visit, attempts: tuple[Attempt, ...]) -> str:
        """Return who has answered, or was asked last."""
        record, meter = visit.record, visit.meter
        if attempts:
            return attempts[-1].target
        if record.reply is not None:
            return f"{record.reply.provider}:{record.reply.model}"
        if meter is not None and meter.last_target is not None:
            return meter.last_target
        return "" if record.asked is None else self._names.first(record.asked.model)

    def _count_tokens(self, vendor: tuple[str, str, str], usage: Usage) -> None:
        if usage.input_tokens is not None:
            self._of(self._tokens, *vendor, "input").observe(usage.input_tokens)
        if usage.output_tokens is not None:
            self._of(self._tokens, *vendor, "output").observe(usage.output_tokens)

    def _count_cost(self, provider: str, model: str, cost: Cost) -> None:
        currency = cost.currency if len(cost.currency) == 3 and cost.currency.isalpha() else OTHER
        if cost.amount > 0:
            self._of(self._cost, provider, model, currency).inc(cost.amount)

    def _count_attempts(self, attempts: tuple[Attempt, ...], alias: str) -> None:
        for attempt in attempts:
            provider, model = self._names.target(attempt.target)
            self._of(self._attempts, provider, model, attempt.outcome).inc()
        if len(attempts) > 1 and len({attempt.target for attempt in attempts}) > 1:
            self._of(self._fallbacks, alias).inc()

    # --- what it counts with

    def _known(self) -> Names:
        """Return the names of the configuration that holds now."""
        config = self._gateway.client.config
        if config is not self._names.config:
            self._names = Names(config)
        return self._names

    def _of(self, metric: Any, *labels: str) -> Any:
        """Return the series of a metric: by a look into one dict, where `labels()` takes a lock and more."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child


def _reason(error: ChatportError | None, status: int) -> str:
    if error is None:
        return "key" if status == 401 else "request"
    if error.code in _LIMITS:
        return error.code
    return _REASONS.get(type(error).__name__, "request")
