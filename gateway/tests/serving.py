"""`chatport serve` as a process of its own, told by signals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Serving", "replace"]

_COMMAND = "import sys; from chatport_gateway.command import command; command(sys.argv[1:])"
_PORT = re.compile(r"serving\s+host=\S+ port=(\d+)")
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def replace(path: Path, text: str | Mapping[str, Any]) -> None:
    """Put a file in the place of another, as whoever does it well: nobody reads half of it."""
    if not isinstance(text, str):
        text = "".join([f"{json.dumps(name)} = {_toml(value)}\n" for name, value in text.items()])
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join([f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()]) + " }"
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else json.dumps(value)


class Serving:
    """A gateway that serves a file. `before` is Python that runs first in its process."""

    def __init__(self, config: Path, *, port: int = 0, before: str = "", **environment: str) -> None:
        self._log = config.with_name(f"{config.stem}.log")
        own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "PYTHONPATH")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", before + _COMMAND, "--config", str(config), "--port", str(port)],
                cwd=config.parent, env={**own, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{self._port()}"

    def _port(self) -> str:
        found = _PORT.search(self.wait_for("serving"))
        assert found is not None
        return found[1]

    def wait_until_ready(self) -> None:
        """Wait until it takes requests. Raises RuntimeError."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"It does not serve ({self.process.returncode}):\n{self.log()[-3000:]}")

    def log(self) -> str:
        """Return what it has said."""
        return _COLOURS.sub("", self._log.read_text())

    def wait_for(self, words: str, times: int = 1) -> str:
        """Wait until it has said something so often; return all that it has said. Raises RuntimeError."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            said = self.log()
            if said.count(words) >= times:
                return said
            time.sleep(0.01)
        raise RuntimeError(f"{words!r} was not said ({self.process.returncode}):\n{self.log()[-3000:]}")

    def hang_up(self) -> None:
        """Tell it to read its file again."""
        self.process.send_signal(signal.SIGHUP)

    def reload(self) -> None:
        """Do so, and wait until it has."""
        before = self.log().count("reloaded")
        self.hang_up()
        self.wait_for("reloaded", before + 1)

    def stop(self) -> None:
        """Let it end in order, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        assert "Traceback" not in self.log(), self.log()[-3000:]
