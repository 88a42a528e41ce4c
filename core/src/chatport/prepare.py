"""From a call and a target to a `Route`: provider, key, facts, tools, and the request as the chain shapes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import msgspec

from . import jsoncodec
from .call import Call, Context, WireRequest, WireTools
from .config import PROVIDER_KEYS, Config, ProviderConfig
from .engine.attempt import Route
from .engine.body import ACCEPT_ENCODING
from .engine.commands import HttpRequest
from .engine.timers import Timeouts
from .errors import (
    ChatportError,
    ConfigurationError,
    ModelNotFoundError,
    PluginError,
    TransportError,
    UnsupportedFeatureError,
)
from .events import ErrorReported, Event, FinishReported
from .facts import ModelFacts
from .plan import Plan
from .provider import Auth, Discovery, Provider
from .registry import build_plan, installed_patches, load_provider, near_miss
from .secret import Secret
from .standard.stream import is_error
from .types import Adjustment, AudioPart, FilePart, ImagePart
from .version import __version__

__all__ = ["Port", "ProviderPort", "split_target"]

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


def split_target(target: str) -> tuple[str, str]:
    """Split `provider:model` at the first colon. Raises ConfigurationError if there is none."""
    provider, colon, model = target.partition(":")
    if not colon or not provider or not model:
        raise ConfigurationError(f'{target!r} is not a target: write "provider:model", such as "openai:gpt-6-luna".')
    return provider, model


@attrs.frozen
class ProviderPort:
    """A provider made ready for calls: its value, its compiled chains, where it is, and its key."""

    provider: Provider
    plan: Plan
    base_url: str
    key: Secret | None
    config: ProviderConfig

    def context(self, model: str, facts: ModelFacts | None = None) -> Context:
        """Return the context of a model here."""
        return Context(self.provider, model, self.base_url, facts or ModelFacts(), self.config.settings)


class Port:
    """What a client knows: the configuration, and each provider it has used so far. Shared by its calls."""

    def __init__(
        self, config: Config, plugins: Sequence[Any] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.config = config
        self._plugins = tuple(plugins)
        self._environment: Mapping[str, str] = os.environ if environment is None else environment
        self._providers: dict[str, ProviderPort] = {}
        self._facts: dict[tuple[str, str], ModelFacts] = {}
        self._discovered: dict[str, Discovery] = {}
        for plugin in self._plugins:
            _provider_of_patch(plugin)

    def targets(self, model: str | None) -> tuple[tuple[str, ...], Mapping[str, Any]]:
        """Return the targets that a name means, in order, and the options of its alias."""
        name = model or self.config.model
        if not name:
            raise ConfigurationError('No model is named: pass model="provider:model", or set LLM_MODEL.')
        alias = self.config.aliases.get(name)
        if alias is not None:
            return alias.targets, alias.options
        if ":" not in name:
            raise ConfigurationError(
                f"No alias is called {name!r}.{near_miss(name, self.config.aliases)} "
                f'Aliases: {", ".join(sorted(self.config.aliases)) or "none"}. Otherwise write "provider:model".'
            )
        split_target(name)
        return (name,), {}

    def provider(self, name: str) -> ProviderPort:
        """Return a provider made ready, the same one each time. May block while a local server is looked for."""
        known = self._providers.get(name)
        if known is None:
            known = self._providers[name] = self._open(name)
        return known

    def is_ready(self, name: str) -> bool:
        """Whether `provider(name)` will not block."""
        if name in self._providers:
            return True
        table = self.config.providers.get(name, ProviderConfig())
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
        table = attrs.evolve(table, settings={**self._settings_from_environment(provider), **table.settings})
        provider, base_url = self._place(provider, table)
        plan = build_plan(provider, self._patches(name, table))
        return ProviderPort(provider, plan, base_url, self._key(provider, table, base_url), table)

    def _provider_value(self, name: str, table: ProviderConfig) -> Provider:
        if table.kind == "compatible" or (name == "compatible" and table.kind is None):
            if not table.base_url and name != "compatible":
                raise ConfigurationError(
                    f'[providers.{name}] has kind = "compatible" and needs a base_url.', provider=name
                )
            return Provider(name, name, table.base_url or "", auth=Auth(required=False))
        if table.kind is None:
            return load_provider(name)
        provider = load_provider(table.kind)
        return attrs.evolve(provider, name=name)  # a second account or host of the same vendor, under its own name

    def _settings_from_environment(self, provider: Provider) -> dict[str, str]:
        values = {name: self._environment.get(variable) for name, variable in provider.settings_env.items()}
        return {name: value for name, value in values.items() if value}

    def _place(self, provider: Provider, table: ProviderConfig) -> tuple[Provider, str]:
        """Return the base URL, and the provider that speaks there: another one where a search has found it."""
        if provider.discover is None or table.base_url:
            return provider, self._base_url(provider, table)
        servers = provider.discover(table.settings)
        if not servers:
            raise TransportError(
                f"{provider.title}: no server answers on the usual ports. Start one, or give "
                f"[providers.{provider.name}] a base_url.",
                provider=provider.name,
                retryable=False,
            )
        found = self._discovered[provider.name] = servers[0]
        return attrs.evolve(load_provider(found.provider), name=provider.name), found.base_url

    def _base_url(self, provider: Provider, table: ProviderConfig) -> str:
        if table.base_url:
            return table.base_url
        for variable in provider.base_url_env:
            value = self._environment.get(variable)
            if value:
                return value.rstrip("/")
        located = provider.locate(table.settings) if provider.locate is not None else None
        if located:
            return located.rstrip("/")
        if not provider.base_url:
            raise ConfigurationError(
                f"[providers.{provider.name}] needs a base_url: where is this server?", provider=provider.name
            )
        return provider.base_url.rstrip("/")

    def _key(self, provider: Provider, table: ProviderConfig, base_url: str) -> Secret | None:
        key = (
            self._key_from_environment(provider, table, base_url)
            if table.api_key is None
            else self._resolved(table.api_key, provider)
        )
        if key is not None:
            _check_key(key, provider, base_url)
        return key

    def _resolved(self, reference: Secret | Mapping[str, str], provider: Provider) -> Secret:
        if isinstance(reference, Secret):
            return reference
        kind, name = next(iter(reference.items()))
        if kind == "env":
            value = self._environment.get(name, "").strip()
            if not value:
                raise ConfigurationError(
                    f"The API key of {provider.name} is to come from ${name}, which is not set.",
                    provider=provider.name,
                )
            return Secret(value)
        path = (self.config.folder or Path()) / Path(name).expanduser()
        try:
            return Secret(path.read_text("utf-8").strip())
        except OSError as error:
            raise ConfigurationError(
                f"Cannot read the API key of {provider.name} from {path}: {error.strerror}.",
                provider=provider.name,
            ) from error

    def _key_from_environment(self, provider: Provider, table: ProviderConfig, base_url: str) -> Secret | None:
        for variable in provider.key_env:
            value = self._environment.get(variable, "").strip()
            if not value:
                continue
            if table.base_url and not is_own_host(provider, base_url):
                raise ConfigurationError(
                    f"${variable} is a key for {_host(provider.base_url)}, and [providers.{provider.name}] sends to "
                    f'{_host(base_url)}. If that host may have it, say so: api_key = {{ env = "{variable}" }}.',
                    provider=provider.name,
                )
            return Secret(value)
        return None

    def _patches(self, name: str, table: ProviderConfig) -> list[Any]:
        installed = [plugin.load() for plugin in installed_patches().values()]
        chosen = [patch for patch in installed if _provider_of_patch(patch) == name]
        files = [_load_file((self.config.folder or Path()) / path) for path in table.patches]
        given = [plugin for plugin in self._plugins if _provider_of_patch(plugin) == name]
        return [*chosen, *files, *given]

    def facts(self, port: ProviderPort, model: str) -> ModelFacts:
        """Return what is known of a model, with the user's corrections laid over it."""
        key = (port.provider.name, model)
        if key not in self._facts:
            facts = port.plan.describe_model(model, port.context(model)) or ModelFacts()
            corrections = self.config.models.get(f"{port.provider.name}:{model}")
            self._facts[key] = (
                _corrected(facts, corrections, f'[models."{port.provider.name}:{model}"]') if corrections else facts
            )
        return self._facts[key]

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

        Raises before a byte is sent: ConfigurationError, UnsupportedFeatureError, ModelNotFoundError, PluginError.
        """
        name, model = split_target(target)
        port = self.provider(name)
        model = self._any_model(name, model)
        facts = self.facts(port, model)
        redirected: tuple[Adjustment, ...] = ()
        day = today or datetime.now(UTC).date().isoformat()
        if facts.retired is not None and facts.retired.since <= day:
            call, model, facts, redirected = self._follow(call, port, facts, options)
        context = port.context(model, facts)
        if port.key is None and port.provider.auth.required:
            raise ConfigurationError(_key_missing(port.provider), provider=name, model=model)
        check_content(call, context)
        wire, tools = shape(port.plan, call, context)
        wire = attrs.evolve(wire, adjustments=(*redirected, *wire.adjustments))
        if call.on_unsupported == "raise":
            _refuse_losses(wire, context)
        request = http_request(wire, port, call_headers(port))
        return Route(context, port.plan, wire, request, self.timeouts(port, timeouts), self.config.limits, tools.names)

    def _any_model(self, name: str, model: str) -> str:
        """Return the first model of a server that was found, for the model name `auto`."""
        found = self._discovered.get(name)
        if model != "auto" or found is None:
            return model
        if not found.models:
            raise ConfigurationError(
                f'The server at {found.base_url} lists no model; name one: "{name}:MODEL".', provider=name
            )
        return found.models[0]

    def recorded_route(self, call: Call, target: str) -> Route:
        """Return the route of a call whose answer is recorded: no body is shaped, a retired model is not followed."""
        name, model = split_target(target)
        port = self.provider(name)
        context = port.context(model, self.facts(port, model))
        wire = WireRequest(port.provider.dialect.chat_path, {}, stream=call.stream)
        return Route(context, port.plan, wire, http_request(wire, port, {}), Timeouts(), self.config.limits)

    def raw_route(self, provider: str, target: str, wire: WireRequest, timeouts: Mapping[str, float]) -> Route:
        """Return the route of a request that is no chat, such as the model list: nothing of it is shaped."""
        port = self.provider(provider)
        if port.key is None and port.provider.auth.required:
            raise ConfigurationError(_key_missing(port.provider), provider=provider)
        context = port.context(target.partition(":")[2])
        request = http_request(wire, port, call_headers(port))
        plan = attrs.evolve(port.plan, decode_reply=_as_it_is)
        return Route(context, plan, wire, request, self.timeouts(port, timeouts), self.config.limits)

    def _follow(
        self, call: Call, port: ProviderPort, facts: ModelFacts, given: Mapping[str, Any]
    ) -> tuple[Call, str, ModelFacts, tuple[Adjustment, ...]]:
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
            (note,),
        )

    def timeouts(self, port: ProviderPort, call: Mapping[str, float]) -> Timeouts:
        """Return the timers of a call: defaults, then the provider's own, the user's, the user's for it, the call's."""
        merged = {**port.provider.timeouts, **self.config.timeouts, **port.config.timeouts, **call}
        return attrs.evolve(Timeouts(), **{name: value or None for name, value in merged.items()})


def _as_it_is(data: Any, context: Context) -> Sequence[Event]:
    """Decode a reply that is no chat: it is kept as raw JSON, unless it is an error."""
    return (ErrorReported(data),) if isinstance(data, dict) and is_error(data) else (FinishReported("stop", "stop"),)


def shape(plan: Plan, call: Call, context: Context) -> tuple[WireRequest, WireTools]:
    """Run the two shaping chains. An exception of a hook that is no ChatportError becomes a PluginError."""
    tools = _guarded(context, "translate_tools", lambda: plan.translate_tools(call, context)) or WireTools()
    wire = _guarded(context, "shape_request", lambda: plan.shape_request(call, tools, context))
    if not isinstance(wire, WireRequest):
        raise PluginError(
            f"The shape_request chain of {context.provider.name} gave {type(wire).__name__}, not a WireRequest.",
            provider=context.provider.name,
        )
    return wire, tools


def _guarded(context: Context, hook: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except ChatportError as error:
        error.provider = error.provider or context.provider.name
        error.model = error.model or context.model
        raise
    except Exception as error:
        raise PluginError(
            f"A {hook} hook of {context.provider.name} failed: {type(error).__name__}: {error}.",
            provider=context.provider.name,
            model=context.model,
        ) from error


def http_request(wire: WireRequest, port: ProviderPort, headers: Mapping[str, str]) -> HttpRequest:
    """Return the request with address, headers and body; the key stays apart until the transport writes it."""
    url = port.base_url + wire.path
    if origin(url) != origin(port.base_url):
        raise PluginError(
            f"A hook of {port.provider.name} sends to another origin than {port.base_url}.",
            provider=port.provider.name,
        )
    try:
        content = b"" if wire.method == "GET" else jsoncodec.encode(wire.body)
    except (
        TypeError,
        ValueError,
        UnicodeEncodeError,
        OverflowError,
        RecursionError,
        msgspec.MsgspecError,
    ) as error:
        raise ConfigurationError(
            f"The request cannot be written as JSON: {error}.", provider=port.provider.name
        ) from None
    own = {
        "accept": "text/event-stream" if wire.stream else "application/json",
        "accept-encoding": "identity" if wire.stream else ACCEPT_ENCODING,
        "user-agent": f"chatport/{__version__}",
    }
    if content:
        own["content-type"] = "application/json"
    merged = {**own, **{name.lower(): value for name, value in {**headers, **wire.headers}.items()}}
    for name, value in merged.items():
        check_header(name, value, port.provider.name)
    auth = port.provider.auth
    key = None if port.key is None else (auth.header, auth.prefix, port.key)
    if key is not None:
        merged.pop(auth.header, None)
    return HttpRequest(wire.method, url, list(merged.items()), content, key)


def call_headers(port: ProviderPort) -> Mapping[str, str]:
    """Return the user's own headers for a provider."""
    return port.config.headers


