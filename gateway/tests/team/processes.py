"""Gateways in processes of their own, before one emulated vendor, and clients that ask them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from chatport.testing import Emulator

from .conftest import MODEL

__all__ = ["Process", "config_of"]


def config_of(emulator: Emulator, folder: Path, **team: Any) -> dict[str, Any]:
    """Return the configuration of a gateway for a team."""
    prices = {MODEL: {"prices": [{"match": "*", "input": 10.0, "output": 100.0}]}}
    tables = {"folder": str(folder), **team}
    return {**emulator.config(), "models": prices, "aliases": {"main": [MODEL]}, "team": tables}


class Process:
    """One gateway. `kill` ends it as a crash would, `start` begins it again on the same port."""

    def __init__(self, config: dict[str, Any], folder: Path, name: str = "gateway") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / f"{name}.json"
        self._log = folder / f"{name}.log"
        self._config.write_text(json.dumps({**config, "gateway": {"port": self.port}}))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes requests."""
        program = Path(__file__).with_name("serve.py")
        with self._log.open("ab") as log:
            command = [sys.executable, str(program), str(self._config)]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._config.parent, env=_environment()
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise RuntimeError(f"The gateway did not start: {self.log()}")

    def log(self) -> str:
        """Return the end of what it has said."""
        return self._log.read_text()[-3000:]

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it end in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
    }
