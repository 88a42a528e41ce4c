"""Parallel workers over several processes before a vendor with a limit, which they share in Valkey or Redis.

    python -m benchmarks.shared_limits --seconds 240

The vendor counts in three ways, in a process each, all at once. What is to be seen: about no 429, and nearly all of
the limit used. It runs in real time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .limited import LIMITERS

__all__ = ["main", "shared_limits"]

_WORKER = """
import anyio, json, sys, time
import chatport
told = json.loads(sys.argv[1])
async def main():
    async with chatport.AsyncClient(told["config"]) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        until = time.monotonic() + told["seconds"]
        refused = 0
        async def work():
            while True:
                await client.chat("Hello.", model=told["model"])
        with anyio.move_on_after(told["seconds"]):
            async with anyio.create_task_group() as tasks:
                for _ in range(told["workers"]):
                    tasks.start_soon(work)
anyio.run(main)
"""


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _store(place: str) -> Iterator[str]:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise SystemExit("There is no valkey-server and no redis-server here: apt-get install redis-server.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--logfile", f"{place}/store.log"]
    with _running(command, cwd=place):
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"


class _Trial:
    """A vendor, and the processes before it."""

    def __init__(self, stack: ExitStack, kind: str, told: argparse.Namespace, store: str) -> None:
        self.kind = kind
        command = [
            sys.executable,
            "-m",
            "benchmarks.limited",
            kind,
            "--limit",
            str(told.limit),
            "--phase",
            str(told.phase),
        ]
        vendor = stack.enter_context(_running(command))
        assert vendor.stdout is not None
        self.address = f"http://127.0.0.1:{vendor.stdout.readline().strip()}"
        provider = {"kind": "compatible", "base_url": f"{self.address}/v1", "api_key": f"key-of-{kind}"}
        pacing = {"requests_per_minute": told.limit, "store": store}
        work = {
            "config": {"providers": {"limited": provider}, "pacing": pacing}, "model": "limited:m",
            "seconds": told.seconds, "workers": told.workers // told.processes,
        }  # fmt: skip
        self.processes = [
            stack.enter_context(_running([sys.executable, "-c", _WORKER, json.dumps(work)]))
            for _ in range(told.processes)
        ]

    def wait(self) -> None:
        """Wait until all processes are ready."""
        for process in self.processes:
            assert process.stdout is not None
            process.stdout.readline()

    def start(self) -> None:
        """Let all of them begin."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def counts(self, limit: int, seconds: float) -> dict[str, Any]:
        """Return what the vendor says once all have ended."""
        codes = [process.wait() for process in self.processes]
        with urllib.request.urlopen(f"{self.address}/counts") as answer:
            found = json.load(answer)
        taken, refused = found["taken"], found["refused"]
        began = min(taken + refused)
        came = [at for at in taken if at < began + seconds]
        return {
            "kind": self.kind,
            "answered": len(came),
            "refused": len(refused),
            "used_percent": round(100 * len(came) / (limit * seconds / 60), 2),
            "most_in_a_minute": found["most_in_a_minute"],
            "last_refused": max(refused, default=began) - began,
            "ended": codes,
        }


def shared_limits(told: argparse.Namespace) -> list[dict[str, Any]]:
    """Run a trial of each kind, all at once; return what came of each."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        store = stack.enter_context(_store(place))
        trials = [_Trial(stack, kind, told, store) for kind in told.kinds]
        for trial in trials:
            trial.wait()
        for trial in trials:
            trial.start()
        return [trial.counts(told.limit, told.seconds) for trial in trials]


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--limit", type=int, default=600)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--phase", type=float, default=20.0)
    parser.add_argument("--kinds", nargs="+", choices=LIMITERS, default=list(LIMITERS))
    told = parser.parse_args(arguments)
    for found in shared_limits(told):
        print(
            f"{found['kind']}: {found['answered']:,} answered and {found['refused']} refused (the last after "
            f"{found['last_refused']:.1f} s) in {told.seconds:g} s, "
            f"{found['used_percent']} % of the limit used; at most {found['most_in_a_minute']} came in any 60 s",
            flush=True,
        )


if __name__ == "__main__":
    main()
