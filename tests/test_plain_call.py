"""How much of our code a plain call runs, so that no layer which only hands on comes back unseen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MOST_CALLS = 200
MOST_FILES = 43


def test_a_plain_call_runs_no_more_functions_than_it_did() -> None:
    """The numbers are those of `python -m benchmarks.calls`; who must raise one says why in the same commit.

    In a process of its own: another test may have turned logs on, which a call then tells what it does.
    """
    command = [sys.executable, "-m", "benchmarks.calls"]
    said = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) calls in (\d+) files", said)
    assert found is not None, said
    assert 100 < int(found[1]) <= MOST_CALLS
    assert int(found[2]) <= MOST_FILES
