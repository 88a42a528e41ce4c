"""Two runs over the same rows, side by side: how often they agree, what each cost, how long it took, what failed."""

from __future__ import annotations

import heapq
import html
import json
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec

from chatport import ConfigurationError

from .rowlog import RowLog, Standing

__all__ = ["Comparison", "Difference", "Side", "compare"]

_WORD = re.compile(r"\w+")
_COLUMNS = "key TEXT PRIMARY KEY, answer TEXT, parsed TEXT, seconds REAL"


@attrs.frozen
class Side:
    """One of the two runs. Times are of the whole call, in seconds; `cost_per_1000` is by currency."""

    folder: str
    model: str
    standing: Standing
    median_seconds: float
    p95_seconds: float

    @property
    def cost_per_1000(self) -> dict[str, float]:
        """What a thousand answers cost, of those whose cost is known."""
        known = (
            self.standing.answered - self.standing.totals.get("without_cost", 0) - self.standing.totals.get("same", 0)
        )
        return {name: amount / known * 1000 for name, amount in self.standing.costs.items()} if known > 0 else {}


@attrs.frozen
class Difference:
    """A row on which the two do not agree. `overlap` is the share of words that they have in common, 0 to 1."""

    key: str
    a: str
    b: str
    overlap: float
    fields: tuple[str, ...] = ()


