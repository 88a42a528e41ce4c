"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator

_VARIABLES = (
    "LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "FIREWORKS_BASE_URL", "FIREWORKS_API_BASE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return the request that a call would send; `settings` are keys of the provider's table."""

    def explain(messages: Any = "hello", *, settings: dict[str, Any] | None = None, **options: Any) -> Explanation:
        client = Client(config={"providers": {"fireworks": {"api_key": "test-key", **(settings or {})}}})
        options["model"] = f"fireworks:{options.get('model', 'kimi-k2p6')}"
        return client.explain(messages, **options)

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

    def emulated(**settings: Any) -> tuple[Client, Emulator]:
        emulator = Emulator("fireworks", **settings)
        return Client(config=emulator.config(retry={"attempts": 1}), transport=emulator), emulator

    return emulated
