"""What the tests share: shaping a call on a fixed day, and an emulator under a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport.inputs.options import read_call
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing.pytest_plugin import provider_fixtures
from chatport_openai.emulator import OpenAIEmulator

TODAY = "2026-11-22"


isolated, explain, notes, emulated = provider_fixtures("openai", model="gpt-6-sol", api_key="sk-test")


@pytest.fixture(autouse=True)
def on_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the emulator answer as of that day too: the models below are to be there for ever."""
    monkeypatch.setattr(OpenAIEmulator, "today", TODAY)


def vendors(**settings: Any) -> Vendors:
    """Return vendors that know a key and nothing of this machine's environment."""
    table = {"api_key": "sk-test", **settings}
    return Vendors(load_config({"providers": {"openai": table}}, environment={}), environment={})


@pytest.fixture
def shape() -> Callable[..., Any]:
    """Return a function that gives the request of a call, as of a day on which no model below was retired."""

    plain = vendors()

    def run(messages: Any = "hi", *, model: str, today: str = TODAY, config: Any = None, **options: Any) -> Any:
        chosen = plain if config is None else vendors(**config)
        call, timeouts = read_call(messages, **options)
        return Routes(chosen).route(call, f"openai:{model}", timeouts=timeouts, options=options, today=today).wire

    return run


@pytest.fixture
def facts() -> Callable[[str], Any]:
    """Return a function that gives the facts of a model."""
    plain = vendors()

    def run(model: str) -> Any:
        return plain.facts(plain.provider("openai"), model)

    return run
