"""pytest fixtures for the tests of a provider package, made for its provider.

    # tests/conftest.py
    from chatport.testing.pytest_plugin import provider_fixtures

    isolated, explain, notes, emulated = provider_fixtures("acme", model="acme-large")

They are ordinary fixtures of that folder, under the names you give them. They are not registered for every pytest run
of an environment, where names as short as these would be in the way.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest

from ..client.explain import Explanation
from ..client.sync import Client
from ..plugins.registry import load_provider
from ..provider import Provider
from .server import Emulator

__all__ = ["isolate", "isolated_fixture", "notes_fixture", "provider_fixtures"]

_GENERAL = (
    "BASE_URL", "CHATPORT_CONFIG", "CHATPORT_DISABLE_PLUGINS", "LLM_API_KEY", "LLM_BASE_URL", "LLM_MODEL",
    "LLM_PROVIDER",
)  # fmt: skip


def isolate(provider: Provider, monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
    """Hide this machine's configuration from a test: the environment's variables, the user's and a `chatport.toml`."""
    for variable in _variables(provider):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(folder / "of-nobody"))
    monkeypatch.chdir(folder)


def provider_fixtures(
    provider: str | Provider, *, model: str | None = None, api_key: str = "test-key"
) -> tuple[Any, Any, Any, Any]:
    """Return four fixtures of a provider: an installed one's name, or a value that no package registers.

    1. Used by every test: no configuration of this machine reaches it.
    2. `explain(messages="hello", model=…, settings={…}, facts={…}, **options)` gives the request that would be sent;
       `settings` are keys of the provider's table, `facts` corrections of the model's.
    3. `notes(explanation or reply)` gives kind, field and fact of each adjustment or warning, as a set.
    4. `emulated(retry={…}, table={…}, **settings)` gives a client of an emulator with these settings, and the
       emulator; the client asks once unless `retry` says more. `table` has more keys of the provider's table.

    `model` is what is asked where a call names none (default: the emulator's first).
    """
    return (
        isolated_fixture(provider),
        _explain_fixture(provider, model, api_key),
        notes_fixture(),
        _emulated_fixture(provider),
    )


def isolated_fixture(*providers: str | Provider) -> Any:
    """Return the first of these fixtures, for the tests of several providers."""

    @pytest.fixture(autouse=True)
    def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        for provider in providers:
            isolate(_value(provider), monkeypatch, tmp_path)

    return isolated


def notes_fixture() -> Any:
    """Return the third of these fixtures, which is the same for all providers."""

    def notes(source: Any) -> set[tuple[str, str, str]]:
        found = source.adjustments if isinstance(source, Explanation) else source.warnings
        return {(note.kind, note.field, note.fact) for note in found}

    return pytest.fixture(lambda: notes)


def _explain_fixture(provider: str | Provider, model: str | None, api_key: str) -> Any:
    @cache
    def plain(environment: tuple[str | None, ...]) -> Client:  # making a client takes longer than asking it
        return client({}, {})

    def client(settings: dict[str, Any], models: dict[str, Any]) -> Client:
        value = _value(provider)
        table = {"api_key": api_key, **settings}
        return Client(config={"providers": {value.name: table}, "models": models}, providers=_given(provider))

    def explain(
        messages: Any = "hello",
        model: str | None = model,
        *,
        settings: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        **options: Any,
    ) -> Explanation:
        value = _value(provider)
        wanted = model or Emulator(value).vendor.models[0]
        target = wanted if wanted.startswith(f"{value.name}:") else f"{value.name}:{wanted}"
        environment = tuple(map(os.environ.get, _variables(value)))
        asked = client(settings or {}, {target: facts} if facts else {}) if settings or facts else plain(environment)
        return asked.explain(messages, model=target, **options)

    return pytest.fixture(lambda: explain)


def _emulated_fixture(provider: str | Provider) -> Any:
    def emulated(
        *, retry: dict[str, Any] | None = None, table: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Client, Emulator]:
        emulator = Emulator(provider, **settings)
        config = emulator.config(retry=retry or {"attempts": 1})
        config["providers"][emulator.provider] |= table or {}
        return Client(config=config, transport=emulator, providers=_given(provider)), emulator

    return pytest.fixture(lambda: emulated)


def _variables(provider: Provider) -> tuple[str, ...]:
    return (*_GENERAL, *provider.key_env, *provider.base_url_env, *provider.settings_env.values())


def _value(provider: str | Provider) -> Provider:
    return load_provider(provider) if isinstance(provider, str) else provider


def _given(provider: str | Provider) -> tuple[Provider, ...]:
    return () if isinstance(provider, str) else (provider,)
