"""Vendors: each is opened when a call first needs it (provider, address, key, patches, plan), and kept."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import attrs
import msgspec

from ..basics.blocking import OverdueError, Room
from ..basics.bounded import MOST_MODELS, Bounded
from ..basics.forks import tell_child
from ..basics.frozen import freeze
from ..basics.hosts import is_private
from ..basics.secret import Secret
from ..basics.typed import expect
from ..basics.words import near_miss
from ..call import Context
from ..errors import ChatportError, ConfigurationError, PluginError, TransportError
from ..facts.file import Facts
from ..facts.models import ModelFacts
from ..facts.prices import Price
from ..limits.timeouts import Timeouts
from ..plugins.guarding import guarded
from ..plugins.installed import installed_patches, installed_providers
from ..plugins.registry import build_plan, given_by_name, load_provider, plugin_name
from ..provider import Auth, Discovery, Provider
from .config import PROVIDER_KEYS, Config, ProviderConfig, read_base_url
from .keys import fetched, is_given_by_function, is_slow, refresh_seconds, resolve
from .origins import check_key, check_way, origin
from .pairing import Address, check_pair, source_of_key
from .placing import is_harmless
from .protocols import check_setting
from .targets import check_length
from .vendor import Vendor

__all__ = ["Vendors", "search"]


SEARCH_SECONDS = 30.0
"""More than any search that is made well takes."""
_FREE = Price("*", 0.0, 0.0, cached_input=0.0, cache_write=0.0, cache_write_1h=0.0, source="nobody bills it")
_STAND_IN = Secret("no-key-is-needed-here")
_SEARCHES = Room("searches for servers", stuck_after_seconds=SEARCH_SECONDS)


class Vendors:
    """The vendors that a client has used so far, and what is known of their models. Shared by its calls."""

    def __init__(
        self,
        config: Config,
        plugins: Sequence[Any] = (),
        environment: Mapping[str, str] | None = None,
        providers: Sequence[Provider] = (),
        monotonic: Callable[[], float] = time.monotonic,
        *,
        needs_no_key: bool = False,
    ) -> None:
        """`needs_no_key`: nothing is sent, so that no key is read, and something stands in for those that are asked."""
        self.config = config
        self._needs_no_key = needs_no_key
        self._plugins = tuple(plugins)
        # A closure: the repr of whatever holds an environment shows every key in it.
        self._environment: Callable[[], Mapping[str, str]] = lambda: os.environ if environment is None else environment
        self._variable: Callable[[str], str | None] = lambda name: self._environment().get(name)
        self._monotonic = monotonic
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._stale_at: dict[str, float] = {}
        self._fetched: dict[str, Secret] = {}
        """Keys that functions gave on an event loop, until the provider is made ready with them."""
        self._given_providers = given_by_name(providers)
        self._providers: dict[str, Vendor] = {}
        self._facts: Bounded[tuple[str, str, str], ModelFacts] = Bounded(MOST_MODELS)
        self._discovered: dict[str, Discovery] = {}
        for plugin in self._plugins:
            self._check_patch(plugin)
        tell_child(self)

    def forked(self) -> None:
        """Let nobody wait for a thread of the parent that makes a provider ready."""
        self._locks = defaultdict(threading.Lock)

    def _check_patch(self, plugin: Any) -> None:
        """Raise PluginError for a patch that would never run, since no provider has the name it gives."""
        from .patches import provider_of_patch  # most clients have none

        name = provider_of_patch(plugin)
        known = {*self.names(), "compatible"}
        if name not in known:
            raise PluginError(
                f"The patch {plugin_name(plugin)} is for the provider {name!r}, which does not exist here."
                f"{near_miss(name, known)} Providers: {', '.join(sorted(known))}.",
                provider=name,
            )

    def names(self) -> set[str]:
        """Return the names of all providers: installed, given to the client, or with a table. None is imported."""
        return {*installed_providers(), *self._given_providers, *self.config.providers}

    def keys(self) -> tuple[str, ...]:
        """Return the texts of every key that is known by now: to be hidden in what is told, and for nothing else."""
        from .known_keys import known_keys  # only who has content told needs it

        return known_keys(self.config, list(self._providers.values()), self._environment())

    def provider(self, name: str) -> Vendor:
        """Return a provider made ready, the same one until its key is due to be read again.

        May block while a local server is looked for, or a command gives the key.
        """
        known = self._providers.get(name)
        if known is not None and name not in self._stale_at:
            return known
        if not self._is_open(name):
            self._check_exists(name)
            with self._locks[name]:  # calls that begin together run one command, not one each
                if not self._is_open(name):
                    self._providers[name] = self._renewed(name)
        return self._providers[name]

    def provider_to_explain(self, name: str) -> Vendor:
        """Return a provider made ready, without its key where that cannot be had: a request can be seen without it."""
        try:
            return self.provider(name)
        except ConfigurationError:
            return self._open(name, needs_key=False)  # what else is wrong is so again

    def outline(self, name: str) -> Vendor:
        """Return a provider for what is known of it: no key is read, no server looked for, and nothing kept.

        Of one that is not set up there is what its package says, for no place in particular.
        """
        try:
            return self._open(name, reads_key=False)
        except ConfigurationError:
            if name in self.config.providers:
                raise
        provider = self._load(name)
        return Vendor(provider, build_plan(provider, ()), provider.base_url, None, ProviderConfig())

    def ahead(self, name: str) -> Callable[[], Awaitable[None]] | None:
        """Return what an event loop awaits before `provider(name)`, None where that is nothing.

        It is for a key that a function gives, which may be an async one.
        """
        reference = self.config.providers.get(name, ProviderConfig()).api_key
        if self._needs_no_key or not isinstance(reference, Mapping) or not is_given_by_function(reference):
            return None
        function = reference["function"]

        async def fetch() -> None:
            if self._is_open(name) or name in self._fetched:
                return  # by another call, while this one waited for its turn
            key = await fetched(function, name)
            if not self._is_open(name):
                self._fetched[name] = key

        return fetch

    def forget_key(self, name: str, key: Secret | None) -> bool:
        """Have a provider's key read again, if it is still the one that was refused.

        Returns whether it is read from anywhere: a key that stands in the configuration is what it is.
        """
        known = self._providers.get(name)
        if known is None or not _is_read(known.config, known.provider):
            return False
        if known.key == key:
            self._fetched.pop(name, None)
            self._stale_at[name] = -math.inf
        return True

    def _check_exists(self, name: str) -> None:
        """Raise ConfigurationError for a provider that nobody knows, before a lock is kept by its name."""
        self._provider_value(name, self.config.providers.get(name, ProviderConfig()))

    def _is_open(self, name: str) -> bool:
        return name in self._providers and self._monotonic() < self._stale_at.get(name, math.inf)

    def _renewed(self, name: str) -> Vendor:
        known = self._providers.get(name)
        vendor = (
            self._open(name)
            if known is None
            else attrs.evolve(  # as paired before
                known,
                key=self._key(known.provider, known.config, known.base_url),
                secret_query=self._secret_query(known.provider, known.config, known.base_url),
            )
        )
        seconds = [stated for source in vendor.config.key_sources if (stated := refresh_seconds(source)) is not None]
        if seconds:
            self._stale_at[name] = self._monotonic() + min(seconds)
        else:
            self._stale_at.pop(name, None)
        return vendor

    def is_ready(self, name: str) -> bool:
        """Whether `provider(name)` will not block."""
        if type(name) is not str:
            expect(name, str, "A provider is named by a text", ConfigurationError)
        if self._is_open(name):
            return True
        table = self.config.providers.get(name, ProviderConfig())
        if any(map(is_slow, table.key_sources)) and not self._needs_no_key:
            return False
        return bool(table.base_url) or self._provider_value(name, table).discover is None

    def total_seconds(self, name: str, call: Mapping[str, float]) -> float | None:
        """Return the total timer of a call to a provider that need not be ready yet, None: it has none."""
        table = self.config.providers.get(name, ProviderConfig())
        own = self._provider_value(name, table).timeouts
        merged = {"total": Timeouts().total, **own, **self.config.timeouts, **table.timeouts, **call}
        return merged["total"] or None

    def _open(self, name: str, *, needs_key: bool = True, reads_key: bool = True) -> Vendor:
        table = self.config.providers.get(name, ProviderConfig())
        provider = self._provider_value(name, table)
        unknown = [key for key in table.settings if key not in provider.settings]
        if unknown:
            known = [*provider.settings, *PROVIDER_KEYS]
            raise ConfigurationError(
                f"[providers.{name}]: unknown key {unknown[0]!r}.{near_miss(unknown[0], known, parts=True)} "
                f"Known: {', '.join(sorted(known))}."
            )
        stated = table
        settings = {**self._settings_from_environment(provider), **table.settings}
        if table.base_url and "base_url" in provider.settings:
            settings["base_url"] = table.base_url
        table = attrs.evolve(table, settings=freeze(settings, ConfigurationError))
        if provider.adapt is not None:
            provider = provider.adapt(provider, table.settings)
        provider = attrs.evolve(provider, auth=self._auth(provider, table))
        address = Address("", "nobody")
        if reads_key or provider.discover is None or table.base_url:
            provider, address = self._place(provider, table, is_stated=bool(stated.settings))
        found = self._discovered.get(name)
        if found is not None:
            table = attrs.evolve(table, settings=freeze({**found.settings, **table.settings}, ConfigurationError))
        check_setting(provider, table.protocol)
        patches = tuple(self._patches(name, table))
        plan = build_plan(provider, patches)
        if not reads_key:
            return Vendor(provider, plan, address.url, None, table, patches, self.config.limits)
        variable = self._key_variable(provider, table)
        check_pair(provider, table, variable, address)
        key = self._key(provider, table, address.url, must_be_there=needs_key)
        secrets = self._secret_query(provider, table, address.url, must_be_there=needs_key)
        seen = urlencode(
            {
                name: value.reveal()
                for name, value in table.query.items()
                if isinstance(value, Secret) and is_harmless(name, value)
            }
        )
        sources = (address.source, source_of_key(table, variable))
        return Vendor(provider, plan, address.url, key, table, patches, self.config.limits, *sources, seen, secrets)

    def _provider_value(self, name: str, table: ProviderConfig) -> Provider:
        check_length(name)
        provider = self._plain_provider_value(name, table)
        return (
            attrs.evolve(provider, dialect=attrs.evolve(provider.dialect, **table.dialect))
            if table.dialect
            else provider
        )

    def _plain_provider_value(self, name: str, table: ProviderConfig) -> Provider:
        if table.kind == "compatible" or (name == "compatible" and table.kind is None):
            if not table.base_url and name != "compatible":
                raise ConfigurationError(
                    f'[providers.{name}] has kind = "compatible" and needs a base_url.', provider=name
                )
            return Provider(name, name, table.base_url or "", auth=Auth(required=False))
        if table.kind is None:
            return self._load(name)
        provider = self._load(table.kind)
        return attrs.evolve(provider, name=name)  # a second account or host of the same vendor, under its own name

    def _load(self, name: str) -> Provider:
        """Return a provider by name: the value the client was given, otherwise the installed one."""
        return self._given_providers.get(name) or load_provider(name)

    def _settings_from_environment(self, provider: Provider) -> dict[str, str]:
        values = {name: self._variable(variable) for name, variable in provider.settings_env.items()}
        return {name: value for name, value in values.items() if value}

    def _place(self, provider: Provider, table: ProviderConfig, *, is_stated: bool) -> tuple[Provider, Address]:
        """Return the base URL, and the provider that speaks there: another one where a search has found it.

        `is_stated`: the configuration, and not only variables of the vendor's own, has settings that may lead there.
        """
        if provider.discover is None or table.base_url:
            return provider, self._base_url(provider, table, is_stated=is_stated)
        servers = search(provider, table.settings)
        if not servers:
            raise TransportError(
                f"{provider.title}: no server answers on the usual ports. Start one, or give "
                f"[providers.{provider.name}] a base_url.",
                provider=provider.name,
                retryable=False,
            )
        found = self._discovered[provider.name] = servers[0]
        address = Address(found.base_url, "a search", is_vendors_word=not is_stated)
        return attrs.evolve(self._load(found.provider), name=provider.name), address

    def _base_url(self, provider: Provider, table: ProviderConfig, *, is_stated: bool) -> Address:
        if table.base_url:
            general = table.base_url_variable
            return Address(_completed(provider, table), f"${general}" if general else "the configuration")
        located = provider.locate(table.settings) if provider.locate is not None else None
        if located is None and provider.facts is not None:
            located = provider.facts.address(table.settings)
        if located:
            try:
                url = read_base_url(located, f"[providers.{provider.name}] as located")
            except ConfigurationError:
                del located  # a key may stand in it by mistake, and a traceback may show locals
                raise
            return Address(url, "its settings", is_vendors_word=not is_stated)
        for variable in provider.base_url_env:
            if self._variable(variable):
                url = read_base_url(self._variable(variable) or "", f"${variable}")
                return Address(url, f"${variable}", is_vendors_word=True)
        if not provider.base_url:
            raise ConfigurationError(
                f"[providers.{provider.name}] needs a base_url: where is this server?", provider=provider.name
            )
        url = read_base_url(provider.base_url, f"The provider {provider.name}: base_url")
        return Address(url, "its package", is_vendors_word=True)

    def _key_variable(self, provider: Provider, table: ProviderConfig) -> str | None:
        """Return the variable that holds the key, None where none does: the first of the vendor's own that is set."""
        if table.api_key is None:
            return next((name for name in provider.key_env if (self._variable(name) or "").strip()), None)
        return table.api_key.get("env") if isinstance(table.api_key, Mapping) else None

    def _auth(self, provider: Provider, table: ProviderConfig) -> Auth:
        """Return how the key is sent: a variable may hold a token, which goes another way than a key."""
        if table.auth is not None:
            return Auth(table.auth.header, table.auth.prefix, required=provider.auth.required)
        return provider.auth_env.get(self._key_variable(provider, table) or "", provider.auth)

    def _key(
        self, provider: Provider, table: ProviderConfig, base_url: str, *, must_be_there: bool = True
    ) -> Secret | None:
        if self._needs_no_key:
            return _STAND_IN if provider.auth.required or table.api_key is not None else None
        if table.api_key is None:
            variable = self._key_variable(provider, table)
            key = None if variable is None else Secret((self._variable(variable) or "").strip())
        elif isinstance(table.api_key, Secret):
            key = table.api_key
        else:
            try:
                key = self._fetched.pop(provider.name, None) or self._resolved(table.api_key, provider)
            except ConfigurationError:
                if must_be_there:
                    raise
                return None
        if key is not None:
            check_key(key, provider, base_url, allow_plain_http=table.allow_plain_http)
        return key

    def _resolved(self, reference: Mapping[str, Any], provider: Provider) -> Secret:
        return resolve(reference, provider.name, folder=self.config.folder or Path(), variable=self._variable)

    def _secret_query(
        self, provider: Provider, table: ProviderConfig, base_url: str, *, must_be_there: bool = True
    ) -> tuple[tuple[str, Secret], ...]:
        """Return what is sent in the query and must not be seen. Raises ConfigurationError like `_key`."""
        found: list[tuple[str, Secret]] = []
        for name, value in table.query.items():
            if is_harmless(name, value):
                continue
            if self._needs_no_key:
                found.append((name, _STAND_IN))
                continue
            try:
                found.append((name, value if isinstance(value, Secret) else self._resolved(value, provider)))
            except ConfigurationError:
                if must_be_there:
                    raise
        if found and not table.allow_plain_http:
            check_way(provider.name, base_url)
        return tuple(found)

    def _patches(self, name: str, table: ProviderConfig) -> list[Any]:
        installed = installed_patches(name).values()
        if not (installed or table.patches or self._plugins):
            return []
        from .patches import checked_patch, patch_from_file, provider_of_patch  # most clients have none

        chosen = [checked_patch(plugin.load(), name) for plugin in installed]
        files = [checked_patch(patch_from_file((self.config.folder or Path()) / path), name) for path in table.patches]
        given = [plugin for plugin in self._plugins if provider_of_patch(plugin) == name]
        return [*chosen, *files, *given]

    def context(self, vendor: Vendor, model: str) -> Context:
        """Return where a call of a model goes, with what is known of the model."""
        return vendor.contexts.get(model) or vendor.context(model, self.facts(vendor, model))

    def named_auto(self, name: str) -> str:
        """Return the model that is meant by the name `auto`: the first one of a server that was found."""
        found = self._discovered.get(name)
        if found is None:
            return "auto"
        if not found.models:
            raise ConfigurationError(
                f'The server at {found.base_url} lists no model; name one: "{name}:MODEL".', provider=name
            )
        check_length(found.models[0])
        return found.models[0]

    def facts(self, vendor: Vendor, model: str) -> ModelFacts:
        """Return what is known of a model, with the user's corrections laid over it."""
        key = (vendor.provider.name, vendor.provider.protocol, model)
        known = self._facts.get(key)
        if known is not None:
            return known
        context = vendor.context(model)
        facts = guarded(context, "describe_model", vendor.plan.describe_model, model, context) or ModelFacts()
        provider = vendor.provider
        corrections = self.config.models.get(f"{provider.name}:{model}") or {}
        own = {**corrections, "source": "configuration"} if corrections else None
        of_protocol = (corrections.get("protocols") or {}).get(provider.protocol)
        for over in (facts.protocols.get(provider.protocol), own, of_protocol):  # each laid over the ones before
            if over:
                facts = _corrected(provider, facts, over, f'[models."{provider.name}:{model}"]')
        if not facts.prices and _is_free(vendor):
            facts = attrs.evolve(facts, prices=(_FREE,))
        self._facts.put(key, facts)
        return facts


