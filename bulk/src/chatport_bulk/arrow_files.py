"""Files that pyarrow reads and writes. The only module that imports it when it is loaded, with `stage`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport import ConfigurationError

from .answers import COLUMNS

try:
    import pyarrow as pa
    from pyarrow import fs, ipc, parquet
except ImportError as error:
    raise ConfigurationError(
        "Parquet and Arrow need pyarrow: pip install 'chatport-bulk[arrow]'. Without it: JSONL and CSV in, JSONL out."
    ) from error

__all__ = ["batches_of", "rows_of", "schema_for", "table_of", "write_parquet"]

_TYPES = {
    "input_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "cached_input_tokens": pa.int64(),
    "reasoning_tokens": pa.int64(),
    "attempts": pa.int64(),
    "cost": pa.float64(),
    "seconds": pa.float64(),
}
_OF_SCHEMA = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_PYTHON: Mapping[Any, tuple[type, ...]] = {pa.int64(): (int,), pa.float64(): (float, int), pa.bool_(): (bool,)}
_MISFIT = (pa.ArrowException, TypeError, OverflowError)


def batches_of(path: str, kind: str, rows: int) -> Iterator[list[Any]]:
    """Give the rows of a file as dicts, in batches. Raises ConfigurationError where it cannot be read."""
    try:
        system, place = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
        if kind == "parquet":
            with parquet.ParquetFile(system.open_input_file(place), pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=rows):
                    yield batch.to_pylist()
        elif kind == "orc":
            from pyarrow import orc

            reader = orc.ORCFile(system.open_input_file(place))
            for stripe in range(reader.nstripes):
                yield from _cut(pa.table(reader.read_stripe(stripe)), rows)
        else:
            yield from _ipc(system, place, rows)
    except (OSError, pa.ArrowException) as error:
        raise ConfigurationError(f"The input {path} cannot be read: {error}.") from error


def rows_of(path: str, kind: str) -> int | None:
    """Return how many rows a file says it has; None where it does not say."""
    try:
        system, place = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
        if kind == "parquet":
            return int(parquet.read_metadata(system.open_input_file(place)).num_rows)
        if kind == "arrow":
            return sum(int(batch.num_rows) for batch in ipc.open_stream(system.open_input_file(place)))
    except (OSError, pa.ArrowException):
        return None
    return None


def _ipc(system: Any, place: str, rows: int) -> Iterator[list[Any]]:
    """Read an Arrow file, or an Arrow stream as data sets of Hugging Face are kept."""
    with system.open_input_file(place) as file:
        try:
            reader = ipc.open_file(file)
        except pa.ArrowInvalid:
            file.seek(0)
            for batch in ipc.open_stream(file):
                yield from _cut(batch, rows)
            return
        for n in range(reader.num_record_batches):
            yield from _cut(reader.get_batch(n), rows)


def _cut(batch: Any, rows: int) -> Iterator[list[Any]]:
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows).to_pylist()


def schema_for(parsed: Mapping[str, Any] | None, kept: Sequence[Any] = ()) -> Any:
    """Return the columns of the output. `parsed` are the properties of the answers' schema, `kept` pyarrow fields."""
    ours = [pa.field(name, _TYPES.get(name, pa.string())) for name in (*COLUMNS, "tool_calls")]
    if parsed is None:
        return pa.schema([*kept, *ours, pa.field("parsed", pa.string())])
    more = [pa.field(f"parsed_{name}", _type_of(schema)) for name, schema in parsed.items()]
    return pa.schema([*kept, *ours, *more])


def _type_of(schema: Any) -> Any:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return _OF_SCHEMA.get(kind if isinstance(kind, str) else "", pa.string())


def table_of(rows: Sequence[Mapping[str, Any]], schema: Any) -> Any:
    """Return rows as a table. What has no type of a column's is put in as JSON; what does not fit its type is null."""
    return pa.table([_column(rows, field) for field in schema], schema=schema)


def _column(rows: Sequence[Mapping[str, Any]], field: Any) -> Any:
    from .parts import as_text

    values = [row.get(field.name) for row in rows]
    if field.type == pa.string():
        return pa.array([as_text(value) for value in values], pa.string())
    kinds = _PYTHON.get(field.type)
    if kinds is not None:
        values = [value if type(value) in kinds else _meant(value, kinds) for value in values]
    try:
        return pa.array(values, field.type)
    except _MISFIT:
        return pa.array([value if _fits(value, field.type) else None for value in values], field.type)


def _meant(value: Any, kinds: tuple[type, ...]) -> Any:
    """Return a value as its column has it, None for another: pyarrow would make 3 of 3.5, and 1.0 of true."""
    return int(value) if type(value) is float and kinds == (int,) and value.is_integer() else None


def _fits(value: Any, kind: Any) -> bool:
    try:
        pa.array([value], kind)
    except _MISFIT:
        return False
    return True


def write_parquet(path: Any, rows: Sequence[Mapping[str, Any]], parsed: Mapping[str, Any] | None, kept: bool) -> None:
    """Write rows to a file. Kept columns have the types of their values."""
    ours = schema_for(parsed)
    fields = []
    if kept and rows:
        names = dict.fromkeys(name for row in rows for name in row if name not in ours.names)
        for name in names:
            try:
                fields.append(pa.field(name, pa.array([row.get(name) for row in rows]).type))
            except _MISFIT:
                fields.append(pa.field(name, pa.string()))
    fields = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in fields]
    parquet.write_table(table_of(rows, schema_for(parsed, fields)), path, compression="zstd")
