"""`describe_model`: what is known of a deployment is what is known of its base model, which its user names (AZ-B4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from chatport import ConfigurationError, Context, ModelFacts, hookimpl

__all__ = ["check_deployments", "describe_model"]

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_GLOBAL = "global"
_TYPES = (_GLOBAL, "data_zone", "regional", "provisioned", "batch", "priority")


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts | None:
    """Return the facts of the base model; a deployment that nobody has named is taken for what it is called (AZ-I2)."""
    facts = context.provider.facts
    if facts is None:
        return None
    named = _table((context.settings.get("deployments") or {}).get(model, model))
    found = facts.describe(_DATE.sub("", named["model"]), context.base_url)
    is_dearer = named.get("type", _GLOBAL) != _GLOBAL  # AZ-U2: by how much is not known
    return attrs.evolve(found, prices=()) if is_dearer else found


def check_deployments(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless the setting maps deployments to their base models."""
    given = settings.get("deployments") or {}
    if isinstance(given, Mapping) and all(map(_is_deployment, given.values())):
        return
    raise ConfigurationError(
        'azure: deployments maps a deployment to its base model: { prod-chat = "gpt-5-mini" }, or '
        f'{{ prod-chat = {{ model = "gpt-5-mini", type = "data_zone" }} }}, where type is one of {", ".join(_TYPES)}.'
    )


def _is_deployment(value: Any) -> bool:
    table = _table(value)
    known = isinstance(table, Mapping) and table.keys() <= {"model", "type"}
    return known and isinstance(table.get("model"), str) and table.get("type", _GLOBAL) in _TYPES


def _table(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value
