"""What the engines' tests share. They run in an environment of their own: `make test-engines`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent


class RayCluster:
    """A Ray cluster of this machine that is ended with its input. `address` is where drivers connect."""

    def __init__(self, place: Path) -> None:
        self.environment = {
            **os.environ,
            "RAY_TMPDIR": str(place),
            "RAY_AUTH_MODE": "disabled",  # else it leaves a token in the home folder
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so that it stays on loopback
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_enable_metrics_collection": "0",
            "RAY_raylet_start_wait_time_s": "25",
        }
        self._log = (place / "cluster.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(_HERE / "ray_cluster.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=self.environment, text=True,
        )  # fmt: skip
        self.address: str = self._heard()["address"]

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"Ray did not start: {Path(self._log.name).read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, word: str) -> None:
        """`add` or `kill` a node beside the first one."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        self._heard()

    def driver(self, told: dict[str, Any]) -> subprocess.Popen[str]:
        """Start a driver. Its output is one pipe: Ray says much."""
        return subprocess.Popen(
            [sys.executable, str(_HERE / "ray_driver.py"), json.dumps({**told, "address": self.address})],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment, text=True,
        )  # fmt: skip

    def worker_pids(self) -> list[int]:
        """Return the processes of the stage's actors."""
        import psutil

        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if any("MapWorker" in part for part in child.cmdline()):
                    found.append(child.pid)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        """End it, with all it started."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self._log.close()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Give a cluster of one node with two CPUs. Its folder has a short name, since sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        cluster = RayCluster(Path(place))
        try:
            yield cluster
        finally:
            cluster.close()
