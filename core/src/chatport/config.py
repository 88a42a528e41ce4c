"""Configuration: environment, then `chatport.toml`, then arguments, the later winning. Unknown keys are errors."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from .engine.attempt import Limits
from .engine.retry import RetryPolicy
from .engine.timers import Timeouts
from .errors import ConfigurationError
from .registry import near_miss
from .secret import Secret

__all__ = ["PROVIDER_KEYS", "Alias", "Config", "ProviderConfig", "load_config", "read_base_url", "read_timeouts"]

ENVIRONMENT_PROVIDER = "env"
"""Name of the provider that `LLM_BASE_URL` describes when `LLM_PROVIDER` names none."""

PROVIDER_KEYS = ("kind", "base_url", "api_key", "headers", "timeouts", "patches", "dialect")
_TOP_KEYS = (
    "aliases",
    "providers",
    "models",
    "timeouts",
    "retry",
    "limits",
    "transport",
    "retired_models",
    "model",
)


@attrs.frozen
class Alias:
    """A name the program uses: targets in order of preference, and options that hold unless the call says otherwise."""

    targets: tuple[str, ...]
    options: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class ProviderConfig:
    """One `[providers.NAME]` table. `settings` holds the keys that are the provider package's own."""

    kind: str | None = None
    base_url: str | None = None
    api_key: Secret | Mapping[str, str] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    timeouts: Mapping[str, float] = attrs.field(factory=dict)
    patches: tuple[str, ...] = ()
    dialect: Mapping[str, Any] = attrs.field(factory=dict)
    """Corrections of the provider's `Dialect`, for an endpoint that differs in no more than that."""
    settings: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Config:
    """A whole configuration. Make one with `load_config`, or pass the same tables as a dict to a client."""

    aliases: Mapping[str, Alias] = attrs.field(factory=dict)
    providers: Mapping[str, ProviderConfig] = attrs.field(factory=dict)
    models: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    timeouts: Mapping[str, float] = attrs.field(factory=dict)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    limits: Limits = attrs.field(factory=Limits)
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
    path = Path(source) if isinstance(source, str | Path) else _default_file(environment)
    layers = [_from_environment(environment)]
    if path is not None:
        layers.append(_read_file(path))
    if isinstance(source, Mapping):
        layers.append(_sealed(source))
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
    """Lay one provider's or model's table over another. A new base_url without a key does not inherit the old key."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    kept = dict(old)
    if "base_url" in new and new["base_url"] != old.get("base_url") and "api_key" not in new:
        kept.pop("api_key", None)
    return {**kept, **new}


def _config(data: Mapping[str, Any], where: str, folder: Path | None) -> Config:
    _known(data, _TOP_KEYS, where)
    retired = data.get("retired_models", "follow")
    if retired not in ("follow", "raise"):
        raise ConfigurationError(f'{where}: retired_models is "follow" or "raise", not {retired!r}.')
    return Config(
        aliases={name: _alias(name, value, where) for name, value in _table(data, "aliases", where).items()},
        providers={name: _provider(name, value, where) for name, value in _table(data, "providers", where).items()},
        models={name: _model(name, value, where) for name, value in _table(data, "models", where).items()},
        timeouts=read_timeouts(_table(data, "timeouts", where), f"{where}: [timeouts]"),
        retry=_retry(_table(data, "retry", where), f"{where}: [retry]"),
        limits=_limits(_table(data, "limits", where), f"{where}: [limits]"),
        transport=_text(data.get("transport"), f"{where}: transport"),
        retired_models=retired,
        model=_text(data.get("model"), f"{where}: model"),
        folder=folder,
    )


def _known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise ConfigurationError(
                f"{where}: unknown key {key!r}.{near_miss(key, keys)} Known: {', '.join(sorted(keys))}."
            )


def _table(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: {key} must be a table, not {type(value).__name__}.")
    return value


def _text(value: Any, where: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigurationError(f"{where} must be a text that is not empty, not {value!r}.")


def _alias(name: str, value: Any, where: str) -> Alias:
    options: dict[str, Any] = {}
    if isinstance(value, Mapping):
        options = {key: item for key, item in value.items() if key != "targets"}
        known = (
            "reasoning",
            "temperature",
            "top_p",
            "max_tokens",
            "stop",
            "seed",
            "timeout",
            "extra",
            "on_unsupported",
        )
        _known(options, known, f"{where}: aliases.{name}")
        value = value.get("targets")
    targets = [value] if isinstance(value, str) else value
    if not isinstance(targets, list | tuple) or not targets or not all(isinstance(item, str) for item in targets):
        raise ConfigurationError(f'{where}: aliases.{name} needs one target "provider:model" or a list of them.')
    for target in targets:
        if ":" not in target:
            raise ConfigurationError(f'{where}: aliases.{name}: {target!r} is not "provider:model".')
    return Alias(tuple(targets), options)


def _provider(name: str, table: Any, where: str) -> ProviderConfig:
    where = f"{where}: [providers.{name}]"
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table, not {type(table).__name__}.")
    if ":" in name:
        raise ConfigurationError(f'{where}: a provider\'s name holds no colon, which ends it in "provider:model".')
    headers = _table(table, "headers", where)
    if not all(isinstance(value, str) for value in headers.values()):
        raise ConfigurationError(f"{where}: headers are texts.")
    patches = table.get("patches", ())
    if not isinstance(patches, list | tuple) or not all(isinstance(item, str) for item in patches):
        raise ConfigurationError(f"{where}: patches is a list of files.")
    return ProviderConfig(
        kind=_text(table.get("kind"), f"{where} kind"),
        base_url=_base_url(table.get("base_url"), where),
        api_key=_key(table.get("api_key"), where),
        headers=dict(headers),
        timeouts=read_timeouts(_table(table, "timeouts", where), f"{where} timeouts"),
        patches=tuple(patches),
        dialect=_dialect(_table(table, "dialect", where), f"{where} dialect"),
        settings={key: value for key, value in table.items() if key not in PROVIDER_KEYS},
    )


def _dialect(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    import msgspec

    from .provider import Dialect

    _known(table, [field.name for field in attrs.fields(Dialect)], where)
    try:
        checked = msgspec.convert(dict(table), Dialect)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None
    return {name: getattr(checked, name) for name in table}


def _base_url(value: Any, where: str) -> str | None:
    url = _text(value, f"{where} base_url")
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


def _key(value: Any, where: str) -> Secret | Mapping[str, str] | None:
    if isinstance(value, Secret) and not value:
        raise ConfigurationError(f"{where} api_key is empty. Leave it out where no key is needed.")
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("env", "file"):
        return {str(kind): str(name) for kind, name in value.items()}
    raise ConfigurationError(f'{where} api_key is a text, {{ env = "NAME" }} or {{ file = "path" }}.')


def _model(name: str, table: Any, where: str) -> Mapping[str, Any]:
    from .facts import ModelFacts

    where = f'{where}: [models."{name}"]'
    if ":" not in name:
        raise ConfigurationError(f'{where}: name the model as "provider:model".')
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table.")
    _known(table, [field.name for field in attrs.fields(ModelFacts)], where)
    return dict(table)


def read_timeouts(table: Mapping[str, Any], where: str) -> Mapping[str, float]:
    _known(table, [field.name for field in attrs.fields(Timeouts)], where)
    return {name: _seconds(value, f"{where} {name}") for name, value in table.items()}


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ConfigurationError(f"{where} is a number of seconds, 0 for off, not {value!r}.")
    return float(value)


def _retry(table: Mapping[str, Any], where: str) -> RetryPolicy:
    _known(table, [field.name for field in attrs.fields(RetryPolicy)], where)
    attempts = table.get("attempts", 3)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 100:
        raise ConfigurationError(f"{where} attempts is a whole number from 1 to 100, not {attempts!r}.")
    seconds = {name: _seconds(value, f"{where} {name}") for name, value in table.items() if name != "attempts"}
    return RetryPolicy(attempts, **seconds)


def _limits(table: Mapping[str, Any], where: str) -> Limits:
    _known(table, [field.name for field in attrs.fields(Limits)], where)
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{where} {name} is a number of bytes, not {value!r}.")
    return Limits(**table)
