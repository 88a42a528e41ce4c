"""What is looked up when somebody reads the metrics: how targets, queues and the journal stand now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from .counting import Counting
from .names import Names

if TYPE_CHECKING:
    from prometheus_client import Metric

    from ..app import Gateway

__all__ = ["Standing"]

_TARGET = ("gen_ai_provider_name", "gen_ai_request_model")
_STATES = {"closed": 0, "half-open": 1, "open": 2}
_WORST = 2


class Standing(Collector):
    """Tells what there is to tell. It is asked in a thread beside the event loop, and only looks."""

    def __init__(self, gateway: Gateway, counting: Counting) -> None:
        self._gateway = gateway
        self._counting = counting

    def describe(self) -> list[Metric]:
        """Return nothing, so that it is not asked before there is anything to tell."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give each metric with its values now."""
        yield GaugeMetricFamily(
            "chatport_gateway_requests_in_flight", "Requests under way.", value=self._counting.in_flight
        )
        yield from self._targets()
        yield from self._team()
        cache = self._gateway.cache
        if cache is not None:
            yield CounterMetricFamily(
                "chatport_gateway_cache_failures", "Times that the cache's store did not answer.", value=cache.failures
            )

    def _targets(self) -> Iterator[Metric]:
        client = self._gateway.client
        names = Names(client.config)
        breakers: dict[tuple[str, str], int] = {}
        queues: dict[tuple[str, str], int] = {}
        for one in client.health():
            target = names.target(one.target)
            breakers[target] = max(breakers.get(target, 0), _STATES.get(one.breaker, _WORST))
            queues[target] = queues.get(target, 0) + one.waiting
        about = "The breaker of a target: 0 closed, 1 half-open, 2 open; the worst of those counted together."
        breaker = GaugeMetricFamily("chatport_gateway_breaker_state", about, labels=_TARGET)
        waiting = GaugeMetricFamily(
            "chatport_gateway_pacing_queue", "Calls that wait for their turn at a target.", labels=_TARGET
        )
        for target, state in breakers.items():
            breaker.add_metric(target, state)
        for target, count in queues.items():
            waiting.add_metric(target, count)
        yield breaker
        yield waiting

    def _team(self) -> Iterator[Metric]:
        team = self._gateway.team
        if team is None:
            return
        records = team.records
        yield GaugeMetricFamily(
            "chatport_gateway_journal_waiting_bytes",
            "What waits in the journal for the database.",
            value=records.waiting_bytes,
        )
        yield GaugeMetricFamily(
            "chatport_gateway_database_behind",
            "Whether the database does not take what is written.",
            value=float(records.is_behind),
        )
        yield CounterMetricFamily(
            "chatport_gateway_records_lost", "Records that found no room.", value=records.lost_rows
        )
        if team.shared is not None:
            yield GaugeMetricFamily(
                "chatport_gateway_limits_store_down",
                "Whether the store of shared limits does not answer.",
                value=float(team.shared.leases.is_down),
            )
