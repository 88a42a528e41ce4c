"""A secret that a package on the core is told of, by the same references as the keys of vendors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..basics.blocking import Room
from ..basics.secret import Secret
from ..errors import ConfigurationError
from .keys import fetched, is_given_by_function, is_slow, read_reference, resolve

__all__ = ["SecretSource"]

_READINGS = Room("readings of secrets", stuck_after_seconds=60)


class SecretSource:
    """Where a secret comes from: a text, a `Secret`, `{"env": …}`, `file`, `command`, `keyring`, or a function.

    `whose` says what it is for, as a message begins with it, and `name` where it was given, for errors. Raises
    ConfigurationError, without the secret, for what is no such thing.
    """

    def __init__(self, given: Any, whose: str, name: str) -> None:
        is_begun = whose.startswith(("The ", "An ", "A "))  # so inside a sentence it is written small
        self._owner = whose[0].lower() + whose[1:] if is_begun else whose
        reference = read_reference(Secret(given) if isinstance(given, str) else given, f"{whose}:", name)
        if reference is None:
            raise ConfigurationError(f"{whose}: {name} is None. Leave it out where there is none.")
        self._reference: Secret | Mapping[str, Any] = reference

    @property
    def may_change(self) -> bool:
        """Whether another secret may come when it is read again."""
        return not isinstance(self._reference, Secret)

    async def read(self) -> Secret:
        """Return the secret, on asyncio and trio; the loop goes on meanwhile. Raises ConfigurationError."""
        reference = self._reference
        if isinstance(reference, Secret):
            return reference
        if is_given_by_function(reference):
            return await fetched(reference["function"], self._owner)
        if not is_slow(reference):
            return self._resolved()
        return await _READINGS.job(object(), self._resolved).finished()

    def _resolved(self) -> Secret:
        assert isinstance(self._reference, Mapping)
        return resolve(self._reference, self._owner, folder=Path(), variable=os.environ.get)
