"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from __future__ import annotations

from typing import Any

import pytest

from chatport.testing.pytest_plugin import provider_fixtures

isolated, explain_anywhere, notes, emulated = provider_fixtures("azure", model="gpt-5-mini")


@pytest.fixture
def explain(explain_anywhere: Any) -> Any:
    """Return `explain` for a resource, unless the settings say where the call goes."""

    def run(messages: Any = "hello", *, settings: dict[str, Any] | None = None, **options: Any) -> Any:
        named = settings or {}
        place = {} if {"base_url", "endpoint", "resource"} & named.keys() else {"resource": "acme"}
        return explain_anywhere(messages, settings={**place, **named}, **options)

    return run
