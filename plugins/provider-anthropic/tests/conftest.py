"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator

OPUS, HAIKU = "anthropic:claude-opus-5-5", "anthropic:claude-haiku-4-5"


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@cache
def _client(settings: str) -> Client:
    return Client(config={"providers": {"anthropic": {"api_key": "test-key", **json.loads(settings)}}})


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call would send; `settings` are keys of the provider's table."""

    def explain(messages: Any = "hello", *, settings: dict[str, Any] | None = None, **options: Any) -> Explanation:
        return _client(json.dumps(settings or {})).explain(messages, **{"model": HAIKU, **options})

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
        if retry is None and not settings:
            client, emulator = _emulated()
            emulator.requests.clear()
            return client, emulator
        emulator = Emulator("anthropic", **settings)
        return Client(config=emulator.config(retry=retry or {"attempts": 1}), transport=emulator), emulator

    return emulated


@cache
def _emulated() -> tuple[Client, Emulator]:
    emulator = Emulator("anthropic")
    return Client(config=emulator.config(retry={"attempts": 1}), transport=emulator), emulator
