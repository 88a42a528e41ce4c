"""What each key sees: the surfaces, and where answers are kept, nobody's answers but its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from chatport import AsyncClient
from chatport_surfaces import AsyncSurfaces, Seal, Surface
from chatport_surfaces.responses import MemoryStore, ResponsesSurface

from .settings import GatewaySettings

__all__ = ["Tenants"]

_MOST_KEYS = 1000
_KeyName: TypeAlias = "str | bytes | None"
"""A team's key by its id, others by their digest, None where none is asked for."""


class _Answers:
    """The answers that are kept for each key. They outlive a configuration; of too many keys the first ones go."""

    def __init__(self) -> None:
        self._stores: OrderedDict[_KeyName, MemoryStore] = OrderedDict()
        self._most, self._most_bytes = 0, 0

    def fit(self, settings: GatewaySettings, digests: Iterable[bytes]) -> None:
        """Take over the bounds of settings, and forget the keys that are not there any more."""
        self._most, self._most_bytes = settings.store_answers, settings.store_bytes
        known = {None, *digests}
        for name, store in list(self._stores.items()):
            if not isinstance(name, str) and name not in known:
                del self._stores[name]
            else:
                store.resize(most=self._most, most_bytes=self._most_bytes)

    def of(self, name: _KeyName) -> MemoryStore:
        """Return the store of a key."""
        found = self._stores.get(name)
        if found is None:
            found = self._stores[name] = MemoryStore(most=self._most, most_bytes=self._most_bytes)
            team = [one for one in self._stores if isinstance(one, str)]
            if len(team) > _MOST_KEYS:
                del self._stores[team[0]]
        return found


class Tenants:
    """The surfaces of each key. Without a store they are the same for all of them; keys are known by their digests.

    `before` are those of the configuration before, whose answers are kept on.
    """

    def __init__(
        self,
        client: AsyncClient,
        surfaces: Sequence[Surface] | None,
        digests: Iterable[bytes],
        settings: GatewaySettings,
        before: Tenants | None = None,
    ) -> None:
        self.common = AsyncSurfaces(client, surfaces, seal=Seal(settings.seal_secret()))
        self._settings = settings
        self._digests = tuple(digests)
        self._answers: _Answers = _Answers() if before is None else before._answers
        self._of_keys: OrderedDict[str, AsyncSurfaces] = OrderedDict()
        self._own: dict[bytes | None, AsyncSurfaces] = {}
        if before is None:
            self.begin()

    def begin(self) -> None:
        """Serve from now on: bounds on what is kept hold from here."""
        settings = self._settings
        if settings.store is None:
            self._answers = _Answers()
            return
        self._answers.fit(settings, self._digests)
        self._own = {digest: self._with_store(digest) for digest in (None, *self._digests)}

    def of(self, digest: bytes | None) -> AsyncSurfaces:
        """Return the surfaces for a key, None for requests without one where none is asked for."""
        return self._own.get(digest, self.common)

    def of_key(self, key_id: str) -> AsyncSurfaces:
        """Return the surfaces for a team's key. Of too many, those are dropped that asked first, and what they kept."""
        if self._settings.store is None:
            return self.common
        found = self._of_keys.get(key_id)
        if found is None:
            found = self._of_keys[key_id] = self._with_store(key_id)
            if len(self._of_keys) > _MOST_KEYS:
                self._of_keys.popitem(last=False)
        return found

    def _with_store(self, name: _KeyName) -> AsyncSurfaces:
        kept = ResponsesSurface(self._answers.of(name))
        surfaces = [kept if isinstance(one, ResponsesSurface) else one for one in self.common.surfaces]
        return AsyncSurfaces(self.common.client, surfaces, seal=self.common.context.seal)
