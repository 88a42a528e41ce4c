"""Find providers and patches, check them, and put them in order.

Listing reads entry points and imports nothing. Using a provider imports that one package. A plugin that cannot be
imported is reported where it is used or listed, and takes nothing else down.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from ..basics.words import near_miss
from ..errors import ConfigurationError, PluginError
from ..hooks import HOOK_API, ProviderHooks
from ..provider import Provider
from .installed import installed_providers, known_distributions, package_of
from .plan import Plan, compile_plan

__all__ = ["build_plan", "given_by_name", "load_provider", "plugin_name"]

_PROJECT = "chatport"
_HOOKABLE = (FunctionType, MethodType, classmethod, staticmethod)


def load_provider(name: str) -> Provider:
    """Import and return an installed provider. Raises ConfigurationError for an unknown name, PluginError if broken."""
    plugins = installed_providers()
    plugin = plugins.get(name)
    if plugin is None:
        have = ", ".join(sorted(plugins)) or "none"
        raise ConfigurationError(
            f"No provider is called {name!r}.{_instead_of(name, plugins)} Installed: {have}.", provider=name
        )
    provider = plugin.load()
    if not isinstance(provider, Provider):
        raise PluginError(f"{plugin.target} is not a chatport.Provider but a {type(provider).__name__}.", provider=name)
    if provider.name != name:
        raise PluginError(
            f"{plugin.target} calls itself {provider.name!r} but is registered as {name!r}.", provider=name
        )
    return provider


def _instead_of(name: str, plugins: Collection[str]) -> str:
    known = known_distributions()
    if name in known:
        return f" Install {known[name]}."
    table = f' Write a table [providers.{name}] with kind = "compatible" and base_url.'
    return near_miss(name, {*plugins, *known}) or table


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
    from ..standard import hook_modules

    if provider.hook_api > HOOK_API:
        raise PluginError(
            f"The provider {provider.name!r} was written for hook API {provider.hook_api}, this chatport-core has "
            f"{HOOK_API}. Update chatport-core.",
            provider=provider.name,
        )
    manager = _Manager(_PROJECT)
    manager.add_hookspecs(ProviderHooks)
    for plugin in (*hook_modules(tagged=provider.dialect.reasoning_tags is not None), *provider.hooks, *patches):
        _register(manager, plugin, provider)
    return compile_plan(manager)


def plugin_name(plugin: Any) -> str:
    """Return how a plugin is called in messages: its module's name, or its class with the module."""
    name = getattr(plugin, "__name__", None)
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return str(name) if name and not isinstance(plugin, type) else f"{cls.__module__}.{cls.__qualname__}"


def _register(manager: pluggy.PluginManager, plugin: Any, provider: Provider) -> None:
    shown, known = _named(plugin), _hooks()
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
        _check_arguments(shown, pluggy.HookImpl(plugin, shown, getattr(plugin, name), opts), hook, provider)
    if not marked:
        raise PluginError(f"{shown} has no function marked with @chatport.hookimpl.", provider=provider.name)
    try:
        manager.register(plugin)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(
            f"{shown} breaks the hook contract of {provider.name}: {' '.join(str(error).split())}.",
            provider=provider.name,
        ) from error


def _named(plugin: Any) -> str:
    """Return a plugin's name with its package and version, where it has one."""
    name = plugin_name(plugin)
    package = package_of(name)
    return f"{name} ({package})" if package else name


def _check_arguments(shown: str, impl: pluggy.HookImpl, hook: str, provider: Provider) -> None:
    """Raise PluginError for an implementation that asks for what its hook does not give."""
    has = _hooks()[hook]
    wrong = next((name for name in impl.argnames if name not in has), None)
    if wrong is not None:
        raise PluginError(
            f"{shown} breaks the hook contract of {provider.name}: {hook} has no argument {wrong!r}."
            f"{near_miss(wrong, has)} Its arguments are: {', '.join(has)}.",
            provider=provider.name,
        )


@cache
def _hooks() -> dict[str, list[str]]:
    """Return the hooks there are, each with the names of its arguments."""
    hooks = {name: hook for name, hook in vars(ProviderHooks).items() if not name.startswith("_")}
    return {name: list(inspect.signature(hook).parameters)[1:] for name, hook in hooks.items()}


class _Manager(pluggy.PluginManager):
    """Asks only what may be a hook whether it is one. Else nine tenths of the time to build a plan are spent on the
    imports and constants of its modules, of each of which pluggy looks through the classes."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        if isinstance(plugin, ModuleType):
            value = vars(plugin).get(name)
            if not isinstance(value, _HOOKABLE) or (
                isinstance(value, FunctionType) and f"{_PROJECT}_impl" not in vars(value)
            ):
                return None
        return super().parse_hookimpl_opts(plugin, name)


def _hook_options(manager: pluggy.PluginManager, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
    if name.startswith("__"):
        return None
    try:
        return manager.parse_hookimpl_opts(plugin, name)
    except AttributeError:  # a property that fails is no hook
        return None
