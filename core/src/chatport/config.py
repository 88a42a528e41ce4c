"""Configuration: environment, then `chatport.toml`, then arguments, the later winning. Unknown keys are errors."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from .engine.breaker import BreakerPolicy
from .engine.choice import Choice
from .engine.pacing import PaceLimits
from .engine.retry import RetryPolicy
from .engine.shared import HedgePolicy
from .errors import ConfigurationError
from .facts import HostFacts
from .keys import read_reference
from .limits import Limits
from .policy import Policy
from .secret import Secret
from .tables import (
    BudgetConfig,
    flag,
    known,
    one_of,
    read_breaker,
    read_budget,
    read_choice,
    read_hedge,
    read_limits,
    read_pace,
    read_policy,
    read_regions,
    read_retry,
    read_timeouts,
    table_of,
    text,
)

__all__ = [
    "PROVIDER_KEYS",
    "Alias",
    "Config",
    "ProviderConfig",
    "load_config",
    "read_base_url",
]

ENVIRONMENT_PROVIDER = "env"
"""Name of the provider that `LLM_BASE_URL` describes when `LLM_PROVIDER` names none."""

PROVIDER_KEYS = (
    "kind", "base_url", "api_key", "headers", "timeouts", "patches", "dialect", "pacing", "regions", "trains",
)  # fmt: skip
_STATED_KEYS = ("regions", "trains")
"""What the user states of an endpoint: it goes with its base_url."""
_TOP_KEYS = (
    "aliases",
    "providers",
    "models",
    "timeouts",
    "retry",
    "breaker",
    "hedge",
    "pacing",
    "limits",
    "transport",
    "policy",
    "budget",
    "retired_models",
    "model",
)


@attrs.frozen
class Alias:
    """A name the program uses: targets in order of preference, and options that hold unless the call says otherwise."""

    choices: tuple[Choice, ...]
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets' names, whatever their conditions and weights."""
        return tuple(choice.target for choice in self.choices)


@attrs.frozen
class ProviderConfig:
    """One `[providers.NAME]` table. `settings` holds the keys that are the provider package's own."""

    kind: str | None = None
    base_url: str | None = None
    api_key: Secret | Mapping[str, Any] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    timeouts: Mapping[str, float] = attrs.field(factory=dict)
    patches: tuple[str, ...] = ()
    dialect: Mapping[str, Any] = attrs.field(factory=dict)
    """Corrections of the provider's `Dialect`, for an endpoint that differs in no more than that."""
    pacing: PaceLimits | None = None
    """This client's own limits here, for each key and model; None: those of `Config.pacing`."""
    regions: tuple[str, ...] = ()
    """Where this endpoint processes requests, as its user states it: codes like "US" or "EU"."""
    trains: bool | None = None
    """Whether the vendor trains on what this endpoint is sent, as its user states it."""
    settings: Mapping[str, Any] = attrs.field(factory=dict)

    def stated_facts(self, name: str) -> HostFacts | None:
        """Return what the user states of the endpoint of the provider `name`, None if that is nothing."""
        if not self.regions and self.trains is None:
            return None
        return HostFacts(self.regions, self.trains, source=f"[providers.{name}] of the configuration")


@attrs.frozen
class Config:
    """A whole configuration. Make one with `load_config`, or pass the same tables as a dict to a client."""

    aliases: Mapping[str, Alias] = attrs.field(factory=dict)
    providers: Mapping[str, ProviderConfig] = attrs.field(factory=dict)
    models: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    timeouts: Mapping[str, float] = attrs.field(factory=dict)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    breaker: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    hedge: HedgePolicy = attrs.field(factory=HedgePolicy)
    pacing: PaceLimits | None = None
    """This client's own limits for each provider, key and model; None: it has none."""
    limits: Limits = attrs.field(factory=Limits)
    policy: Policy = attrs.field(factory=Policy)
    budget: BudgetConfig = attrs.field(factory=BudgetConfig)
    transport: str | None = None
    retired_models: Literal["follow", "raise"] = "follow"
    model: str | None = None
    """The target or alias that holds when a call names none (`LLM_MODEL`)."""
    folder: Path | None = None
    """Where the file lies; relative paths in it start here."""


