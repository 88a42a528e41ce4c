"""How much of our code a plain call runs, so that no layer which only hands on comes back unseen."""

from __future__ import annotations

from benchmarks.calls import count, plain_call

MOST_CALLS = 200
MOST_FILES = 43


def test_a_plain_call_runs_no_more_functions_than_it_did() -> None:
    """The numbers are near what `python -m benchmarks.calls` prints; who must raise one says why in the same commit."""
    counts = count(plain_call())
    files = {file for file, _ in counts if not file.startswith("<")}
    assert 100 < sum(counts.values()) <= MOST_CALLS
    assert len(files) <= MOST_FILES
