"""Which request of a tape gets which answer, what a miss says, and what the file is."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import chatport
from chatport.engine.commands import Head
from chatport.testing import Emulator, Tape, TapeMissError, TapeUnusedError
from chatport.testing.tapes.exchanges import Asked, Exchange, Step
from chatport.testing.tapes.files import append_exchanges, read_exchanges

from .tapes import MODEL, Nobody, leave_after_first_text, outcome_of, record, ways, wire

# --- which request gets which answer


@ways
def test_a_miss_says_what_differs_and_is_not_tried_again(way: str, tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "a question about Oslo", "say: Paris")
    tape = Tape(tmp_path / "a.jsonl", transport=Nobody())
    with pytest.raises(TapeMissError) as caught:
        outcome_of(way, tape, messages="a question about Rome", retry={"attempts": 3})
    words = str(caught.value)
    assert "The nearest there is number 1" in words
    assert 'messages[0].content: "a question about Rome", and "a question about Oslo" on the tape' in words
    assert "Nothing was sent" in words
    outcome_of(way, tape, messages="say: Paris")
    with pytest.raises(TapeMissError, match="asked once more") as caught:
        outcome_of(way, tape, messages="say: Paris")
    assert "on the tape 1 times" in str(caught.value)


def test_a_miss_that_somebody_swallows_is_raised_at_the_end(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a")
    tape = Tape(tmp_path / "a.jsonl")
    with contextlib.suppress(Exception):
        outcome_of("sync", tape, messages="say: b")
    with pytest.raises(TapeMissError, match="say: b"):
        tape.close()
    tape.close()  # once is enough


def test_a_test_that_fails_by_itself_fails_by_that(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a")
    with pytest.raises(ZeroDivisionError), Tape(tmp_path / "a.jsonl", must_use_all=True):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.5}, "temperature: 0.5, and not on the tape"),
        ({"stop": ["x", "y"]}, "stop: 2 items, and 1 on the tape"),
        ({"max_tokens": 7}, "max_tokens: 7, and 5 on the tape"),
        ({"seed": None}, "seed: not asked, and 1 on the tape"),
    ],
)
def test_differences_are_named_by_their_place(change: Any, words: str, tmp_path: Path) -> None:
    base: dict[str, Any] = {"stop": ["x"], "max_tokens": 5, "seed": 1}
    config = Emulator("compatible").config()
    with Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible")) as tape:
        chatport.Client(config, transport=tape).chat("hi", model=MODEL, **base)
    tape = Tape(tmp_path / "a.jsonl")
    wanted = {name: value for name, value in {**base, **change}.items() if value is not None}
    with pytest.raises(TapeMissError) as caught:
        chatport.Client(config, transport=tape).chat("hi", model=MODEL, **wanted)
    assert words in str(caught.value)


def test_a_long_text_is_shown_where_it_differs(tmp_path: Path) -> None:
    long = "word " * 1000
    record(tmp_path / "a.jsonl", f"{long} Oslo {long}")
    with pytest.raises(TapeMissError) as caught:
        outcome_of("sync", Tape(tmp_path / "a.jsonl"), messages=f"{long} Rome {long}")
    assert "Rome" in str(caught.value)
    assert "Oslo" in str(caught.value)
    assert len(str(caught.value)) < 700


def test_bodies_are_compared_as_values(tmp_path: Path) -> None:
    emulator = Emulator("compatible", needs_key=False)
    written = b'{"model": "emulated-model", "messages": [{"role": "user", "content": "\\u00e9"}]}'
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = wire("sync", tape, written)
    turned = '{"messages":[{"content":"é","role":"user"}],  "model":"emulated-model"}'.encode()
    assert wire("sync", Tape(tmp_path / "a.jsonl"), turned) == recorded


def test_bodies_that_are_no_json_are_compared_as_they_are(tmp_path: Path) -> None:
    emulator = Emulator("compatible", needs_key=False)
    bodies = [b"", b"not JSON", b"\xff\x00", b"\xff\x01"]
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = [wire("sync", tape, body) for body in bodies]
    tape = Tape(tmp_path / "a.jsonl")
    assert [wire("sync", tape, body) for body in reversed(bodies)] == recorded[::-1]
    with pytest.raises(TapeMissError, match="body"):
        wire("sync", tape, b"\xff\x02")


def test_the_same_request_gets_one_answer_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible", answers=["one", "two"])) as tape:
        recorded = [outcome_of("sync", tape).seen for _ in range(2)]
    assert recorded == [("one",), ("two",)]
    tape = Tape(path)
    assert [outcome_of("sync", tape).seen for _ in range(2)] == recorded
    with pytest.raises(TapeMissError):
        outcome_of("sync", tape)
    with Tape(path, repeat=True) as tape:
        assert [outcome_of("sync", tape).seen[0] for _ in range(3)] == ["one", "two", "one"]


def test_fields_can_be_left_out_of_the_comparison(tmp_path: Path) -> None:
    def ask(tape: Tape, **extra: Any) -> str:
        client = chatport.Client(Emulator("compatible").config(), transport=tape)
        return client.chat("say: hi", model=MODEL, extra=extra).text

    ignore = ["user", "metadata.run"]
    with Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible")) as tape:
        ask(tape, user="a", metadata={"run": 1, "kind": "x"})
    with Tape(tmp_path / "a.jsonl", ignore=ignore) as tape:
        assert ask(tape, user="b", metadata={"run": 2, "kind": "x"}) == "hi"
    with pytest.raises(TapeMissError, match=r"metadata\.kind"), Tape(tmp_path / "a.jsonl", ignore=ignore) as tape:
        ask(tape, user="b", metadata={"run": 2, "kind": "y"})


def test_what_nobody_asks_for_is_an_error_on_request(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a", "say: b")
    with Tape(tmp_path / "a.jsonl") as tape:
        outcome_of("sync", tape, messages="say: b")
        assert tape.unused == ["1: POST http://localhost/v1/chat/completions"]
    with pytest.raises(TapeUnusedError, match="2: POST"), Tape(tmp_path / "a.jsonl", must_use_all=True) as tape:
        outcome_of("sync", tape, messages="say: a")


# --- the file


def test_a_file_is_made_to_be_read_and_compared(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: é \U0001f600")
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0]) == {"chatport": "tape", "form": 1}
    assert json.loads(lines[1])["request"] == "POST http://localhost/v1/chat/completions"
    assert json.loads(lines[2])["response"] == 200
    assert all(json.loads(line)["text"].startswith("data: ") for line in lines[3:-1])
    assert json.loads(lines[-1]) == {"end": "whole"}
    assert "é" in lines[1]
    record(tmp_path / "b.jsonl", "say: é \U0001f600")
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 3: it is no JSON"),
        ("[]", "line 3: it is no object"),
        ('{"response": "200"}', 'has no "response" that can be read'),
        ('{"response": 200, "headers": {"a": 1}}', 'has "headers" that are no texts'),
        ('{"base64": "?"}', "is no base64"),
        ('{"end": "so"}', "is nothing that a tape has"),
        ('{"failure": "x", "stage": "soon", "kind": ""}', "has the stage 'soon', which there is not"),
        ('{"text": "x", "after_seconds": -1}', 'has "after_seconds" that are no seconds'),
    ],
)
def test_a_broken_file_is_refused_with_the_line(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"chatport": "tape", "form": 1}}\n{{"request": "GET http://localhost/"}}\n{line}\n', "utf-8")
    with pytest.raises(chatport.ConfigurationError) as caught:
        Tape(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: it is no JSON"),
        ('{"chatport": "reply", "form": 1}', "is not what a tape begins with"),
        ('{"chatport": "tape", "form": 2}', "update chatport-core"),
        ('{"chatport": "tape", "form": 1}\n{"text": "x"}', "belongs to no request"),
        ('{"chatport": "tape", "form": 1}\n{"request": "GET /"}\n{"text": "x"}\n{"response": 200}', "second response"),
    ],
)
def test_a_file_that_is_no_tape_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text, "utf-8")
    with pytest.raises(chatport.ConfigurationError, match=words):
        Tape(tmp_path / "a.jsonl")


def test_a_recording_that_was_killed_is_played_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(path, "say: alpha beta")
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[:6]), "utf-8")
    leave_after_first_text("sync", Tape(path))


texts = st.text(max_size=20)
headers = st.dictionaries(st.text("abc-", min_size=1, max_size=5), texts, max_size=2)
seconds = st.none() | st.floats(0, 1000).map(lambda value: round(value, 3))
pieces = st.builds(Step, st.just("piece"), st.binary(min_size=1, max_size=20) | texts.map(str.encode).filter(len),
                   after_seconds=seconds)  # fmt: skip
ends = st.one_of(
    st.builds(Step, st.sampled_from(["whole", "left"]), after_seconds=seconds),
    st.builds(Step, st.just("timeout"), stage=st.sampled_from(["connect", "io"]), after_seconds=seconds),
    st.builds(Step, st.just("failure"), words=texts, stage=st.sampled_from(["connect", "send", "head", "body"]),
              failure=texts, after_seconds=seconds),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
asked = st.one_of(
    st.builds(Asked, st.just("POST"), st.just("https://x.example/?a=b"), st.just("json"), json_values, headers),
    st.builds(Asked, st.just("POST"), st.just("https://x.example/"), st.just("text"), texts, headers),
    st.builds(Asked, st.just("PUT"), st.just("https://x.example/"), st.just("base64"), st.binary(max_size=9), headers),
    st.builds(Asked, st.just("GET"), st.just("https://x.example/"), headers=headers),
)
exchanges = st.builds(
    lambda asked, head, steps, end, after: Exchange(asked, head, (*steps, end), head and after),
    asked, st.none() | st.builds(Head, st.integers(100, 599), headers), st.lists(pieces, max_size=4), ends, seconds,
)  # fmt: skip


@given(st.lists(exchanges, max_size=4))
def test_what_is_written_is_read_again(wanted: list[Exchange]) -> None:
    """Whatever bytes, texts and times there are: nothing is lost by the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        append_exchanges(path, wanted[:2], is_new=True)
        append_exchanges(path, wanted[2:], is_new=False)
        assert read_exchanges(path) == wanted
