"""Real servers for the tests: PostgreSQL, and Valkey or Redis, each on a free port of this machine, with nothing kept.

`apt-get install postgresql redis-server` (or valkey-server) brings them. Where they are absent the tests that need them
are skipped, with one line.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["PostgreSQL", "RedisServer", "running_postgresql", "running_redis"]

_SECONDS = 20.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"The server did not start: {log.read_text()[-2000:]}")


class RedisServer:
    """A Valkey or Redis that can be killed and started again on its port. What it held is lost then."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program, self._folder = program, folder
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                cwd=self._folder,
                stdout=output,
                stderr=output,
            )
        _wait_until_open(self.port, self._process, log)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


class PostgreSQL:
    """A PostgreSQL that can be stopped and started again on its port; what it holds stays."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"postgresql://chatport@127.0.0.1:{self.port}/postgres"
        self._programs, self._folder = programs, folder
        self._as_user: dict[str, object] = {}
        if os.geteuid() == 0:  # which it refuses to run as
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "chatport", "-E", "UTF8", "--no-sync")
        self.start()

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._programs / name), *arguments]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True, **self._as_user)  # type: ignore[call-overload]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._folder / "log"
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._folder)}
        settings |= {"fsync": "off", "max_connections": "50"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", "data", *options],
                cwd=self._folder,
                stdout=output,
                stderr=output,
                **self._as_user,  # type: ignore[call-overload]
            )
        _wait_until_open(self.port, self._process, log)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            command = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError("PostgreSQL is not ready.")

    def stop(self) -> None:
        """End it at once, as an operator in a hurry does; its own log brings it back."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a Valkey or Redis until the block is left. Skips the test where neither is installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("neither valkey-server nor redis-server is installed")
    with tempfile.TemporaryDirectory(prefix="chatport-redis-") as folder:
        server = RedisServer(program, Path(folder))
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL until the block is left. Skips the test where it is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    program = found[-1] if found else shutil.which("initdb")
    if program is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="chatport-pg-") as folder:
        server = PostgreSQL(Path(program).parent, Path(folder))
        try:
            yield server
        finally:
            server.stop()
