"""The files of answers: written under another name, brought to the disk, then renamed. See `rowlog` for the order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from .answers import flat
from .errors import StorageError
from .rowlog import RowLog

__all__ = ["Parts", "as_text"]

MOST_ROWS = 10_000
MOST_BYTES = 16 * 1024 * 1024
_encode = msgspec.json.Encoder(enc_hook=str).encode


def as_text(value: Any) -> str | None:
    """Return a value as a column of texts has it: JSON, where it is no text."""
    return value if value is None or isinstance(value, str) else _encode(value).decode()


class Parts:
    """Writes answers to `folder`, in files of up to 10,000 rows or 16 MiB.

    `schema` is the JSON Schema of the answers, `label` shows a key. Raises StorageError where it cannot write.
    """

    def __init__(
        self,
        folder: Path,
        log: RowLog,
        kind: str,
        schema: Mapping[str, Any] | None,
        label: Callable[[Any], str],
        *,
        keeps: bool = False,
    ) -> None:
        self._folder = folder
        self._answers = folder / "answers"
        self._log = log
        self._kind = kind
        self._label = label
        self._keeps = keeps
        properties = (schema or {}).get("properties")
        self._parsed = properties if isinstance(properties, Mapping) else None

    def sweep(self) -> int:
        """Remove what a crash has left: files that no transaction knows; their rows are in the journal."""
        self._answers.mkdir(exist_ok=True)
        known = self._log.parts()
        ours = [*self._answers.glob("part-*"), *self._folder.glob("failed.jsonl.tmp")]
        stale = [path for path in ours if path.name not in known]
        for path in stale:
            path.unlink()
        gone = [name for name in known if not (self._answers / name).exists()]
        if gone:
            raise StorageError(
                f"{self._answers} lacks {', '.join(gone[:3])}{' and more' if gone[3:] else ''}, which the log knows. "
                "Put it back, or begin anew in another folder: its answers are nowhere else."
            )
        return len(stale)

    def write(self, *, whole: bool) -> int:
        """Write what the journal has, in full parts only unless `whole`; return the number of parts."""
        written = 0
        while True:
            number, rows = self._log.begin_part(MOST_ROWS, MOST_BYTES)
            if not rows or (not whole and written):
                return written
            name = f"part-{number:06d}.{self._kind}"
            columns = None if self._parsed is None or self._kind == "jsonl" else tuple(self._parsed)
            shown = (flat(answer, self._label, columns) for _, answer in rows)
            self._put(self._answers / name, shown, self._write_answers)
            self._log.end_part(number, name, rows)
            written += 1

    def write_failures(self) -> None:
        """Write the failed rows to `failed.jsonl` anew; no file, where there are none."""
        path = self._folder / "failed.jsonl"
        rows = (flat(answer, self._label, None) for answer in self._log.failures())
        first = next(rows, None)
        if first is None:
            path.unlink(missing_ok=True)
        else:
            self._put(path, chain([first], rows), _write_jsonl)

    def _write_answers(self, path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        if self._kind == "jsonl":
            _write_jsonl(path, rows)
            return
        from .arrow_files import write_parquet

        write_parquet(path, list(rows), self._parsed, self._keeps)

    def _put(self, path: Path, rows: Iterable[Mapping[str, Any]], write: Callable[..., None]) -> None:
        other = path.with_name(f"{path.name}.tmp")
        try:
            write(other, rows)
            _sync(other)
            os.replace(other, path)
            _sync(path.parent)
        except OSError as error:
            with suppress(OSError):
                other.unlink(missing_ok=True)
            raise StorageError(
                f"{path} cannot be written: {error.strerror or error}. Nothing is lost: its rows are in the log. Make "
                "room, and run the same command again."
            ) from error


def _write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("wb") as file:
        file.writelines(_encode({k: v for k, v in row.items() if v is not None}) + b"\n" for row in rows)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # a folder cannot be opened there, and needs no such thing
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
