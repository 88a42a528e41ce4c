"""The gateway on a free port of this machine, in front of one emulated vendor, with what it logs kept."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.keys import hash_of

from .directed import MODELS, directed
from .recipe import Step

__all__ = ["ALIAS", "KEY", "Log", "Served", "served"]

KEY = "a-key-for-this-run-only"
ALIAS = "chat-fast"


class Log:
    """Keeps the lines of the access log, in the place of structlog's."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Keep a mistake of ours."""
        self.lines.append({"mistake": traceback.format_exc(), **fields})


@attrs.frozen
class Served:
    """What is served: the settings with the port that it has, the vendor behind it, and what was logged."""

    settings: GatewaySettings
    emulator: Emulator
    log: Log


@contextmanager
def served(vendor: str, steps: Sequence[Step]) -> Iterator[Served]:
    """Serve the alias with a key and a store, until the block is left."""
    with directed(vendor, steps) as emulator:
        config = {**emulator.config(), "aliases": {ALIAS: [f"{vendor}:{MODELS[vendor]}"]}, "retry": {"attempts": 1}}
        client = chatport.AsyncClient(config)
        settings = GatewaySettings(port=0, key_hashes=(hash_of(KEY),), shutdown_seconds=1, store="memory")
        gateway = Gateway(client=client, settings=settings)
        log = gateway.log = Log()
        server = make_server(gateway)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Served(attrs.evolve(gateway.settings, port=port), emulator, log)
        finally:
            server.should_exit = True
            thread.join(20)
