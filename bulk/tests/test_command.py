"""The command as its user has it, with a vendor's twin on a port; plans, and two runs side by side."""

from __future__ import annotations

import json
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
from chatport_bulk import Job, compare, plan, run
from chatport_bulk.command import command
from chatport_bulk.progress import told

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
    assert chatport_bulk.__all__ == names
    page = DOCS.read_text("utf-8")
    for name in names:
        assert getattr(chatport_bulk, name) is not None
        assert f"`{name}`" in page, name
