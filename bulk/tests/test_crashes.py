"""Where a run can die, and what is left: kill -9, a full disk, a folder that cannot be written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from benchmarks.bulk import kill_again_and_again

from chatport_bulk import Answer, RowLog, StorageError
from chatport_bulk.answers import encode
from chatport_bulk.folder import RunFolder
from chatport_bulk.parts import Parts

from .conftest import World


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_answers_every_row_once(tmp_path: Path) -> None:
    """The long form, a hundred kills of 5,000 rows, is `make bench-bulk`."""
    found = kill_again_and_again(200, 2, tmp_path, seed=5, quiet=True)
    assert (found["written"], found["written_twice"], found["failed"]) == (200, 0, 0)
    assert found["paid_twice"] <= found["shown_as_lost"]


def _answers(numbers: range) -> list[tuple[Answer, bytes | None]]:
    return [(Answer(n, answer=f"answer {n}", input_tokens=1, attempts=1), b"digest") for n in numbers]


def _parts(folder: Path, log: RowLog) -> Parts:
    parts = Parts(folder, log, "jsonl", None, str)
    parts.sweep()
    return parts


def _written(folder: Path) -> list[str]:
    files = sorted((folder / "answers").iterdir())
    return [json.loads(line)["key"] for file in files for line in file.read_text("utf-8").splitlines()]


def _dies(log: RowLog) -> RowLog:
    """Leave a log as a process does that is killed, and open it as the next one does."""
    path = log.path
    log.close()
    return RowLog(path)


def test_a_call_that_was_begun_and_not_ended_is_counted_and_may_be_asked_again(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.open_session()
    log.step(begun=[1, 2, 3, "named"])
    log.step(ended=_answers(range(1, 2)), back=[3])
    log = _dies(log)
    assert log.open_session() == 2
    assert log.standing().lost == 2
    assert log.standing().under_way == 0
    assert set(log.known([1, 2, 3, "named"])) == {1}
    log.close()


def test_a_call_that_somebody_else_answers_is_not_lost(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.open_session()
    log.step(begun=[1, 2], note="batch-7")
    log = _dies(log)
    assert log.open_session() == 0
    assert log.known([1, 2, 3])[1].state == "elsewhere"
    log.step(ended=_answers(range(1, 3)))
    assert log.standing().under_way == 0
    log.close()


def test_an_answer_in_the_journal_is_written_by_the_next_run(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.step(begun=range(5))
    log.step(ended=_answers(range(5)))
    log = _dies(log)
    assert _parts(tmp_path, log).write(whole=True) == 1
    assert _written(tmp_path) == ["0", "1", "2", "3", "4"]
    assert log.standing().in_journal == 0
    log.close()


@pytest.mark.parametrize("point", ["half a file", "a whole file", "renamed"])
def test_a_part_that_no_transaction_knows_is_removed_and_written_anew(tmp_path: Path, point: str) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.step(ended=_answers(range(3)))
    parts = _parts(tmp_path, log)
    parts.write(whole=True)
    log.step(ended=_answers(range(3, 6)))
    number, rows = log.begin_part(10, 1000)
    assert (number, len(rows)) == (2, 3)
    name = "part-000002.jsonl" if point == "renamed" else "part-000002.jsonl.tmp"
    text = '{"key":"3"}\n{"ke' if point == "half a file" else '{"key":"3"}\n{"key":"4"}\n{"key":"5"}\n'
    (tmp_path / "answers" / name).write_text(text, "utf-8")
    log = _dies(log)
    assert _parts(tmp_path, log).write(whole=True) == 1
    assert _written(tmp_path) == ["0", "1", "2", "3", "4", "5"]
    assert sorted(log.parts()) == ["part-000001.jsonl", "part-000002.jsonl"]
    log.close()


def test_a_part_that_somebody_removed_is_said_and_not_forgotten(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.step(ended=_answers(range(3)))
    _parts(tmp_path, log).write(whole=True)
    (tmp_path / "answers" / "part-000001.jsonl").unlink()
    with pytest.raises(StorageError, match=r"lacks part-000001\.jsonl"):
        _parts(tmp_path, log)
    log.close()


def test_a_part_is_no_larger_than_its_bounds(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.step(ended=_answers(range(5)))
    each = len(encode(_answers(range(1))[0][0]))
    found = [log.begin_part(*bounds)[1] for bounds in ((10, 1), (10, 2 * each), (10, 2 * each + 1), (4, 10**6))]
    assert [[answer.key for _, answer in rows] for rows in found] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    log.close()


def test_the_room_that_is_kept_for_a_full_disk_is_given_up_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    assert (tmp_path / "out" / ".room").stat().st_size == 8 << 20
    assert (folder.give_room(), folder.give_room()) == (True, False)
    folder.close()
    RunFolder(tmp_path / "out").close()
    assert (tmp_path / "out" / ".room").stat().st_size == 8 << 20, "the next run has it again"


def test_a_step_is_all_or_nothing(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "run.sqlite")
    log.step(begun=[1, 2])
    log.step(ended=_answers(range(1, 2)))
    with pytest.raises(StorageError, match="UNIQUE"):
        log.step(begun=[7], ended=_answers(range(1, 3)), back=[2])
    assert log.standing().answered == 1
    assert log.standing().under_way == 1
    log.close()


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_sent(world: World) -> None:
    world.write(3)
    (world.folder / "file").write_text("in the way", "utf-8")
    world.out = world.folder / "file" / "out"
    with pytest.raises(StorageError, match=r"cannot be written: Not a directory\. Nothing was sent"):
        world.run()
    assert not world.emulator.requests


# Mounts are made in namespaces of the child's own: `unshare` gives them to every user, where the kernel lets it.
_UNSHARE = shutil.which("unshare")
_CHILD = """
import json, os, sys
from pathlib import Path
from chatport.testing import Emulator
from chatport_bulk import Job, Settings, StorageError, run
place = Path(sys.argv[1])
rows = place / "rows.jsonl"
emulator = Emulator("compatible")
job = Job("compatible:emulated-model", "say: {text}")
def go():
    settings = Settings(concurrency=16, first_concurrency=16)
    return run(rows, job, place / "out", config=emulator.config(), client={"transport": emulator}, settings=settings)
