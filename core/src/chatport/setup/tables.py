"""The tables of a configuration one by one: each read into its value, or refused with a text that names the key."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from ..basics.sizes import Limits
from ..basics.values import Value
from ..engine.shared import HedgePolicy
from ..errors import ConfigurationError
from ..facts.models import is_region
from ..inputs.values import flag, known, one_of, positive, seconds_of, table_of, texts, whole
from ..limits.breaker import BreakerPolicy
from ..limits.pacing import PaceLimits
from ..limits.policy import Policy
from ..limits.retry import RetryPolicy
from .targets import AliasTarget, Condition

__all__ = [
    "BudgetConfig",
    "LogConfig",
    "PacingStore",
    "read_alias_target",
    "read_breaker",
    "read_budget",
    "read_hedge",
    "read_limits",
    "read_log",
    "read_pace",
    "read_pacing_store",
    "read_policy",
    "read_regions",
    "read_retry",
]


@attrs.frozen(eq=False, repr=False)
class BudgetConfig(Value):
    """The `[budget]` table: a cap for all calls of a client, and how many USD one unit of another currency is."""

    usd: float | None = None
    tokens: int | None = None
    unknown_cost: Literal["refuse", "allow"] = "refuse"
    rates: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(eq=False, repr=False)
class LogConfig(Value):
    """The `[log]` table: whether what is told of a call has its content in it, and how much of it.

    `content_bytes` is the most of one event's texts, in UTF-8.
    """

    content: bool = False
    content_bytes: int = 32_768


def read_retry(table: Mapping[str, Any], where: str) -> RetryPolicy:
    known(table, [field.name for field in attrs.fields(RetryPolicy)], where)
    attempts = table.get("attempts", 3)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 100:
        raise ConfigurationError(f"{where} attempts is a whole number from 1 to 100, not {attempts!r}.")
    goes_on = flag(table.get("continue_after_cut", False), f"{where} continue_after_cut") or False
    share, least = table.get("budget_share", 0.2), table.get("budget_least", 3)
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise ConfigurationError(f"{where} budget_least is a whole number, 0 or more, not {reprlib.repr(least)}.")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1e9:
        raise ConfigurationError(
            f"{where} budget_share is a share of the calls, 0 or more (0.2 is a fifth), not {reprlib.repr(share)}."
        )
    seconds = {name: seconds_of(value, f"{where} {name}") for name, value in table.items() if name.endswith("_seconds")}
    return RetryPolicy(attempts, **seconds, continue_after_cut=goes_on, budget_share=share, budget_least=least)


def read_breaker(table: Mapping[str, Any], where: str) -> BreakerPolicy:
    known(table, [field.name for field in attrs.fields(BreakerPolicy)], where)
    beside = flag(table.get("probe_beside", True), f"{where} probe_beside")
    values: dict[str, Any] = {
        name: whole(value, f"{where} {name}")
        if name in ("failures", "least_calls")
        else positive(value, f"{where} {name}")
        for name, value in table.items()
        if name != "probe_beside"
    }
    if values.get("failure_rate", 0.5) > 1:
        raise ConfigurationError(f"{where} failure_rate is a share, above 0 and at most 1.")
    return BreakerPolicy(**values, probe_beside=beside is not False)


@attrs.frozen(eq=False, repr=False)
class PacingStore(Value):
    """Where the processes that name it share the limits of `[pacing]`: an address, or the variable that holds it.

    `refuses`: nothing is sent while it is down; else each process goes on by itself.
    """

    url: str | None = attrs.field(default=None, repr=False)
    env: str | None = None
    refuses: bool = False


def read_pacing_store(table: Any, where: str) -> PacingStore | None:
    """Read `store`, or `store_env`, and `on_store_down` of `[pacing]`; None where no store is named."""
    if not isinstance(table, Mapping) or not ("store" in table or "store_env" in table):
        return None
    url, env = table.get("store"), table.get("store_env")
    for name, value in (("store", url), ("store_env", env)):
        if value is not None and not (isinstance(value, str) and value):
            raise ConfigurationError(f"{where} {name} is a text, not {reprlib.repr(value)}.")
    if url is not None and ":" in url.partition("://")[2].rpartition("@")[0]:
        raise ConfigurationError(
            f"{where} store: a password does not stand in the file. Name the variable that holds the whole address "
            "with store_env."
        )
    down = one_of(table.get("on_store_down", "local"), ("local", "refuse"), f"{where} on_store_down")
    return PacingStore(url, env, down == "refuse")


_STORE_KEYS = ("store", "store_env", "on_store_down")


def read_pace(table: Any, where: str, *, may_share: bool = False) -> PaceLimits | None:
    """Read `[pacing]`: limits of our own, or `learn = true` for those that the vendor's headers tell."""
    if table is None:
        return None
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table, not {type(table).__name__}.")
    names = [field.name for field in attrs.fields(PaceLimits)]
    known(table, [*names, "learn", *(_STORE_KEYS if may_share else ())], where)
    learns = flag(table.get("learn", True), f"{where} learn")
    limits = {name: whole(table[name], f"{where} {name}") for name in names if name in table}
    return PaceLimits(**limits) if limits or learns else None


