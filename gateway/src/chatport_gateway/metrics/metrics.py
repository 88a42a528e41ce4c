"""The metrics of a gateway: what counts them, and where they are read."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from ..keys import KeyRing
from .counting import Counting
from .serving import Listener, Page
from .settings import MetricsSettings
from .standing import Standing

if TYPE_CHECKING:
    from ..app import Gateway

__all__ = ["Metrics"]

_LAG_SECONDS = 0.25


class Metrics:
    """`counting` hears of requests, `page` is the ASGI application that shows what it has counted.

    `bind` takes the address, `start` serves there, on the event loop that is to be measured, and `stop` ends that.
    """

    def __init__(self, gateway: Gateway, settings: MetricsSettings) -> None:
        self.settings = settings
        self.registry = CollectorRegistry()
        self.counting = Counting(gateway, self.registry)
        self.registry.register(Standing(gateway, self.counting))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.page = Page(self.registry, KeyRing(settings.digests))
        self._sockets: list[socket.socket] = []
        self._listener: Listener | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def port(self) -> int | None:
        """Where they are served, None as long as they are not."""
        return self._sockets[0].getsockname()[1] if self._sockets else None

    def bind(self) -> None:
        """Take the address. Raises ConfigurationError where it cannot be had. The second time does nothing."""
        from ..server import open_sockets

        if not self._sockets:
            self._sockets = open_sockets(self.settings.host, self.settings.port, "[metrics]")

    def start(self) -> None:
        """Serve, until `stop`. Raises ConfigurationError as `bind` does. The second time does nothing."""
        if self._listener is None:
            self.bind()
            self._listener = Listener(self.page, self._sockets)
            self._watch = asyncio.create_task(self._watch_the_loop())

    async def stop(self) -> None:
        """End it, and give the address back."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._listener is not None:
            await self._listener.stop()
        for one in self._sockets:
            one.close()
        self._sockets, self._listener, self._watch = [], None, None

    async def _watch_the_loop(self) -> None:
        """Measure by how much later than wanted the event loop comes to a task."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            self.counting.lag.observe(max(now() - due, 0.0))
