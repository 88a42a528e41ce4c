"""One configuration file, read once and bounded: nothing it holds makes reading it slow, deep, or wait.

Python's `tomllib` takes quadratic time for a long dotted key and recurses on nesting, so a file is looked through
once, from front to back, before it gets there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ..basics.secret import Secret
from ..basics.values import Value
from ..errors import ConfigurationError

__all__ = ["ConfigFile", "digest_of", "read_bytes", "read_config_file", "sealed"]

_MOST_BYTES = 256 * 1024
_MOST_PARTS = 16
"""How many parts a dotted key may have. The tables of a configuration need five."""
_DEEPEST = 16

# Strings and comments as TOML has them, and the marks that are left. What is not closed ends with the line or the file:
# `tomllib` goes no further than that place, and up to there both see the same pieces.
_PIECE = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']|'{1,2}(?!'))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+"
    r"|[.\[\]{}=,\n]",
    re.DOTALL,
)


@attrs.frozen(eq=False, repr=False)
class ConfigFile(Value):
    """What a file held when it was read: its tables, with keys as secrets, and the SHA-256 of its bytes."""

    path: Path
    digest: str
    tables: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def folder(self) -> Path:
        """Where the file lies; relative paths in it start here."""
        return self.path.parent


def read_config_file(path: Path, *, only_regular: bool = False) -> ConfigFile:
    """Return a file, read once. Raises ConfigurationError, which shows nothing of what it holds.

    `only_regular`: nothing but a regular file is opened; a pipe or a device might let us wait, or do something.
    """
    import tomllib  # who says everything in Python has no file

    data = read_bytes(path, only_regular=only_regular)
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        problem = _unbounded(text)
        if problem is None:
            tables = tomllib.loads(text)
            problem = _too_large_number(tables)
        if problem is None:
            return ConfigFile(path, digest_of(data), sealed(tables))
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {error}"
    except UnicodeDecodeError:
        problem = "is not valid TOML: it is not UTF-8"
    except ValueError:  # Python's own limit for the digits of a number
        problem = "holds a number that is too large"
    # Outside: the first error's frames hold the file's text, keys included.
    raise ConfigurationError(f"{path} {problem}.")


def read_bytes(path: Path, *, only_regular: bool) -> bytes:
    """Return what a file holds. Raises ConfigurationError for one that cannot be read, or is too large."""
    try:
        if only_regular:
            _check_regular(path.stat().st_mode, path)
        with path.open("rb") if not only_regular else open(path, "rb", opener=_without_waiting) as file:
            if only_regular:  # again: it may have become another thing since
                _check_regular(os.fstat(file.fileno()).st_mode, path)
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except ValueError:  # a NUL in the path
        problem = "that is no path"
    else:
        if len(data) <= _MOST_BYTES:
            return data
        problem = f"it is larger than the {_MOST_BYTES // 1024} KiB that a file of this kind may have"
    raise ConfigurationError(f"Cannot read {path}: {problem}.")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"Cannot read {path}: it is no regular file. Remove it, or name another file.")


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, as hexadecimal digits."""
    from hashlib import sha256  # it loads OpenSSL, 4 MB; most starts read no file

    return sha256(data).hexdigest()


def _unbounded(text: str) -> str | None:
    """Return what in a text `tomllib` would take too long for, None where nothing is."""
    depth = dots = 0
    for piece in _PIECE.finditer(text):
        match piece[0][0]:
            case ".":
                dots += 1
            case "[" | "{":
                depth, dots = depth + 1, 0
            case "]" | "}":
                depth, dots = max(depth - 1, 0), 0
            case "=" | "," | "\n":
                dots = 0
        if dots >= _MOST_PARTS:
            return f"has a key of more than {_MOST_PARTS} parts"
        if depth > _DEEPEST:
            return f"has tables or lists nested more than {_DEEPEST} deep"
    return None


def _too_large_number(tables: Mapping[str, Any]) -> str | None:
    """Return what is wrong if a number is none of TOML's, which has 64 bits: Python may refuse even to show it."""
    waiting: list[Any] = [tables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return "holds a number that is too large"
    return None


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with their keys made secrets at once: whatever fails later, a traceback may show locals."""
    providers = data.get("providers")
    if not isinstance(providers, Mapping):
        return dict(data)
    return {**data, "providers": {name: _sealed_table(table) for name, table in providers.items()}}


def _sealed_table(table: Any) -> Any:
    if not isinstance(table, Mapping):
        return table
    kept = dict(table)
    if isinstance(table.get("api_key"), str):
        kept["api_key"] = Secret(table["api_key"].strip())
    query = table.get("query")
    if isinstance(query, Mapping):
        kept["query"] = {name: Secret(value) if isinstance(value, str) else value for name, value in query.items()}
    return kept
