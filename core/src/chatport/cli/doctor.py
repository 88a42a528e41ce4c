"""`chatport doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .options import config_option
from .terminal import styled, write
from .waiting import Waiting

__all__ = ["command"]


@click.command("doctor")
@click.option("--no-search", is_flag=True, help="Do not look for local servers.")
@click.option("--online", is_flag=True, help="Try each key: one cheap request to every provider that has one.")
@config_option
def command(config: Path | None, no_search: bool, online: bool) -> None:
    """Show the configuration in force, where calls go with which key (never the key), and the local servers."""
    from ..setup.config import load_with_files

    with reporting_errors():
        settings, files = load_with_files(config)
    write("Configuration", bold=True)
    for path, standing in files:
        write(one_line(f"  file      {path} ({standing})"))
    if not files:
        write("  file      none (chatport.toml is not here)")
    write(one_line(f"  model     {settings.model or 'none: name one in each call, or set LLM_MODEL'}"))
    for name, alias in settings.aliases.items():
        write(one_line(f"  alias     {name} → {', '.join(alias.targets)}"))
    problems = list(_providers(settings))
    if online:
        problems += _keys(settings)
    if not no_search:
        problems += _servers()
    if problems:
        write("\nProblems", bold=True)
        for problem in problems:
            write(f"  {one_line(problem)}", fg="red")
        raise click.exceptions.Exit(1)


def _providers(settings: Any) -> Iterator[str]:
    """Show for each provider where a call goes and where the key comes from that goes there; give what is wrong."""
    from ..errors import ChatportError
    from ..plugins.installed import installed_providers
    from ..setup.keys import asks_nobody, is_slow
    from ..setup.origins import is_open_way
    from ..setup.vendors import Vendors

    write("\nProviders", bold=True)
    for name in sorted({*installed_providers(), *settings.providers}):
        table = settings.providers.get(name)
        try:
            vendors = Vendors(settings)
            if vendors.is_ready(name) or (table is not None and asks_nobody(table.api_key)):
                vendor = vendors.provider(name)
                where, key = f"{vendor.base_url} (by {vendor.base_url_source})", _key_place(vendor)
                if vendor.config.allow_plain_http and is_open_way(vendor.base_url):
                    where += ": the key goes in the clear (allow_plain_http)"
            elif table is not None and is_slow(table.api_key):
                where, key = "not asked", f"key from a {next(iter(table.api_key))}"
            else:
                where, key = "found by a search", "no key needed"
            write(one_line(f"  {name:<14} {key:<34} {where}"))
        except ChatportError as error:
            if _is_not_set_up(name, settings):
                write(one_line(f"  {name:<14} {'not set up':<34} {error.message}"))
                continue
            write(one_line(f"  {name:<14} "), styled("broken", fg="red"))
            yield f"{name}: {error}"


def _is_not_set_up(name: str, settings: Any) -> bool:
    """Whether a provider that cannot be opened is one of which nobody speaks, and that has no address of its own."""
    from ..errors import PluginError
    from ..plugins.registry import load_provider

    if name in settings.providers:
        return False
    try:
        provider = load_provider(name)
    except PluginError:
        return False
    return not provider.base_url and provider.discover is None


def _key_place(vendor: Any) -> str:
    """Say where the key comes from, or what to set; never the key."""
    provider = vendor.provider
    if vendor.key is None and vendor.secret_query:
        return f"key in the query ({vendor.secret_query[0][0]})"
    if vendor.key is None:
        return f"no key: set ${provider.key_env[0]}" if provider.auth.required and provider.key_env else "no key needed"
    source = vendor.key_source
    return f"{source} is set" if source.startswith("$") else f"key from {source}"


def _keys(settings: Any) -> Iterator[str]:
    """Try the key of each provider that has one, or is configured; give what is wrong."""
    from ..client.sync import Client
    from ..errors import ChatportError
    from ..plugins.installed import installed_providers
    from .trying import try_key, trying_config

    write("\nKeys, tried with one request each", bold=True)
    tried = 0
    with Client(trying_config(settings)) as client:
        for name in sorted({*installed_providers(), *settings.providers}):
            try:
                if not _is_to_be_tried(client._vendors, name, settings):
                    continue
                tried += 1
                with Waiting(f"asking {name}"):
                    trial = try_key(client, name, _model_of(name, settings))
            except ChatportError as error:
                if not _is_not_set_up(name, settings):
                    yield f"{name}: {error}"
                continue
            write(one_line(f"  {name:<14} "), styled(one_line(trial.words), fg="red" if trial.is_bad else "green"))
            if trial.is_bad:
                yield f"{name}: {trial.words}"
    if not tried:
        write("  no provider has a key, or a table of its own")


def _is_to_be_tried(vendors: Any, name: str, settings: Any) -> bool:
    """Whether a provider has a key, or a table without one; keys that a program gives are asked for."""
    from ..setup.keys import is_slow

    table = settings.providers.get(name)
    if table is None and not vendors.is_ready(name):
        return False  # it would have to be searched for
    if table is not None and (is_slow(table.api_key) or vendors.is_ready(name)):
        return True
    return vendors.is_ready(name) and vendors.provider(name).key is not None


def _model_of(name: str, settings: Any) -> str | None:
    """Return a model of a provider that the configuration names: the default, or one of an alias."""
    named = [settings.model, *(target for alias in settings.aliases.values() for target in alias.targets)]
    return next((target for target in named if target and target.startswith(f"{name}:")), None)


def _servers() -> list[str]:
    """Show the servers that are found; return what is wrong with a search."""
    from ..errors import ChatportError, PluginError
    from ..plugins.installed import installed_providers
    from ..plugins.registry import load_provider
    from ..setup.vendors import search

    write("\nLocal servers", bold=True)
    found = False
    with Waiting("looking"):
        servers, problems = [], []
        for name in installed_providers():
            try:
                provider = load_provider(name)
            except PluginError:
                continue
            if provider.discover is not None:
                settings = {
                    key: os.environ[name] for key, name in provider.settings_env.items() if os.environ.get(name)
                }
                try:
                    servers += list(search(provider, settings))
                except ChatportError as error:
                    problems.append(str(error))
    for server in servers:
        found = True
        write(one_line(f"  {server.provider:<14} {server.base_url}  {', '.join(server.models[:4])}"))
    if not found:
        write("  none answers on the usual ports")
    return problems