def _completed(provider: Provider, table: ProviderConfig) -> str:
    """Return the base URL of the configuration, completed by a provider that has it among its settings.

    Raises PluginError where that would lead to another origin than the user's.
    """
    stated = table.base_url or ""
    if provider.locate is None or "base_url" not in provider.settings:
        return stated
    url = provider.locate(table.settings) or stated
    if origin(url) != origin(stated):
        raise PluginError(f"The provider {provider.name} makes another origin of its base_url.", provider=provider.name)
    return url


def search(provider: Provider, settings: Mapping[str, Any]) -> Sequence[Discovery]:
    """Return the running servers that a provider finds, best first.

    The search is a plugin's, and what it meets is anybody's. Raises PluginError where it fails, or hangs.
    """
    discover = provider.discover
    assert discover is not None, "asked only where there is one"
    try:
        return _SEARCHES.run(object(), lambda: discover(settings), SEARCH_SECONDS)
    except ChatportError:
        raise
    except OverdueError:
        problem, error = f"did not end within {SEARCH_SECONDS:g} s", None
    except Exception as failed:
        problem, error = f"failed: {type(failed).__name__}: {failed}", failed
    raise PluginError(
        f"The search for a server of {provider.title} {problem}. Give [providers.{provider.name}] a base_url.",
        provider=provider.name,
    ) from error


def _is_read(table: ProviderConfig, provider: Provider) -> bool:
    """Whether a key is read from somewhere, and may be another one the next time."""
    if table.api_key is None and provider.key_env:
        return True
    return any(not isinstance(source, Secret) for source in table.key_sources)


def _is_free(vendor: Vendor) -> bool:
    """Whether nobody bills a call: its user says so, or it goes to a server of one's own at an address of one's own."""
    stated = vendor.config.free
    if stated is not None:
        return stated
    return vendor.provider.is_own_server and is_private(urlsplit(vendor.base_url).hostname or "")


def _corrected(provider: Provider, facts: ModelFacts, corrections: Mapping[str, Any], where: str) -> ModelFacts:
    file = provider.facts or Facts(provider.name, "")
    try:
        return file.correct(facts, corrections)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None
