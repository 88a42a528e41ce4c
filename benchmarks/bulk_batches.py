"""What becomes of a run by a vendor's batches that is killed with `kill -9`, again and again.

    python -m benchmarks.bulk batches --kills 100 --rows 500

The vendor fails one request in ten, its batches expire half done or lose results, and the run dies at random moments,
or just when a certain request has reached the vendor and its answer has not come.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatport.testing import BatchesEmulator, BatchPlay, Break, Emulator, Fault, Pause, Performance, Scene, faults
from chatport.testing.emulator import EmulatedRequest
from chatport_bulk import RowLog

__all__ = ["Killer", "kill_batches"]

_ROW = re.compile(r"row-(\d+)-")
_MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-5-5", "mistral": "mistral-small-latest"}


class Killer:
    """Kills the run that talks to an emulator, when a request fits: after the vendor has done what it says."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()
        self.child: subprocess.Popen[str] | None = None
        self.fits: Callable[[EmulatedRequest], bool] | None = None
        self.seen = 0

    def __call__(self, number: int, request: EmulatedRequest) -> Fault | None:
        """Return the fault of a request."""
        with self._lock:
            self.seen += 1
            if self.fits is not None and self.child is not None and self.fits(request):
                self.fits = None
                self.child.kill()
                return Fault("killed", _no_answer)
            if self._random.random() >= self._share:
                return None
            kinds = (faults.status(500), faults.status(429), faults.status(503), faults.reset_before_head())
            return self._random.choice(kinds)


def _no_answer(scene: Scene) -> Performance:
    return Performance(200, {}, (), before=[Pause(0.05), Break("reset")])


def kill_batches(
    rows: int,
    place: Path,
    *,
    provider: str = "openai",
    kills: int = 0,
    at: tuple[tuple[str, str], ...] = (),
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, int]:
    """Run until it ends; kill it at these requests (method, end of the path), or so often at random moments.

    Returns what was paid, in batches and online, and what the log says of it.
    """
    chance = random.Random(seed)
    source, out = place / "rows.jsonl", place / "out"
    source.write_text("".join(json.dumps({"text": f"row-{n}- is new"}) + "\n" for n in range(rows)), "utf-8")
    killer = Killer(seed, 0.1 if kills else 0.0)
    plays = [BatchPlay(looks=3, duplicates=2), BatchPlay("expired", looks=2, done=0.6), BatchPlay(looks=4)]
    killed = 0
    with Emulator(provider, faults=killer, plays=plays) as emulator:
        vendor = emulator.vendor
        assert isinstance(vendor, BatchesEmulator)
        command = _command(place, provider, emulator.base_url, source, out, max(rows // 3, 1))
        points = list(at)
        while True:
            if points:
                method, end = points.pop(0)
                killer.fits = lambda request, m=method, e=end: request.method == m and bool(re.search(e, request.path))
            child = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment(place)
            )
            killer.child = child
            try:
                _, said = child.communicate(timeout=_moment(chance, killer) if killed < kills else 120)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
            if child.returncode >= 0:
                break
            killed += 1
            if not quiet:
                print(f"\r  killed {killed}, {len(vendor.worked_on)} rows worked on", end="", flush=True)
        if child.returncode:
            raise SystemExit(f"the run ended with {child.returncode}: {said}")
        return {"killed": killed, **_account(out, rows, vendor)}


def _moment(chance: random.Random, killer: Killer) -> float:
    """Return after how long to kill: in its first second, or soon after it has begun to talk to the vendor."""
    before, until = killer.seen, time.monotonic() + 20
    if chance.random() > 0.1:
        while killer.seen == before and time.monotonic() < until:
            time.sleep(0.01)
    return chance.uniform(0, 0.6)


def _command(place: Path, provider: str, base_url: str, source: Path, out: Path, batch_rows: int) -> list[str]:
    config = place / "chatport.toml"
    table = f'[providers.{provider}]\nbase_url = "{base_url}"\napi_key = "none"\n'
    config.write_text(f"{table}[retry]\nfirst_seconds = 0.01\nlongest_seconds = 0.05\n", "utf-8")
    return [
        str(Path(sys.executable).with_name("chatport")), "bulk", "run", str(source), "--config", str(config), "-y",
        "-m", f"{provider}:{_MODELS[provider]}", "-p", "say: {text}", "-o", str(out), "--format", "jsonl",
        "--lane", "batch", "--batch-poll", "0.02", "--batch-rows", str(batch_rows), "--batch-rounds", "3",
    ]  # fmt: skip


def _environment(place: Path) -> dict[str, str]:
    return {**os.environ, "CHATPORT_CONFIG": str(place / "chatport.toml")}


def _account(out: Path, rows: int, vendor: BatchesEmulator) -> dict[str, int]:
    written: Counter[str] = Counter()
    for part in (out / "answers").iterdir():
        written.update(json.loads(line)["key"] for line in part.read_text("utf-8").splitlines())
    log = RowLog(out / "run.sqlite", read_only=True)
    standing = log.standing()
    log.close()
    paid = Counter(found for body in vendor.worked_on for found in _ROW.findall(json.dumps(body)))
    chats = ("/chat/completions", "/v1/messages")
    asked: list[Any] = [r for r in vendor.requests if r.method == "POST" and r.path.endswith(chats)]
    online = Counter(found for request in asked for found in _ROW.findall(request.content.decode()))
    return {
        "rows": rows,
        "written": len(written),
        "written_twice": sum(number - 1 for number in written.values()),
        "batches": len(vendor.jobs),
        "paid_in_batches": sum(paid.values()),
        "paid_twice_in_batches": sum(number - 1 for number in paid.values()),
        "asked_online": len(online),
        "under_way": standing.under_way,
        "failed": standing.failed,
    }
