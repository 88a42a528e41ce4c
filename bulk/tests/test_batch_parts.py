"""The parts of the lane of batches, each by itself: ids, bounds, and the log."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings, strategies as st

from chatport_bulk.batches.draft import Bounds, Draft, Line
from chatport_bulk.batches.ids import own_id
from chatport_bulk.batches.log import Batch, BatchLog, BatchRow
from chatport_bulk.rowlog import RowLog

KEYS = st.lists(st.one_of(st.integers(0, 2**60), st.text(min_size=1, max_size=120)), unique=True, max_size=40)


@given(KEYS, st.integers(1, 10**6), st.sampled_from(["[A-Za-z0-9_-]", "[a-z0-9]", "[A-Za-z0-9_.-]"]))
def test_an_own_id_fits_the_vendor_and_belongs_to_one_row(keys: list[int | str], number: int, form: str) -> None:
    ids = [own_id(key, number, form=form, longest=40) for key in keys]
    assert all(re.fullmatch(f"(?:{form}){{1,40}}", own) for own in ids)
    assert len(set(ids)) == len(keys)
    assert not set(ids) & {own_id(key, number + 1, form=form, longest=40) for key in keys}, "nor twice for a row"


def test_a_key_that_fits_is_readable_in_its_id() -> None:
    assert own_id("order-17", 3) == "korder-17-3"
    assert own_id(17, 3) == "r17-3"
    assert own_id("größe", 3).startswith("h")


LINES = st.lists(
    st.tuples(st.integers(1, 400), st.integers(0, 90), st.floats(0, 1), st.sampled_from(["/a", "/a", "/a", "/b"])),
    max_size=60,
)


@settings(max_examples=150)
@given(LINES, st.integers(1, 10), st.integers(410, 2000), st.integers(90, 300), st.floats(1, 3))
def test_no_batch_is_larger_than_any_of_its_bounds_and_no_row_is_lost(
    lines: list[tuple[int, int, float, str]], rows: int, most_bytes: int, tokens: int, usd: float
) -> None:
    bounds = Bounds(rows, most_bytes, tokens, usd)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        drafts: list[Draft] = []
        for number, (size, of_line, cost, endpoint) in enumerate(lines):
            line = Line(BatchRow(number, b"", None, None), endpoint, b"", of_line, cost)
            if not drafts or not drafts[-1].fits(line, size):
                drafts.append(Draft(Path(place) / f"{len(drafts)}", bounds))
            drafts[-1].add(line, b"x" * size)
        for draft in drafts:
            draft.close(keep=True)
            content = draft.place.read_bytes()
            assert len(content) == draft.bytes <= most_bytes
            assert 0 < len(content.splitlines()) == len(draft.rows) <= rows
            assert draft.tokens <= tokens
            assert draft.usd <= usd
    assert [row.key for draft in drafts for row in draft.rows] == list(range(len(lines)))
    for one, other in pairwise(drafts):  # and none could have been larger
        size, of_line, cost, endpoint = lines[len([r for d in drafts[: drafts.index(other)] for r in d.rows])]
        assert not one.fits(Line(BatchRow(0, b"", None, None), endpoint, b"", of_line, cost), size)


def _batch(number: int, **fields: object) -> Batch:
    return Batch(number, "made", f"batch-{number}", "p:m", "/v1/chat/completions", 2, 10, 0.5, **fields)  # type: ignore[arg-type]


def test_the_rows_of_a_batch_are_under_way_elsewhere_until_they_have_their_answers(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    batches = BatchLog(log)
    batch = _batch(1)
    batches.make(batch, [BatchRow("a", b"1", None, {"x": 1}), BatchRow("b", b"2", b"q", None)])
    assert log.known(["a", "b", "c"])["a"].state == "elsewhere"
    assert log.standing().under_way == 2
    assert batches.waiting(batch)["a"].kept == {"x": 1}
    assert batches.questions() == {b"q"}
    batch = batches.turn(batch, "open", job="job-7", outputs=["file-1"])
    assert batches.open() == [batch]
    log.close()

    log = RowLog(tmp_path / "run.sqlite")
    assert log.open_session() == 0, "they are not lost in a crash"
    batches = BatchLog(log)
    assert batches.all()[0].outputs == ("file-1",)
    batch = batches.close(batch, "read", ["b"])
    assert set(log.known(["a", "b"])) == {"a"}, "b is to be asked again"
    assert batches.open() == []
    assert batches.next_number() == 2
    log.close()


def test_a_log_without_batches_has_none_and_is_not_changed_by_a_look(tmp_path: Path) -> None:
    RowLog(tmp_path / "run.sqlite").close()
    log = RowLog(tmp_path / "run.sqlite", read_only=True)
    assert BatchLog(log, read_only=True).all() == []
    log.close()
