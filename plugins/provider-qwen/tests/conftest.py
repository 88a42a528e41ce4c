"""What all tests here share: no setting of this machine reaches them, and nothing is sent to any vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import chatport
from chatport.explain import Explanation
from chatport.testing import Emulator

_VARIABLES = (
    "DASHSCOPE_API_KEY", "ALIBABA_API_KEY", "MODELSTUDIO_API_KEY", "DASHSCOPE_BASE_URL", "DASHSCOPE_API_BASE",
    "LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "CHATPORT_CONFIG",
    "CHATPORT_DISABLE_PLUGINS",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def explain() -> Callable[..., Explanation]:
    """Return what would be sent to a model at the vendor's default address."""

    def run(messages: Any, model: str = "qwen-max", *, settings: Any = None, **options: Any) -> Explanation:
        table = {"api_key": "sk-test", **(settings or {})}
        with chatport.Client(config={"providers": {"qwen": table}}) as client:
            return client.explain(messages, model=f"qwen:{model}", **options)

    return run


@pytest.fixture
def emulator() -> Emulator:
    return Emulator("qwen")


@pytest.fixture
def client(emulator: Emulator) -> Iterator[chatport.Client]:
    """Return a client of the emulator. There is no second attempt, so that each refusal is seen."""
    with chatport.Client(config=emulator.config(retry={"attempts": 1}), transport=emulator) as made:
        yield made
