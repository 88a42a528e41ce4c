"""What the tests share: shaping a call on a fixed day, and an emulator under a client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import chatport
from chatport.client import read_call
from chatport.config import load_config
from chatport.prepare import Port
from chatport.testing import Emulator

TODAY = "2026-11-22"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own account out of the tests."""
    for variable in list(os.environ):
        if variable.startswith(("OPENAI_", "LLM_", "CHATPORT_")) or variable == "BASE_URL":
            monkeypatch.delenv(variable)


def port(**settings: Any) -> Port:
    """Return a port that knows a key and nothing of this machine's environment."""
    table = {"api_key": "sk-test", **settings}
    return Port(load_config({"providers": {"openai": table}}, environment={}), environment={})


@pytest.fixture
def shape() -> Callable[..., Any]:
    """Return a function that gives the request of a call, as of a day on which no model below was retired."""

    plain = port()

    def run(messages: Any = "hi", *, model: str, today: str = TODAY, config: Any = None, **options: Any) -> Any:
        chosen = plain if config is None else port(**config)
        call, timeouts = read_call(messages, **options)
        return chosen.route(call, f"openai:{model}", timeouts=timeouts, options=options, today=today).wire

    return run


@pytest.fixture
def facts() -> Callable[[str], Any]:
    """Return a function that gives the facts of a model."""
    plain = port()

    def run(model: str) -> Any:
        return plain.facts(plain.provider("openai"), model)

    return run


@pytest.fixture
def emulated() -> Iterator[Callable[..., Any]]:
    """Return a function that gives a client of an emulator with these settings, and the emulator."""
    clients: list[chatport.Client] = []

    def run(config: Any = None, **settings: Any) -> tuple[chatport.Client, Emulator]:
        emulator = Emulator("openai", **settings)
        tables = emulator.config(retry={"attempts": 1})
        tables["providers"]["openai"] |= config or {}
        clients.append(chatport.Client(config=tables, transport=emulator))
        return clients[-1], emulator

    yield run
    for client in clients:
        client.close()
