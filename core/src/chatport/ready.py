"""A provider made ready for calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .call import Context
from .config import ProviderConfig
from .engine.timers import Timeouts
from .facts import ModelFacts
from .plan import Plan
from .provider import Provider
from .secret import Secret

__all__ = ["ProviderPort"]


@attrs.frozen
class ProviderPort:
    """A provider made ready for calls: its value, its compiled chains, where it is, and its key.

    `usual_timeouts` keeps, by whether the answer is streamed, what holds for a call without timers of its own.
    """

    provider: Provider
    plan: Plan
    base_url: str
    key: Secret | None
    config: ProviderConfig
    patches: tuple[Any, ...] = ()
    usual_timeouts: dict[bool, Timeouts] = attrs.field(factory=dict, eq=False, repr=False)

    def context(self, model: str, facts: ModelFacts | None = None) -> Context:
        """Return the context of a model here."""
        return Context(self.provider, model, self.base_url, facts or ModelFacts(), self.config.settings)

    def headers(self) -> Mapping[str, str]:
        """Return the headers that the configuration asks for: from the provider's settings, and the user's own."""
        named = self.provider.settings_headers.items()
        own = {header: str(self.config.settings[name]) for name, header in named if self.config.settings.get(name)}
        return {**self.provider.headers, **own, **self.config.headers}
