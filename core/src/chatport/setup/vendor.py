"""A vendor made ready for calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..basics.bounded import MOST_MODELS, Bounded
from ..basics.secret import Secret
from ..basics.sizes import Limits
from ..basics.values import Value
from ..call import Context
from ..facts.models import ModelFacts
from ..limits.timeouts import Timeouts
from ..plugins.plan import Plan
from ..provider import Provider
from .config import ProviderConfig

__all__ = ["Vendor"]


@attrs.frozen(eq=False, repr=False)
class Vendor(Value):
    """A provider made ready for calls: its value, its compiled chains, where it is, and its key.

    `base_url_source` and `key_source` say in words where these two come from.

    What is the same for nearly every call is made once and kept: `usual_timeouts` by whether the answer is streamed,
    `usual_headers` also by whether there is a body, and the contexts of the models that were used last.
    """

    provider: Provider
    plan: Plan
    base_url: str
    key: Secret | None
    config: ProviderConfig
    patches: tuple[Any, ...] = ()
    limits: Limits = attrs.field(factory=Limits)
    base_url_source: str = ""
    key_source: str = ""
    query: str = ""
    """What is sent in the query of every address and may be seen."""
    secret_query: tuple[tuple[str, Secret], ...] = ()
    usual_timeouts: dict[bool, Timeouts] = attrs.field(factory=dict, init=False, eq=False, repr=False)
    usual_headers: dict[tuple[bool, bool], tuple[tuple[str, str], ...]] = attrs.field(
        factory=dict, init=False, eq=False, repr=False
    )
    forms: dict[str, Vendor] = attrs.field(factory=dict, init=False, eq=False, repr=False)
    """The same vendor as other protocols have it, by their names: made when a call first takes one."""
    contexts: Bounded[str, Context] = attrs.field(
        factory=lambda: Bounded(MOST_MODELS), init=False, eq=False, repr=False
    )
    layers: dict[int, Plan] = attrs.field(factory=dict, init=False, eq=False, repr=False)
    """The chains as they are with the first so many plugins alone: made when `explain` first asks."""
    auth: tuple[str, str, Secret] | None = attrs.field(init=False, eq=False, repr=False)

    @auth.default
    def _auth(self) -> tuple[str, str, Secret] | None:
        """Return header, prefix and key, None where no key is sent."""
        how = self.provider.auth
        return None if self.key is None else (how.header, how.prefix, self.key)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The key, and whatever else must not be seen."""
        own = () if self.key is None else (self.key,)
        return (*own, *(secret for _, secret in self.secret_query))

    def context(self, model: str, facts: ModelFacts | None = None) -> Context:
        """Return the context of a model here."""
        if facts is None:
            return Context(self.provider, model, self.base_url, ModelFacts(), self.config.settings, self.limits)
        known = self.contexts.get(model)
        if known is None or known.facts is not facts:
            known = Context(self.provider, model, self.base_url, facts, self.config.settings, self.limits)
            self.contexts.put(model, known)
        return known

    def headers(self) -> Mapping[str, str]:
        """Return the headers that the configuration asks for: from the provider's settings, and the user's own."""
        named = self.provider.settings_headers.items()
        given = {header: self.config.settings.get(name) for name, header in named}
        own = {header: _header_text(value) for header, value in given.items() if value not in (None, "")}
        return {**self.provider.headers, **own, **self.config.headers}


def _header_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
