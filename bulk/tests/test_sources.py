"""What can be read, in batches, with the places of rows; and what is said where it cannot."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc, orc, parquet

from chatport import ConfigurationError
from chatport_bulk import ChangedRunError, Job, open_source
from chatport_bulk.sources import count_rows, sample
from chatport_bulk.template import Template

from .conftest import MODEL, World, write_jsonl

ROWS = [{"n": n, "text": f"é {n}"} for n in range(1200)]
JOB = Job(MODEL, "{text}")


def contents(path: Path) -> list[Any]:
    return [row.content for batch in open_source(path).batches(JOB) for row in batch]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet", "arrow", "stream.arrow", "orc"])
def test_every_kind_of_file_gives_its_rows_and_their_number(tmp_path: Path, kind: str) -> None:
    path, table = tmp_path / f"rows.{kind}", pa.Table.from_pylist(ROWS)
    if kind.startswith("jsonl"):
        plain = write_jsonl(tmp_path / "plain.jsonl", ROWS)
        path.write_bytes(gzip.compress(plain.read_bytes()) if kind.endswith("gz") else plain.read_bytes())
    elif kind == "parquet":
        parquet.write_table(table, path, row_group_size=100)
    elif kind == "orc":
        orc.write_table(table, path)
    else:
        make = ipc.new_stream if kind.startswith("stream") else ipc.new_file
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
    assert contents(path) == ROWS
    assert max(len(batch) for batch in open_source(path).batches(JOB)) <= 700
    number, is_exact = count_rows(open_source(path))
    assert number in ({1200} if kind != "orc" and not kind.endswith("arrow") else {1200, None})
    assert is_exact == (kind in ("jsonl", "parquet") or (number == 1200 and kind == "stream.arrow"))


def test_csv_and_tsv_with_quotes_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffid,text\n1,"two\nlines, and ""quotes"""\n2,\n', "utf-8")
    (tmp_path / "b.tsv").write_text("id\ttext\n1\ta,b\n1\tx\ty\n", "utf-8")
    assert contents(tmp_path / "a.csv") == [{"id": "1", "text": 'two\nlines, and "quotes"'}, {"id": "2", "text": ""}]
    good, bad = (row for batch in open_source(tmp_path / "b.tsv").batches(JOB) for row in batch)
    assert good.content == {"id": "1", "text": "a,b"}
    assert "more fields than the header has columns (2)" in bad.problem


