"""How batches are made and waited for, and what a model's facts say of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import attrs

import chatport
from chatport import ConfigurationError
from chatport.helpers import BatchRule, installed

__all__ = ["BatchSettings", "batch_target", "rule_of"]


@attrs.frozen
class BatchSettings:
    """How batches are made and waited for.

    `rounds`: how often a row goes into a batch until it is asked online. `deadline_seconds`: so long after the first
    batch was made, what has not ended is cancelled, and what is missing is asked online; None: never. `most_*` are
    bounds below the vendor's own. A batch is looked at every `poll_seconds`, and less and less often up to
    `longest_poll_seconds`. `deletes_files`: what the vendor keeps of a batch is deleted when it was read. `cancels`:
    batches are cancelled, their results read, and nothing else is asked.
    """

    rounds: int = 2
    deadline_seconds: float | None = None
    most_rows: int = 50_000
    most_bytes: int = 64 * 1024 * 1024
    most_enqueued_tokens: int | None = None
    poll_seconds: float = 10.0
    longest_poll_seconds: float = 300.0
    deletes_files: bool = False
    cancels: bool = False


def rule_of(client: chatport.AsyncClient, target: str) -> BatchRule | None:
    """Return how batches are made for a target, None where there are none."""
    rules = client.facts(target).rules
    rule = None if rules is None else rules.batch
    return rule if rule is not None and rule.available else None


def batch_target(client: chatport.AsyncClient, model: str) -> tuple[str, BatchRule, Mapping[str, Any]]:
    """Return the target of a name that takes batches, how, and the options of its alias.

    Raises ConfigurationError, before a byte is sent, where it takes none.
    """
    targets = client.targets(model)
    alias = client.config.aliases.get(model)
    options = {} if alias is None else dict(alias.options)
    rule = rule_of(client, targets[0])
    if rule is None:
        raise ConfigurationError(
            f"{targets[0]} takes no batches, and nothing was sent. Providers that do: "
            f"{', '.join(_with_batches()) or 'none that is installed'}. Choose a model of theirs, or leave --lane out."
        )
    return targets[0], rule, options


def _with_batches() -> list[str]:
    """Return the installed providers that take batches: only who has to be told needs it, for all are imported."""
    found = []
    for plugin in installed("chatport.providers").values():
        try:
            module, _, name = plugin.target.partition(":")
            provider = getattr(import_module(module), name)
            facts = provider.facts.describe("*", provider.base_url)
        except Exception:  # a broken one is told of where it is used
            continue
        if facts.rules is not None and facts.rules.batch is not None:
            found.append(plugin.name)
    return sorted(found)
