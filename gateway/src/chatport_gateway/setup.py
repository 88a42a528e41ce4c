"""All that follows from one configuration. A request takes it once, and ends with the one that it began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import attrs

from chatport import AsyncClient, ChatportError, Config, ConfigurationError
from chatport_surfaces import Surface

from .keys import KeyRing
from .settings import GatewaySettings, read_settings
from .tenants import Tenants
from .tracing import observers_of

if TYPE_CHECKING:
    from .team.settings import TeamSettings

__all__ = ["Setup"]

_FIXED = ("admin", "cache", "metrics")


@attrs.define(eq=False)
class Setup:
    """Settings, keys, client and surfaces of one configuration. `team` is what a `[team]` table says, None without.

    `given_surfaces` are those that the application was given, None: the installed ones. A client that was given stays
    open: `owns_client` is False then.
    """

    settings: GatewaySettings
    keys: KeyRing
    client: AsyncClient
    tenants: Tenants
    team: TeamSettings | None
    owns_client: bool
    given_surfaces: Sequence[Surface] | None
    fixed: Mapping[str, Any]
    """Tables of which the parts are made once, as they were then."""
    users: int = 0
    """How many requests are under way with it."""
    is_retired: bool = False

    @classmethod
    def of(
        cls,
        config: Config,
        client: AsyncClient | None,
        settings: GatewaySettings | None,
        surfaces: Sequence[Surface] | None,
        before: Setup | None = None,
    ) -> Self:
        """Make it, with all that can be wrong found out. What was kept of answers `before` is kept still."""
        settings = settings or read_settings(config)
        digests = settings.key_digests()
        team = _team_settings(config)
        made = client or AsyncClient(config, observers=observers_of(settings))
        tenants = Tenants(made, surfaces, digests, settings, None if before is None else before.tenants)
        fixed = {name: config.tables.get(name) for name in _FIXED}
        return cls(settings, KeyRing(digests), made, tenants, team, client is None, surfaces, fixed)

    @property
    def is_guarded(self) -> bool:
        """Whether a key is asked for."""
        return bool(self.keys) or self.team is not None

    def problems(self) -> Mapping[str, str]:
        """Return what is wrong with targets that aliases, and the usual model, name. Nothing is sent."""
        found: dict[str, str] = {}
        names = [*self.client.config.aliases, *filter(None, [self.client.config.model])]
        for name in names:
            try:
                targets = self.client.targets(name)
            except ChatportError as error:
                found[name] = error.message
                continue
            for target in targets:
                try:
                    self.client.check(target)
                except ChatportError as error:
                    found[target] = error.message
        return found

    def done(self) -> bool:
        """Note that a request is over; return whether it is time to close."""
        self.users -= 1
        return self.is_retired and self.users == 0

    async def retire(self) -> None:
        """Take no more requests; those under way go on, and the last of them closes."""
        self.is_retired = True
        if not self.users:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the client, unless it was given. Calls under way go on to their end."""
        if self.owns_client:
            await self.client.aclose()


def _team_settings(config: Config) -> TeamSettings | None:
    if "team" not in config.tables:
        return None
    try:
        from .team.settings import read_team
    except ImportError as error:
        raise ConfigurationError(
            f'[team] needs what the extra brings ({error.name} is missing): pip install "chatport-gateway[team]".'
        ) from None
    return read_team(config)
