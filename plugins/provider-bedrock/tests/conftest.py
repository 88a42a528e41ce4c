"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from typing import Any

import pytest

from chatport.testing.pytest_plugin import provider_fixtures

isolated, explain_anywhere, notes, emulated = provider_fixtures("bedrock", model="openai.gpt-oss-20b")


@pytest.fixture
def explain(explain_anywhere: Any) -> Any:
    """Return `explain` for the endpoint mantle of a region, unless the settings say where the call goes."""

    def run(messages: Any = "hello", *, settings: dict[str, Any] | None = None, **options: Any) -> Any:
        place = {"region": "us-east-1", "endpoint": "mantle"}
        return explain_anywhere(messages, settings={**place, **(settings or {})}, **options)

    return run
