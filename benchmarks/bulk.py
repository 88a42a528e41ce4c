"""What `chatport bulk` does with a million rows, over loopback, and when it is killed a hundred times.

    python -m benchmarks.bulk                      all of it, about half an hour
    python -m benchmarks.bulk million --rows 1000000
    python -m benchmarks.bulk loopback --rows 50000
    python -m benchmarks.bulk kills --kills 100 --rows 5000
    python -m benchmarks.bulk batches --kills 100 --rows 300
    python -m benchmarks.bulk --shared-limits      the same as `limits`: processes that share a vendor's limit
    python -m benchmarks.bulk stage                what the stage costs a row, as an engine's worker runs it

Rates are rows for each second of CPU time of the run's own process (one core), and of wall time beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chatport.testing import Emulator, Fault, faults
from chatport.testing.emulator import EmulatedRequest

from . import shared_limits, vendor

__all__ = ["Nowhere", "Paid", "kill_again_and_again", "main", "stage", "write_rows"]

_CHOICES = ("million", "loopback", "kills", "batches", "stage", "limits", "all")
_ROW = re.compile(rb"row-(\d+)-")
_CHILD = """
import json, resource, sys, time
from chatport_bulk import Job, Settings, run
told = json.loads(sys.argv[1])
client = {}
if told["in_process"]:
    from chatport.testing import Emulator
    emulator = Emulator("compatible")
    emulator.vendor.requests = type("Nowhere", (list,), {"append": lambda self, item: None})()
    client, told["config"] = {"transport": emulator}, emulator.config()
