"""The demonstration is the first thing a newcomer runs: it must go through, and be plain when piped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[1] / "demo" / "demo.py"


@pytest.fixture(scope="module")
def shown() -> str:
    done = subprocess.run([sys.executable, str(DEMO)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_every_vendor_calls_the_tool_and_answers(shown: str) -> None:
    """One conversation goes through all vendors by changing one configured name."""
    parts = shown.split("━━ ")[1::2]
    vendors = [part.split(" ", 1)[0] for part in shown.split("\n") if part.startswith("━━")]
    assert len(parts) == len(vendors) >= 3
    assert shown.count('→ get_weather({"city": "Paris"})') == len(vendors)
    for name in ("OpenAI", "DeepSeek", "Qwen"):
        assert f"━━ {name} ━━" in shown
        assert "(thinking) " in shown.split(f"━━ {name} ━━")[1].split("━━")[0]
    assert "llama.cpp" in shown  # its part, or the line that says why it is missing


def test_a_table_tells_tokens_and_cost(shown: str) -> None:
    """For each vendor: time to the first token, tokens, cost."""
    rows = [
        line for line in shown.splitlines() if line.startswith(("OpenAI ", "DeepSeek ", "Qwen ")) and " ms " in line
    ]
    assert len(rows) == 3
    assert all("$" in row or "¥" in row for row in rows)


def test_the_quirks_are_named_with_their_numbers(shown: str) -> None:
    """What was smoothed over is said, with the number in the vendor's quirk table."""
    quirks = shown.split("Quirks smoothed over")[1]
    assert "OA-" in quirks
    assert "DS-" in quirks
    assert "QW-" in quirks


def test_piped_output_is_plain(shown: str) -> None:
    """No escape sequence reaches a pipe."""
    assert "\x1b" not in shown
