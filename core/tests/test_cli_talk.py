"""`chatport chat` as somebody sits there: at a real pseudo-terminal, before an emulated vendor."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatport
from chatport.testing import Emulator

from .cli_runs import KEY, Folder, Screen, opened, table

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals are as POSIX has them")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    yield from opened(tmp_path, monkeypatch, capsys)


def talk(*arguments: str) -> Screen:
    return Screen.of_chatport("chat", "-q", *arguments)


def said(folder: Folder) -> list[tuple[object, object]]:
    """Return who said what in the request that was sent last."""
    return [(message["role"], message.get("content")) for message in folder.sent()]


def test_a_conversation_goes_on_from_question_to_question(folder: Folder) -> None:
    with talk("--system", "Be brief.") as screen:
        screen.expect("/help")
        screen.ask("say: one", "one\r\n")
        screen.ask("say: two", "two\r\n")
        assert said(folder) == [
            ("system", "Be brief."), ("user", "say: one"), ("assistant", "one"), ("user", "say: two"),
        ]  # fmt: skip
        screen.ask("/undo", "Taken back: say: two")
        screen.ask("/retry", "one\r\n")
        assert said(folder) == [("system", "Be brief."), ("user", "say: one")]
        screen.ask("/system Be long.", "Be long.")
        screen.ask("/clear", "A new conversation.")
        screen.ask("//say: three", "Hello from")
        assert said(folder) == [("system", "Be long."), ("user", "/say: three")]
        screen.ask("/system -", "There is no instruction.")
        screen.ask("/fly", "There is no /fly.")
        screen.ask("/usage", "4 calls: ")
        screen.expect("> ")
        screen.type("\x04")  # Ctrl-D
        assert screen.left() == 0
    assert not folder.log.exists()  # nobody has asked for a log
    assert not list((folder.path / "home").rglob("*.txt"))  # nor for a history


def test_a_message_may_have_several_lines(folder: Folder) -> None:
    with talk() as screen:
        screen.ask('"""say: first', ". ")
        screen.type("in between\r")
        screen.expect(". ")
        screen.type('end """\r')
        screen.expect("first\r\n")
        assert said(folder)[-1] == ("user", "say: first\nin between\nend")
        screen.expect("> ")
        screen.type("say: second\\\r")
        screen.expect(". ")
        screen.type("line\r")
        screen.expect("second\r\n")
        assert said(folder)[-1] == ("user", "say: second\nline")
        screen.ask("/quit", "")
        assert screen.left() == 0


def test_ctrl_c_stops_the_answer_and_keeps_what_came(folder: Folder) -> None:
    folder.emulator.pace_seconds = 0.05
    with talk() as screen:
        screen.ask("say: " + "word " * 2000, "word word word")
        screen.type("\x03")
        screen.expect("Stopped. What had come is kept.")
        folder.emulator.pace_seconds = 0.0
        screen.ask("say: on", "on\r\n")
        role, kept = said(folder)[1]
        assert role == "assistant"
        assert str(kept).startswith("word word word")
        assert len(str(kept)) < 9000
        screen.expect("> ")
        screen.interrupt()  # where a line is typed, it leaves
        assert screen.left() == 0


def test_ctrl_c_before_anything_has_come_leaves_no_trace(folder: Folder) -> None:
    folder.emulator.pace_seconds = 4.0
    with talk() as screen:
        screen.expect("> ")
        screen.type("say: never\r")
        screen.expect("waiting for the first words")
        screen.type("\x03")
        screen.expect("Stopped, before anything had come.")
        folder.emulator.pace_seconds = 0.0
        screen.ask("say: but this", "but this\r\n")
        assert said(folder) == [("user", "say: but this")]


def test_an_error_ends_no_conversation_and_can_be_tried_again(folder: Folder) -> None:
    with talk() as screen:
        screen.ask("say: one", "one\r\n")
        screen.ask("error: 503", "OverloadedError")
        screen.ask("say: two", "two\r\n")
        assert said(folder) == [("user", "say: one"), ("assistant", "one"), ("user", "say: two")]
        screen.ask("error: 503", "OverloadedError")
        screen.ask("/retry", "OverloadedError")
        assert said(folder)[-1] == ("user", "error: 503")


def test_an_answer_that_is_asked_for_again_in_vain_stays(folder: Folder) -> None:
    with talk() as screen:
        screen.ask("say: one", "one\r\n")
        folder.emulator.vendor.api_key = "another-key-5678"
        screen.ask("/retry", "AuthenticationError")
        screen.expect("The answer that there was stays.")
        folder.emulator.vendor.api_key = KEY
        screen.ask("say: two", "two\r\n")
        assert said(folder) == [("user", "say: one"), ("assistant", "one"), ("user", "say: two")]


def test_the_vendor_changes_in_the_middle(folder: Folder) -> None:
    with Emulator("compatible", api_key=KEY) as other:
        folder.configure(f'{table("other", other)}[aliases]\nnext = ["other:emulated-model"]\n')
        with talk() as screen:
            screen.ask("say: one", "one\r\n")
            screen.ask("/model nobody:x", "No provider is called 'nobody'")
            screen.ask("/model next", "next (other:emulated-model)")
            screen.ask("say: two", "two\r\n")
            texts = [message["content"] for message in other.requests[-1].json()["messages"]]
            assert texts == ["say: one", "one", "say: two"]
            screen.expect("> ")
            screen.type("/model acme:acme-f\t\r")  # completed by Tab
            screen.expect("acme:acme-fast\r\n")
            screen.ask("say: three", "three\r\n")
            assert len(said(folder)) == 5