job = Job(told["model"], told["prompt"], format=told["format"])
began, cpu = time.monotonic(), time.process_time()
report = run(told["rows"], job, told["out"], config=told["config"], client=client)
print(json.dumps({
    "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu, "how": report.ending.how,
    "answered": report.standing.answered, "parts": report.standing.parts,
    "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""
_STAGE = """
import json, sys, time
import pyarrow as pa
from chatport.testing import Emulator
from chatport_bulk import Job, Stage
told = json.loads(sys.argv[1])
emulator = Emulator("compatible")
emulator.vendor.requests = type("Nowhere", (list,), {"append": lambda self, item: None})()
blocks = [
    pa.table({"id": [f"id-{n}" for n in range(at, at + told["block"])], "text": ["some words"] * told["block"]})
    for at in range(0, told["rows"], told["block"])
]
job = Job("compatible:emulated-model", "say: {text}", key="id")
with Stage(
    job, told["folder"], config=emulator.config(), client={"transport": emulator}, journal_mode=told["mode"]
) as stage:
    stage(blocks[0].slice(0, 1))
    began, cpu = time.monotonic(), time.process_time()
    for block in blocks:
        stage(block)
    print(json.dumps({"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}))
"""


def write_rows(path: Path, number: int) -> None:
    """Write rows of about 100 bytes, each with a mark of its own."""
    with path.open("w", encoding="utf-8") as file:
        for n in range(number):
            file.write(
                json.dumps({"id": n, "text": f"row-{n}- is about something that nobody has asked before"}) + "\n"
            )


def _run_child(told: dict[str, Any], seen: list[float] | None = None) -> dict[str, Any]:
    with subprocess.Popen([sys.executable, "-c", _CHILD, json.dumps(told)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while seen is not None and child.poll() is None:
            seen.append(_resident_mebibytes(child.pid))
            time.sleep(2)
        found: dict[str, Any] = json.loads(child.stdout.read())
    return found


def _resident_mebibytes(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0


def million(rows: int, kind: str) -> None:
    """Ask so many rows of the emulator in process: no network, one core."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "rows.jsonl"
        write_rows(source, rows)
        seen: list[float] = []
        told = {
            "in_process": True, "model": "compatible:emulated-model", "prompt": "say: {text}", "rows": str(source),
            "out": f"{place}/out", "config": None, "format": kind,
        }  # fmt: skip
        found = _run_child(told, seen)
        quarter = max(len(seen) // 4, 1)
        print(
            f"in process, {kind}: {found['answered']:,} rows, {found['answered'] / found['cpu']:,.0f} rows/s of CPU, "
            f"{found['answered'] / found['seconds']:,.0f} rows/s of wall time; memory at most {found['mebibytes']:.0f} "
            f"MiB (first quarter {max(seen[:quarter], default=0):.0f}, last {max(seen[-quarter:], default=0):.0f}); "
            f"{found['parts']} parts",
            flush=True,
        )


def loopback(rows: int, kind: str) -> None:
    """Ask so many rows of the fake vendor, a process of its own, over loopback."""
    with tempfile.TemporaryDirectory() as place, vendor.running() as address:
        source = Path(place) / "rows.jsonl"
        write_rows(source, rows)
        provider = {"kind": "compatible", "base_url": address.url, "api_key": "none"}
        told = {
            "in_process": False, "model": "fake:chunks-1", "prompt": "{text}", "rows": str(source),
            "out": f"{place}/out", "config": {"providers": {"fake": provider}}, "format": kind,
        }  # fmt: skip
        found = _run_child(told)
        print(
            f"loopback, {kind}: {found['answered']:,} rows, {found['answered'] / found['cpu']:,.0f} rows/s of CPU, "
            f"{found['answered'] / found['seconds']:,.0f} rows/s of wall time; memory {found['mebibytes']:.0f} MiB",
            flush=True,
        )


def stage(rows: int, block: int = 1_000) -> None:
    """Give a stage blocks of the emulator's rows in process: without a log, with one, and once more from the log."""
    with tempfile.TemporaryDirectory() as place:
        kinds = (
            ("no log", None, "TRUNCATE"),
            ("a log", f"{place}/logs", "TRUNCATE"),
            ("answered before", f"{place}/logs", "TRUNCATE"),
            ("a log of one machine (WAL)", f"{place}/wal", "WAL"),
        )
        for name, folder, mode in kinds:
            told = {"rows": rows, "block": block, "folder": folder, "mode": mode}
            with subprocess.Popen([sys.executable, "-c", _STAGE, json.dumps(told)], stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                found = json.loads(child.stdout.read())
            print(
                f"stage, blocks of {block:,}, {name}: {found['cpu'] / rows * 1e6:,.0f} us of CPU and "
                f"{found['seconds'] / rows * 1e6:,.0f} us of wall time a row; {rows / found['seconds']:,.0f} rows/s",
                flush=True,
            )


class Paid:
    """Faults for an emulator, one request in so many; and how often each row was answered, which is what is paid."""

    def __init__(self, seed: int, share: float = 0.1) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()
        self.rows: Counter[int] = Counter()
        self.seen = 0

    def __call__(self, number: int, request: EmulatedRequest) -> Fault | None:
        """Return the fault of a request; a request without one is an answer that is paid."""
        with self._lock:
            self.seen += 1
            chance = self._random.random()
            if chance < self._share:
                kinds = (
                    faults.status(500), faults.status(429), faults.status(503), faults.reset_before_head(),
                    faults.html_page(),
                )  # fmt: skip
                return self._random.choice(kinds)
            found = _ROW.search(request.content)
            if found:
                self.rows[int(found[1])] += 1
            return None


def kill_again_and_again(rows: int, kills: int, place: Path, *, seed: int = 0, quiet: bool = False) -> dict[str, int]:
    """Kill a run with `kill -9` at random moments until it ends; return what was paid, and what the log says of it."""
    chance = random.Random(seed)
    source, out = place / "rows.jsonl", place / "out"
    write_rows(source, rows)
    paid = Paid(seed)
    killed = 0
    with Emulator("deepseek", faults=paid) as emulator:
        emulator.vendor.requests = Nowhere()
        config = place / "chatport.toml"
        key = emulator.vendor.api_key or "none"
        table = f'[providers.deepseek]\nbase_url = "{emulator.base_url}"\napi_key = "{key}"\n'
        config.write_text(f"{table}[retry]\nfirst_seconds = 0.01\nlongest_seconds = 0.05\n")
        script = str(Path(sys.executable).with_name("chatport"))
        command = [
            script, "bulk", "run", str(source), "--config", str(config), "-y", "-m", "deepseek:deepseek-flash",
            "-p", "say: {text}", "-o", str(out), "--format", "jsonl", "--concurrency", "32",
        ]  # fmt: skip
        environment = {**os.environ, "CHATPORT_CONFIG": str(config)}
        while True:
            child = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
            )
            try:
                before = paid.seen  # one in ten dies somewhere in its first seconds, the others while they ask
                until = time.monotonic() + (chance.uniform(0, 3) if chance.random() < 0.1 else 60)
                while killed < kills and paid.seen == before and child.poll() is None and time.monotonic() < until:
                    time.sleep(0.01)
                _, said = child.communicate(timeout=chance.uniform(0, 2.5) if killed < kills else None)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                killed += 1
                if not quiet:
                    print(f"\r  killed {killed}, {len(paid.rows)} rows answered", end="", flush=True)
                continue
            break
        if child.returncode:
            raise SystemExit(f"the run ended with {child.returncode}: {said}")
    return {"killed": killed, **_account(out, rows, paid)}


class Nowhere(list[EmulatedRequest]):
    def append(self, item: EmulatedRequest) -> None:
        """Keep nothing: an emulator lists all it was asked."""


def _account(out: Path, rows: int, paid: Paid) -> dict[str, int]:
    from chatport_bulk import RowLog

    written: Counter[str] = Counter()
    for part in (out / "answers").iterdir():
        written.update(json.loads(line)["key"] for line in part.read_text("utf-8").splitlines())
    log = RowLog(out / "run.sqlite", read_only=True)
    standing = log.standing()
    log.close()
    return {
        "rows": rows,
        "written": len(written),
        "written_twice": sum(number - 1 for number in written.values()),
        "paid": sum(paid.rows.values()),
        "paid_twice": sum(number - 1 for number in paid.rows.values()),
        "shown_as_lost": standing.lost,
        "failed": standing.failed,
    }


def kills(rows: int, number: int) -> None:
    """Do it with fresh runs until there were so many kills."""
    done, seed = 0, 0
    while done < number:
        with tempfile.TemporaryDirectory() as place:
            found = kill_again_and_again(rows, number - done, Path(place), seed=seed)
        done, seed = done + found["killed"], seed + 1
        print(f"\r  {found}", flush=True)
        wrong = found["written"] + found["failed"] != rows or found["written_twice"]
        if wrong or found["paid_twice"] > found["shown_as_lost"]:
            raise SystemExit("A promise was broken.")
    print(f"killed {done} times: every row answered once, no call paid twice that was not shown")


def batches(rows: int, number: int) -> None:
    """Kill runs by a vendor's batches, with fresh ones until there were so many kills."""
    from .bulk_batches import kill_batches

    done, seed = 0, 0
    while done < number:
        provider = ("openai", "anthropic", "mistral")[seed % 3]
        with tempfile.TemporaryDirectory() as place:
            found = kill_batches(
                rows, Path(place), provider=provider, kills=min(number - done, 12), seed=seed, quiet=False
            )
        done, seed = done + found["killed"], seed + 1
        print(f"\r  {provider}: {found}", flush=True)
        wrong = found["written"] + found["failed"] != rows or found["written_twice"] or found["under_way"]
        if wrong or found["paid_twice_in_batches"]:
            raise SystemExit("A promise was broken.")
    print(f"killed {done} times: every row answered once, no row paid twice in batches")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=_CHOICES, default="all")
    parser.add_argument("--shared-limits", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet")
    given = parser.parse_args()
    if given.shared_limits:
        given.what = "limits"
    if given.what in ("million", "all"):
        million(given.rows or 1_000_000, given.format)
    if given.what in ("loopback", "all"):
        loopback(given.rows or 50_000, given.format)
    if given.what in ("kills", "all"):
        kills(given.rows or 5_000, given.kills)
    if given.what in ("batches", "all"):
        batches(given.rows or 300, given.kills)
    if given.what in ("stage", "all"):
        stage(given.rows or 20_000)
    if given.what in ("limits", "all"):
        shared_limits.main([])
    print(f"(this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB)")


if __name__ == "__main__":
    main()