def check_header(name: str, value: str, provider: str) -> None:
    """Raise ConfigurationError for a header that cannot be sent, without showing its value: it may be a secret."""
    if not name or any(not (c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~")) for c in name):
        raise ConfigurationError(f"A header of {provider} has an invalid name: {name!r}.", provider=provider)
    if (
        any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in value)
        or not value.isascii()
        or value != value.strip()
    ):
        raise ConfigurationError(
            f"The value of the header {name!r} for {provider} holds a line break, a control or non-ASCII character, or "
            "blanks at an end. (It is not shown here, since it may be a secret.)",
            provider=provider,
        )


def _check_key(key: Secret, provider: Provider, base_url: str) -> None:
    if not key:
        raise ConfigurationError(f"The API key of {provider.name} is empty.", provider=provider.name)
    check_header(provider.auth.header, provider.auth.prefix + key.reveal(), provider.name)
    parts = urlsplit(base_url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigurationError(
            f"[providers.{provider.name}] would send its key over plain http to {parts.hostname}. "
            "Use https; plain http with a key is for this machine only.",
            provider=provider.name,
        )


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL. Raises ConfigurationError if it has none."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigurationError(f"{url!r} is not an http or https address.") from None
    return parts.scheme, parts.hostname or "", port


def is_own_host(provider: Provider, url: str) -> bool:
    """Whether a URL is one of the vendor's own hosts, or this machine."""
    host = urlsplit(url).hostname or ""
    own = {urlsplit(provider.base_url).hostname or "", *provider.hosts}
    return host in _LOOPBACK or any(
        host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in own if name
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _key_missing(provider: Provider) -> str:
    variables = " or ".join(f"${name}" for name in provider.key_env)
    where = f"Set {variables}, or give" if variables else "Give"
    return f"{provider.title} needs an API key. {where} api_key under [providers.{provider.name}] in chatport.toml."


def _corrected(facts: ModelFacts, corrections: Mapping[str, Any], where: str) -> ModelFacts:
    try:
        current = msgspec.to_builtins(facts)
        return msgspec.convert({**current, **corrections, "source": "configuration"}, ModelFacts)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None


def check_content(call: Call, context: Context) -> None:
    """Raise UnsupportedFeatureError for content the model is known not to take: dropping it would be silently wrong."""
    takes = context.facts.input
    if not takes:
        return
    kinds: dict[type, str] = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}
    for number, message in enumerate(call.messages):
        for part in message.content:
            kind = kinds.get(type(part))
            if kind is not None and kind not in takes:
                raise UnsupportedFeatureError(
                    f"{context.model} takes {', '.join(takes)}, and messages[{number}] has an {kind} part."
                    if kind[0] in "aeiou"
                    else f"{context.model} takes {', '.join(takes)}, and messages[{number}] has a {kind} part.",
                    provider=context.provider.name,
                    model=context.model,
                )


def _refuse_losses(wire: WireRequest, context: Context) -> None:
    lost = [note for note in wire.adjustments if note.kind in ("dropped", "lowered")]
    if lost:
        raise UnsupportedFeatureError(
            "Not everything can be sent as asked: " + "; ".join(str(note) for note in lost) + ".",
            provider=context.provider.name,
            model=context.model,
        )


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
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"The patch file {path} cannot be loaded: {type(error).__name__}: {error}.") from error
    return module