def load_config(
    source: Config | str | Path | Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration from environment, file and argument, the later winning.

    `source`: a Config is taken as it is; a path is read in place of the default file; a dict is laid over
    environment and file. The default file is `$CHATPORT_CONFIG`, else `chatport.toml` in the working folder, if
    it exists. Raises ConfigurationError, naming file and key, for anything that cannot be used.
    """
    if isinstance(source, Config):
        return source
    try:
        return _load(source, environment)
    except ConfigurationError as error:
        problem = error.with_traceback(None)
    del source, environment  # they and the frames below may hold keys, and a traceback may show locals
    raise problem


def _load(source: str | Path | Mapping[str, Any] | None, environment: Mapping[str, str] | None) -> Config:
    path = Path(source) if isinstance(source, str | Path) else _default_file(environment)
    layers = [_from_environment(environment)]
    if path is not None:
        layers.append(_addressed(_read_file(path), str(path)))
    if isinstance(source, Mapping):
        layers.append(_addressed(_sealed(source), "config"))
    where = "config" if isinstance(source, Mapping) else str(path or "the environment")
    return _config(_merged(layers), where, path.parent if path else None)


def _sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with their keys made secrets at once: whatever fails later, a traceback may show locals."""
    providers = data.get("providers")
    if not isinstance(providers, Mapping):
        return dict(data)
    tables = {
        name: {**table, "api_key": Secret(table["api_key"].strip())}
        if isinstance(table, Mapping) and isinstance(table.get("api_key"), str)
        else table
        for name, table in providers.items()
    }
    return {**data, "providers": tables}


def _addressed(data: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the tables. Raises ConfigurationError for facts stated of an address that another layer may change."""
    providers = data.get("providers")
    for name, table in providers.items() if isinstance(providers, Mapping) else ():
        for key in _STATED_KEYS:
            if isinstance(table, Mapping) and key in table and "base_url" not in table:
                raise ConfigurationError(
                    f"{where}: [providers.{name}] {key} is a fact of one address: give the base_url beside it."
                )
    return data


def _default_file(environment: Mapping[str, str] | None) -> Path | None:
    env = os.environ if environment is None else environment
    named = env.get("CHATPORT_CONFIG")
    if named:
        return Path(named)
    path = Path("chatport.toml")
    return path if path.is_file() else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return _sealed(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        problem = f"Cannot read {path}: {error.strerror}."
    except tomllib.TOMLDecodeError as error:
        problem = f"{path} is not valid TOML: {error}."
    except UnicodeDecodeError:
        problem = f"{path} is not valid TOML: it is not UTF-8."
    raise ConfigurationError(problem)  # outside: the first error's frames hold the file's text, keys included


def _from_environment(environment: Mapping[str, str] | None) -> dict[str, Any]:
    """Read `LLM_PROVIDER`, `LLM_BASE_URL` (or `BASE_URL`), `LLM_API_KEY` and `LLM_MODEL`."""
    env = os.environ if environment is None else environment
    base_url = env.get("LLM_BASE_URL") or (
        env.get("BASE_URL") if env.get("LLM_API_KEY") or env.get("LLM_MODEL") else None
    )
    name, key, model = env.get("LLM_PROVIDER"), env.get("LLM_API_KEY"), env.get("LLM_MODEL")
    layer: dict[str, Any] = {}
    if base_url or (key and name):
        table: dict[str, Any] = {} if name else {"kind": "compatible"}
        if base_url:
            table["base_url"] = base_url
        if key:
            table["api_key"] = {"env": "LLM_API_KEY"}
        layer["providers"] = {name or ENVIRONMENT_PROVIDER: table}
    if model:
        provider = name or (ENVIRONMENT_PROVIDER if base_url else None)
        layer["model"] = f"{provider}:{model}" if provider else model
    return layer


def _merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay tables over one another, two levels deep for `providers` and `models`, one for the rest."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(old, dict) and isinstance(value, Mapping):
                both = {name: _over(old.get(name), item) for name, item in value.items()}
                merged[key] = {**old, **both}
            else:
                merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def _over(old: Any, new: Any) -> Any:
    """Lay one provider's or model's table over another. A new base_url inherits neither key nor facts."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    kept = dict(old)
    if "base_url" in new and new["base_url"] != old.get("base_url"):
        for key in ("api_key", *_STATED_KEYS):
            kept.pop(key, None)
    return {**kept, **new}


def _config(data: Mapping[str, Any], where: str, folder: Path | None) -> Config:
    known(data, _TOP_KEYS, where)
    retired = one_of(data.get("retired_models", "follow"), ("follow", "raise"), f"{where}: retired_models")
    return Config(
        aliases={name: _alias(name, value, where) for name, value in table_of(data, "aliases", where).items()},
        providers={name: _provider(name, value, where) for name, value in table_of(data, "providers", where).items()},
        models={name: _model(name, value, where) for name, value in table_of(data, "models", where).items()},
        timeouts=read_timeouts(table_of(data, "timeouts", where), f"{where}: [timeouts]"),
        retry=read_retry(table_of(data, "retry", where), f"{where}: [retry]"),
        hedge=read_hedge(table_of(data, "hedge", where), f"{where}: [hedge]"),
        breaker=read_breaker(table_of(data, "breaker", where), f"{where}: [breaker]"),
        pacing=read_pace(data.get("pacing"), f"{where}: [pacing]"),
        limits=read_limits(table_of(data, "limits", where), f"{where}: [limits]"),
        policy=read_policy(table_of(data, "policy", where), f"{where}: [policy]"),
        budget=read_budget(table_of(data, "budget", where), f"{where}: [budget]"),
        transport=text(data.get("transport"), f"{where}: transport"),
        retired_models=retired,
        model=text(data.get("model"), f"{where}: model"),
        folder=folder,
    )


_ALIAS_OPTIONS = (
    "reasoning", "temperature", "top_p", "max_tokens", "stop", "seed", "timeout", "extra", "on_unsupported",
)  # fmt: skip


def _alias(name: str, value: Any, where: str) -> Alias:
    where = f"{where}: aliases.{name}"
    options: dict[str, Any] = {}
    if isinstance(value, Mapping):
        options = {key: item for key, item in value.items() if key != "targets"}
        known(options, _ALIAS_OPTIONS, where)
        value = value.get("targets")
    targets = [value] if isinstance(value, str) else value
    if not isinstance(targets, list | tuple) or not targets:
        raise ConfigurationError(f'{where} needs one target "provider:model" or a list of them.')
    return Alias(tuple(read_choice(target, where) for target in targets), options)


def _provider(name: str, table: Any, where: str) -> ProviderConfig:
    where = f"{where}: [providers.{name}]"
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table, not {type(table).__name__}.")
    if ":" in name:
        raise ConfigurationError(f'{where}: a provider\'s name holds no colon, which ends it in "provider:model".')
    headers = table_of(table, "headers", where)
    if not all(isinstance(value, str) for value in headers.values()):
        raise ConfigurationError(f"{where}: headers are texts.")
    patches = table.get("patches", ())
    if not isinstance(patches, list | tuple) or not all(isinstance(item, str) for item in patches):
        raise ConfigurationError(f"{where}: patches is a list of files.")
    return ProviderConfig(
        kind=text(table.get("kind"), f"{where} kind"),
        base_url=_base_url(table.get("base_url"), where),
        api_key=read_reference(table.get("api_key"), where),
        headers=dict(headers),
        timeouts=read_timeouts(table_of(table, "timeouts", where), f"{where} timeouts"),
        patches=tuple(patches),
        dialect=_dialect(table_of(table, "dialect", where), f"{where} dialect"),
        pacing=read_pace(table.get("pacing"), f"{where} pacing"),
        regions=read_regions(table.get("regions", ()), f"{where} regions"),
        trains=flag(table.get("trains"), f"{where} trains"),
        settings={key: value for key, value in table.items() if key not in PROVIDER_KEYS},
    )


def _dialect(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    import msgspec

    from .provider import Dialect

    known(table, [field.name for field in attrs.fields(Dialect)], where)
    try:
        checked = msgspec.convert(dict(table), Dialect)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None
    return {name: getattr(checked, name) for name in table}


def _base_url(value: Any, where: str) -> str | None:
    url = text(value, f"{where} base_url")
    return None if url is None else read_base_url(url, f"{where} base_url")


def read_base_url(url: str, where: str) -> str:
    """Return a base URL without its last slash. Raises ConfigurationError for one that cannot be meant."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, a bracket without its other one
        is_good = False
    if (
        not is_good
        or not url.startswith(("http://", "https://"))
        or "@" in parts.netloc
        or any(c in "?#\\" or ord(c) <= 32 or ord(c) == 127 for c in url)
    ):
        # The user name may be a key: neither it nor what hides it is shown.
        shown = f", not {url!r}" if "@" not in url else ""
        raise ConfigurationError(f"{where} must be like https://host/v1 (no user name, query or blanks){shown}.")
    return url.rstrip("/")


def _model(name: str, table: Any, where: str) -> Mapping[str, Any]:
    from .facts import ModelFacts

    where = f'{where}: [models."{name}"]'
    if ":" not in name:
        raise ConfigurationError(f'{where}: name the model as "provider:model".')
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table.")
    known(table, [field.name for field in attrs.fields(ModelFacts)], where)
    return dict(table)
