"""The resume file of a map: what was answered is there after any end, and is given again for the very same only."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import chatport
from chatport import MapResult
from chatport.errors import BadRequestError, ConfigurationError
from chatport.many import kept
from chatport.many.kept import KeptAnswers
from chatport.testing import Script

from .maps import BACKENDS, MODEL, Answers, ask, map_over
from .test_maps import City


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_was_answered_is_not_asked_again(backend: str, tmp_path: Path) -> None:
    path, model = tmp_path / "kept.jsonl", Answers()
    first = map_over(backend, model, range(10), resume=path, stop=lambda result: result.index == 5)
    before = len(model.asked)
    again = map_over(backend, model, range(10), resume=str(path)).whole()
    assert again.texts == [f"answer {n}" for n in range(10)]
    kept = [result.index for result in again.results if result.is_kept]
    assert set(first.indexes) <= set(kept)
    assert len(model.asked) == before + 10 - len(kept)
    assert (again.progress.done, again.progress.kept) == (10, len(kept))
    assert again.progress.spent.calls == 10 - len(kept)
    for one, other in zip(first.results, again.results, strict=False):
        assert one.reply is not None
        assert one.reply == other.reply
    third = map_over(backend, model, range(10), resume=path).whole()
    assert all(result.is_kept for result in third.results)
    assert str(third.progress) == "10 of 10 done (10 kept), 0 failed, 0 running"


def test_a_kept_answer_arrives_as_its_type(backend: str, tmp_path: Path) -> None:
    model = Answers(lambda number: '{"name": "Rome", "people": 3}')
    for asked in (2, 2):
        mapped = map_over(backend, model, range(2), output=City, resume=tmp_path / "kept").whole()
        assert [result.parsed() for result in mapped.results] == [City("Rome", 3)] * 2
        assert len(model.asked) == asked


def test_what_has_failed_is_asked_again(backend: str, tmp_path: Path) -> None:
    said: dict[int, Any] = {1: 400, 2: '{"name": 3}'}
    model = Answers(lambda number: said.pop(number, '{"name": "Rome", "people": 3}'))
    options: dict[str, Any] = {"output": City, "resume": tmp_path / "kept"}
    assert map_over(backend, model, range(4), **options).failed == [1, 2]
    model.asked.clear()
    assert map_over(backend, model, range(4), **options).failed == []
    assert sorted(model.asked) == [1, 2]


def test_an_item_that_has_changed_is_asked_again(backend: str, tmp_path: Path) -> None:
    model = Answers()
    map_over(backend, model, range(4), resume=tmp_path / "kept").whole()
    model.asked.clear()
    again = map_over(backend, model, [0, 1, 20, 3], resume=tmp_path / "kept").whole()
    assert model.asked == [20]
    assert again.texts == ["answer 0", "answer 1", "answer 20", "answer 3"]
    model.asked.clear()
    map_over(backend, model, [0, 1, 20, 3], resume=tmp_path / "kept").whole()  # of two lines the later one holds
    assert model.asked == []


def test_items_with_keys_may_change_their_places(backend: str, tmp_path: Path) -> None:
    model = Answers()
    map_over(backend, model, range(5), key=str, resume=tmp_path / "kept").whole()
    model.asked.clear()
    again = map_over(backend, model, [7, 4, 3, 2, 1, 0], key=str, resume=tmp_path / "kept").whole()
    assert again.texts == [f"answer {n}" for n in (7, 4, 3, 2, 1, 0)]
    assert model.asked == [7]


def test_two_items_with_one_key_do_not_share_an_answer(backend: str, tmp_path: Path) -> None:
    mapped = map_over(backend, Answers(), [1, 2, 3], key=lambda n: "same" if n < 3 else "c", resume=tmp_path / "kept")
    assert mapped.failed == [1]
    assert "Two items have the key 'same'" in str(mapped.results[1].error)


def test_other_options_are_refused_with_what_has_changed(backend: str, tmp_path: Path) -> None:
    path, model = tmp_path / "kept", Answers(lambda number: '{"name": "Rome", "people": 3}')
    map_over(backend, model, [1], resume=path, temperature=0.5, output=City).whole()
    kept = path.read_bytes()

    def look(city: str) -> str:
        return city

    changed: list[tuple[dict[str, Any], str]] = [
        ({"temperature": 1}, "temperature was 0.5, and is 1."),
        ({"temperature": None}, "temperature was 0.5, and is not given"),
        ({"output": list[int]}, "output has changed"),
        ({"output": None}, "output was …, and is not given"),
        ({"max_tokens": 7}, "max_tokens was not given, and is 7"),
        ({"model": "other:m"}, 'model was ["compatible:emulated-model"], and is ["other:m"]'),
        ({"tools": [look]}, "tools was not given, and is …"),
        ({"key": str}, "key was not given, and is true"),
        ({"extra": {"secret": "sk-1234567890abcdef"}}, "extra was not given, and is …"),
    ]
    for options, words in changed:
        given = {"temperature": 0.5, "output": City, **options}
        mapped = map_over(backend, model, [1], resume=path, **given)
        assert isinstance(mapped.raised, ConfigurationError)
        assert "has answers to something else" in str(mapped.raised)
        assert words in str(mapped.raised)
        assert "sk-1234567890abcdef" not in str(mapped.raised)
        assert path.read_bytes() == kept
    assert len(model.asked) == 1
    same: dict[str, Any] = {
        "timeout": 5,
        "retry_invalid": 2,
        "headers": {"x-a": "b"},
        "concurrency": 1,
        "ordered": False,
    }
    map_over(backend, model, [1], resume=path, temperature=0.5, output=City, **same).whole()
    assert len(model.asked) == 1


def test_an_alias_that_leads_elsewhere_now_has_changed(tmp_path: Path) -> None:
    emulator = Answers().emulator()
    options: dict[str, Any] = {"model": "main", "resume": tmp_path / "kept"}
    map_over("sync", emulator, [1], config={"aliases": {"main": MODEL}}, **options).whole()
    with_options = {"aliases": {"main": {"targets": [MODEL], "temperature": 1}}}
    assert "temperature was not given, and is 1" in str(
        map_over("sync", emulator, [1], config=with_options, **options).raised
    )
    mapped = map_over("sync", emulator, [1], config={"aliases": {"main": [MODEL, "compatible:b"]}}, **options)
    assert 'and is ["compatible:emulated-model", "compatible:b"]' in str(mapped.raised)


def test_a_file_has_no_key_and_no_prompt_and_is_its_owners(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    extra: dict[str, Any] = {
        "extra": {"token": "sk-extra-0123456789"},
        "headers": {"x-secret": chatport.Secret("sk-header-0123456789")},
    }
    map_over(backend, Answers(), range(3), lambda n: f"secretly, item {n}", resume=path, **extra).whole()
    text = path.read_text()
    for secret in ("emulated-key", "sk-extra", "sk-header", "secretly"):
        assert secret not in text
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_one_line_for_each_answer(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    map_over(backend, Answers(lambda n: 400 if n == 1 else "line\nbreak"), range(3), key=lambda n: f"k{n}", resume=path)
    head, *lines = lines_of(path)
    assert head == {"chatport": "map", "form": 1, "made_with": {"model": [MODEL], "key": True}}
    assert sorted((line["index"], line["key"]) for line in lines) == [(0, "k0"), (2, "k2")]
    reply = chatport.Reply.from_json(json.dumps(lines[0]["reply"]))
    assert reply.text == "line\nbreak"


# --- whoever else has it


def test_a_file_is_of_one_map_at_a_time(tmp_path: Path) -> None:
    emulator = Answers().emulator()
    with chatport.Client(emulator.config(), transport=emulator) as client:
        one = client.map([1, 2, 3], ask, model=MODEL, resume=tmp_path / "kept")
        with one:
            next(one)
            with pytest.raises(ConfigurationError, match="is in use by another map, of this process or of another"):
                list(client.map([1, 2, 3], ask, model=MODEL, resume=tmp_path / "kept"))
        assert len(list(client.map([1, 2, 3], ask, model=MODEL, resume=tmp_path / "kept"))) == 3


HOLD = """
import sys
from chatport.many.kept import KeptAnswers
from pathlib import Path
kept = KeptAnswers(Path(sys.argv[1]), {"model": ["compatible:emulated-model"]})
print("open", flush=True)
sys.stdin.read()
"""


def test_a_file_is_of_one_process_at_a_time_and_free_when_that_is_killed(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        assert "is in use by another map" in str(map_over(backend, Answers(), [1], resume=path).raised)
        other.kill()
        other.wait()
    assert map_over(backend, Answers(), [1], resume=path).whole().texts == ["answer 1"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,city\nA,Rome\n", "is not the resume file of a map, and was left as it is"),
        (b'{"chatport":"run","form":1,"made_with":{}}\n', "is not the resume file of a map"),
        (b'{"my":"notes"}', "is not the resume file of a map"),
        (b"\xff\xfe\x00", "is not the resume file of a map"),
        (b'{"chatport":"map","form":2,"made_with":{}}\n', "made by a newer Chatport, in form 2; update chatport-core"),
    ],
)
def test_what_is_no_such_file_is_left_as_it_is(backend: str, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    mapped = map_over(backend, Answers(), [1], resume=path)
    assert isinstance(mapped.raised, ConfigurationError)
    assert words in str(mapped.raised)
    assert path.read_bytes() == content


def test_a_place_where_no_file_can_be_is_said(backend: str, tmp_path: Path) -> None:
    places = [(tmp_path / "no" / "kept", "No such file"), (tmp_path, "Is a directory")]
    if Path("/dev/full").exists():
        places.append((Path("/dev/full"), "is no file"))
    for path, words in places:
        mapped = map_over(backend, Answers(), [1], resume=path)
        assert isinstance(mapped.raised, ConfigurationError)
        assert words in str(mapped.raised)


def test_a_line_that_is_broken_in_the_middle_is_named(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    map_over(backend, Answers(), range(3), resume=path).whole()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"index": 1, "as\n', *lines[2:]]))
    mapped = map_over(backend, Answers(), range(3), resume=path)
    assert "is broken in line 3, which is no answer. Remove that line." in str(mapped.raised)


def test_an_answer_of_a_newer_form_is_not_asked_again(backend: str, tmp_path: Path) -> None:
    path, model = tmp_path / "kept", Answers()
    map_over(backend, model, range(3), resume=path).whole()
    path.write_bytes(path.read_bytes().replace(b'"chatport":"reply","form":1', b'"chatport":"reply","form":99'))
    mapped = map_over(backend, model, range(3), resume=path)
    assert "has an answer to item 0 that cannot be read" in str(mapped.raised)
    assert len(model.asked) == 3


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Stands for a full disk."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_a_full_disk_is_said_before_anything_is_asked(backend: str, tmp_path: Path) -> None:
    model = Answers()
    with files_of_at_most(10):
        mapped = map_over(backend, model, [1], resume=tmp_path / "kept")
    assert isinstance(mapped.raised, ConfigurationError)
    assert "cannot be written: File too large" in str(mapped.raised)
    assert not model.asked


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_an_answer_that_cannot_be_kept_is_handed_over_and_ends_the_map(backend: str, tmp_path: Path) -> None:
    path, model = tmp_path / "kept", Answers(lambda number: "word " * 200)
    with files_of_at_most(4000):
        mapped = map_over(backend, model, range(100), resume=path, concurrency=2)
    assert isinstance(mapped.raised, ConfigurationError)
    assert "cannot be written: File too large" in str(mapped.raised)
    assert mapped.failed == []
    assert len(mapped.results) == len(model.asked) <= 6  # each that was paid for
    whole = len(lines_of(path)) - 1  # and no half of a line
    again = map_over(backend, model, range(8), resume=path).whole()
    assert again.progress.kept == whole


# --- ends of any kind


def test_a_file_that_was_cut_at_any_byte_goes_on(tmp_path: Path) -> None:
    """What was whole is found, nothing else is, and the next line stands by itself, whichever byte was the last."""
    path = tmp_path / "kept"
    map_over("sync", Answers(), range(3), resume=path, concurrency=1).whole()
    whole = path.read_bytes()
    asked = {line["index"]: line["asked"] for line in lines_of(path)[1:]}
    first = whole.index(b"\n") + 1  # a line is like any other: of those between every seventh byte will do
    for end in [*range(first + 3), *range(first + 3, len(whole) - 90, 7), *range(len(whole) - 90, len(whole) + 1)]:
        path.write_bytes(whole[:end])
        there = indexes_in(path)
        kept = KeptAnswers(path, {"model": [MODEL]})
        try:
            found = [kept.find(index, None, asked[index]) for index in asked]
            assert [reply and reply.text for reply in found] == [
                f"answer {index}" if index in there else None for index in asked
            ], end
            kept.keep(7, None, "seven", chatport.Reply("seven"))
        finally:
            kept._file.close()  # and no time is lost with seeing it on the disk
        assert {line["index"] for line in lines_of(path)[1:]} == {*there, 7}, end


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_maps_that_end_anyhow_come_to_their_end(backend: str, tmp_path: Path, data: st.DataObject) -> None:
    """Each time the file may lose its end; each answer that was whole is given again, and no other is."""
    path = tmp_path / "kept"
    path.unlink(missing_ok=True)
    count = data.draw(st.integers(0, 12), "items")
    bad = data.draw(st.sets(st.integers(0, 11)), "bad items")
    model = Answers(lambda number: 400 if number in bad else f"answer {number}")
    kept: set[int] = set()
    for _ in range(data.draw(st.integers(0, 3), "ends")):
        left = iter(range(data.draw(st.integers(0, 12), "left after")))

        def is_last(result: MapResult, left: Iterator[int] = left) -> bool:
            return next(left, None) is None

        options: dict[str, Any] = {"concurrency": data.draw(st.integers(1, 4)), "ordered": data.draw(st.booleans())}
        mapped = map_over(backend, model, range(count), resume=path, stop=is_last, **options).whole()
        assert {result.index for result in mapped.results if result.error is None} <= indexes_in(path)
        assert kept & set(mapped.indexes) == {result.index for result in mapped.results if result.is_kept}
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - min(data.draw(st.integers(0, 900), "bytes lost"), len(content))])
        kept = indexes_in(path)
    model.asked.clear()
    last = map_over(backend, model, range(count), resume=path).whole()
    assert last.indexes == list(range(count))
    assert last.failed == sorted(bad & set(range(count)))
    assert sorted(model.asked) == sorted(set(range(count)) - kept)
    assert indexes_in(path) == set(range(count)) - bad


def indexes_in(path: Path) -> set[int]:
    """The items whose answers are whole in a file."""
    found = set()
    for line in path.read_bytes().splitlines()[1:]:
        with contextlib.suppress(ValueError):
            found.add(json.loads(line)["index"])
    return found


KILLED = """
import sys, chatport
from pathlib import Path
from chatport.testing import Emulator
config = {"providers": {"compatible": {"kind": "compatible", "base_url": sys.argv[2], "api_key": "k"}}}
with chatport.Client(config) as client:
    for result in client.map(range(100000), lambda n: f"item {n}", model="compatible:m", resume=sys.argv[1]):
        print(result.index, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="a process is killed as POSIX does it")
