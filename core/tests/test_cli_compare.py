"""`chatport compare`: what is shown of each answer, to the letter, and what each of its options does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.cli.compare_page import figures, page_of
from chatport.cli.comparing import Compared, compare
from chatport.testing import Emulator, Script, VendorEmulator, faults
from chatport.types import Adjustment, Cost, Message, Reply, ToolCall, Usage

from .cli_runs import Folder, Typed, opened, table

FAST, LARGE = "acme:acme-fast", "acme:acme-large"
PRICES = "".join(
    f'[models."{model}"]\nprices = [{{ match = "*", input = 1.0, output = 2.0, currency = "CNY" }}]\n'
    for model in (FAST, LARGE)
)


class Thoughtful(VendorEmulator):
    """A model that shows two pieces of thoughts, says two words, and calls."""

    models = ("acme-fast", "acme-large")

    def script(self, body: Mapping[str, Any]) -> Script:
        return Script("Grüße dir", calls=(("look", '{"a": 1}'),), finish="tool_calls")

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield from ({"reasoning_content": piece} for piece in ("h", "m"))
        yield from super().deltas(body, script)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    monkeypatch.setenv("COLUMNS", "100")
    yield from opened(tmp_path, monkeypatch, capsys)


def timeless(text: str) -> str:
    """Return a text with the same sign for each measure of time."""
    return re.sub(r"\d+\.\d\d s|(\?|\d+) tokens/s", "N", text)


def objects(folder: Folder, *arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
    done = folder.run("compare", "--json", *arguments, stdin=stdin)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


# --- figures


def shown(**more: Any) -> dict[str, str]:
    fields: dict[str, Any] = {"first_seconds": 0.5, "pieces": 3, **more}
    reply = fields.pop("reply", Reply("hi", provider="p", model="m", finish_reason="stop"))
    return dict(figures(Compared("p:m", reply, 2.126, **fields)))


def test_figures_of_which_nothing_is_known_say_so() -> None:
    assert shown() == {
        "first token": "0.50 s", "in all": "2.13 s", "speed": "?", "tokens": "unknown", "cost": "unknown",
    }  # fmt: skip
    assert shown(first_seconds=None)["first token"] == "?"


def test_figures_that_are_known_have_their_units_and_their_order() -> None:
    usage = Usage(10, 100, cached_input_tokens=4)
    reply = Reply("hi", provider="q", model="n", usage=usage, cost=Cost(0.5), finish_reason="length")
    assert figures(Compared("p:m", reply, 2.5, 0.5, 3)) == [
        ("answered", "q:n"), ("first token", "0.50 s"), ("in all", "2.50 s"), ("speed", "50 tokens/s"),
        ("tokens", "10 in (4 cached), 100 out"), ("cost", "$0.500000"), ("finish", "length"),
    ]  # fmt: skip


def test_tokens_of_which_only_one_count_is_known_are_unknown() -> None:
    assert shown(reply=Reply("hi", usage=Usage(None, 100)))["tokens"] == "unknown"


def test_of_a_call_that_failed_before_anything_came_only_its_time_is_shown() -> None:
    error = chatport.ServerError("down")
    assert shown(error=error, first_seconds=None, pieces=0) == {"failed after": "2.13 s"}
    assert shown(error=error)["in all"] == "2.13 s"  # what had come is counted


def test_speed_wants_two_pieces_and_time_between_them() -> None:
    usage = Usage(10, 100, reasoning_tokens=130)

    def speed(seconds: float, first: float | None, pieces: int, usage: Usage, **reply: Any) -> float | None:
        return Compared("m", Reply(usage=usage, **reply), seconds, first, pieces).tokens_per_second

    assert speed(3.0, 1.0, 2, Usage(10, 100)) == 50.0
    assert speed(3.0, 1.0, 1, Usage(10, 100)) is None
    assert speed(1.0, 1.0, 2, Usage(10, 100)) is None
    assert speed(3.0, 1.0, 2, Usage(10, None)) is None
    assert speed(3.0, 1.0, 2, usage) == 0.0  # a vendor's counts need not fit
    assert speed(3.0, 1.0, 2, usage, reasoning="hm") == 50.0


def test_who_answered_is_who_was_asked_where_nobody_did() -> None:
    assert Compared("fast", Reply(), 1.0).target == "fast"
    assert Compared("fast", Reply(provider="p", model="m"), 1.0).target == "p:m"


# --- asking


def test_each_piece_of_content_is_counted_and_nothing_else(folder: Folder) -> None:
    folder.emulator.vendor = Thoughtful()
    asked = [Message.user("hi")]
    (row,) = compare([FAST], asked, Path("named.toml"), {})
    kinds = (chatport.TextDelta, chatport.ReasoningDelta, chatport.ToolCallDelta)
    with chatport.Client(Path("named.toml")) as client, client.stream(asked, model=FAST) as stream:
        events = list(stream)
    assert row.pieces == sum(isinstance(event, kinds) for event in events) > 4
    assert {kind for event in events for kind in kinds if isinstance(event, kind)} == set(kinds)
    assert row.error is None
    assert (row.reply.text, row.reply.reasoning, row.reply.tool_calls[0].name) == ("Grüße dir", "hm", "look")


def test_a_refusal_is_content(folder: Folder) -> None:
    (row,) = compare([FAST], [Message.user("refuse: No.")], Path("named.toml"), {})
    assert row.pieces > 0
    assert row.first_seconds is not None
    assert row.reply.refusal == "No."


def test_an_answer_that_never_began_has_no_first_piece(folder: Folder) -> None:
    (row,) = compare([FAST], [Message.user("error: 503")], Path("named.toml"), {})
    assert isinstance(row.error, chatport.OverloadedError)
    assert (row.first_seconds, row.pieces, row.reply.text, row.target) == (None, 0, "", FAST)
    assert row.seconds > 0


@pytest.mark.parametrize("model", ["nobody:x", "no-alias"])
def test_a_model_that_can_be_asked_by_nobody_ends_it_before_anything_is_sent(folder: Folder, model: str) -> None:
    with pytest.raises((chatport.ConfigurationError, chatport.PluginError)):
        compare([FAST, model], [Message.user("hi")], Path("named.toml"), {})
    assert not folder.emulator.requests


def test_options_are_sent_to_each(folder: Folder) -> None:
    arguments = ("-s", "Be brief.", "--max-tokens", "40", "--temperature", "0.3", "--reasoning", "high")
    rows = objects(folder, "-m", FAST, "--model", LARGE, *arguments, "say: yes")
    assert [(row["model"], row["target"], row["text"]) for row in rows] == [(FAST, FAST, "yes"), (LARGE, LARGE, "yes")]
    bodies = [request.json() for request in folder.emulator.requests]
    assert {body["model"] for body in bodies} == {"acme-fast", "acme-large"}
    for body in bodies:
        assert [(message["role"], message["content"]) for message in body["messages"]] == [
            ("system", "Be brief."), ("user", "say: yes"),
        ]  # fmt: skip
        assert (body["max_tokens"], body["temperature"], body["reasoning_effort"]) == (40, 0.3, "high")


def test_without_an_option_nothing_of_it_is_sent(folder: Folder) -> None:
    objects(folder, "-m", FAST, "say: yes")
    body = folder.emulator.requests[-1].json()
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert not {"max_tokens", "temperature", "reasoning_effort"} & set(body)


def test_no_call_takes_longer_than_was_said(folder: Folder) -> None:
    folder.emulator.pace_seconds = 30.0
    done = folder.run("compare", "-m", FAST, "--timeout", "0.05", "say: never")
    assert done.code == 4
    assert "DeadlineError" in done.err


@pytest.mark.parametrize("arguments", [(), ("-",), ("",)])
def test_a_message_may_come_on_stdin(folder: Folder, arguments: tuple[str, ...]) -> None:
    (row,) = objects(folder, "-m", FAST, *arguments, stdin="\n say: piped \n")
    assert row["text"] == "piped"
    assert folder.sent() == [{"role": "user", "content": "say: piped"}]


def test_with_a_message_nothing_is_read(folder: Folder) -> None:
    (row,) = objects(folder, "-m", FAST, "say: given", stdin="say: piped")
    assert (row["text"], folder.sent()[0]["content"]) == ("given", "say: given")


@pytest.mark.parametrize("stdin", [None, " \n", Typed("say: typed\n")], ids=["closed", "empty", "terminal"])
def test_without_a_message_it_is_said_how_to_write_one(folder: Folder, stdin: str | Typed | None) -> None:
    done = folder.run("compare", "-m", FAST, stdin=stdin)
    assert (done.code, done.out) == (2, "")
    assert 'No message. Write one: chatport compare -m A -m B "hello", or pipe it in.' in done.err
    assert not folder.emulator.requests


def test_thirty_two_models_are_not_too_many(folder: Folder) -> None:
    models = [word for _ in range(32) for word in ("-m", FAST)]
    assert len(objects(folder, *models, "say: yes")) == 32
    done = folder.run("compare", *models, "-m", FAST, "say: yes")
    assert (done.code, "At most 32 models are asked at once." in done.err) == (2, True)
    assert len(folder.emulator.requests) == 32


# --- what is written


def test_answers_are_shown_with_their_figures(folder: Folder) -> None:
    folder.configure(PRICES)
    folder.emulator.vendor = Thoughtful()
    done = folder.run("compare", "-m", FAST, "-m", LARGE, "hi")
    assert (done.code, done.err) == (0, "")
    rows = [line.partition("│") for line in timeless(done.out).splitlines()]
    left, right = [row[0].rstrip() for row in rows], [row[2].strip() for row in rows]
    assert (left[0], right[0]) == (FAST, LARGE)
    assert left[1:] == right[1:]
    assert left[1:4] == ["first token: N", "in all: N", "speed: N"]
    assert re.fullmatch(r"tokens: \d+ in, \d+ out", left[4])
    assert re.fullmatch(r"cost: ¥0\.\d{6}", left[5])
    assert left[6:] == ["finish: tool_calls", "", "Grüße dir", '→ look({"a": 1})']


def test_a_refusal_stands_in_the_place_of_an_answer(folder: Folder) -> None:
    done = folder.run("compare", "-m", FAST, "refuse: I will not.")
    assert done.code == 0
    assert done.out.endswith("\n\nI will not.\n")


def test_how_one_failed_stands_below_its_time(folder: Folder) -> None:
    done = folder.run("compare", "-m", FAST, "-m", "acme:none", "say: yes")
    cells = [line.partition(" │ ")[2] for line in timeless(done.out).splitlines()]
    assert (done.code, cells[:3]) == (0, ["acme:none", "failed after: N", ""])
    assert cells[3].startswith("ModelNotFoundError: ")
    assert not done.err


def test_warnings_are_told_with_the_model_that_they_are_of(folder: Folder) -> None:
    folder.configure('[models."acme:acme-fast"]\nreasoning = false\n')
    done = folder.run("compare", "-m", FAST, "-m", LARGE, "--reasoning", "high", "say: yes")
    assert done.err == f"  {FAST}: dropped reasoning: this model does not reason\n"


def test_on_a_narrow_terminal_they_stand_one_below_the_other(folder: Folder) -> None:
    for columns in ("50", "1"):
        folder.patch.setenv("COLUMNS", columns)
        done = folder.run("compare", "-m", FAST, "-m", LARGE, f"say: {'x' * 45}")
        assert " │ " not in done.out
        assert done.out.endswith(f"\n{'x' * 45}\n\n" if columns == "50" else f"\n{'x' * 40}\nxxxxx\n\n")
    folder.patch.setenv("COLUMNS", "51")
    assert " │ " in folder.run("compare", "-m", FAST, "-m", LARGE, "say: yes").out


def test_a_program_is_given_all_of_an_answer(folder: Folder) -> None:
    folder.configure(PRICES)
    folder.emulator.vendor = Thoughtful()
    (row,) = objects(folder, "-m", FAST, "hi")
    measured = [row.pop(name) for name in ("first_seconds", "seconds", "tokens_per_second")]
    assert all(isinstance(value, float) for value in measured)
    usage, cost = row.pop("usage"), row.pop("cost")
    assert set(usage) == {
        "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens",
    }  # fmt: skip
    amount = (usage["input_tokens"] + usage["output_tokens"] * 2) / 1_000_000
    assert cost == {"amount": pytest.approx(amount), "currency": "CNY"}
    assert row == {
        "model": FAST, "target": FAST, "text": "Grüße dir", "reasoning": "hm", "refusal": None,
        "tool_calls": [{"name": "look", "arguments": '{"a": 1}'}], "finish_reason": "tool_calls", "warnings": [],
        "error": None,
    }  # fmt: skip


def test_a_program_is_given_what_went_wrong(folder: Folder) -> None:
    folder.configure('[models."acme:acme-fast"]\nreasoning = false\n')
    good, bad = objects(folder, "-m", FAST, "-m", "acme:none", "--reasoning", "low", "refuse: No.")
    assert (good["text"], good["refusal"], good["cost"]) == ("", "No.", None)
    assert good["warnings"] == ["dropped reasoning: this model does not reason"]
    assert bad["error"]["error"] == "ModelNotFoundError"
    assert "none" in bad["error"]["message"]
    assert (bad["first_seconds"], bad["tokens_per_second"], bad["reasoning"], bad["target"]) == (
        None, None, None, "acme:none",
    )  # fmt: skip


def test_where_nobody_answers_it_is_all_shown_and_the_first_error_is_told(folder: Folder) -> None:
    with Emulator("compatible", api_key="emulated-key-1234", faults=[faults.status(503)]) as other:
        folder.configure(table("other", other))
        arguments = ("-m", "acme:none", "-m", "other:emulated-model", "say: yes")
        done = folder.run("compare", "--json", *arguments)
        errors = [json.loads(line)["error"]["error"] for line in done.out.splitlines()]
        assert (done.code, errors) == (2, ["ModelNotFoundError", "OverloadedError"])
        assert done.err.startswith("ModelNotFoundError: ")
        assert "OverloadedError" not in done.err


# --- the page


def test_a_page_is_written_beside_what_is_shown(folder: Folder) -> None:
    done = folder.run("compare", "-m", FAST, "--html", "page.html", "say: Grüße & more")
    assert (done.code, "Grüße & more" in done.out, done.err) == (0, True, "")
    page = (folder.path / "page.html").read_text("utf-8")
    assert '<p class="text asked">say: Grüße &amp; more</p>' in page
    assert '<p class="text">Grüße &amp; more</p>' in page
    (row,) = objects(folder, "-m", FAST, "--html", "other.html", "say: yes")
    assert row["text"] == "yes"
    assert "<h1>1 models, one message</h1>" in (folder.path / "other.html").read_text("utf-8")


def test_a_page_that_could_not_be_written_is_no_page_to_wait_for(folder: Folder) -> None:
    done = folder.run("compare", "-m", FAST, "--html", "nowhere/page.html", "say: yes")
    assert (done.code, "There is no folder for nowhere/page.html." in done.err) == (2, True)
    assert not folder.emulator.requests
    name = f"{'x' * 300}.html"
    done = folder.run("compare", "-m", FAST, "--html", name, "say: yes")
    assert (done.code, done.out, done.err) == (1, "", f"Error: Cannot write {name}: File name too long.\n")


def test_everything_of_an_answer_is_on_the_page() -> None:
    reply = Reply(
        "yes <b>", "thought", (ToolCall("1", "look", '{"a": 1}'), ToolCall("2", "see", "{}")), "tool_calls",
        usage=Usage(10, 100), cost=Cost(0.5), refusal="No & no", provider="p", model="m",
        warnings=(Adjustment("dropped", "seed", "unknown"),),
    )  # fmt: skip
    bare = Reply(provider="p", model="n", finish_reason="stop")
    rows = [
        Compared("p:m", reply, 2.5, 0.5, 3, chatport.ServerError("down")),
        Compared("p:n", bare, 1.0, 0.25, 1),
        Compared("q:o", Reply(), 0.125, error=chatport.ServerError("gone")),
    ]
    page = page_of("asked\n<twice>", rows)
    assert page.startswith('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n')
    assert page.endswith("</article></div>\n</body></html>\n")
    assert "<title>3 models, one message</title>" in page
    assert "<h1>3 models, one message</h1>" in page
    assert '\n<p class="text asked">asked\n&lt;twice&gt;</p>\n' in page
    head = "".join(
        f"<th>{name}</th>"
        for name in ("model", "first token", "in all", "speed", "tokens", "cost", "finish", "failed after")
    )
    cells = (
        ("p:m", "0.50 s", "2.50 s", "50 tokens/s", "10 in, 100 out", "$0.500000", "tool_calls", ""),
        ("p:n", "0.25 s", "1.00 s", "?", "unknown", "unknown", "", ""),
        ("q:o", "", "", "", "", "", "", "0.12 s"),
    )
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    assert f'\n<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>\n' in page
    assert (
        '<article><h2>p:m</h2><details class="soft"><summary>reasoning</summary><p class="text">thought</p></details>'
        '<p class="text">yes &lt;b&gt;</p><p class="text note">No &amp; no</p>'
        '<p class="text soft">→ look({&quot;a&quot;: 1})</p><p class="text soft">→ see({})</p>'
        '<p class="text note">dropped seed: unknown</p><p class="text bad">ServerError: down</p></article>'
        "<article><h2>p:n</h2></article>"
        '<article><h2>q:o</h2><p class="text bad">ServerError: gone</p></article>'
    ) in page
