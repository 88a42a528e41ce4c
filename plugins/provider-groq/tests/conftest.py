"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator

_VARIABLES = (
    "LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL",
    "GROQ_API_KEY", "GROQ_BASE_URL", "GROQ_API_BASE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATPORT_CONFIG", "")
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call would send."""

    def explain(messages: Any = "hello", **options: Any) -> Explanation:
        client = Client(config={"providers": {"groq": {"api_key": "test-key"}}})
        return client.explain(messages, **{"model": "groq:openai/gpt-oss-120b", **options})

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
        emulator = Emulator("groq", **settings)
        return Client(config=emulator.config(retry=retry or {"attempts": 1}), transport=emulator), emulator

    return emulated
