"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator


@cache
def offline() -> Client:
    """Return the client that all tests of requests share: it keeps nothing between calls."""
    return Client(config={"providers": {"moonshot": {"api_key": "test-key"}}})


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "MOONSHOT_API_BASE", "MOONSHOT_REGION",
        "MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY", "KIMI_API_KEY",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHATPORT_CONFIG", "")


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call would send."""

    def explain(messages: Any = "hello", *, model: str = "kimi-k3", **options: Any) -> Explanation:
        return offline().explain(messages, model=f"moonshot:{model}", **options)

    return explain


@pytest.fixture
def notes() -> Callable[[Any], set[tuple[str, str, str]]]:
    """Return kind, field and fact of each adjustment or warning."""

    def notes(source: Any) -> set[tuple[str, str, str]]:
        found = source.adjustments if isinstance(source, Explanation) else source.warnings
        return {(note.kind, note.field, note.fact) for note in found}

    return notes


@pytest.fixture
def emulated() -> Callable[..., tuple[Client, Emulator]]:
    """Return a client of an emulator with these settings, and the emulator."""

    def emulated(*, retry: dict[str, Any] | None = None, **settings: Any) -> tuple[Client, Emulator]:
        emulator = Emulator("moonshot", **settings)
        return Client(config=emulator.config(retry=retry or {"attempts": 1}), transport=emulator), emulator

    return emulated
