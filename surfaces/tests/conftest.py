"""What the tests share: the official SDKs in front of emulated vendors, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces.chat import surface as chat
from chatport_surfaces.embeddings import surface as embeddings
from chatport_surfaces.models import surface as models

VENDORS = {
    "openai": "gpt-6-sol",
    "anthropic": "claude-opus-4-8",
    "deepseek": "deepseek-flash",
    "qwen": "qwen3.7-plus",
}
SURFACES = (chat, embeddings, models)


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Keep this machine's environment and folder out."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def behind() -> Iterator[Callable[..., tuple[chatport.Client, Emulator]]]:
    """Return a function that opens a client before a vendor's emulator, with the alias `main` for its model."""
    with ExitStack() as opened:

        def open_client(vendor: str, *, observers: Any = (), **config: Any) -> tuple[chatport.Client, Emulator]:
            emulator = Emulator(vendor)
            table = {**emulator.config(), "aliases": {"main": [f"{vendor}:{VENDORS[vendor]}"]}, **config}
            return opened.enter_context(chatport.Client(table, transport=emulator, observers=observers)), emulator

        yield open_client
