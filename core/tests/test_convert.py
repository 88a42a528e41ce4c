"""Builtin values become types in any number of threads: the first that asks for a type is not alone."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import sys, threading
from chatport.jsoncodec import convert

SOURCE = '''
import attrs
@attrs.frozen
class Deep:
    a: list[str] = attrs.field(factory=list)
@attrs.frozen
class Inner:
    d: Deep | None = None
    b: str = ""
@attrs.frozen
class Outer:
    x: Inner
    y: dict[str, Inner] = attrs.field(factory=dict)
    z: tuple[Inner, ...] = ()
'''
sys.setswitchinterval(1e-5)
for _ in range(6):
    made = {}
    exec(SOURCE, made)
    barrier, found = threading.Barrier(6), []
    def ask():
        barrier.wait()
        found.append(convert({"x": {"d": {"a": ["q"]}}, "z": [{}]}, made["Outer"]))
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [value.x.d.a for value in found] == [["q"]] * 6
"""


def test_threads_that_meet_a_type_at_the_same_time_do_not_crash_the_process() -> None:
    """msgspec by itself does: the process is killed by a segmentation fault, nearly each time."""
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
