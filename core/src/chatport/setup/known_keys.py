"""Every key that a client knows of, to be hidden in prompts and answers before these are told to anybody.

A prompt may hold any of them: a program's settings that were pasted into it, what a tool has read. Nothing is run,
read or asked for here: a key that a command or a file gives is known once a call has needed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..basics.secret import Secret
from .config import Config, ProviderConfig
from .vendor import Vendor

__all__ = ["known_keys"]

_KEY_NAME = re.compile(r"(^|[_-])(key|token|secret|password|passwd|credentials?|authorization)$", re.IGNORECASE)
"""What variables, headers and settings are called whose values are secret: `DEEPSEEK_API_KEY`, `x-team-token`."""
_SHORTEST = 8
"""Characters of such a value. Shorter ones are words that stand in ordinary texts."""


def known_keys(config: Config, vendors: Iterable[Vendor], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts of all keys that are known, without those that are empty."""
    found: dict[str, None] = {}
    for vendor in vendors:
        found |= dict.fromkeys(secret.reveal() for secret in vendor.secrets)
        found |= dict.fromkeys(_named_so(vendor.config.settings))
    for table in config.providers.values():
        found |= dict.fromkeys(_stated(table, environment))
    found |= dict.fromkeys(_named_so(environment))
    return tuple(key for key in found if key)


def _stated(table: ProviderConfig, environment: Mapping[str, str]) -> Iterator[str]:
    for source in table.key_sources:
        if isinstance(source, Secret):
            yield source.reveal()
        elif "env" in source:
            yield environment.get(source["env"], "").strip()
    yield from _named_so(table.headers)
    yield from _named_so(table.settings)


def _named_so(values: Mapping[str, Any]) -> Iterator[str]:
    """Give the values whose names say that they are secret; of a header also without a word like `Bearer` before it."""
    for name, value in values.items():
        if isinstance(value, str) and len(value.strip()) >= _SHORTEST and _KEY_NAME.search(name):
            yield value.strip()
            if len(last := value.split()[-1]) >= _SHORTEST:
                yield last