def test_a_folder_and_a_pattern_name_rows_by_file_and_number(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    write_jsonl(folder / "b.jsonl", ROWS[:2])
    write_jsonl(folder / "deep" / "a.jsonl", ROWS[2:3])
    (folder / "README.md").write_text("no rows", "utf-8")
    source = open_source(folder)
    assert [file.name for file in source.files] == ["b.jsonl", "deep/a.jsonl"]
    assert len(contents(folder)) == len(contents(tmp_path / "in" / "**" / "*.jsonl")) == 3


def test_a_data_set_of_hugging_face_is_read_split_by_split(tmp_path: Path) -> None:
    split = tmp_path / "set" / "train"
    split.mkdir(parents=True)
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train"]}', "utf-8")
    (split / "dataset_info.json").write_text("{}", "utf-8")
    table = pa.Table.from_pylist(ROWS)
    with ipc.new_stream(split / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ConfigurationError, match="name one of them: train"):
        open_source(tmp_path / "set")
    assert contents(split) == ROWS


def test_what_cannot_be_read_is_said_with_what_can(tmp_path: Path) -> None:
    (tmp_path / "rows.docx").write_text("x", "utf-8")
    (tmp_path / "rows.parquet").write_text("x", "utf-8")
    (tmp_path / "bad.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    for name, words in {
        "rows.docx": r"Known endings: \.jsonl",
        "none.jsonl": "There is no input",
        "rows.parquet": "cannot be read",
        "bad.csv": "cannot be read near its line",
    }.items():
        with pytest.raises(ConfigurationError, match=words):
            contents(tmp_path / name)


def test_an_address_of_arrow_is_read(tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist(ROWS[:3]), tmp_path / "rows.parquet")
    source = open_source(f"file://{tmp_path}/rows.parquet")
    assert [row.content for batch in source.batches(JOB) for row in batch] == ROWS[:3]


def test_a_sample_is_drawn_from_all_that_is_looked_at(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    looked_at, drawn = sample(open_source(tmp_path / "rows.jsonl"), JOB, 50, random.Random(1).random)
    numbers = [row.content["n"] for row in drawn]
    assert (looked_at, len(set(numbers))) == (1200, 50)
    assert min(numbers) < 200
    assert max(numbers) > 1000


def test_a_template_puts_columns_in_and_says_which_is_missing() -> None:
    template = Template("{{a}} {text} { more }")
    assert template.columns == ("text", "more")
    assert template.fill({"text": "{x}", "more": [1, "é"]}) == '{a} {x} [1,"é"]'
    assert template.fill({"text": None, "more": 1}) == "{a}  1"
    with pytest.raises(ConfigurationError, match="the column 'more'; the row has: text"):
        template.fill({"text": ""})
    with pytest.raises(ConfigurationError, match="belongs to no column"):
        Template("an {open brace")


def test_rows_of_a_folder_are_called_by_file_and_number_in_the_answers(world: World) -> None:
    world.rows = world.folder / "in"
    (world.rows / "deep").mkdir(parents=True)
    write_jsonl(world.rows / "b.jsonl", [{"text": "one"}, {"text": "two"}])
    write_jsonl(world.rows / "deep" / "a.jsonl", [{"text": "three"}])
    world.run()
    told = {row["key"]: row["answer"] for row in world.answers()}
    assert told == {"b.jsonl:1": "one", "b.jsonl:2": "two", "deep/a.jsonl:1": "three"}
    assert open_source(world.rows).label((7 << 40) + 3) == "7:3", "of no file that is known"


def test_a_file_that_is_gone_is_said_where_places_name_rows(world: World) -> None:
    world.rows = world.folder / "in"
    world.rows.mkdir()
    for name in "abcd":
        write_jsonl(world.rows / f"{name}.jsonl", [{"text": name}])
    world.run()
    for name in "bcd":
        (world.rows / f"{name}.jsonl").unlink()
    (world.rows / "e.jsonl").write_text('{"text": "e"}\n', "utf-8")
    with pytest.raises(ChangedRunError) as caught:
        world.run()
    assert caught.value.message == (
        "The input lacks b.jsonl, c.jsonl, d.jsonl, which was there before. Put it back, or say --changed keep."
    )
    assert caught.value.changes == tuple(f"input: {name}.jsonl is gone" for name in "bcd")
    assert len(world.emulator.requests) == 4
    assert world.run(changed="keep").standing.answered == 5
    assert sorted(row["key"] for row in world.answers())[-1] == "e.jsonl:1", "a number is never given to another file"


def test_rows_at_an_address_are_looked_at_one_by_one(world: World) -> None:
    place = world.folder / "rows.parquet"
    parquet.write_table(pa.table({"text": ["a", "b"]}), place)
    world.rows = f"file://{place}"  # type: ignore[assignment]  # an address is an input too
    world.run()
    parquet.write_table(pa.table({"text": ["a", "b", "c"]}), place)
    report = world.run()
    assert (report.standing.answered, len(world.emulator.requests)) == (3, 3)
    parquet.write_table(pa.table({"text": ["a", "x", "c"]}), place)
    with pytest.raises(ChangedRunError, match=r"^The row 2 is not what it was when it was answered"):
        world.run()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.jsonl.gz"])
def test_a_file_that_is_gone_when_it_is_to_be_read_is_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    source = open_source(path)
    path.unlink()
    with pytest.raises(ConfigurationError) as caught:
        next(source.batches(JOB))
    assert caught.value.message == f"The input {path} cannot be read: No such file or directory."


def test_a_folder_in_which_nothing_can_be_read_is_said_with_what_could(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no rows", "utf-8")
    (tmp_path / ".hidden.jsonl").write_text("{}", "utf-8")
    (tmp_path / "_SUCCESS.jsonl").write_text("{}", "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        open_source(tmp_path)
    assert caught.value.message == (
        f"The folder {tmp_path} has no file that can be read. Known endings: .jsonl, .ndjson, .csv, .tsv, .parquet, "
        ".pq, .arrow, .feather, .ipc, .orc; of the first four also with .gz."
    )


def test_a_line_of_more_than_64_mib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    longest = b'{"text": "' + b"x" * ((64 << 20) - 13) + b'"}\n'
    path.write_bytes(longest + b" " + longest)
    batches = open_source(path).batches(JOB)
    (row,) = next(batches)
    assert (row.problem, len(longest)) == ("", 64 << 20)
    with pytest.raises(ConfigurationError, match=r"^A line of the input is longer than 64 MiB\.$"):
        next(batches)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_batch_is_500_rows_or_4_mib(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    write = '{{"text": "{}"}}\n' if kind == "jsonl" else "{}\n"
    head = "" if kind == "jsonl" else "text\n"
    path.write_text(head + write.format("a") * 1200, "utf-8")
    assert [len(batch) for batch in open_source(path).batches(JOB)] == [500, 500, 200]
    path.write_text(head + write.format("x" * (1 << 17)) * 70, "utf-8")
    sizes = [len(batch) for batch in open_source(path).batches(JOB)]
    assert sizes == [32, 32, 6]
    assert [row.key for batch in open_source(path).batches(JOB) for row in batch] == list(range(1, 71))


def test_a_sample_is_of_the_first_50_000_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n' * 51_000, "utf-8")
    looked_at, drawn = sample(open_source(path), JOB, 7, random.Random(1).random)
    assert (looked_at, len(drawn)) == (50_000, 7)


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.csv.gz"])
@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b'{"a": 1}\n' * 50_000)[:100]], ids=["none", "cut"])
def test_a_packed_file_that_is_broken_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    source = open_source(tmp_path / name)
    with pytest.raises(ConfigurationError, match=rf"The input .*{name} cannot be read: "):
        list(source.batches(Job(MODEL, "{a}")))
    with pytest.raises(ConfigurationError, match="cannot be read: "):
        count_rows(source)