def read_hedge(table: Mapping[str, Any], where: str) -> HedgePolicy:
    known(table, [field.name for field in attrs.fields(HedgePolicy)], where)
    values = {name: positive(value, f"{where} {name}") for name, value in table.items()}
    if values.get("share", 0.05) > 0.05:
        raise ConfigurationError(f"{where} share is at most 0.05: more second tries would be load, not help.")
    return HedgePolicy(**values)


def read_alias_target(target: Any, where: str) -> AliasTarget:
    """Read one target of an alias: its text, or a table with `target`, `when` and `weight`."""
    table = target if isinstance(target, Mapping) else {"target": target}
    known(table, ("target", "when", "weight"), where)
    name = table.get("target")
    if not isinstance(name, str) or ":" not in name:
        raise ConfigurationError(f'{where}: {reprlib.repr(name)} is not "provider:model".')
    weight = table.get("weight")
    return AliasTarget(
        name,
        _condition(table_of(table, "when", f"{where}: {name}"), f"{where}: {name} when"),
        None if weight is None else positive(weight, f"{where}: {name} weight"),
    )


def _condition(table: Mapping[str, Any], where: str) -> Condition:
    known(table, [field.name for field in attrs.fields(Condition)], where)
    values: dict[str, Any] = {
        name: whole(value, f"{where} {name}") if name.endswith("_tokens") else flag(value, f"{where} {name}")
        for name, value in table.items()
    }
    return Condition(**values)


def read_limits(table: Mapping[str, Any], where: str) -> Limits:
    known(table, [field.name for field in attrs.fields(Limits)], where)
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            what = "number of bytes" if name.endswith("_bytes") else "whole number above 0"
            raise ConfigurationError(f"{where} {name} is a {what}, not {reprlib.repr(value)}.")
    return Limits(**table)


def read_log(table: Mapping[str, Any], where: str) -> LogConfig:
    known(table, [field.name for field in attrs.fields(LogConfig)], where)
    content = flag(table.get("content", False), f"{where} content") or False
    return LogConfig(content, whole(table.get("content_bytes", 32_768), f"{where} content_bytes"))


def read_policy(table: Mapping[str, Any], where: str) -> Policy:
    known(table, [field.name for field in attrs.fields(Policy)], where)
    regions, providers = table.get("allow_regions"), table.get("allow_providers")
    return Policy(
        allow_regions=None if regions is None else read_regions(regions, f"{where} allow_regions"),
        forbid_training=flag(table.get("forbid_training", False), f"{where} forbid_training") or False,
        allow_providers=None if providers is None else texts(providers, f"{where} allow_providers"),
        deny_models=_model_patterns(table.get("deny_models", ()), f"{where} deny_models"),
        unknown=one_of(table.get("unknown", "deny"), ("deny", "allow"), f"{where} unknown"),
    )


def read_budget(table: Mapping[str, Any], where: str) -> BudgetConfig:
    known(table, [field.name for field in attrs.fields(BudgetConfig)], where)
    rates = {
        currency: positive(rate, f"{where} rates.{currency}")
        for currency, rate in table_of(table, "rates", where).items()
    }
    if "USD" in rates:
        raise ConfigurationError(f"{where} rates are USD for one unit of another currency; USD needs none.")
    usd, tokens = table.get("usd"), table.get("tokens")
    if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1):
        raise ConfigurationError(f"{where} tokens is a whole number above 0, not {tokens!r}.")
    return BudgetConfig(
        usd=None if usd is None else positive(usd, f"{where} usd"),
        tokens=tokens,
        unknown_cost=one_of(table.get("unknown_cost", "refuse"), ("refuse", "allow"), f"{where} unknown_cost"),
        rates=rates,
    )


def read_regions(value: Any, where: str) -> tuple[str, ...]:
    regions = texts(value, where)
    for region in regions:
        if not is_region(region):
            raise ConfigurationError(
                f'{where}: {region!r} is no region. Write ISO 3166 codes like "US", or "EU", "local", "global".'
            )
    return regions


def _model_patterns(value: Any, where: str) -> tuple[str, ...]:
    patterns = texts(value, where)
    for pattern in patterns:
        if ":" not in pattern and not pattern.startswith("*"):  # it would match nothing, and so forbid nothing
            raise ConfigurationError(f'{where}: {pattern!r} matches no "provider:model"; write "*:{pattern}".')
    return patterns
