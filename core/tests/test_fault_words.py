"""Faults are named as they are called in Python, and what cannot be is said before anything is served."""

from __future__ import annotations

import pytest

from chatport.errors import ConfigurationError
from chatport.testing import EmulatedRequest, Emulator, faults
from chatport.testing.fault_words import fault_lines, fault_of

READ = [
    ("status(503)", faults.status(503)),
    ("status(429, headers={'retry-after': '2'})", faults.status(429, headers={"retry-after": "2"})),
    ("rate_limited(7, form='date')", faults.rate_limited(7, form="date")),
    ("rate_limited(7, form=date)", faults.rate_limited(7, form="date")),
    (" cut(after_events=2, how=reset) ", faults.cut(after_events=2, how="reset")),
    ("stall(before_head)", faults.stall("before_head")),
    ("drop_done", faults.drop_done()),
    ("drop_done()", faults.drop_done()),
    ("none", None),
]


@pytest.mark.parametrize(("text", "fault"), READ)
def test_a_fault_is_what_it_is_in_python(text: str, fault: faults.Fault | None) -> None:
    assert fault_of(text) == fault


WRONG = [
    ("stumble(1)", "There is no fault 'stumble'. There are: cut, deep_json,"),
    ("Fault('a', 1)", "There is no fault 'Fault'"),
    ("status", "missing a required argument: 'code'. It is status(code, headers=None, body=None)."),
    ("status(503", "'status(503' is no fault"),
    ("status(two words)", "is no fault"),
    ("status(code())", "is no fault"),
    ("__import__('os').system('true')", "is no fault"),
    ("status('many')", "code cannot be 'many'"),
    ("status(True)", "code cannot be True"),
    ("cut(after_events=-1)", "after_events cannot be -1"),
    ("cut(after_events=1, how=gently)", "how cannot be 'gently'"),
    ("cut", "exactly one place"),
    ("status(500, headers={'a': 1})", "headers cannot be"),
    ("drop_done(1)", "too many positional arguments"),
    ("", "'' is no fault"),
    ("(" * 10_000, "is no fault"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[text[:30] for text, _ in WRONG])
def test_what_is_no_fault_is_refused_with_what_there_is(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fault_of(text)
    assert words in str(caught.value)


def test_an_emulator_takes_faults_by_name() -> None:
    emulator = Emulator("compatible", faults=["status(503)", "none", faults.status(404)])
    body = b'{"model": "emulated-model", "messages": [{"role": "user", "content": "hello"}]}'
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, body)
    assert [emulator.perform(request).status for _ in range(4)] == [503, 200, 404, 200]


def test_every_fault_of_the_kit_can_be_named() -> None:
    lines = "\n".join(fault_lines())
    kit = {name for name in faults.__all__ if name not in ("Fault", "Faults")}
    assert all(f"\n{name}" in f"\n{lines}" for name in (*kit, "none"))
    assert "cut(at_byte=None, after_events=None, how='clean')\n    The body ends early" in lines
