"""The conformance suite that every provider package runs, ours and a third party's alike.

    # tests/test_conformance.py
    from chatport.testing.conformance import conformance

    TestConformance = conformance("acme")

It needs pytest and the provider's emulator, and no network. Each test says in its name what a provider must do, and
each failure names the provider, the hook, the input, and what to change.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...provider import Provider
from .answers import AnswerTests
from .beside import BesideTests
from .counting import CountingTests
from .endings import EndingTests
from .fact_data import FactTests
from .failures import STATUSES, FailureTests
from .histories import HistoryTests
from .keys import KeyTests
from .losses import LossTests
from .purity import PurityTests
from .quirk_table import QuirkTableTests
from .report import ReportTests
from .secrecy import SecrecyTests
from .streams import StreamTests
from .subject import Subject
from .thinking import ThinkingTests

__all__ = ["conformance"]

_PARTS = (
    AnswerTests, BesideTests, LossTests, KeyTests, ThinkingTests, HistoryTests, StreamTests, EndingTests, CountingTests,
    FailureTests, PurityTests, SecrecyTests, FactTests, QuirkTableTests,
)  # fmt: skip


def conformance(
    provider: str | Provider,
    *,
    model: str | None = None,
    models: tuple[str, ...] | None = None,
    statuses: tuple[int, ...] = tuple(STATUSES),
    error_codes: tuple[int, ...] = (),
    quirks: int | None = None,
    context_unknown: Mapping[str, str] | None = None,
    protocol: str | None = None,
) -> type[Any]:
    """Return the test class of a provider: an installed one's name, or a `Provider` value that no package registers.

    `model` is one that can call tools (default: the emulator's first), and with it the suite tries no other; `models`
    are those that it tries (default: all of the emulator's). `statuses` are the HTTP statuses for which the
    emulator has the vendor's own error bodies, `error_codes` further words that it takes after `error:`. `quirks` is
    the number of rows of the README's quirk table, so that none gets lost. `context_unknown` says why the context
    windows of some models are not known: patterns of model ids, with the reason. `protocol` is the one of the
    provider's protocols that all calls take, None: the one that each needs.
    """
    attributes = {
        "subject": Subject.of(provider, model, models, protocol),
        "statuses": statuses,
        "error_codes": error_codes,
        "quirks": quirks,
        "context_unknown": context_unknown or {},
        "package": _package_of(sys._getframe(1).f_globals.get("__file__")),
    }
    return type("TestConformance", (*_PARTS, ReportTests), attributes)


def _package_of(test_file: str | None) -> Path | None:
    """Return the folder of the package that a test file belongs to: the nearest one with a pyproject.toml."""
    above = Path(test_file).resolve().parents if test_file else ()
    return next((folder for folder in above if (folder / "pyproject.toml").is_file()), None)
