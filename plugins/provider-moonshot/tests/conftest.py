"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

import pytest

from chatport.testing.pytest_plugin import provider_fixtures
from chatport_moonshot.emulator import MoonshotEmulator

isolated, explain, notes, emulated = provider_fixtures("moonshot", model="kimi-k3")


@pytest.fixture(autouse=True)
def while_all_models_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the emulator answer as of a day on which no model below was switched off."""
    monkeypatch.setattr(MoonshotEmulator, "today", "2026-11-22")
