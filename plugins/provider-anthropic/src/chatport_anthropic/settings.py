"""The forms that settings give the provider: how its key is sent, and which of the vendor's two protocols it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Auth, ConfigurationError, Dialect, Facts, Provider, load_facts

from . import compatible

__all__ = ["adapt"]

_NATIVE_SETTINGS = ("betas", "thinking_display", "thinking_mismatch")


def adapt(provider: Provider, settings: Mapping[str, Any]) -> Provider:
    """Return the provider in the form that its settings ask for. Raises ConfigurationError for unknown words."""
    if _chosen(provider, settings, "auth", "key", "token") == "token":
        # One header, and one variable: with both variables set, the setting says which of them counts (AN-A2, AN-A5).
        provider = attrs.evolve(provider, auth=Auth(), key_env=("ANTHROPIC_AUTH_TOKEN",))
    if _chosen(provider, settings, "protocol", "messages", "openai") == "messages":
        return provider
    useless = [name for name in _NATIVE_SETTINGS if name in settings]
    if useless:
        raise ConfigurationError(
            f'[providers.{provider.name}]: {", ".join(useless)} has no effect with protocol = "openai". Leave it out.',
            provider=provider.name,
        )
    dialect, facts = _compatible_dialect(provider.dialect), _compatible_facts(provider.facts)
    return attrs.evolve(
        provider, auth=Auth(), headers={}, dialect=dialect, facts=facts, hooks=(compatible,), protocol="chat"
    )


def _chosen(provider: Provider, settings: Mapping[str, Any], name: str, default: str, other: str) -> str:
    """Return the word of a setting that has two."""
    word = settings.get(name, default)
    if word not in (default, other):
        raise ConfigurationError(
            f'[providers.{provider.name}]: {name} is "{default}" or "{other}", not {word!r}.', provider=provider.name
        )
    return str(word)


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
