"""What all tests here share: no setting of this machine reaches them, and nothing is sent to any vendor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import chatport
from chatport.testing import Emulator
from chatport.testing.pytest_plugin import provider_fixtures

isolated, explain, notes, emulated = provider_fixtures("qwen", model="qwen-max")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator("qwen")


@pytest.fixture
def client(emulator: Emulator) -> Iterator[chatport.Client]:
    """Return a client of the emulator. There is no second attempt, so that each refusal is seen."""
    with chatport.Client(config=emulator.config(retry={"attempts": 1}), transport=emulator) as made:
        yield made
