"""Find providers and patches, check them, and put them in order.

Listing reads entry points and imports nothing. Using a provider imports that one package. A plugin that cannot be
imported is reported where it is used or listed, and takes nothing else down.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from .errors import ConfigurationError, PluginError
from .hooks import HOOK_API, ProviderHooks
from .log import warn
from .plan import Plan, compile_plan
from .provider import Provider
from .version import __version__

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

__all__ = [
    "InstalledPlugin",
    "build_plan",
    "given_by_name",
    "installed_patches",
    "installed_providers",
    "load_provider",
    "near_miss",
    "package_of",
    "plugin_name",
]

PROVIDERS_GROUP = "chatport.providers"
PATCHES_GROUP = "chatport.patches"


@attrs.frozen
class InstalledPlugin:
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
    return _installed(PROVIDERS_GROUP)


def installed_patches(provider: str | None = None) -> dict[str, InstalledPlugin]:
    """Return the installed patches by name, or those of one provider, without importing any.

    A patch's name begins with its provider's, up to the first dot: `deepseek.my-fix`. So only the patches of a provider
    that is used are imported, and a broken one breaks no other.
    """
    patches = _installed(PATCHES_GROUP)
    if provider is None:
        return patches
    return {name: patch for name, patch in patches.items() if name.partition(".")[0] == provider}


def _installed(group: str) -> dict[str, InstalledPlugin]:
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
        if is_patch == (group == PATCHES_GROUP):
            yield InstalledPlugin(name, target, "CHATPORT_PLUGINS", "")


def _names(text: str) -> dict[str, None]:
    """Return the items of a list in their order, which is the order of patches in a chain."""
    return {name.strip(): None for name in text.split(",") if name.strip()}


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" or, without a near miss, an empty string."""
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def load_provider(name: str) -> Provider:
    """Import and return an installed provider. Raises ConfigurationError for an unknown name, PluginError if broken."""
    plugins = installed_providers()
    plugin = plugins.get(name)
    if plugin is None:
        have = ", ".join(sorted(plugins)) or "none"
        advice = near_miss(name, plugins) or (
            f" Install chatport-provider-{name}, or write a table [providers.{name}] with kind = "
            '"compatible" and base_url.'
        )
        raise ConfigurationError(f"No provider is called {name!r}.{advice} Installed: {have}.", provider=name)
    provider = plugin.load()
    if not isinstance(provider, Provider):
        raise PluginError(f"{plugin.target} is not a chatport.Provider but a {type(provider).__name__}.", provider=name)
    if provider.name != name:
        raise PluginError(
            f"{plugin.target} calls itself {provider.name!r} but is registered as {name!r}.", provider=name
        )
    return provider


def given_by_name(providers: Sequence[Provider]) -> dict[str, Provider]:
    """Return provider values that no package has registered, by name. Raises PluginError for what is none, or twice."""
    given: dict[str, Provider] = {}
    for provider in providers:
        if not isinstance(provider, Provider):
            raise PluginError(f"providers= takes chatport.Provider values, not a {type(provider).__name__}.")
        if provider.name in given:
            raise PluginError(f"providers= has two that are called {provider.name!r}.", provider=provider.name)
        given[provider.name] = provider
    return given


def build_plan(provider: Provider, patches: Sequence[Any] = ()) -> Plan:
    """Check and register the provider's chain and compile it: standard dialect, vendor, then `patches` in order.

    Raises PluginError for an unknown hook (with the nearest name), a wrong argument, the same plugin twice, an
    old-style wrapper, or a hook API newer than this core's.
    """
    from .standard import hook_modules

    if provider.hook_api > HOOK_API:
        raise PluginError(
            f"The provider {provider.name!r} was written for hook API {provider.hook_api}, this chatport-core has "
            f"{HOOK_API}. Update chatport-core.",
            provider=provider.name,
        )
    manager = pluggy.PluginManager("chatport")
    manager.add_hookspecs(ProviderHooks)
    for plugin in (*hook_modules(), *provider.hooks, *patches):
        _register(manager, plugin, provider)
    return compile_plan(manager)


def package_of(module: str) -> str:
    """Return the distribution that brings a module, with its version; an empty text where no plugin is known there."""
    top = module.partition(".")[0]
    if top == "chatport":
        return f"chatport-core {__version__}"
    plugins = (*installed_providers().values(), *installed_patches().values())
    owner = next((plugin for plugin in plugins if plugin.target.partition(":")[0].partition(".")[0] == top), None)
    return f"{owner.distribution} {owner.version}".strip() if owner is not None else ""


def plugin_name(plugin: Any) -> str:
    """Return how a plugin is called in messages: its module's name, or its class with the module."""
    name = getattr(plugin, "__name__", None)
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return str(name) if name and not isinstance(plugin, type) else f"{cls.__module__}.{cls.__qualname__}"


def _register(manager: pluggy.PluginManager, plugin: Any, provider: Provider) -> None:
    shown = plugin_name(plugin)
    known = {name for name in vars(ProviderHooks) if not name.startswith("_")}
    marked = 0
    for name in dir(plugin):
        opts = _hook_options(manager, plugin, name)
        if opts is None:
            continue
        marked += 1
        hook = opts.get("specname") or name
        if hook not in known:
            raise PluginError(
                f"{shown} implements a hook {hook!r} that does not exist.{near_miss(hook, known)} "
                f"The hooks are: {', '.join(sorted(known))}.",
                provider=provider.name,
            )
        if opts.get("hookwrapper"):
            raise PluginError(
                f"{shown}.{name} uses hookwrapper=True; write it with wrapper=True (result = yield; return result).",
                provider=provider.name,
            )
    if not marked:
        raise PluginError(f"{shown} has no function marked with @chatport.hookimpl.", provider=provider.name)
    try:
        manager.register(plugin)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(
            f"{shown} breaks the hook contract of {provider.name}: {' '.join(str(error).split())}.",
            provider=provider.name,
        ) from error


def _hook_options(manager: pluggy.PluginManager, plugin: Any, name: str) -> Mapping[str, Any] | None:
    if name.startswith("__"):
        return None
    try:
        return manager.parse_hookimpl_opts(plugin, name)
    except AttributeError:  # a property that fails is no hook
        return None
