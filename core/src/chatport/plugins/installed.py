"""The plugins that are installed: found by their entry points, and imported one by one where they are used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..basics.log import warn
from ..basics.values import Value
from ..basics.version import __version__
from ..errors import PluginError

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

__all__ = [
    "InstalledPlugin",
    "installed",
    "installed_commands",
    "installed_patches",
    "installed_protocols",
    "installed_providers",
    "known_distributions",
    "package_of",
]

PROVIDERS_GROUP = "chatport.providers"
PATCHES_GROUP = "chatport.patches"
PROTOCOLS_GROUP = "chatport.protocols"
COMMANDS_GROUP = "chatport.commands"


@attrs.frozen(eq=False, repr=False)
class InstalledPlugin(Value):
    """An entry point, unopened: its name, the object it points to, and the distribution that brings it.

    `rival` is another one of the same name for another object. Nobody can tell which of the two is meant, so neither
    is used; plugins of other names are not affected.
    """

    name: str
    target: str
    distribution: str
    version: str
    rival: InstalledPlugin | None = None

    @property
    def problem(self) -> str:
        """Why it cannot be used, as far as that is known without importing it; empty if nothing is."""
        if self.rival is None:
            return ""
        return (
            f"Two plugins are called {self.name!r}, and neither is used: {self.target} of {self.distribution} and "
            f"{self.rival.target} of {self.rival.distribution}. Uninstall one, or name its package in "
            "CHATPORT_DISABLE_PLUGINS. Other plugins are not affected."
        )

    def load(self) -> Any:
        """Import the object. Raises PluginError, with the cause, if that fails for whatever reason."""
        if self.rival is not None:
            raise PluginError(self.problem, provider=self.name.partition(".")[0])
        module, _, attribute = self.target.partition(":")
        try:
            value: Any = import_module(module)
            for part in filter(None, attribute.split(".")):
                value = getattr(value, part)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The plugin {self.name!r} ({self.distribution} {self.version}, {self.target}) cannot be loaded: "
                f"{type(error).__name__}: {error}. Other plugins are not affected.",
                provider=self.name,
            ) from error
        return value


def installed_providers() -> dict[str, InstalledPlugin]:
    """Return the installed providers by name, without importing any. One whose name is taken twice has a `rival`."""
    return installed(PROVIDERS_GROUP)


def installed_patches(provider: str | None = None) -> dict[str, InstalledPlugin]:
    """Return the installed patches by name, or those of one provider, without importing any.

    A patch's name begins with its provider's, up to the first dot: `deepseek.my-fix`. So only the patches of a provider
    that is used are imported, and a broken one breaks no other.
    """
    patches = installed(PATCHES_GROUP)
    if provider is None:
        return patches
    return {name: patch for name, patch in patches.items() if name.partition(".")[0] == provider}


def installed_protocols() -> dict[str, InstalledPlugin]:
    """Return the protocols that are installed for any endpoint, by name, without importing any."""
    return installed(PROTOCOLS_GROUP)


def installed_commands() -> dict[str, InstalledPlugin]:
    """Return the commands that installed distributions add to `chatport`, by name, without importing any."""
    return installed(COMMANDS_GROUP)


def installed(group: str) -> dict[str, InstalledPlugin]:
    """Return what is installed under a group of entry points, by name, without importing any."""
    disabled = _names(os.environ.get("CHATPORT_DISABLE_PLUGINS", ""))
    found: dict[str, InstalledPlugin] = {}
    for plugin in (*_scan(group), *_named_in_environment(group)):
        if disabled.keys() & {plugin.name, plugin.distribution}:
            continue
        if "*" in disabled and plugin.distribution != "CHATPORT_PLUGINS":
            continue
        earlier = found.setdefault(plugin.name, plugin)
        if earlier.target != plugin.target and earlier.rival is None:  # the same object twice is no question
            found[plugin.name] = attrs.evolve(earlier, rival=plugin)
            warn(found[plugin.name].problem)
    return found


@lru_cache(maxsize=8)
def _scan(group: str) -> tuple[InstalledPlugin, ...]:
    """Read the entry points once per process: it means looking into every installed distribution."""
    from importlib_metadata import entry_points

    return tuple(sorted((_plugin(entry) for entry in entry_points(group=group)), key=lambda plugin: plugin.name))


def _plugin(entry: EntryPoint) -> InstalledPlugin:
    owner = entry.dist
    return InstalledPlugin(entry.name, entry.value, owner.name if owner else "?", owner.version if owner else "?")


def _named_in_environment(group: str) -> Iterable[InstalledPlugin]:
    """Read `CHATPORT_PLUGINS`: `name=module:attribute` items, patches marked by a leading `patch:`."""
    for item in _names(os.environ.get("CHATPORT_PLUGINS", "")):
        is_patch = item.startswith("patch:")
        name, equals, target = item.removeprefix("patch:").partition("=")
        if not equals or not target:
            raise PluginError(f"CHATPORT_PLUGINS: {item!r} is not `name=module:attribute`.")
        if group == (PATCHES_GROUP if is_patch else PROVIDERS_GROUP):
            yield InstalledPlugin(name, target, "CHATPORT_PLUGINS", "")


def _names(text: str) -> dict[str, None]:
    """Return the items of a list in their order, which is the order of patches in a chain."""
    return {name.strip(): None for name in text.split(",") if name.strip()}


def package_of(module: str) -> str:
    """Return the distribution that brings a module, with its version; an empty text where no plugin is known there."""
    top = module.partition(".")[0]
    if top == "chatport":
        return f"chatport-core {__version__}"
    plugins = (*installed_providers().values(), *installed_patches().values(), *installed_protocols().values())
    owner = next((plugin for plugin in plugins if plugin.target.partition(":")[0].partition(".")[0] == top), None)
    return f"{owner.distribution} {owner.version}".strip() if owner is not None else ""


def known_distributions() -> dict[str, str]:
    """Return the distributions that are known to exist, by the providers that they bring, installed or not.

    Nobody is told to install any other: whoever takes an invented name first would be run by who follows the advice.
    """
    lines = Path(__file__).with_name("known_providers.txt").read_text("utf-8").splitlines()
    return {name: distribution for name, _, distribution in (line.partition(" ") for line in lines)}
