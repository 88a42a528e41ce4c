"""From a call and a target to a `Route`: provider, key, facts, tools, and the request as the chain shapes it."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from ..basics.blocking import OverdueError, Room
from ..basics.bounded import LONGEST_NAME, MOST_MODELS, Bounded
from ..basics.frozen import freeze
from ..basics.secret import Secret
from ..basics.words import near_miss
from ..call import Call, Context, WireRequest
from ..engine.route import Route
from ..engine.timers import Timeouts
from ..errors import ChatportError, ConfigurationError, ModelNotFoundError, PluginError, TransportError
from ..events import ErrorReported, Event, FinishReported
from ..facts.models import Facts, ModelFacts
from ..limits.policy import check_policy
from ..plugins.guarding import guarded
from ..plugins.installed import installed_patches, installed_providers
from ..plugins.registry import build_plan, given_by_name, load_provider, plugin_name
from ..provider import Auth, Discovery, Provider
from ..standard.stream import is_error
from ..types import Adjustment
from .config import PROVIDER_KEYS, Config, ProviderConfig, read_base_url
from .keys import is_slow, refresh_seconds, resolve
from .origins import check_key
from .pairing import Address, check_pair, source_of_key
from .shaping import check_content, encoded, http_request, refuse_losses, shape
from .targets import Choice
from .vendor import ProviderPort

if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["Port", "ProviderPort", "search", "split_target"]


SEARCH_SECONDS = 30.0
"""More than any search that is made well takes."""
_SEARCHES = Room("searches for servers", stuck_after_seconds=SEARCH_SECONDS)
_LONGEST_SUCCESSION = 8
"""How many successors of retired models are followed: a circle in the facts must not hang a call."""


def split_target(target: str) -> tuple[str, str]:
    """Split `provider:model` at the first colon. Raises ConfigurationError if there is none, or it is too long."""
    _check_length(target)
    provider, colon, model = target.partition(":")
    if not colon or not provider or not model:
        raise ConfigurationError(f'{target!r} is not a target: write "provider:model", such as "openai:gpt-6-luna".')
    return provider, model


def _check_length(name: str) -> None:
    """Raise ConfigurationError for what cannot be the name of a model: it would be kept, logged and sent as one."""
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(
            f"The name of a model or provider has at most {LONGEST_NAME} characters; {name[:40]!r}… has {len(name)}. "
            "Nothing was sent. Is this text a message that was passed as model?"
        )


class Port:
    """What a client knows: the configuration, and each provider it has used so far. Shared by its calls."""

    def __init__(
        self,
        config: Config,
        plugins: Sequence[Any] = (),
        environment: Mapping[str, str] | None = None,
        providers: Sequence[Provider] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._plugins = tuple(plugins)
        # A closure: the repr of whatever holds an environment shows every key in it.
        self._variable: Callable[[str], str | None] = lambda name: (
            os.environ if environment is None else environment
        ).get(name)
        self._monotonic = monotonic
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._stale_at: dict[str, float] = {}
        self._given_providers = given_by_name(providers)
        self._providers: dict[str, ProviderPort] = {}
        self._facts: Bounded[tuple[str, str], ModelFacts] = Bounded(MOST_MODELS)
        self._discovered: dict[str, Discovery] = {}
        for plugin in self._plugins:
            self._check_patch(plugin)

    def _check_patch(self, plugin: Any) -> None:
        """Raise PluginError for a patch that would never run, since no provider has the name it gives."""
        name = _provider_of_patch(plugin)
        known = {*installed_providers(), *self._given_providers, *self.config.providers, "compatible"}
        if name not in known:
            raise PluginError(
                f"The patch {plugin_name(plugin)} is for the provider {name!r}, which does not exist here."
                f"{near_miss(name, known)} Providers: {', '.join(sorted(known))}.",
                provider=name,
            )

    def targets(self, model: str | None) -> tuple[tuple[Choice, ...], Mapping[str, Any]]:
        """Return the targets that a name means, in order of preference, and the options of its alias."""
        name = model or self.config.model
        if not name:
            raise ConfigurationError('No model is named: pass model="provider:model", or set LLM_MODEL.')
        _check_length(name)
        alias = self.config.aliases.get(name)
        if alias is not None:
            return alias.choices, alias.options
        if ":" not in name:
            raise ConfigurationError(
                f"No alias is called {name!r}.{near_miss(name, self.config.aliases)} "
                f'Aliases: {", ".join(sorted(self.config.aliases)) or "none"}. Otherwise write "provider:model".'
            )
        split_target(name)
        return (Choice(name),), {}

    def provider(self, name: str) -> ProviderPort:
        """Return a provider made ready, the same one until its key is due to be read again.

        May block while a local server is looked for, or a command gives the key.
        """
        if not self._is_open(name):
            self._check_exists(name)
            with self._locks[name]:  # calls that begin together run one command, not one each
                if not self._is_open(name):
                    self._providers[name] = self._renewed(name)
        return self._providers[name]

    def _check_exists(self, name: str) -> None:
        """Raise ConfigurationError for a provider that nobody knows, before a lock is kept by its name."""
        self._provider_value(name, self.config.providers.get(name, ProviderConfig()))

    def _is_open(self, name: str) -> bool:
        return name in self._providers and self._monotonic() < self._stale_at.get(name, math.inf)

    def _renewed(self, name: str) -> ProviderPort:
        known = self._providers.get(name)
        port = (
            self._open(name)
            if known is None
            else attrs.evolve(known, key=self._key(known.provider, known.config, known.base_url))  # as paired before
        )
        seconds = refresh_seconds(port.config.api_key)
        if seconds is not None:
            self._stale_at[name] = self._monotonic() + seconds
        return port

    def is_ready(self, name: str) -> bool:
        """Whether `provider(name)` will not block."""
        if self._is_open(name):
            return True
        table = self.config.providers.get(name, ProviderConfig())
        if is_slow(table.api_key):
            return False
        return bool(table.base_url) or self._provider_value(name, table).discover is None

    def _open(self, name: str) -> ProviderPort:
        table = self.config.providers.get(name, ProviderConfig())
        provider = self._provider_value(name, table)
        unknown = [key for key in table.settings if key not in provider.settings]
        if unknown:
            known = [*provider.settings, *PROVIDER_KEYS]
            raise ConfigurationError(
                f"[providers.{name}]: unknown key {unknown[0]!r}.{near_miss(unknown[0], known)} "
                f"Known: {', '.join(sorted(known))}."
            )
        stated = table
        settings = {**self._settings_from_environment(provider), **table.settings}
        table = attrs.evolve(table, settings=freeze(settings, ConfigurationError))
        if provider.adapt is not None:
            provider = provider.adapt(provider, table.settings)
        provider = attrs.evolve(provider, auth=self._auth(provider, table))
        provider, address = self._place(provider, table, is_stated=bool(stated.settings))
        found = self._discovered.get(name)
        if found is not None:
            table = attrs.evolve(table, settings=freeze({**found.settings, **table.settings}, ConfigurationError))
        patches = tuple(self._patches(name, table))
        plan = build_plan(provider, patches)
        variable = self._key_variable(provider, table)
        check_pair(provider, table, variable, address)
        key, sources = self._key(provider, table, address.url), (address.source, source_of_key(table, variable))
        return ProviderPort(provider, plan, address.url, key, table, patches, self.config.limits, *sources)

    def _provider_value(self, name: str, table: ProviderConfig) -> Provider:
        _check_length(name)
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
            return Address(table.base_url, f"${general}" if general else "the configuration")
        located = provider.locate(table.settings) if provider.locate is not None else None
        if located is None and provider.facts is not None:
            located = provider.facts.address(table.settings)
        if located:
            url = read_base_url(located, f"[providers.{provider.name}] as located")
            return Address(url, "its settings", is_vendors_word=not is_stated)
        for variable in provider.base_url_env:
            value = self._variable(variable)
            if value:
                return Address(read_base_url(value, f"${variable}"), f"${variable}", is_vendors_word=True)
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
        return provider.auth_env.get(self._key_variable(provider, table) or "", provider.auth)

    def _key(self, provider: Provider, table: ProviderConfig, base_url: str) -> Secret | None:
        if table.api_key is None:
            variable = self._key_variable(provider, table)
            key = None if variable is None else Secret((self._variable(variable) or "").strip())
        elif isinstance(table.api_key, Secret):
            key = table.api_key
        else:
            folder = self.config.folder or Path()
            key = resolve(table.api_key, provider.name, folder=folder, variable=self._variable)
        if key is not None:
            check_key(key, provider, base_url)
        return key

    def _patches(self, name: str, table: ProviderConfig) -> list[Any]:
        chosen = [_checked_patch(plugin.load(), name) for plugin in installed_patches(name).values()]
        files = [_checked_patch(_load_file((self.config.folder or Path()) / path), name) for path in table.patches]
        given = [plugin for plugin in self._plugins if _provider_of_patch(plugin) == name]
        return [*chosen, *files, *given]

    def facts(self, port: ProviderPort, model: str) -> ModelFacts:
        """Return what is known of a model, with the user's corrections laid over it."""
        key = (port.provider.name, model)
        known = self._facts.get(key)
        if known is not None:
            return known
        context = port.context(model)
        facts = guarded(context, "describe_model", lambda: port.plan.describe_model(model, context)) or ModelFacts()
        corrections = self.config.models.get(f"{port.provider.name}:{model}")
        if corrections:
            facts = _corrected(port.provider, facts, corrections, f'[models."{port.provider.name}:{model}"]')
        self._facts.put(key, facts)
        return facts

    def route(
        self,
        call: Call,
        target: str,
        *,
        timeouts: Mapping[str, float],
        options: Mapping[str, Any],
        today: str | None = None,
    ) -> Route:
        """Shape a call for a target. `options` are the call's own, by name, to tell them from a retired model's.

        Raises before a byte is sent: ConfigurationError, PolicyError, UnsupportedFeatureError, ModelNotFoundError,
        PluginError.
        """
        name, model = split_target(target)
        port = self.provider(name)
        model = self._any_model(name, model)
        facts = self.facts(port, model)
        redirected: tuple[Adjustment, ...] = ()
        day = today
        while facts.retired is not None and len(redirected) < _LONGEST_SUCCESSION:
            day = day or datetime.now(UTC).date().isoformat()
            if facts.retired.since > day:
                break
            call, model, facts, note = self._follow(call, port, facts, options)
            redirected = (*redirected, note)
        context = port.context(model, facts)
        if port.key is None and port.provider.auth.required:
            raise ConfigurationError(_key_missing(port.provider), provider=name, model=model)
        self._check_policy(port, model, call)
        check_content(call, context)
        wire, tools = shape(port.plan, call, context)
        if redirected:
            wire = attrs.evolve(wire, adjustments=(*redirected, *wire.adjustments))
        if call.on_unsupported == "raise":
            refuse_losses(wire, context)
        wire, content = encoded(wire, name)
        request = http_request(wire, port, content)
        timers = self.timeouts(port, timeouts, streams=wire.stream)
        pace = port.config.pacing or self.config.pacing
        return Route(context, port.plan, wire, request, timers, tools.names, call, pace=pace)

    def _check_policy(self, port: ProviderPort, model: str, call: Call | None = None) -> None:
        """Raise PolicyError if nothing may be sent there, whichever model the body names."""
        if self.config.policy.is_open:
            return
        extra = {} if call is None else call.extra
        others = extra.get("models", ())
        named = [model, extra.get("model"), *(others if isinstance(others, list | tuple) else ())]
        stated = port.config.stated_facts(port.provider.name)
        for name in filter(None, named):
            check_policy(self.config.policy, port.provider, port.base_url, str(name), stated)

    def _any_model(self, name: str, model: str) -> str:
        """Return the first model of a server that was found, for the model name `auto`."""
        found = self._discovered.get(name)
        if model != "auto" or found is None:
            return model
        if not found.models:
            raise ConfigurationError(
                f'The server at {found.base_url} lists no model; name one: "{name}:MODEL".', provider=name
            )
        _check_length(found.models[0])
        return found.models[0]

    def recorded_route(self, call: Call, target: str) -> Route:
        """Return the route of a call whose answer is recorded: no body is shaped, a retired model is not followed."""
        name, model = split_target(target)
        port = self.provider(name)
        context = port.context(model, self.facts(port, model))
        wire = WireRequest(port.provider.dialect.chat_path, {}, stream=call.stream)
        request = http_request(wire, port, encoded(wire, name)[1])
        return Route(context, port.plan, wire, request, Timeouts())

    def raw_route(self, provider: str, target: str, wire: WireRequest, timeouts: Mapping[str, float]) -> Route:
        """Return the route of a request that is no chat, such as the model list: nothing of it is shaped."""
        port = self.provider(provider)
        if port.key is None and port.provider.auth.required:
            raise ConfigurationError(_key_missing(port.provider), provider=provider)
        model = target.partition(":")[2]
        context = port.context(model)
        self._check_policy(port, model)
        request = http_request(wire, port, encoded(wire, provider)[1])
        plan = attrs.evolve(port.plan, decode_reply=_as_it_is)
        timers = self.timeouts(port, timeouts, streams=False)
        operation = "models" if wire.method == "GET" else "embeddings"
        return Route(context, plan, wire, request, timers, operation=operation)

    def _follow(
        self, call: Call, port: ProviderPort, facts: ModelFacts, given: Mapping[str, Any]
    ) -> tuple[Call, str, ModelFacts, Adjustment]:
        retired = facts.retired
        assert retired is not None
        story = f"{retired.id} was retired on {retired.since}; its successor is {retired.successor}"
        if self.config.retired_models == "raise":
            raise ModelNotFoundError(f"{story}.", provider=port.provider.name, model=retired.id)
        old_behaviour = {key: value for key, value in retired.options.items() if given.get(key) is None}
        note = Adjustment("redirected", "model", f"{story}, which answers", retired.source)
        return (
            attrs.evolve(call, **old_behaviour),
            retired.successor,
            self.facts(port, retired.successor),
            note,
        )

    def total_seconds(self, name: str, call: Mapping[str, float]) -> float | None:
        """Return the total timer of a call to a provider that need not be ready yet, None: it has none."""
        table = self.config.providers.get(name, ProviderConfig())
        own = self._provider_value(name, table).timeouts
        merged = {"total": Timeouts().total, **own, **self.config.timeouts, **table.timeouts, **call}
        return merged["total"] or None

    def timeouts(self, port: ProviderPort, call: Mapping[str, float], *, streams: bool) -> Timeouts:
        """Return the timers of a call: defaults, then the provider's own, the user's, the user's for it, the call's.

        A plain request is silent until its answer is whole, for minutes where a model thinks: without the user's own
        word only the total ends it.
        """
        usual = port.usual_timeouts.get(streams)
        if usual is not None and not call:
            return usual
        wanted = {**self.config.timeouts, **port.config.timeouts, **call}
        merged = {**port.provider.timeouts, **({} if streams else {"silence": 0.0}), **wanted}
        timeouts = attrs.evolve(Timeouts(), **{name: value or None for name, value in merged.items()})
        if not call:
            port.usual_timeouts[streams] = timeouts
        return timeouts


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


