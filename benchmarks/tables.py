"""From results to Markdown. Medians of one run, mostly as ratios within it: absolute times mean nothing elsewhere.

    python -m benchmarks.tables FILE ...            print
    python -m benchmarks.tables --page FILE ...     put the tables into docs/performance.md, and draw its picture

A file is one run; its name says between which marks of the page its tables belong.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, PEERS
from .plot import picture

__all__ = ["Summary", "put", "text_of"]

DOCS = Path(__file__).parents[1] / "docs"
Result = dict[str, Any]
OWN = {name: f"httpx-{kind}" for kind in ("trio", "sync") for name in CONTENDERS | PEERS if name.endswith(f"-{kind}")}


class Summary:
    """The medians of one run."""

    def __init__(self, results: Iterable[Result]) -> None:
        values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self.failed: set[tuple[str, str]] = set()
        self.about: Result = {}
        for result in results:
            if "scenario" not in result:
                self.about.update(result)
                continue
            scenario, contender = result["scenario"], result["contender"]
            if "failed" in result:
                self.failed.add((scenario, contender))
            for field, value in result.items():
                if isinstance(value, int | float):
                    values[scenario, contender, field].append(value)
        self._medians = {key: statistics.median(found) for key, found in values.items()}

    def median(self, scenario: str, contender: str, field: str) -> float | None:
        """Return a median, None if that was not measured or has failed."""
        return None if (scenario, contender) in self.failed else self._medians.get((scenario, contender, field))

    def ratio(self, scenario: str, contender: str, field: str, base: str) -> float | None:
        """Return a median as a multiple of another contender's."""
        value, of = self.median(scenario, contender, field), self.median(scenario, base, field)
        return None if value is None or not of else value / of


@dataclass(frozen=True)
class Column:
    """One number for each contender: a multiple of the base's, or the median itself. Base "own": bare httpx alike."""

    title: str
    scenario: str
    field: str
    base: str = ""

    def value(self, summary: Summary, contender: str) -> float | None:
        """Return the number."""
        if not self.base:
            return summary.median(self.scenario, contender, self.field)
        base = OWN.get(contender, "httpx") if self.base == "own" else self.base
        return summary.ratio(self.scenario, contender, self.field, base)

    def cell(self, summary: Summary, contender: str) -> str:
        """Return what stands in the table."""
        if (self.scenario, contender) in summary.failed:
            return "failed"
        value = self.value(summary, contender)
        if value is None:
            return ""
        digits = 0 if value >= 100 or self.field == "distributions" else 1 if value >= 1 else 2
        return f"{value:,.{digits}f}"


def _cpu(title: str, scenario: str, base: str = "raw") -> Column:
    return Column(title, scenario, "cpu_us", base)


TABLES: dict[str, tuple[Column, ...]] = {
    "CPU time of one streamed chunk, as a multiple of raw sockets": (
        _cpu("1 ms apart", "paced"),
        _cpu("the same, x bare httpx of its kind", "paced", "own"),
        _cpu("1 ms apart, TLS", "paced-tls"),
        _cpu("burst", "burst"),
        _cpu("reasoning, burst", "reasoning"),
        _cpu("tool call, burst", "tools"),
    ),
    "CPU time of one plain request, as a multiple of bare httpx of its kind": (
        _cpu("one after the other", "plain", "own"),
        _cpu("64 at once", "plain-64", "own"),
    ),
    "1,000 streams at once": (
        _cpu("CPU time, x raw sockets", "many"),
        _cpu("CPU time, x bare httpx", "many", "httpx"),
        Column("added latency, p99, x raw sockets", "many", "late_p99_ms", "raw"),
        Column("memory of a stream, kB", "many", "stream_kb"),
    ),
    "From the first import to the first text": (
        Column("time, x bare httpx", "cold", "first_text_ms", "httpx"),
        Column("CPU time, x bare httpx", "cold", "cpu_ms", "httpx"),
        Column("memory then, MB", "cold", "rss_mb"),
    ),
    "A stream of 100,000 chunks": (
        Column("memory grew by, MB", "growth", "grown_mb"),
        Column("its text, MB", "growth", "text_mb"),
    ),
    "What gets installed": (
        Column("MB", "install", "install_mb"),
        Column("distributions", "install", "distributions"),
    ),
}


def _table(summary: Summary, columns: Sequence[Column]) -> list[str]:
    used = [column for column in columns if any(column.cell(summary, name) for name in CONTENDERS | PEERS)]
    rows = []
    for name, entry in (CONTENDERS | PEERS).items():
        cells = [column.cell(summary, name) for column in used]
        if any(cells):
            rows.append(f"| {entry.title} | " + " | ".join(cells) + " |")
    if not rows:
        return []
    head = "| | " + " | ".join(column.title for column in used) + " |"
    return [head, "|---|" + "---:|" * len(used), *rows]


def _about(summary: Summary) -> list[str]:
    machine = summary.about.get("machine")
    if not machine:
        return []
    text = "{date}, {system}, {cpus} CPUs, Python {python}".format(**machine)
    versions = summary.about.get("versions", {})
    known = CONTENDERS | PEERS
    found = dict.fromkeys(f"{known[name].distribution} {version}" for name, version in versions.items())
    return [f"Measured {text}. Versions: {', '.join(found)}.", ""]


def text_of(results: Iterable[Result]) -> str:
    """Return the tables of a run, as Markdown."""
    summary = Summary(results)
    lines = _about(summary)
    for title, columns in TABLES.items():
        table = _table(summary, columns)
        if table:
            lines += [f"**{title}**", "", *table, ""]
    return "\n".join(lines).strip()


def put(page: str, name: str, text: str) -> str:
    """Return a page with a text between the marks of a name. Raises ValueError if the page has no such marks."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"The page has no place for a run named {name!r}: it needs the line {begin}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def _read(path: Path) -> list[Result]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def main() -> int:
    """Print the tables, or put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    page = DOCS / "performance.md"
    for path in options.files:
        results = _read(path)
        if not options.page:
            print(text_of(results))
            continue
        page.write_text(put(page.read_text("utf-8"), path.stem, text_of(results)), "utf-8")
        if path.stem == "bench-peers":
            (DOCS / "performance.svg").write_text(drawn(Summary(results)), "utf-8")
    return 0


def drawn(summary: Summary) -> str:
    """Return the picture of a run with peers."""
    panels = {
        "a streamed chunk, 1 ms apart (raw sockets = 1)": _cpu("", "paced"),
        "a plain request (bare httpx = 1)": _cpu("", "plain", "httpx"),
        "import to first text (bare httpx = 1)": Column("", "cold", "cpu_ms", "httpx"),
    }
    known = {name: entry.title for name, entry in (CONTENDERS | PEERS).items()}
    bars = {
        title: [(known[name], value) for name in known if (value := column.value(summary, name)) is not None]
        for title, column in panels.items()
    }
    return picture("CPU time, less is better", bars)


if __name__ == "__main__":
    sys.exit(main())
