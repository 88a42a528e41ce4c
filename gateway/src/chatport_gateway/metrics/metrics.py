"""The metrics of a gateway: what counts them, and where they are read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from ..beside import Beside
from ..keys import KeyRing
from .counting import Counting
from .serving import Page
from .settings import MetricsSettings
from .standing import Standing

if TYPE_CHECKING:
    from ..app import Gateway

__all__ = ["Metrics"]

_LAG_SECONDS = 0.25


class Metrics:
    """`counting` hears of requests, `page` is the ASGI application that shows what it has counted.

    `beside` has the address, and may take it before all begins; `start` serves there, on the event loop that is to be
    measured, and `stop` ends that.
    """

    def __init__(self, gateway: Gateway, settings: MetricsSettings) -> None:
        self.settings = settings
        self.registry = CollectorRegistry()
        self.counting = Counting(gateway, self.registry)
        self.registry.register(Standing(gateway, self.counting))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.page = Page(self.registry, KeyRing(settings.digests))
        self.beside = Beside(self.page, settings.host, settings.port, "[metrics]")
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve, until `stop`. Raises ConfigurationError where the address cannot be had."""
        self.beside.start()
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_the_loop())

    async def stop(self) -> None:
        """End it, and give the address back."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self.beside.stop()

    async def _watch_the_loop(self) -> None:
        """Measure by how much later than wanted the event loop comes to a task."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            self.counting.lag.observe(max(now() - due, 0.0))