def _as_it_is(data: Any, context: Context) -> Sequence[Event]:
    """Decode a reply that is no chat: it is kept as raw JSON, unless it is an error."""
    return (ErrorReported(data),) if isinstance(data, dict) and is_error(data) else (FinishReported("stop", "stop"),)


def _key_missing(provider: Provider) -> str:
    variables = " or ".join(f"${name}" for name in provider.key_env)
    where = f"Set {variables}, or give" if variables else "Give"
    return f"{provider.title} needs an API key. {where} api_key under [providers.{provider.name}] in chatport.toml."


def _corrected(provider: Provider, facts: ModelFacts, corrections: Mapping[str, Any], where: str) -> ModelFacts:
    file = provider.facts or Facts(provider.name, "")
    try:
        return file.correct(facts, {**corrections, "source": "configuration"})
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None


def _checked_patch(patch: Any, name: str) -> Any:
    """Return a patch that was found under a provider's name; it may leave out its own `provider`, or repeat it."""
    own = getattr(patch, "provider", name)
    if own != name:
        raise PluginError(
            f"The patch {plugin_name(patch)} is registered for {name!r} and calls itself one for {own!r}.",
            provider=name,
        )
    return patch


def _provider_of_patch(patch: Any) -> str:
    name = getattr(patch, "provider", None)
    if not isinstance(name, str) or not name:
        shown = getattr(patch, "__name__", None) or type(patch).__qualname__
        raise PluginError(f'The patch {shown} does not say which provider it is for: give it provider = "NAME".')
    return name


def _load_file(path: Path) -> Any:
    """Import a patch from a single file, under a name of its own."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(f"chatport_patch_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"The patch file {path} does not exist.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        _run(spec.loader, module, path)
    except Exception as error:
        raise PluginError(f"The patch file {path} cannot be loaded: {type(error).__name__}: {error}.") from error
    return module


def _run(loader: Loader, module: ModuleType, path: Path) -> None:
    """Run what the file says, and nothing else: beside it might lie compiled code that says something different."""
    from importlib.machinery import SourceFileLoader

    if isinstance(loader, SourceFileLoader):
        exec(loader.source_to_code(path.read_bytes(), str(path)), vars(module))
    else:
        loader.exec_module(module)
