"""The command as its user has it, with a vendor's twin on a port; plans, and two runs side by side."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

import chatport_bulk
from chatport.testing import Emulator, Fault, Pause, Performance, faults
from chatport_bulk import Job, RowLog, Tally, compare, plan, run
from chatport_bulk.command import command
from chatport_bulk.progress import Progress, told

from .conftest import MODEL, World, write_jsonl

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bulk.md"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator("deepseek") as emulator:
        table = f'[providers.deepseek]\nbase_url = "{emulator.base_url}"\napi_key = "emulated"\n'
        (tmp_path / "c.toml").write_text(table, "utf-8")
        write_jsonl(tmp_path / "rows.jsonl", [{"id": n, "text": f"word {n}"} for n in range(30)])
        yield emulator


def call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


_SLOW = Fault("slow", lambda scene: attrs.evolve(Performance.of(scene.response), before=[Pause(0.2)]))

ASKED = ("--config", "c.toml", "-m", "deepseek:deepseek-flash", "-p", "say: {text}", "--max-tokens", "20")


def test_a_run_is_planned_made_gone_on_with_and_looked_at(emulator: Emulator, tmp_path: Path) -> None:
    planned = call("plan", "rows.jsonl", *ASKED).output
    assert "rows: 30" in planned
    assert re.search(r"20 out \(the cap\), from 30 rows", planned)
    assert re.search(r"cost: about 0\.\d+ CNY, at list price", planned)
    assert "'x' is not a valid integer" in call("plan", "rows.jsonl", *ASKED, "--seed", "x", code=2).output
    first = call("run", "rows.jsonl", *ASKED, "-o", "out", "--limit", "10", "--key", "id", "--format", "jsonl")
    assert "answered: 10" in first.stderr
    assert first.stdout == "out/answers\n"
    measured = call("plan", "rows.jsonl", *ASKED, "-o", "out").output
    assert "10 done, 20 left" in measured
    assert "(measured)" in measured
    assert "answered: 30" in call("resume", "out").stderr
    assert len(emulator.requests) == 30
    standing = json.loads(call("status", "out", "--json").output)
    assert (standing["answered"], standing["lost"]) == (30, 0)
    assert "cost: 0." in call("status", "out").output
    refused = call("run", "rows.jsonl", *ASKED[:-2], "-o", "out", "--key", "id", code=2).stderr
    assert "option max_tokens: was '20', is 'not set'" in refused


def test_a_dear_run_is_refused_where_nobody_can_be_asked(emulator: Emulator, tmp_path: Path) -> None:
    with (tmp_path / "c.toml").open("a", encoding="utf-8") as file:
        file.write("[bulk]\nask_above_usd = 0.0001\n")
    refused = call("run", "rows.jsonl", *ASKED, "-o", "out", code=2).stderr
    assert "say --yes, or cap it with --max-usd" in refused
    assert not emulator.requests
    call("run", "rows.jsonl", *ASKED, "-o", "out", "--yes")


def test_failed_rows_are_an_exit_code_and_a_file(emulator: Emulator, tmp_path: Path) -> None:
    emulator.misbehave([None, None, faults.status(400)])
    said = call("run", "rows.jsonl", *ASKED, "-o", "out", code=1).stderr
    assert "BadRequestError: 1" in said
    assert (tmp_path / "out" / "failed.jsonl").exists()
    assert "failed: 0" in call("resume", "out", "--retry-failed").stderr


def test_a_function_of_the_row_and_files_take_the_place_of_words(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text("def ask(row):\n    return f\"say: {row['text']}!\"\n", "utf-8")
    (tmp_path / "system.txt").write_text("Be brief.", "utf-8")
    (tmp_path / "schema.json").write_text('{"type": "object", "properties": {"a": {"type": "string"}}}', "utf-8")
    asked = ("--config", "c.toml", "-m", "deepseek:deepseek-flash", "--function", "ask.py:ask", "-s", "@system.txt")
    call("run", "rows.jsonl", *asked, "-o", "out")
    messages = emulator.requests[0].json()["messages"]
    assert messages[0]["content"] == "Be brief."
    assert messages[1]["content"].endswith("!")
    assert "FILE.py:NAME" in call("plan", "rows.jsonl", *asked[:5], "nothing", code=2).stderr
    call("run", "rows.jsonl", *asked[:4], "-p", "Fill it: {text}", "--schema", "schema.json", "-o", "out2")


@pytest.mark.parametrize("words", [("status", "."), ("resume", "."), ("compare", ".", ".")])
def test_a_folder_without_a_run_is_said(words: tuple[str, ...]) -> None:
    assert "holds no run" in call(*words, code=2).stderr


def test_ctrl_c_waits_for_what_is_under_way_and_keeps_it(emulator: Emulator, tmp_path: Path) -> None:
    emulator.misbehave(lambda number, request: _SLOW)
    script = str(Path(sys.executable).with_name("chatport"))
    child = subprocess.Popen(
        [script, "bulk", "run", "rows.jsonl", *ASKED, "-o", "out", "--concurrency", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    until = time.monotonic() + 20
    while len(emulator.requests) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert "Stopping: calls under way are waited for" in said
    asked = len(emulator.requests)
    assert f"answered: {asked}\n" in said
    assert asked < 30


def test_two_models_are_compared_over_the_same_rows(world: World) -> None:
    write_jsonl(world.rows, [{"text": f"word {n}"} for n in range(20)])
    world.run(Job(MODEL, "say: {text}"))
    world.misbehave([faults.status(400)])
    other = world.folder / "other"
    job = Job(MODEL, lambda row: "say: " + ("<b>else</b> 7" if row["text"] == "word 7" else row["text"].upper() + "."))
    run(world.rows, job, other, **world.options({}))
    found = compare(world.out, other)
    assert (found.both, found.agreed, found.only_a, found.only_b) == (19, 18, 1, 0)
    assert found.agreement == pytest.approx(18 / 19)
    assert [difference.key for difference in found.differences] == ["8"]
    assert found.b.standing.failures == {"BadRequestError": 1}
    page = found.page()
    assert "&lt;b&gt;else" in page
    assert "<b>else" not in page
    assert any("94.7% agree" in line for line in found.lines())


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_structures_are_compared_field_by_field(world: World, kind: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}
    write_jsonl(world.rows, [{"n": n} for n in range(10)])
    folders = []
    for name in ("one", "two"):
        world.out = world.folder / name
        folders.append(world.out)

        def ask(row: object, name: str = name) -> str:
            n = row["n"]  # type: ignore[index]  # a row is a dict
            return f'say: {{"a": {n if name == "one" or n else 99}, "b": "{"x" if n % 2 else name}"}}'

        world.run(Job(MODEL, ask, output=schema, format=kind))  # type: ignore[arg-type]  # one of two words
    found = compare(*folders, most_differences=3)
    assert found.fields == {"a": 0.9, "b": 0.5}
    assert (found.agreed, len(found.differences)) == (5, 3)
    assert found.differences[0].fields in (("a", "b"), ("b",))


def test_lists_and_missing_structures_are_compared_as_wholes(world: World) -> None:
    said = {"one": ["[1]", "[1]", '{"a": 1}'], "two": ["[1]", '{"a": 1}', '{"a": 1, "b": 2}']}
    folders = []
    for name, texts in said.items():
        world.out = world.folder / name
        folders.append(world.out)
        write_jsonl(world.rows, [{"text": text} for text in texts])
        report = world.run(Job(MODEL, lambda row: f"say: {row['text']}", output={"type": ["array", "object"]}))
        assert report.standing.answered == 3
    found = compare(*folders)
    assert (found.both, found.agreed) == (3, 1)
    assert found.fields == {"value": 0.5, "a": 1.0, "b": 0.0}


def test_a_plan_says_what_cannot_be_asked(world: World) -> None:
    write_jsonl(world.rows, [{"text": "a"}, {"other": 1}])
    found = plan(world.rows, Job(MODEL, "{text}"), config=world.config)
    assert (found.rows, found.unreadable) == (2, 1)
    assert any("the column 'text'; the row has: other" in line for line in found.lines())
    assert not world.emulator.requests


def test_a_plan_takes_time_from_the_configured_limits(world: World) -> None:
    world.write(1200)
    world.config["pacing"] = {"requests_per_minute": 600}
    found = plan(world.rows, world.job, config=world.config)
    assert found.seconds == pytest.approx(120)
    assert found.limit == "600 requests a minute"


def test_progress_is_a_line_with_rates_cost_and_errors(world: World) -> None:
    world.write(5)
    world.misbehave([faults.status(400)])
    report = world.run()
    report.tally.total = 10
    assert re.match(
        r"5 of 10 rows, [\d.,]+ rows/s, [\d,]+ tokens/s, \d+ s left, .*1 BadRequestError", told(report.tally)
    )


# --- what was wrong, in words


def test_a_prompt_and_a_function_are_not_given_together(emulator: Emulator) -> None:
    said = call("plan", "rows.jsonl", *ASKED, "--function", "a.py:b", code=2).stderr
    assert said == "ConfigurationError: Give either --prompt or --function.\n"


def test_a_model_has_to_be_named_somewhere(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("plan", "rows.jsonl", "--config", "c.toml", "-p", "{text}")
    assert "No model is named: --model provider:model, or LLM_MODEL." in call(*asked, code=2).stderr
    monkeypatch.setenv("LLM_MODEL", "deepseek:deepseek-flash")
    assert "model: deepseek:deepseek-flash\n" in call(*asked).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-s", "@gone.txt"), "The file gone.txt cannot be read: [Errno 2] No such file or directory: 'gone.txt'."),
        (("-s", "@bytes"), "The file bytes cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (("--schema", "bytes"), "bytes cannot be read as JSON: 'utf-8' codec can't decode byte 0xff"),
        (("--tools", "ask.py"), "ask.py cannot be read as JSON: Expecting value"),
        (("--tools", "table.json"), "table.json does not hold a list of tools."),
        (("--schema", "list.json"), "list.json does not hold a JSON Schema."),
    ],
)
def test_a_file_of_an_option_that_cannot_be_read_is_named(
    emulator: Emulator, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "ask.py").write_text("ask = 7\n", "utf-8")
    (tmp_path / "table.json").write_text("{}", "utf-8")
    (tmp_path / "list.json").write_text("[]", "utf-8")
    assert f"ConfigurationError: {words}" in call("plan", "rows.jsonl", *ASKED, *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("ask.py:nothing", "ask.py has no function 'nothing'."),
        ("ask.py:ask", "ask.py has no function 'ask'."),
        ("gone.py:ask", "--function is FILE.py:NAME, not 'gone.py:ask'."),
        ("ask.txt:ask", "--function is FILE.py:NAME, not 'ask.txt:ask'."),
        ("ask.py", "--function is FILE.py:NAME, not 'ask.py'."),
    ],
)
def test_a_function_that_is_not_there_is_said(emulator: Emulator, tmp_path: Path, function: str, words: str) -> None:
    (tmp_path / "ask.py").write_text("ask = 7\n", "utf-8")
    (tmp_path / "ask.txt").write_text("ask = 7\n", "utf-8")
    asked = (*ASKED[:4], "--function", function)
    assert call("plan", "rows.jsonl", *asked, code=2).stderr == f"ConfigurationError: {words}\n"


def test_tools_and_a_number_of_tokens_to_think_go_into_the_calls(emulator: Emulator, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]), "utf-8")
    call("run", "rows.jsonl", *ASKED, "-y", "--limit", "1", "-o", "out", "--tools", "tools.json")
    assert emulator.requests[0].json()["tools"][0]["function"]["name"] == "look_up"
    emulator.requests.clear()
    for folder, effort in (("b", "2048"), ("c", "high")):
        call("run", "rows.jsonl", *ASKED, "-y", "--limit", "1", "-o", folder, "--reasoning", effort)
    number, word = (request.json() for request in emulator.requests)
    assert (number["thinking"], number.get("reasoning_effort")) == ({"type": "enabled"}, None), "2048 is no word"
    assert word["reasoning_effort"] == "high"


def test_without_pyarrow_answers_are_jsonl_and_that_is_said(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = "Answers are written as JSONL; for Parquet: pip install 'chatport-bulk[arrow]'.\n"
    assert words in call("run", "rows.jsonl", *ASKED, "-y", "-o", "out").stderr
    assert os.listdir("out/answers") == ["part-000001.jsonl"]
    assert words not in call("resume", "out", "-y").stderr, "it was begun so"


def test_without_pyarrow_its_files_are_refused_with_what_to_install(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "chatport_bulk.arrow_files", raising=False)
    (world.folder / "rows.parquet").write_bytes(b"PAR1")
    said = call("plan", "rows.parquet", "-m", MODEL, "-p", "{text}", "--format", "jsonl", code=2).stderr
    assert said == (
        "ConfigurationError: Parquet and Arrow need pyarrow: pip install 'chatport-bulk[arrow]'. Without it: JSONL and "
        "CSV in, JSONL out.\n"
    )


def test_a_run_that_python_began_is_gone_on_with_there(world: World) -> None:
    world.write(1)
    world.run()
    said = call("resume", "out", code=2).stderr
    assert said == ("ConfigurationError: The run in out was not begun by `chatport bulk run`; go on as it began.\n")


def test_calls_that_were_under_way_when_a_run_was_killed_are_told(emulator: Emulator, tmp_path: Path) -> None:
    call("run", "rows.jsonl", *ASKED, "-y", "-o", "out", "--limit", "10", "--key", "id")
    log = RowLog(tmp_path / "out" / "run.sqlite")
    log.open_session()
    log.step(begun=["28", "29"])
    log.close()  # as a process leaves it that is killed
    assert "under way: 2\n" in call("status", "out").output
    said = call("resume", "out", "-y").stderr
    assert (
        "2 calls were under way when the run was stopped before. They may have been paid, and are asked again." in said
    )
    assert "possibly paid twice: 2 calls, under way when a run was killed\n" in said
    assert "answered: 30\n" in said


def test_rows_that_were_asked_once_for_several_and_problems_are_in_the_report(
    emulator: Emulator, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"text": f"word {n % 3}"} for n in range(30)])
    said = call("run", "rows.jsonl", *ASKED, "-y", "-o", "out", "--dedupe").stderr
    assert "asked once for several: 27 rows cost nothing\n" in said
    emulator.vendor.api_key = "another"
    said = call("run", "rows.jsonl", *ASKED, "-y", "-o", "refused", code=1).stderr
    assert "\nAuthenticationError at deepseek:deepseek-flash: " in said
    assert "\nNo call can succeed. AuthenticationError: " in said


@pytest.mark.parametrize("most", ['"10"', "true"])
def test_a_bound_of_what_is_dear_is_a_number(emulator: Emulator, tmp_path: Path, most: str) -> None:
    with (tmp_path / "c.toml").open("a", encoding="utf-8") as file:
        file.write(f"[bulk]\nask_above_usd = {most}\n")
    said = call("run", "rows.jsonl", *ASKED, "-o", "out", code=2).stderr
    assert said == "ConfigurationError: [bulk] ask_above_usd is a number.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_dear_run_is_asked_about_on_a_terminal(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    with (tmp_path / "c.toml").open("a", encoding="utf-8") as file:
        file.write("[bulk]\nask_above_usd = 0.00001\n")
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        keyboard.write(f"{answer}\n".encode())
        arguments = ["run", "rows.jsonl", *ASKED, "-o", "out"]
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
    said = capsys.readouterr()
    assert "model: deepseek:deepseek-flash\nrows: 30\n" in said.err
    assert re.search(r"This will cost about 0\.\d\d CNY for 30 rows\. Go on\? \[y/N\]", said.err + said.out)
    assert ("Aborted!" in said.err, caught.value.code) == ((False, 0) if answer == "y" else (True, 1))
    assert len(emulator.requests) == (30 if answer == "y" else 0)


def test_a_comparison_is_printed_and_written_as_a_page(emulator: Emulator, tmp_path: Path) -> None:
    call("run", "rows.jsonl", *ASKED, "-y", "-o", "a")
    call("run", "rows.jsonl", *ASKED[:4], "-p", "say: X{text}", "-y", "-o", "b")
    assert call("compare", "a", "b").output == "".join(f"{line}\n" for line in compare("a", "b").lines())
    call("compare", "a", "b", "--page", "page.html", "--differences", "1")
    assert (tmp_path / "page.html").read_text("utf-8") == compare("a", "b", most_differences=1).page()


# --- progress


def test_progress_says_what_is_at_once_at_the_vendor_and_refused() -> None:
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.limit, tally.active, tally.refusals = 8, 3, 1200
    tally.batches = "2 batches with 30 rows at the vendor"
    tally.total = 10
    now[0] = 10.0
    assert tally.seconds_left() is None, "nothing has ended yet"
    assert told(tally) == (
        "0 of 10 rows, 0.0 rows/s, 0 tokens/s, 3 of 8 at once, 2 batches with 30 rows at the vendor, "
        "1,200 refused for speed"
    )
    tally.count(chatport_bulk.Answer(1, answer="a", input_tokens=1000, output_tokens=500, cost=0.25, currency="CNY"))
    tally.count(chatport_bulk.Answer(2, answer="a", input_tokens=9, cost=9.0, same_as=1))
    tally.skipped, tally.limit, tally.refusals, tally.batches = 4, 0, 0, ""
    assert told(tally) == "6 of 10 rows, 0.2 rows/s, 150 tokens/s, 0.2500 CNY, 20 s left"


def test_progress_elsewhere_is_a_line_now_and_then_beside_the_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chatport_bulk.progress._PLAIN_SECONDS", 0.01)
    tally, out, err = Tally(), "", ""
    tally.total = 10
    with Progress(tally):
        until = time.monotonic() + 20
        while err.count("\n") < 2 and time.monotonic() < until:
            time.sleep(0.02)
            shown = capsys.readouterr()
            out, err = out + shown.out, err + shown.err
    assert set(err.splitlines()) == {"0 of 10 rows, 0.0 rows/s, 0 tokens/s"}
    assert not out


def test_progress_on_a_terminal_is_a_line_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    tally = Tally()
    tally.total, shown = 10, ""
    with Progress(tally, terminal=True):
        for words in ("0 of 10 rows", "7 of 10 rows"):
            until = time.monotonic() + 20
            while words not in shown and time.monotonic() < until:
                time.sleep(0.02)
                shown += capsys.readouterr().err
            assert words in shown
            tally.answered, tally.skipped = 5, 2


def test_every_option_of_every_command_is_in_the_manual() -> None:
    page = DOCS.read_text("utf-8")
    for name, child in command.commands.items():
        assert f"chatport bulk {name}" in page
        for parameter in child.params:
            for option in parameter.opts:
                assert not option.startswith("-") or re.search(rf"`{option}[ `]", page), f"{name} {option}"


def test_the_public_names_are_these_and_each_is_in_the_manual() -> None:
    names = [
        "Answer", "Asking", "BatchSettings",
        "ChangedRunError", "Comparison", "Ending", "Job", "Plan", "Report", "Row", "RowLog", "Run",
        "RunStoppedError", "Settings", "Source", "Stage", "Standing", "Step", "StorageError", "Tally", "compare",
        "open_source", "output_schema", "plan", "run", "standing_of_blocks",
    ]  # fmt: skip
    assert chatport_bulk.__all__ == dir(chatport_bulk) == names
    with pytest.raises(AttributeError, match=r"^module 'chatport_bulk' has no attribute 'runs'$"):
        _ = chatport_bulk.runs
    page = DOCS.read_text("utf-8")
    for name in names:
        assert getattr(chatport_bulk, name) is not None
        assert f"`{name}`" in page, name


def test_failures_that_are_to_be_asked_again_are_none() -> None:
    tally = Tally()
    for key in range(3):
        tally.count(chatport_bulk.Answer(key, kind="BadRequestError", error="no"))
    tally.forget(3)
    assert (tally.failed, tally.ended, dict(tally.kinds)) == (0, 0, {})