@attrs.frozen
class Comparison:
    """`both` rows were answered by both runs; of them `agreed` have the same answer.

    Answers with a structure agree where all fields are equal, texts where their words are, whatever case and spaces.
    `fields` has, for each field of a structure, the share of rows that agree on it. `differences` are those that are
    furthest apart, at most as many as were asked for.
    """

    a: Side
    b: Side
    both: int
    agreed: int
    overlap: float
    fields: Mapping[str, float]
    only_a: int
    only_b: int
    differences: tuple[Difference, ...]

    @property
    def agreement(self) -> float | None:
        """The share of rows on which both agree; None without a row that both have answered."""
        return self.agreed / self.both if self.both else None

    def lines(self) -> list[str]:
        """Return it in words, as a table."""
        rows: list[tuple[str, str, str]] = [("", self.a.model, self.b.model)]
        for name, get in _ROWS:
            rows.append((name, get(self.a), get(self.b)))
        widths = [max(len(row[n]) for row in rows) for n in range(3)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        share = "no row was answered by both" if self.agreement is None else f"{self.agreement:.1%} agree"
        more = [f"{self.both:,} rows answered by both: {share}; on average {self.overlap:.1%} of the words in common."]
        more += [f"  {name}: {value:.1%} agree" for name, value in self.fields.items()]
        if self.only_a or self.only_b:
            more.append(f"Answered by the first only: {self.only_a:,}; by the second only: {self.only_b:,}.")
        return [*table, "", *more]

    def page(self) -> str:
        """Return a page of HTML with the figures and the differences. What models wrote is text in it, never markup."""
        said = html.escape
        rows = "".join(
            f"<tr><td>{said(d.key)}<td>{said(d.a)}<td>{said(d.b)}<td>{d.overlap:.0%}<td>{said(', '.join(d.fields))}"
            for d in self.differences
        )
        return _PAGE.format(
            a=said(self.a.model), b=said(self.b.model), figures=said("\n".join(self.lines())), rows=rows
        )


def _costs(side: Side) -> str:
    return ", ".join(f"{amount:.4f} {name}" for name, amount in side.cost_per_1000.items()) or "not known"


_ROWS = (
    ("answered", lambda side: f"{side.standing.answered:,}"),
    ("failed", lambda side: f"{side.standing.failed:,}"),
    ("errors", lambda side: ", ".join(f"{k} {n}" for k, n in side.standing.failures.items()) or "none"),
    ("cost of 1,000", _costs),
    ("tokens in", lambda side: f"{side.standing.totals.get('input_tokens', 0):,.0f}"),
    ("tokens out", lambda side: f"{side.standing.totals.get('output_tokens', 0):,.0f}"),
    ("median", lambda side: f"{side.median_seconds:.2f} s"),
    ("95 of 100 within", lambda side: f"{side.p95_seconds:.2f} s"),
)

_PAGE = """<!doctype html><meta charset="utf-8"><title>{a} and {b}</title>
<style>body{{font:15px/1.4 system-ui;margin:2rem}}table{{border-collapse:collapse}}
td,th{{border:1px solid #ccc;padding:.4rem;vertical-align:top;white-space:pre-wrap;max-width:40rem}}</style>
<h1>{a} and {b}</h1><pre>{figures}</pre>
<table><tr><th>row<th>{a}<th>{b}<th>words in common<th>fields that differ{rows}</table>
"""


def compare(a: str | Path, b: str | Path, *, most_differences: int = 200) -> Comparison:
    """Return two runs side by side, by the keys of their rows. Both may be under way; memory is bounded.

    Raises ConfigurationError for a folder that holds no run.
    """
    with tempfile.TemporaryDirectory(prefix="chatport-bulk-") as place:
        db = sqlite3.connect(Path(place) / "both.sqlite", isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = OFF")
            sides = [_load(db, name, Path(folder)) for name, folder in (("a", a), ("b", b))]
            return _joined(db, sides[0], sides[1], most_differences)
        finally:
            db.close()


def _load(db: sqlite3.Connection, name: str, folder: Path) -> Side:
    if not (folder / "run.sqlite").is_file():
        raise ConfigurationError(f"{folder} holds no run: it has no run.sqlite.")
    log = RowLog(folder / "run.sqlite", read_only=True)
    try:
        job = json.loads(log.meta("job") or "{}")
        standing = log.standing()
        db.execute(f"CREATE TABLE {name}({_COLUMNS}) WITHOUT ROWID")
        db.execute("BEGIN")
        db.executemany(f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?, ?)", _answers(folder, log))
        db.execute("COMMIT")
    finally:
        log.close()
    count = db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
    times = [
        db.execute(f"SELECT seconds FROM {name} ORDER BY seconds LIMIT 1 OFFSET ?", (min(int(count * q), count - 1),))
        for q in (0.5, 0.95)
        if count
    ]
    found = [float(row.fetchone()[0] or 0.0) for row in times] or [0.0, 0.0]
    return Side(str(folder), str(job.get("model", "?")), standing, *found)


def _answers(folder: Path, log: RowLog) -> Iterator[tuple[str, str, str | None, float]]:
    for name in log.parts():
        path = folder / "answers" / name
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                for line in file:
                    row = msgspec.json.decode(line)
                    yield row["key"], row.get("answer") or "", _said(row.get("parsed")), row.get("seconds", 0.0)
        else:
            from .arrow_files import batches_of

            for batch in batches_of(str(path), "parquet", 1000):
                for row in batch:
                    parsed = {k.removeprefix("parsed_"): v for k, v in row.items() if k.startswith("parsed_")}
                    said = _said(parsed) if parsed else row.get("parsed")
                    yield row["key"], row["answer"] or "", said, row["seconds"] or 0.0


def _said(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()


def _joined(db: sqlite3.Connection, a: Side, b: Side, most: int) -> Comparison:
    both = agreed = 0
    overlaps = 0.0
    equal: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    worst: list[tuple[float, int, Difference]] = []
    found = db.execute("SELECT key, a.answer, a.parsed, b.answer, b.parsed FROM a JOIN b USING (key) ORDER BY key")
    for key, one, one_parsed, other, other_parsed in found:
        both += 1
        fields = _fields(one_parsed, other_parsed)
        for name, is_equal in fields.items():
            asked[name] += 1
            equal[name] += is_equal
        overlap = _overlap(one, other)
        overlaps += overlap
        is_same = all(fields.values()) if fields else _words(one) == _words(other)
        agreed += is_same
        if not is_same:
            unlike = tuple(name for name, is_equal in fields.items() if not is_equal)
            item = (-overlap, -both, Difference(key, one[:5000], other[:5000], overlap, unlike))
            (heapq.heappush if len(worst) < most else heapq.heappushpop)(worst, item)
    only = [
        db.execute(f"SELECT count(*) FROM {x} WHERE key NOT IN (SELECT key FROM {y})").fetchone()[0]
        for x, y in (("a", "b"), ("b", "a"))
    ]
    shares = {name: equal[name] / number for name, number in asked.items()}
    differences = tuple(item for _, _, item in sorted(worst, reverse=True))
    return Comparison(a, b, both, agreed, overlaps / both if both else 0.0, shares, only[0], only[1], differences)


def _fields(one: str | None, other: str | None) -> dict[str, bool]:
    """Return, for each field of two structures, whether they are equal in it; nothing for free texts."""
    if one is None and other is None:
        return {}
    a, b = (json.loads(text) if text else {} for text in (one, other))
    if not isinstance(a, dict) or not isinstance(b, dict):
        return {"value": a == b}
    return {name: a.get(name) == b.get(name) for name in dict.fromkeys((*a, *b))}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold()) or text.split()


def _overlap(one: str, other: str) -> float:
    a, b = set(_words(one)), set(_words(other))
    return len(a & b) / len(a | b) if a or b else 1.0