def test_a_process_that_is_killed_loses_nothing_that_it_had_shown(tmp_path: Path) -> None:
    path, model = tmp_path / "kept", Answers(models=())
    with model.emulator() as emulator:
        command = [sys.executable, "-c", KILLED, str(path), emulator.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            seen = [int(other.stdout.readline()) for _ in range(30)]
            other.kill()
            other.wait()
        assert set(seen) <= indexes_in(path)
        model.asked.clear()
        again = map_over("sync", emulator, range(40), model="compatible:m", resume=path).whole()
        assert again.texts == [f"answer {n}" for n in range(40)]
        assert not set(model.asked) & set(seen)


def test_an_interrupt_keeps_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "kept"

    def interrupt(result: MapResult) -> bool:
        if result.index == 7:
            raise KeyboardInterrupt
        return False

    mapped = map_over("sync", Answers(), range(100), resume=path, stop=interrupt)
    assert isinstance(mapped.raised, KeyboardInterrupt)
    assert set(range(8)) <= indexes_in(path)
    assert map_over("sync", Answers(), range(100), resume=path).whole().progress.kept >= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    emulator = Answers().emulator()
    with chatport.Client(emulator.config(), transport=emulator) as client:
        results = client.map(range(5), ask, model=MODEL, resume=tmp_path / "kept", concurrency=1, window=1)
        with results:
            next(results)
            child = multiprocessing.get_context("fork").Process(target=lambda: None)
            child.start()
            child.join()
            assert child.exitcode == 0
            assert len(list(results)) == 4
    assert indexes_in(tmp_path / "kept") == set(range(5))


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_is_asked_asynchronously_is_kept_too(loop: str, tmp_path: Path) -> None:
    async def shape(number: int) -> str:
        await anyio.lowlevel.checkpoint()
        return ask(number)

    model = Answers()
    for _ in range(2):
        mapped = map_over(loop, model, range(20), shape, resume=tmp_path / "kept", concurrency=3).whole()
        assert mapped.texts == [f"answer {n}" for n in range(20)]
    assert len(model.asked) == 20


def test_what_no_json_can_hold_is_an_error_of_its_item(tmp_path: Path) -> None:
    def shape(number: int) -> Any:
        odd = {"odd": {1, 2}} if number == 1 else {}
        return [{"role": "user", "content": ask(number), **odd}]

    mapped = map_over("sync", Answers(), range(3), shape, resume=tmp_path / "kept")
    assert mapped.failed == [1]
    assert isinstance(mapped.results[1].error, BadRequestError)


def test_pictures_are_part_of_what_is_asked(tmp_path: Path) -> None:
    model = Answers(lambda number: Script("a cat"))

    def shape(row: tuple[int, bytes]) -> Any:
        return [chatport.Message.user(ask(row[0]), chatport.ImagePart.from_bytes(row[1]))]

    def rows(last: bytes) -> Iterator[tuple[int, bytes]]:
        yield 0, b"\x89PNG\r\n\x1a\n1"
        yield 1, b"\x89PNG\r\n\x1a\n" + last

    map_over("sync", model, rows(b"2"), shape, resume=tmp_path / "kept").whole()
    map_over("sync", model, rows(b"3"), shape, resume=tmp_path / "kept").whole()
    assert sorted(model.asked) == [0, 1, 1]


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (errno.EAGAIN, "is in use by another map, of this process or of another."),
        (errno.EACCES, "is in use by another map, of this process or of another."),
        (errno.ENOLCK, "cannot be locked: No locks available."),
    ],
)
def test_a_file_that_cannot_be_locked_says_why_and_is_closed(
    problem: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a network there may be no locks at all."""
    opened: list[int] = []

    def lock(fileno: int) -> None:
        opened.append(fileno)
        raise OSError(problem, os.strerror(problem))

    path = tmp_path / "kept"
    monkeypatch.setattr(kept, "lock_file", lock)
    with pytest.raises(ConfigurationError) as caught:
        KeptAnswers(path, {})
    assert caught.value.message == f"resume: {path} {words}"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_what_was_kept_is_synced_now_and_then_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each answer, nor in the way of it; and an answer that comes when the map was left is nobody's."""
    synced: list[tuple[int, bool]] = []
    sync, now = os.fsync, [0.0]
    begun = threading.Event()

    def fsync(fileno: int) -> None:
        synced.append((os.fstat(fileno).st_size, threading.current_thread() is threading.main_thread()))
        sync(fileno)
        begun.set()

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    answers = KeptAnswers(tmp_path / "kept", {})
    monkeypatch.setattr(os, "fsync", fsync)
    reply = chatport.Reply("text")
    for number, second in enumerate((0.5, 0.999, 1.0, 1.5)):
        now[0] = second
        answers.keep(number, None, "asked", reply)
        if second >= 1.0:
            assert begun.wait(5)
    assert len(synced) == 1
    assert not synced[0][1], "in a thread of its own"
    answers.close()
    size = (tmp_path / "kept").stat().st_size
    assert synced[1:] == [(size, True)]
    answers.keep(4, None, "asked", reply)
    answers.close()
    assert (tmp_path / "kept").stat().st_size == size
    assert indexes_in(tmp_path / "kept") == {0, 1, 2, 3}


def test_where_no_thread_can_sync_it_is_synced_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(kept, "_SYNC_SECONDS", 0)
    monkeypatch.setattr(threading.Thread, "start", start)
    answers = KeptAnswers(tmp_path / "kept", {})
    answers.keep(0, None, "asked", chatport.Reply("text"))
    answers.close()
    assert indexes_in(tmp_path / "kept") == {0}


def test_an_option_that_no_json_can_hold_is_said_before_anything_is_asked(backend: str, tmp_path: Path) -> None:
    model = Answers()
    with pytest.raises(BadRequestError, match=r"^resume: an option cannot be written as JSON: "):
        map_over(backend, model, range(3), resume=tmp_path / "kept", extra={"odd": {1, 2}})
    assert not model.asked
    assert not (tmp_path / "kept").exists()
