"""Configuration: environment, the user's own file, `chatport.toml`, arguments, the later winning.

Unknown keys are errors. The `chatport.toml` of the working folder is not trusted unless its user says so: see `trust`.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from .. import jsoncodec
from ..basics.hosts import shown_address
from ..basics.secret import Secret
from ..basics.sizes import Limits
from ..basics.typed import check_fields, expect
from ..basics.values import Value
from ..engine.shared import HedgePolicy
from ..errors import ConfigurationError
from ..facts.models import HostFacts
from ..inputs.values import flag, known, one_of, read_timeouts, table_of, text
from ..limits.breaker import BreakerPolicy
from ..limits.pacing import PaceLimits
from ..limits.policy import Policy, stricter
from ..limits.retry import RetryPolicy
from .configfile import ConfigFile, read_config_file, sealed
from .keys import Reference, read_reference
from .placing import KeyHeader, is_harmless, read_auth, read_query
from .tables import (
    BudgetConfig,
    LogConfig,
    PacingStore,
    read_alias_target,
    read_breaker,
    read_budget,
    read_hedge,
    read_limits,
    read_log,
    read_pace,
    read_pacing_store,
    read_policy,
    read_regions,
    read_retry,
)
from .targets import AliasTarget

__all__ = [
    "PROVIDER_KEYS",
    "Alias",
    "Config",
    "ProviderConfig",
    "load_config",
    "read_base_url",
    "read_file",
]

ENVIRONMENT_PROVIDER = "env"
"""Name of the provider that `LLM_BASE_URL` describes when `LLM_PROVIDER` names none."""

PROVIDER_KEYS = (
    "kind", "base_url", "api_key", "headers", "timeouts", "patches", "dialect", "pacing", "regions", "trains", "free",
    "auth", "query", "allow_plain_http", "protocol",
)  # fmt: skip
WORDS_OF_PROVIDERS = ("auth",)
"""Keys of ours that a provider may have as a setting of its own, which then holds."""
_LONGEST_NAME = 200
_STATED_KEYS = ("regions", "trains", "free", "allow_plain_http")
"""What the user states of an endpoint: it goes with its base_url."""
_KEYS_OF_ADDRESS = ("api_key", "auth", "query", *_STATED_KEYS)
"""What a table does not take over from another one with another base_url."""
OTHERS_TABLES = ("gateway", "team", "records", "admin", "metrics", "cache", "bulk", "cli")
"""Tables of what builds on the core, the command line included, which read them themselves."""
_TOP_KEYS = (
    *OTHERS_TABLES,
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
    "log",
    "retired_models",
    "model",
)


@attrs.frozen(eq=False, repr=False)
class Alias(Value):
    """A name the program uses: targets in order of preference, and options that hold unless the call says otherwise."""

    entries: tuple[AliasTarget, ...]
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets' names, whatever their conditions and weights."""
        return tuple(entry.target for entry in self.entries)


@attrs.frozen(eq=False, repr=False)
class ProviderConfig(Value):
    """One `[providers.NAME]` table. `settings` holds the keys that are the provider package's own."""

    kind: str | None = None
    base_url: str | None = None
    api_key: Secret | Mapping[str, Any] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
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
    auth: KeyHeader | None = None
    """How the key is sent here, None: as the provider's package says."""
    query: Mapping[str, Secret | Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    """What is sent in the query of every address, by name: a text, or a reference as for `api_key`."""
    allow_plain_http: bool = False
    """Whether a key may go over plain http to this address, where whoever is in between can read it."""
    free: bool | None = None
    """Whether nobody bills what this endpoint is sent, as its user states it."""
    protocol: str = "auto"
    """Which of the vendor's protocols calls take; `auto`: what the facts say of the model and the call."""
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)  # `apikey = "…"` is one until it is refused
    base_url_variable: str | None = None
    """The variable of no vendor that says `base_url`; None where a file or an argument does, or nobody."""

    @property
    def key_sources(self) -> tuple[Secret | Mapping[str, Any], ...]:
        """Where the keys of this table come from: that of its header, and those of its query."""
        own = () if self.api_key is None else (self.api_key,)
        return (*own, *(value for name, value in self.query.items() if not is_harmless(name, value)))

    def stated_facts(self, name: str) -> HostFacts | None:
        """Return what the user states of the endpoint of the provider `name`, None if that is nothing."""
        if not self.regions and self.trains is None:
            return None
        return HostFacts(self.regions, self.trains, source=f"[providers.{name}] of the configuration")


