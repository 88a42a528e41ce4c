"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "OPENROUTER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@cache
def _shared() -> Client:
    """Return one client for all that needs no setting: making one takes longer than what it is asked."""
    return Client(config={"providers": {"openrouter": {"api_key": "test-key"}}})


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call would send; `settings` are keys of the provider's table, `facts` the model's."""

    def explain(
        messages: Any = "hello",
        *,
        model: str = "openai/gpt-5.2",
        settings: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        **options: Any,
    ) -> Explanation:
        target = f"openrouter:{model}"
        table = {"api_key": "test-key", **(settings or {})}
        corrected = {target: facts} if facts else {}
        plain = not (settings or facts)
        client = _shared() if plain else Client(config={"providers": {"openrouter": table}, "models": corrected})
        return client.explain(messages, model=target, **options)

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
        emulator = Emulator("openrouter", **settings)
        return Client(config=emulator.config(retry=retry or {"attempts": 1}), transport=emulator), emulator

    return emulated
