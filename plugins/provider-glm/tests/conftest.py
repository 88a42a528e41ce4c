"""What the tests here share: no setting of this machine reaches them, and nothing is sent to the vendor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport import Client
from chatport.explain import Explanation
from chatport.testing import Emulator

_VARIABLES = (
    "ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "GLM_API_KEY", "ZAI_API_BASE", "LLM_PROVIDER", "LLM_BASE_URL",
    "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "CHATPORT_CONFIG", "CHATPORT_DISABLE_PLUGINS",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return what would be sent; `settings` are keys of the provider's table."""

    def run(messages: Any = "hello", model: str = "glm-5.2", *, settings: Any = None, **options: Any) -> Explanation:
        with Client(config={"providers": {"glm": {"api_key": "id.secret", **(settings or {})}}}) as client:
            return client.explain(messages, model=f"glm:{model}", **options)

    return run


@pytest.fixture
def notes() -> Callable[[Any], set[tuple[str, str, str]]]:
    """Return kind, field and fact of each adjustment or warning."""

    def run(source: Any) -> set[tuple[str, str, str]]:
        found = source.adjustments if isinstance(source, Explanation) else source.warnings
        return {(note.kind, note.field, note.fact) for note in found}

    return run


@pytest.fixture
def emulated() -> Callable[..., tuple[Client, Emulator]]:
    """Return a client of an emulator with these settings, and the emulator. There is no second attempt."""

    def run(**settings: Any) -> tuple[Client, Emulator]:
        emulator = Emulator("glm", **settings)
        return Client(config=emulator.config(retry={"attempts": 1}), transport=emulator), emulator

    return run