@attrs.frozen(eq=False, repr=False)
class Config(Value):
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
    log: LogConfig = attrs.field(factory=LogConfig)
    pacing_store: PacingStore | None = None
    """Where processes share the limits of `pacing`; None: each keeps them by itself."""
    transport: str | None = None
    retired_models: Literal["follow", "raise"] = "follow"
    model: str | None = None
    """The target or alias that holds when a call names none (`LLM_MODEL`)."""
    folder: Path | None = None
    """Where the file lies; relative paths in it start here."""
    tables: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """Tables of distributions that build on the core, such as `gateway`, as they stand in the file."""

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)


def load_config(
    source: Config | str | Path | Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration from environment, files and argument, the later winning.

    `source`: a Config is taken as it is; a path is read in place of the default files; a dict is laid over
    environment and files. The default file is `$CHATPORT_CONFIG`. Without it there are two, each if it exists: the
    user's own (not with an `environment` of your own), and over it `chatport.toml` in the working folder. That one may
    say how calls are made; what it must be trusted for is an error until it is.
    Raises ConfigurationError, naming file and key, for anything that cannot be used.
    """
    if isinstance(source, Config):
        return source
    given = (str, Path, Mapping, type(None))
    expect(source, given, "config is a Config, the path of a file, or a dict of tables", ConfigurationError)
    expect(environment, (Mapping, type(None)), "environment is a dict of variables", ConfigurationError)
    try:
        return load_with_files(source, environment)[0]
    except ConfigurationError as error:
        problem = error.with_traceback(None)
    del source, environment  # they and the frames below may hold keys, and a traceback may show locals
    raise problem


def load_with_files(
    source: str | Path | Mapping[str, Any] | None, environment: Mapping[str, str] | None = None
) -> tuple[Config, list[tuple[Path, str]]]:
    """Return what `load_config` does, and the files that were read: each with why it is believed, or how far."""
    own: list[Mapping[str, Any]] = [_from_environment(environment)]
    named = source if isinstance(source, str | Path) else _variables(environment).get("CHATPORT_CONFIG")
    files: list[tuple[Path, str]] = []
    found = None
    if named:
        file = read_file(Path(named))
        own.append(file.tables)
        files.append((file.path, "named"))
    else:
        mine = _user_file(environment)
        if mine is not None:
            own.append(_anchored(mine))
            files.append((mine.path, "your own"))
        found = _found_file()
    given = _addressed(sealed(source), "config") if isinstance(source, Mapping) else {}
    where = "config" if isinstance(source, Mapping) else str(files[-1][0] if files else "the environment")
    folder = Path(named).parent if named else found.folder if found is not None else None
    if found is None:
        return _config(_merged([*own, given]), where, folder), files
    config, standing = _with_found(found, own, given, where if given else str(found.path))
    return config, [*files, (found.path, standing)]


def _with_found(
    file: ConfigFile, own: list[Mapping[str, Any]], given: Mapping[str, Any], where: str
) -> tuple[Config, str]:
    """Lay the file of the working folder over what its user says, as far as it is trusted; return how far that is."""
    from .trust import harmless, refusal, refused_keys, stricter_budget
    from .truststore import standing_of

    standing = standing_of(file)
    if standing == "trusted":
        return _config(_merged([*own, file.tables, given]), where, file.folder), "trusted"
    refused = refused_keys(file.tables)
    if refused:
        raise refusal(file, refused, standing)
    config = _config(_merged([*own, harmless(file.tables, _merged(own)), given]), where, file.folder)
    theirs = _config(file.tables, str(file.path), None)
    if "policy" in file.tables:
        config = attrs.evolve(config, policy=stricter(config.policy, theirs.policy))
    if "budget" in file.tables:
        config = attrs.evolve(config, budget=stricter_budget(config.budget, theirs.budget))
    return config, "not trusted: it holds nothing that it would have to be trusted for"


def _variables(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def read_file(path: Path, *, only_regular: bool = False) -> ConfigFile:
    """Return a file whose tables can all be read by themselves, so that an error in one names its own file."""
    file = read_config_file(path, only_regular=only_regular)
    _config(_addressed(dict(file.tables), str(path)), str(path), None)
    return file


def _user_file(environment: Mapping[str, str] | None) -> ConfigFile | None:
    """Return the file of the user's own folder, if there is one. Who gives an environment gives all of it."""
    if environment is not None:
        return None
    from .truststore import user_file

    path = user_file()
    return read_file(path, only_regular=True) if path is not None and os.path.lexists(path) else None


def _found_file() -> ConfigFile | None:
    """Return the file of the working folder, which nobody named, if there is one."""
    path = Path("chatport.toml")
    return read_file(path, only_regular=True) if os.path.lexists(path) else None


def _anchored(file: ConfigFile) -> dict[str, Any]:
    """Return a file's tables with its relative paths made absolute: another file may be laid over them."""
    providers = {name: _anchored_table(table, file.folder) for name, table in file.tables.get("providers", {}).items()}
    return {**file.tables, "providers": providers}


def _anchored_table(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    anchored = dict(table)
    if "patches" in table:
        anchored["patches"] = [str(folder / path) for path in table["patches"]]
    if "api_key" in table:
        anchored["api_key"] = _anchored_key(table["api_key"], folder)
    if "query" in table:
        anchored["query"] = {name: _anchored_key(key, folder) for name, key in table["query"].items()}
    return anchored


def _anchored_key(key: Any, folder: Path) -> Any:
    if isinstance(key, Mapping) and "file" in key:
        return {**key, "file": str(folder / Path(key["file"]).expanduser())}
    return key


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


class _FromVariable(str):
    """An address that a variable of no vendor says: whatever other source a key has, it is not meant for it."""

    variable: str

    def __new__(cls, value: str, variable: str) -> _FromVariable:
        text = super().__new__(cls, value)
        text.variable = variable
        return text


def _from_environment(environment: Mapping[str, str] | None) -> dict[str, Any]:
    """Read `LLM_PROVIDER`, `LLM_BASE_URL` (or `BASE_URL`), `LLM_API_KEY` and `LLM_MODEL`."""
    env = _variables(environment)
    variable = "LLM_BASE_URL" if env.get("LLM_BASE_URL") else "BASE_URL"
    may_be_ours = variable == "LLM_BASE_URL" or env.get("LLM_API_KEY") or env.get("LLM_MODEL")
    base_url = env.get(variable) if may_be_ours else None
    name, key, model = env.get("LLM_PROVIDER"), env.get("LLM_API_KEY"), env.get("LLM_MODEL")
    layer: dict[str, Any] = {}
    if base_url or (key and name):
        table: dict[str, Any] = {} if name else {"kind": "compatible"}
        if base_url:
            table["base_url"] = _FromVariable(base_url, variable)
        if key:
            table["api_key"] = Reference({"env": "LLM_API_KEY"}, bound=True)
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
        for key in _KEYS_OF_ADDRESS:
            kept.pop(key, None)
    return {**kept, **new}


def _config(data: Mapping[str, Any], where: str, folder: Path | None) -> Config:
    known(data, _TOP_KEYS, where)
    _check_names(data, where)
    retired = one_of(data.get("retired_models", "follow"), ("follow", "raise"), f"{where}: retired_models")
    return Config(
        aliases={name: _alias(name, value, where) for name, value in table_of(data, "aliases", where).items()},
        providers={name: _provider(name, value, where) for name, value in table_of(data, "providers", where).items()},
        models={name: _model(name, value, where) for name, value in table_of(data, "models", where).items()},
        timeouts=read_timeouts(table_of(data, "timeouts", where), f"{where}: [timeouts]"),
        retry=read_retry(table_of(data, "retry", where), f"{where}: [retry]"),
        hedge=read_hedge(table_of(data, "hedge", where), f"{where}: [hedge]"),
        breaker=read_breaker(table_of(data, "breaker", where), f"{where}: [breaker]"),
        pacing=read_pace(data.get("pacing"), f"{where}: [pacing]", may_share=True),
        pacing_store=read_pacing_store(data.get("pacing"), f"{where}: [pacing]"),
        limits=read_limits(table_of(data, "limits", where), f"{where}: [limits]"),
        policy=read_policy(table_of(data, "policy", where), f"{where}: [policy]"),
        budget=read_budget(table_of(data, "budget", where), f"{where}: [budget]"),
        log=read_log(table_of(data, "log", where), f"{where}: [log]"),
        transport=text(data.get("transport"), f"{where}: transport"),
        retired_models=retired,
        model=text(data.get("model"), f"{where}: model"),
        folder=folder,
        tables={name: table_of(data, name, where) for name in OTHERS_TABLES if name in data},
    )


def _check_names(data: Mapping[str, Any], where: str) -> None:
    """Raise ConfigurationError for names that could not be shown: errors, logs and a terminal will have to."""
    for kind in ("aliases", "providers", "models"):
        for name in table_of(data, kind, where):
            if len(name) > _LONGEST_NAME or not name.isprintable():
                raise ConfigurationError(
                    f"{where}: {kind} has a name that is longer than {_LONGEST_NAME} characters, or holds one that "
                    f"cannot be shown: {reprlib.repr(name)}."
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
    return Alias(tuple(read_alias_target(target, where) for target in targets), options)


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
        protocol=text(table.get("protocol"), f"{where} protocol") or "auto",
        auth=read_auth(table.get("auth"), f"{where} auth"),
        query=read_query(table_of(table, "query", where), where),
        allow_plain_http=flag(table.get("allow_plain_http", False), f"{where} allow_plain_http") or False,
        free=flag(table.get("free"), f"{where} free"),
        settings={key: value for key, value in table.items() if key not in PROVIDER_KEYS or _is_setting(key, value)},
        base_url_variable=getattr(table.get("base_url"), "variable", None),
    )


def _is_setting(key: str, value: Any) -> bool:
    """Whether a key of ours may be the provider's own: some have a setting `auth`, which is a word."""
    return key in WORDS_OF_PROVIDERS and isinstance(value, str)


def _dialect(table: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    import msgspec

    from ..provider import Dialect

    known(table, [field.name for field in attrs.fields(Dialect)], where)
    try:
        checked = jsoncodec.convert(dict(table), Dialect)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}.") from None
    return {name: getattr(checked, name) for name in table}


def _base_url(value: Any, where: str) -> str | None:
    url = text(value, f"{where} base_url")
    return None if url is None else read_base_url(url, f"{where} base_url")


def read_base_url(url: str, where: str) -> str:
    """Return a base URL without its last slash. Raises ConfigurationError for one that cannot be meant."""
    if _is_base_url(url):
        return url.rstrip("/")
    # Whatever stands behind the host may be a key, or the whole text, or the user name: it is not shown.
    shown = shown_address(url)
    told = f"{where} must be like https://host/v1 (no user name, query or blanks){shown and f', not {shown}'}."
    if "?" in url:
        told += " What stands behind the question mark goes into query = { name = value } beside it."
    del url  # a traceback may show locals
    raise ConfigurationError(told)


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, a bracket without its other one
        return False
    return (
        is_good
        and url.startswith(("http://", "https://"))
        and "@" not in parts.netloc
        and not any(c in "?#\\" or ord(c) <= 32 or ord(c) == 127 for c in url)
    )


def _model(name: str, table: Any, where: str) -> Mapping[str, Any]:
    from ..facts.models import ModelFacts

    where = f'{where}: [models."{name}"]'
    if ":" not in name:
        raise ConfigurationError(f'{where}: name the model as "provider:model".')
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table.")
    known(table, [field.name for field in attrs.fields(ModelFacts)], where)
    return dict(table)
