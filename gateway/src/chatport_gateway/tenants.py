"""What each key sees: the surfaces, and where answers are kept, nobody's answers but its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from chatport import AsyncClient
from chatport_surfaces import AsyncSurfaces, Seal, Surface
from chatport_surfaces.responses import MemoryStore, ResponsesSurface

from .settings import GatewaySettings

__all__ = ["Tenants"]

_MOST_KEYS = 1000


class Tenants:
    """The surfaces of each key. Without a store they are the same for all of them; keys are known by their digests."""

    def __init__(
        self,
        client: AsyncClient,
        surfaces: Sequence[Surface] | None,
        digests: Iterable[bytes],
        settings: GatewaySettings,
    ) -> None:
        self.common = AsyncSurfaces(client, surfaces, seal=Seal(settings.seal_secret()))
        self._settings = settings
        self._of_keys: OrderedDict[str, AsyncSurfaces] = OrderedDict()
        self._own: dict[bytes | None, AsyncSurfaces] = {}
        if settings.store is not None:
            self._own = {digest: self._with_store(settings) for digest in (None, *digests)}

    def of(self, digest: bytes | None) -> AsyncSurfaces:
        """Return the surfaces for a key, None for requests without one where none is asked for."""
        return self._own.get(digest, self.common)

    def of_key(self, key_id: str) -> AsyncSurfaces:
        """Return the surfaces for a team's key. Of too many, those are dropped that asked first, and what they kept."""
        if self._settings.store is None:
            return self.common
        found = self._of_keys.get(key_id)
        if found is None:
            found = self._of_keys[key_id] = self._with_store(self._settings)
            if len(self._of_keys) > _MOST_KEYS:
                self._of_keys.popitem(last=False)
        return found

    def _with_store(self, settings: GatewaySettings) -> AsyncSurfaces:
        kept = ResponsesSurface(MemoryStore(most=settings.store_answers, most_bytes=settings.store_bytes))
        surfaces = [kept if isinstance(one, ResponsesSurface) else one for one in self.common.surfaces]
        return AsyncSurfaces(self.common.client, surfaces, seal=self.common.context.seal)
