"""Inputs: JSONL, CSV, and with pyarrow Parquet, Arrow, ORC, folders of them, data sets of Hugging Face, addresses.

Rows come in batches and are never all in memory. What is no row (a line that is no JSON) comes as one with a problem.
"""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import attrs
import msgspec

from chatport import ChatportError, ConfigurationError

from .job import Job
from .rows import Row, number_of, position

__all__ = ["Source", "SourceFile", "count_rows", "open_source", "sample"]

_TEXT = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_ARROW = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".orc": "orc",
}
_BATCH_ROWS = 500
_BATCH_BYTES = 4 * 1024 * 1024
_LONGEST_LINE_BYTES = 64 * 1024 * 1024
_SAMPLES, _SAMPLE_BYTES = 16, 65536
_MOST_COUNTED = 1 << 30
_MOST_SAMPLED_FROM = 50_000
csv.field_size_limit(_LONGEST_LINE_BYTES)


@attrs.frozen
class SourceFile:
    """One file of an input. `name` is relative to the folder; `kind` is how it is read."""

    name: str
    path: str
    kind: str

    @property
    def is_text(self) -> bool:
        """Whether it may grow at its end: rows keep their places."""
        return self.kind in ("jsonl", "csv", "tsv")

    @property
    def size_bytes(self) -> int:
        """Its size, 0 for an address."""
        path = Path(self.path)
        return path.stat().st_size if path.exists() else 0

    def digest(self, size: int) -> str:
        """Return a digest of its first `size` bytes: of sixteen pieces of them, with the first and the last."""
        found = hashlib.blake2b(str(size).encode(), digest_size=12)
        path = Path(self.path)
        if not path.exists():
            return found.hexdigest()
        with path.open("rb") as file:
            for n in range(_SAMPLES):
                file.seek(max(size - _SAMPLE_BYTES, 0) * n // (_SAMPLES - 1))
                found.update(file.read(min(_SAMPLE_BYTES, size)))
        return found.hexdigest()

    def contents(self) -> Iterator[list[Any]]:
        """Give batches of what the rows hold: a dict, or a text that says what is wrong with it."""
        if self.kind == "jsonl":
            return self._told(_jsonl(self._open()))
        if self.kind in ("csv", "tsv"):
            return self._told(_csv(self._open(), "\t" if self.kind == "tsv" else ","))
        from .arrow_files import batches_of

        return batches_of(self.path, self.kind, _BATCH_ROWS)

    def _told(self, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
        """Give them, and say whose fault it is where the rest cannot be read: a packed file that is cut, or is none."""
        with _saying_what_is_broken(self.path):
            yield from batches

    def _open(self) -> IO[bytes]:
        try:
            if self.path.endswith(".gz"):
                return cast(IO[bytes], gzip.open(self.path))
            return open(self.path, "rb")
        except OSError as error:
            raise ConfigurationError(f"The input {self.path} cannot be read: {error.strerror}.") from error


@attrs.frozen
class Source:
    """All files of an input, in their order. `numbers` says which number each has in the keys of its rows."""

    files: tuple[SourceFile, ...]
    is_single: bool
    numbers: Mapping[str, int] = attrs.field(factory=dict)

    def label(self, key: Any) -> str:
        """Return what a key is called in the output: its value, a row's number, or `file:number`."""
        if isinstance(key, str):
            return key
        file, number = number_of(key)
        if self.is_single:
            return str(number)
        return f"{next((name for name, n in self.numbers.items() if n == file), file)}:{number}"

    def batches(self, job: Job) -> Iterator[list[Row]]:
        """Give all rows, in batches."""
        for file in self.files:
            number = self.numbers.get(file.name, 0)
            at = 0
            for contents in file.contents():
                yield [_row(job, content, position(number, at + n)) for n, content in enumerate(contents, 1)]
                at += len(contents)


def _row(job: Job, content: Any, place: int) -> Row:
    if isinstance(content, str):
        return Row(place, {}, content)
    try:
        return Row(job.key_of(content, place), content)
    except ChatportError as error:
        return Row(place, content, error.message)


def open_source(path: str | Path) -> Source:
    """Return the files of an input: a file, a folder, a pattern such as `data/*.jsonl`, or an address (`s3://`).

    Raises ConfigurationError where there is nothing that can be read.
    """
    text = str(path)
    if "://" in text:
        return Source((SourceFile(text.rsplit("/", 1)[-1] or text, text, _kind(text) or "parquet"),), True)
    place = Path(text)
    if place.is_file():
        kind = _kind(text)
        if kind is None:
            raise ConfigurationError(f"It is not known how to read {text}. Known endings: {_known()}.")
        return Source((SourceFile(place.name, text, kind),), True)
    if place.is_dir():
        return Source(_in_folder(place), False)
    names = sorted(glob.glob(text, recursive=True))
    files = tuple(SourceFile(name, name, kind) for name in names if (kind := _kind(name)))
    if not files:
        raise ConfigurationError(f"There is no input {text}.")
    return Source(files, False)


def _in_folder(place: Path) -> tuple[SourceFile, ...]:
    if (place / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(path.name for path in place.iterdir() if path.is_dir()))
        raise ConfigurationError(f"{place} is a data set with several splits; name one of them: {splits}.")
    found = sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    files = tuple(
        SourceFile(path.relative_to(place).as_posix(), str(path), kind) for path in found if (kind := _kind(path.name))
    )
    if not files:
        raise ConfigurationError(f"The folder {place} has no file that can be read. Known endings: {_known()}.")
    return files


def _kind(name: str) -> str | None:
    return (_TEXT | _ARROW).get(Path(name.removesuffix(".gz")).suffix.lower())


def _known() -> str:
    return ", ".join((*_TEXT, *_ARROW)) + "; of the first four also with .gz"


def _jsonl(opened: IO[bytes]) -> Iterator[list[Any]]:
    decode = msgspec.json.decode
    batch: list[Any] = []
    size = 0
    with opened as file:
        while line := file.readline(_LONGEST_LINE_BYTES + 1):
            if len(line) > _LONGEST_LINE_BYTES:
                raise ConfigurationError(f"A line of the input is longer than {_LONGEST_LINE_BYTES >> 20} MiB.")
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if not text:
                batch.append("The line is empty.")
            else:
                try:
                    value = decode(text)
                    batch.append(value if isinstance(value, dict) else "The line is no JSON object.")
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    batch.append(f"The line is no JSON: {error}")
            size += len(line)
            if len(batch) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _csv(opened: IO[bytes], delimiter: str) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size = 0
    with opened as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            for content in reader:
                if None in content:
                    batch.append(
                        f"The row has more fields than the header has columns ({len(reader.fieldnames or ())})."
                    )
                else:
                    batch.append(content)
                    size += sum(len(value or "") for value in content.values())
                if len(batch) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The CSV input cannot be read near its line {reader.line_num}: {error}."
            ) from error
    if batch:
        yield batch


def count_rows(source: Source) -> tuple[int | None, bool]:
    """Return how many rows there are, and whether that is certain; None where it cannot be said in a moment.

    Lines are counted in up to 1 GiB of text; of more, and of packed files, it is extrapolated from the beginning.
    """
    total, is_exact = 0, True
    for file in source.files:
        if not file.is_text:
            from .arrow_files import rows_of

            rows = rows_of(file.path, file.kind)
            if rows is None:
                return None, False
            total += rows
            continue
        size = file.size_bytes
        lines, read = _lines(file)
        is_exact = is_exact and read >= size and file.kind == "jsonl" and not file.path.endswith(".gz")
        total += lines if read >= size else round(lines * size / max(read, 1))
    return total, is_exact


@contextmanager
def _saying_what_is_broken(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"The input {path} cannot be read: {error}.") from error


def _lines(file: SourceFile) -> tuple[int, int]:
    """Return the lines in the beginning of a file, and how much of it (as it lies there) that was."""
    lines, last = -1 if file.kind != "jsonl" else 0, b"\n"
    with _saying_what_is_broken(file.path), open(file.path, "rb") as packed:
        opened = cast(IO[bytes], gzip.GzipFile(fileobj=packed)) if file.path.endswith(".gz") else packed
        while packed.tell() < _MOST_COUNTED and (block := opened.read(1 << 20)):
            lines += block.count(b"\n")
            last = block[-1:]
        return lines + (last != b"\n"), packed.tell()


def sample(source: Source, job: Job, most: int, random: Any) -> tuple[int, list[Row]]:
    """Return some of the first 50,000 rows, drawn evenly, and how many were looked at."""
    count = 0
    drawn: list[Row] = []
    for batch in source.batches(job):
        for row in batch:
            count += 1
            if len(drawn) < most:
                drawn.append(row)
            elif (place := int(random() * count)) < most:
                drawn[place] = row
        if count >= _MOST_SAMPLED_FROM:
            break
    return count, drawn
