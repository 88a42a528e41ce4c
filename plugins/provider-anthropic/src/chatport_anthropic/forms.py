"""The forms of the provider: how its key is sent, as a setting says, and the vendor's second protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Auth, ConfigurationError, Dialect, Facts, Provider, load_facts

from . import compatible

__all__ = ["NATIVE_AUTH", "adapt", "compatible_form"]

NATIVE_AUTH = Auth(header="x-api-key", prefix="")


def adapt(provider: Provider, settings: Mapping[str, Any]) -> Provider:
    """Return the provider in the form that its settings ask for. Raises ConfigurationError for unknown words."""
    word = settings.get("auth", "key")
    if word not in ("key", "token"):
        raise ConfigurationError(
            f'[providers.{provider.name}]: auth is "key" or "token", not {word!r}.', provider=provider.name
        )
    if word == "key":
        return provider
    # One header, and one variable: with both variables set, the setting says which of them counts (AN-A2, AN-A5).
    return attrs.evolve(provider, auth=Auth(), key_env=("ANTHROPIC_AUTH_TOKEN",))


def compatible_form(provider: Provider) -> Provider:
    """Return the provider as it speaks to the vendor's OpenAI-compatible endpoint."""
    auth = Auth() if provider.auth == NATIVE_AUTH else provider.auth  # else as the user says
    dialect, facts = _compatible_dialect(provider.dialect), _compatible_facts(provider.facts)
    return attrs.evolve(provider, auth=auth, headers={}, dialect=dialect, facts=facts, hooks=(compatible,))


def _compatible_dialect(dialect: Dialect) -> Dialect:
    return attrs.evolve(
        dialect,
        chat_path="/v1/chat/completions",  # AN-A1
        models_path=None,  # AN-E4: chat completions only
        prefill=None,  # AN-C1: not among what it honours
    )


def _compatible_facts(facts: Facts | None) -> Facts | None:
    """Lay what the endpoint does otherwise over the newest rules; what is said of single models holds there too."""
    own = load_facts("chatport_anthropic", "compatible.json")
    return facts and attrs.evolve(facts, models=(*facts.models, *own.models))
