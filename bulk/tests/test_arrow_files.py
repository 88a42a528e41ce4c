"""The types of the output's columns, and what does not fit them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from chatport_bulk.arrow_files import write_parquet

SCHEMAS = {"count": {"type": "integer"}, "share": {"type": "number"}, "is_so": {"type": "boolean"}, "why": {}}


@pytest.mark.parametrize("odd", [3.5, True, "3", 2**70, [3]])
def test_what_does_not_fit_its_column_is_null_there_and_the_rest_stays(tmp_path: Path, odd: object) -> None:
    """A vendor may write 3.5 where the schema says integer: that is no 3. `answer` has it as it came."""
    rows = [
        {"key": "1", "answer": "…", "parsed_count": 3, "parsed_share": 0.5, "parsed_is_so": True, "parsed_why": "so"},
        {
            "key": "2",
            "answer": "3.5",
            "parsed_count": odd,
            "parsed_share": "half",
            "parsed_is_so": 1,
            "parsed_why": [1],
        },
        {"key": "3", "answer": "…", "parsed_count": 4.0, "parsed_share": True},
    ]
    write_parquet(tmp_path / "part.parquet", rows, SCHEMAS, kept=False)
    written = parquet.read_table(tmp_path / "part.parquet").to_pylist()
    assert [row["parsed_count"] for row in written] == [3, None, 4]
    assert [row["parsed_share"] for row in written] == [0.5, None, None]
    assert [row["parsed_is_so"] for row in written] == [True, None, None]
    assert [row["parsed_why"] for row in written] == ["so", "[1]", None]
    assert [row["answer"] for row in written] == ["…", "3.5", "…"]


def test_kept_columns_have_the_types_of_their_values(tmp_path: Path) -> None:
    rows = [{"key": "1", "price": 1, "name": "a", "odd": 1, "none": None}, {"key": "2", "price": 2, "odd": "x"}]
    rows[0]["large"] = 2**70
    write_parquet(tmp_path / "part.parquet", rows, None, kept=True)
    written = parquet.read_table(tmp_path / "part.parquet")
    assert [str(written.schema.field(name).type) for name in ("price", "name", "odd", "none", "large")] == [
        "int64", "string", "string", "string", "string"
    ]  # fmt: skip
    assert written.column("price").to_pylist() == [1, 2]
    assert written.column("large").to_pylist() == [str(2**70), None]
    assert written.column("odd").to_pylist() == ["1", "x"]