def test_what_was_said_is_saved_and_loaded(folder: Folder) -> None:
    (folder.path / "note.txt").write_text("remember the milk", "utf-8")
    with talk() as screen:
        screen.ask("/file note.txt", "1 attached")
        screen.ask("say: one", "one\r\n")
        screen.ask("/save kept.json", "2 messages are in kept.json")
        screen.ask("/save kept.json", "Write over it?")
        screen.type("n\r")
        screen.ask("/clear", "A new conversation.")
        screen.ask("/load named.toml", "This is no JSON")
        screen.ask("/load nowhere.json", "nowhere.json: No such file")
        screen.ask("/load kept.json", "2 messages; the last: one")
        screen.ask("say: two", "two\r\n")
    kept = folder.path / "kept.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [message.role for message in chatport.Run.from_json(kept.read_bytes()).messages] == ["user", "assistant"]
    assert "remember the milk" in str(said(folder)[0][1])
    assert [role for role, _ in said(folder)] == ["user", "assistant", "user"]


def test_a_log_keeps_the_conversation_and_the_lines(folder: Folder) -> None:
    folder.configure("[cli]\nlog = true\n")
    with talk() as screen:
        screen.ask("say: one", "one\r\n")
        screen.ask(f"say: two {KEY}", "two ")
        screen.ask("/undo", "Taken back")
        (kept,) = (json.loads(folder.run("logs", "--json").out.splitlines()[0]),)
        assert kept["messages"] == 2, kept  # what was taken back is not in the log, at once
        screen.ask("/quit", "")
        assert screen.left() == 0
    lines = folder.log.with_name("lines.txt")
    assert lines.read_text("utf-8") == "say: one\nsay: two ***\n/undo\n/quit\n"
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    with talk("--continue") as screen:
        screen.expect("2 messages so far")
        screen.expect("> ")
        screen.type("\x1b[A\x1b[A\x1b[A\r")  # three lines up in the history: `say: two`
        screen.expect("say: two ***\r\n")
        screen.expect("two ***\r\n")
        assert [text for _, text in said(folder)] == ["say: one", "one", "say: two ***"]
        screen.ask("/quit", "")
        screen.left()
    assert folder.run("logs", "--json").out.count("\n") == 1


def test_another_conversation_is_another_in_the_log(folder: Folder) -> None:
    folder.configure("[cli]\nlog = true\n")
    with talk() as screen:
        screen.ask("say: one", "one\r\n")
        screen.ask("say: two", "two\r\n")
        screen.ask("/clear", "A new conversation.")
        screen.ask("say: three", "three\r\n")
        screen.ask("/quit", "")
        assert screen.left() == 0
    kept = [json.loads(line) for line in folder.run("logs", "--json").out.splitlines()]
    assert [(one["beginning"], one["messages"]) for one in kept] == [("say: three", 2), ("say: one", 4)]
    third = json.loads(folder.run("logs", "show", kept[0]["id"], "--json").out)
    assert [message["role"] for message in third["messages"]] == ["user", "assistant"]


def test_a_tool_is_asked_about_at_the_terminal(folder: Folder) -> None:
    code = 'def weather(city: str) -> str:\n    """Tell it."""\n    return f"rain in {city}"\n'
    (folder.path / "sky.py").write_text(code, "utf-8")
    with talk("--tool", "sky:weather") as screen:
        question = 'call: weather {"city": "Paris"}'
        screen.ask(question, 'Run weather({"city": "Paris"})? [y]es, [n]o, [a]lways: ')
        screen.type("what\r")
        screen.expect("Answer y, n or a.")
        screen.expect("[a]lways: ")
        screen.type("n\r")
        screen.expect("The tool says: This call was not allowed")
        screen.ask(question, "[a]lways: ")
        screen.type("a\r")
        screen.expect("The tool says: rain in Paris")
        screen.ask(question, "The tool says: rain in Paris")  # without a question
        screen.ask("/clear", "A new conversation.")


def test_ctrl_c_in_the_question_about_a_tool_leaves_a_whole_conversation(folder: Folder) -> None:
    (folder.path / "sky.py").write_text('def weather() -> str:\n    """Tell it."""\n    return "rain"\n', "utf-8")
    with talk("--tool", "sky:weather") as screen:
        screen.ask("call: weather {}", "[a]lways: ")
        screen.interrupt("Stopped. What had come is kept.")
        screen.expect("Stopped. What had come is kept.")
        screen.ask("say: on", "on\r\n")
    roles = [role for role, _ in said(folder)]
    assert roles == ["user", "assistant", "tool", "user"]
    assert "stopped" in str(said(folder)[2][1])


def test_one_shot_options_want_a_message(folder: Folder) -> None:
    with talk("--json") as screen:
        assert screen.left() == 2
        assert "--json wants one" in screen.seen
