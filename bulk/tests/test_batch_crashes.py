"""A run by batches that is killed with `kill -9`: every row once, and no batch paid twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.bulk_batches import kill_batches

_OPENAI = (
    ("POST", r"/files$"),
    ("POST", r"/batches$"),
    ("GET", r"/batches\?limit=100$"),
    ("GET", r"/batches/[^/]+$"),
    ("GET", r"/content$"),
)
_ANTHROPIC = (("POST", r"/batches$"), ("GET", r"/batches\?limit=100$"), ("GET", r"/results$"))


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "at"), [("openai", _OPENAI), ("anthropic", _ANTHROPIC)])
def test_a_run_that_dies_when_a_request_has_reached_the_vendor_goes_on_and_nothing_is_paid_twice(
    provider: str, at: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    """The long form, a hundred kills at random moments, is `make bench-bulk ARGS=batches`."""
    found = kill_batches(30, tmp_path, provider=provider, at=at)
    assert found["killed"] == len(at)
    assert (found["written"], found["written_twice"], found["failed"], found["under_way"]) == (30, 0, 0, 0)
    assert (found["paid_in_batches"], found["paid_twice_in_batches"], found["asked_online"]) == (30, 0, 0)