try:
    go()
    said = ""
except StorageError as error:
    said = str(error)
first = len(emulator.requests)
"""
_FULL = (
    _CHILD
    + """
(place / "filler").unlink()
report = go()
texts = [json.loads(line)["answer"] for p in (place / "out/answers").iterdir() for line in p.open()]
print(json.dumps({"said": said, "first": first, "asked": len(emulator.requests), "lost": report.standing.lost,
    "answered": report.standing.answered, "written": len(texts), "different": len(set(texts))}))
"""
)
_READ_ONLY = _CHILD + '\nprint(json.dumps({"said": said, "first": first}))\n'


def _in_namespace(mounting: str, program: str, place: Path) -> dict[str, object]:
    if _UNSHARE is None:
        pytest.skip("no unshare here")
    script = f"{mounting} && exec {sys.executable} - {place}"
    command = [_UNSHARE, "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=100, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mounts for this user: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_a_full_disk_loses_no_answer_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    rows = textwrap.dedent("""
        import json, sys
        with open(sys.argv[1], "w") as file:
            for n in range(3000):
                file.write(json.dumps({"text": f"{n} " + "long " * 400}) + chr(10))
    """)
    source = tmp_path.parent / f"{tmp_path.name}-rows.jsonl"
    subprocess.run([sys.executable, "-c", rows, str(source)], check=True)
    try:
        prepare = "; ".join(
            [
                f"mount -t tmpfs -o size=60m tmpfs {tmp_path}",
                f"ln -s {source} {tmp_path}/rows.jsonl",
                f"head -c 44000000 /dev/zero > {tmp_path}/filler",
            ]
        )
        found = _in_namespace(prepare, _FULL, tmp_path)
    finally:
        source.unlink()
    assert "cannot be written" in str(found["said"])
    assert "full" in str(found["said"]) or "No space" in str(found["said"])
    assert 0 < int(str(found["first"])) < 3000
    assert (found["answered"], found["written"], found["different"]) == (3000, 3000, 3000)
    assert (found["asked"], found["lost"]) == (3000, 0)  # not one call was made twice


def test_a_read_only_folder_is_a_clear_error_and_nothing_is_sent(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n', "utf-8")
    (tmp_path / "out").mkdir()
    prepare = f"mount --bind {tmp_path}/out {tmp_path}/out && mount -o remount,bind,ro {tmp_path}/out"
    found = _in_namespace(prepare, _READ_ONLY, tmp_path)
    assert "Read-only file system" in str(found["said"])
    assert "Nothing was sent" in str(found["said"])
    assert found["first"] == 0
