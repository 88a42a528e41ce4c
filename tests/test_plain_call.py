"""How much of our code a plain call runs, so that no layer which only hands on comes back unseen."""

from __future__ import annotations

from benchmarks.calls import count, plain_call

MOST_CALLS = 310


def test_a_plain_call_runs_no_more_functions_than_it_did() -> None:
    """The number is near what `python -m benchmarks.calls` prints; who must raise it says why in the same commit."""
    counts = count(plain_call())
    assert 100 < sum(counts.values()) <= MOST_CALLS
