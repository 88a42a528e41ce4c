"""The benchmarks run: every contender of `make bench` in every scenario, and all see the same. No time is asserted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def results_of(folder: Path, *options: str) -> list[dict[str, Any]]:
    out = folder / "out.jsonl"
    command = [sys.executable, "-m", "benchmarks.run", "--smoke", "--out", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "|---|" in done.stdout
    return [result for line in out.read_text("utf-8").splitlines() if "scenario" in (result := json.loads(line))]


def test_every_contender_takes_part_in_every_kind_of_scenario(tmp_path: Path) -> None:
    """One small run of everything, in one process. It fails if a contender sees more or less than the vendor sends."""
    results = results_of(tmp_path, "--here")

    def taking_part(scenario: str) -> set[str]:
        return {result["contender"] for result in results if result["scenario"] == scenario}

    clients = {"raw", "httpx", "httpx-trio", "httpx-sync"}
    clients |= {"chatport", "chatport-trio", "chatport-sync"}
    clients |= {"chatport-httpx", "chatport-httpx-trio", "chatport-httpx-sync"}
    assert taking_part("paced") == taking_part("burst") == clients | {"chatport-deepseek", "chatport-anthropic"}
    assert taking_part("plain") == clients
    assert taking_part("tools") == taking_part("reasoning")
    for scenario in ("plain-64", "tools", "many", "growth", "cold"):
        assert {"httpx", "chatport"} <= taking_part(scenario), scenario
    assert shutil.which("openssl") is None or taking_part("paced-tls") == {
        "raw",
        "httpx",
        "chatport",
        "chatport-httpx",
    }


def test_a_measurement_in_a_process_of_its_own(tmp_path: Path) -> None:
    (result,) = results_of(tmp_path, "--scenario", "cold", "--contender", "chatport")
    assert result["first_text_ms"] > 0
    assert result["rss_mb"] > 1


def test_a_contender_that_misses_pieces_has_failed(tmp_path: Path) -> None:
    """A count that is not the vendor's ends the run with a message, and never becomes a number in a table."""
    script = (
        "import sys; from benchmarks import run, scenarios\n"
        "scenarios.Scenario.count = property(lambda self: 7)\n"
        "sys.exit(run.main(sys.argv[1:]))"
    )
    options = ["--smoke", "--here", "--scenario", "burst", "--contender", "raw", "--out", str(tmp_path / "out.jsonl")]
    command = [sys.executable, "-c", script, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "FAILED: raw in burst: saw 6 of 7" in done.stderr
    assert "| failed |" in done.stdout


def test_the_page_has_a_place_for_each_run() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert re.findall(r"<!-- (bench[a-z-]*): begin -->", page) == ["bench", "bench-peers"]
