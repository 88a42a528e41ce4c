"""What a configuration file may do that nobody named: one that just lies in the working folder, as others made it.

It may say how calls are made, and no more. This is a list of what is allowed: a key that is not on it runs code, reads
files or variables, moves an address, loosens what the user has bounded, or is too new to be known harmless. One such
key, and nothing of the file is used.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..basics.secret import Secret
from ..errors import ConfigurationError, PluginError
from ..plugins.registry import load_provider
from .configfile import ConfigFile
from .keys import Reference
from .tables import BudgetConfig
from .truststore import Standing, place_of

__all__ = ["harmless", "refusal", "refused_keys", "stricter_budget"]

_HARMLESS = (
    "model", "aliases", "providers", "models", "timeouts", "retry", "breaker", "hedge", "pacing", "policy", "budget",
    "retired_models",
)  # fmt: skip
_HARMLESS_OF = {
    "providers": ("timeouts", "pacing"),
    "models": (
        "context_tokens", "max_output_tokens", "input", "tools", "parallel_tools", "forced_tool_choice",
        "output_formats", "reasoning", "efforts", "default_effort", "prefill", "max_tools",
    ),
    "aliases": (
        "targets", "reasoning", "temperature", "top_p", "max_tokens", "stop", "seed", "timeout", "on_unsupported",
    ),
}  # fmt: skip
_REASONS = {
    "transport": "chooses what sends",
    "cli": "has your conversations written down",
    "limits": "says how much memory an answer may take",
    "log": "has prompts and answers written where others may read them",
    "kind": "says whose key goes where",
    "base_url": "moves an address",
    "headers": "is sent with every request",
    "query": "is sent with every request, and may be a key of yours",
    "auth": "says in which header a key goes, or another thing of the provider's own",
    "allow_plain_http": "lets a key be read on its way",
    "patches": "runs code",
    "dialect": "changes the requests",
    "regions": "is what a policy believes of an address",
    "trains": "is what a policy believes of an address",
    "free": "is what budgets believe of an address",
    "prices": "is what budgets believe",
    "rates": "is what budgets believe",
    "store": "is asked before each call",
    "retired": "changes whom and what is asked",
    "quirks": "changes the requests",
    "rules": "changes the requests",
    "extra": "may have the vendor do anything, at other addresses too",
}
_OTHERWISE = {"providers": "is a setting of the provider's own, which may move its address"}
_MOST_SHOWN = 8


def refused_keys(tables: Mapping[str, Any]) -> list[str]:
    """Return each key that only a trusted file may hold, with what it does. No value is shown."""
    return [f"{_dotted(path)} ({reason})" for path, reason in _refused(tables)]


def _refused(tables: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in tables.items():
        if key not in _HARMLESS:
            yield (key,), _reason(key, "")
        elif key in _HARMLESS_OF and isinstance(value, Mapping):
            for name, table in value.items():
                yield from _refused_in(key, name, table)
        elif key == "budget" and isinstance(value, Mapping) and "rates" in value:
            yield ("budget", "rates"), _reason("rates", "")
        elif key == "pacing" and isinstance(value, Mapping):
            yield from ((("pacing", name), _reason("store", "")) for name in ("store", "store_env") if name in value)


def _refused_in(kind: str, name: str, table: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in table.items() if isinstance(table, Mapping) else ():
        if kind == "providers" and key == "api_key":
            reason = _reason_of_key(value, name)
            if reason is not None:
                yield (kind, name, key), reason
        elif key not in _HARMLESS_OF[kind]:
            yield (kind, name, key), _reason(key, kind)


def _reason(key: str, kind: str) -> str:
    return _REASONS.get(key) or _OTHERWISE.get(kind, "is not known to be harmless")


def _reason_of_key(value: Any, provider: str) -> str | None:
    """Return what is wrong with a key, None for the provider's own variable, which holds it anyway."""
    if isinstance(value, Secret):
        return "has your prompts go to the account of whoever owns this key"
    if "command" in value:
        return "runs a program"
    if "env" not in value:
        return "reads the keyring" if "keyring" in value else "reads a file"
    own = value["env"] in _own_variables(provider)
    return None if own else f"reads a variable that is none of {_shown(provider)}'s own: {_shown(value['env'])}"


def _own_variables(provider: str) -> tuple[str, ...]:
    try:
        return load_provider(provider).key_env
    except (ConfigurationError, PluginError):  # a name that no package has, or a broken one: no variable is its own
        return ()


def refusal(file: ConfigFile, refused: list[str], standing: Standing) -> ConfigurationError:
    """Return the error for a file that is not trusted, and would need to be."""
    more = f", and {len(refused) - _MOST_SHOWN} more" if len(refused) > _MOST_SHOWN else ""
    why = (
        "it, or a patch that it names, has changed since you trusted it"
        if standing == "changed"
        else "nobody has named or trusted it"
    )
    return ConfigurationError(
        f"{place_of(file.path)} is not used: {why}, and only a trusted file may hold "
        f"{', '.join(refused[:_MOST_SHOWN])}{more}. Read it. If it may do that, trust it as it is now: "
        '"chatport trust" in its folder. Or name it: Client("chatport.toml"), --config chatport.toml, or '
        "CHATPORT_CONFIG."
    )


def harmless(tables: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an untrusted file adds to `own`, what its user says: policy and budget are for `stricter`.

    A key that the user has stated for a provider stays. Otherwise the file chooses among the provider's own variables,
    and what is found there is bound to the vendor's own hosts.
    """
    rest = {key: value for key, value in tables.items() if key not in ("policy", "budget")}
    if "providers" in rest:
        stated = own.get("providers") or {}
        rest["providers"] = {
            name: _with_bound_key(table, has_key="api_key" in (stated.get(name) or {}))
            for name, table in rest["providers"].items()
        }
    return rest


def _with_bound_key(table: Mapping[str, Any], *, has_key: bool) -> dict[str, Any]:
    rest = {key: value for key, value in table.items() if key != "api_key"}
    return rest if has_key or "api_key" not in table else {**rest, "api_key": Reference(table["api_key"], bound=True)}


def stricter_budget(one: BudgetConfig, other: BudgetConfig) -> BudgetConfig:
    """Return a budget that refuses what either refuses; the rates are those of the first."""
    caps = [budget for budget in (one, other) if budget.usd is not None]
    return BudgetConfig(
        usd=_least(one.usd, other.usd),
        tokens=_least(one.tokens, other.tokens),
        unknown_cost="allow" if caps and all(budget.unknown_cost == "allow" for budget in caps) else "refuse",
        rates=one.rates,
    )


def _least(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else min(one, other)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(_shown, path))


def _shown(name: str) -> str:
    """Return a name of the file's for a message: short, and without what would direct a terminal."""
    return name if re.fullmatch(r"[\w-]{1,60}", name, re.ASCII) else reprlib.repr(name)
