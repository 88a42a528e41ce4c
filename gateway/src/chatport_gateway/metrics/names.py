"""Labels of a bounded set: clients choose what they ask for, and a series that was begun is never forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatport import Config

__all__ = ["OTHER", "Names"]

OTHER = "other"
"""What every name is called that the configuration has not."""
_MOST = 1000


class Names:
    """The names that a configuration has. `model` and `target` give a name itself if it is one of these."""

    def __init__(self, config: Config) -> None:
        self.config = config
        entries = [entry.target for alias in config.aliases.values() for entry in alias.entries]
        usual = [config.model] if config.model else []
        names = list(dict.fromkeys([*config.aliases, *entries, *usual]))[:_MOST]
        self._models = {name: name for name in names}
        self._targets: dict[str, tuple[str, str]] = {}
        for name in names:
            provider, colon, model = name.partition(":")
            if colon and name not in config.aliases:
                self._targets[name] = (provider, model)
        self._providers = {provider for provider, _ in self._targets.values()} | {*config.providers}

    def model(self, asked: str) -> str:
        """Return what a model that was asked for is called; nothing asked for is the usual one."""
        return self._models.get(asked or self.config.model or "", OTHER)

    def first(self, asked: str) -> str:
        """Return the target that an embedding was asked of: the first one."""
        alias = self.config.aliases.get(asked or self.config.model or "")
        return asked if alias is None else alias.entries[0].target

    def target(self, target: str) -> tuple[str, str]:
        """Return provider and model of who was asked."""
        known = self._targets.get(target)
        if known is not None:
            return known
        provider = target.partition(":")[0]
        return (provider if provider in self._providers else OTHER, OTHER)
