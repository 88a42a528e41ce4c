"""A pytest plugin: a tape for each test. In the `conftest.py` at the root of your tests:

    pytest_plugins = ["chatport.testing.tape_plugin"]

It gives the fixture `tape`, a `chatport.testing.Tape` in `tapes/` beside the test's file, and the option `--tape`. It
is no plugin that pytest finds by itself: it would be loaded in every test run of an environment, and pytest rewrites
the assertions of all modules of a package that has such a plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ..errors import ConfigurationError
from .tapes.tape import VARIABLE, Tape, mode_of

__all__ = ["pytest_addoption", "tape", "tape_path", "tape_settings"]

_LONGEST_NAME = 80
_PLAIN = re.compile(r"[A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*+")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--tape`."""
    words = "replay (nothing is sent), once (record what has no tape), or record"
    parser.getgroup("chatport").addoption("--tape", metavar="MODE", help=f"{words}; default: ${VARIABLE}, else replay")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a mode that there is not, before any test runs."""
    try:
        mode_of(config.getoption("--tape"))
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture
def tape_settings() -> dict[str, Any]:
    """Settings of `Tape` for the tests of a file or a folder: override it there."""
    return {}


@pytest.fixture
def tape_path(request: pytest.FixtureRequest) -> Path:
    """Return where the tape of a test is: `tapes/`, the name of its file, and its own name."""
    path = Path(request.path)
    return path.parent / "tapes" / path.stem / f"{_name_of(request.node.nodeid.partition('::')[2])}.jsonl"


@pytest.fixture
def tape(request: pytest.FixtureRequest, tape_path: Path, tape_settings: dict[str, Any]) -> Iterator[Tape]:
    """Give the tape of a test. What was swallowed of its misses, and left over if all is to be used, fails the test."""
    mode = request.config.getoption("--tape")
    with Tape(tape_path, **{**tape_settings, **({} if mode is None else {"mode": mode})}) as opened:
        yield opened


def _name_of(test: str) -> str:
    """Return a test's name as that of a file; two tests never have one."""
    if _PLAIN.fullmatch(test) and len(test) <= _LONGEST_NAME:
        return test.replace("::", ".")
    name = re.sub(r"[^A-Za-z0-9_]+", "-", test)[:_LONGEST_NAME].strip("-")
    return f"{name}-{sha256(test.encode()).hexdigest()[:8]}"
