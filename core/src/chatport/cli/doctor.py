"""`chatport doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .common import Waiting, config_option, printable, reporting_errors

__all__ = ["command"]


@click.command("doctor")
@click.option("--no-search", is_flag=True, help="Do not look for local servers.")
@config_option
def command(config: Path | None, no_search: bool) -> None:
    """Show the configuration in force, which keys are set (never the keys), and which local servers answer."""
    from ..config import load_config

    with reporting_errors():
        settings = load_config(config)
    click.secho("Configuration", bold=True)
    click.echo(f"  file      {config or _default_file()}")
    click.echo(f"  model     {settings.model or 'none: name one in each call, or set LLM_MODEL'}")
    for name, alias in settings.aliases.items():
        click.echo(f"  alias     {name} → {', '.join(alias.targets)}")
    problems = list(_providers(settings))
    if not no_search:
        _servers()
    if problems:
        click.secho("\nProblems", bold=True)
        for problem in problems:
            click.secho(f"  {printable(problem)}", fg="red")
        raise click.exceptions.Exit(1)


def _default_file() -> str:
    path = Path(os.environ.get("CHATPORT_CONFIG") or "chatport.toml")
    return str(path) if path.is_file() else "none (chatport.toml is not here)"


def _providers(settings: Any) -> Iterator[str]:
    """Show each provider and its key's place; give what is wrong with it."""
    from ..errors import ChatportError
    from ..keys import is_slow
    from ..prepare import Port
    from ..registry import installed_providers

    click.secho("\nProviders", bold=True)
    for name in sorted({*installed_providers(), *settings.providers}):
        table = settings.providers.get(name)
        try:
            port = Port(settings)
            if port.is_ready(name):
                ready = port.provider(name)
                where, key = ready.base_url, _key_place(ready, table)
            elif table is not None and is_slow(table.api_key):
                where, key = "not asked", f"key from a {next(iter(table.api_key))}"
            else:
                where, key = "found by a search", "no key needed"
            click.echo(f"  {name:<14} {key:<34} {where}")
        except ChatportError as error:
            click.echo(f"  {name:<14} {click.style('broken', fg='red')}")
            yield f"{name}: {error}"


def _key_place(port: Any, table: Any) -> str:
    """Say where the key comes from, or what to set; never the key."""
    provider = port.provider
    if port.key is None:
        return f"no key: set ${provider.key_env[0]}" if provider.auth.required and provider.key_env else "no key needed"
    if table is not None and table.api_key is not None:
        return "key from the configuration"
    return f"${next(name for name in provider.key_env if os.environ.get(name))} is set"


def _servers() -> None:
    from ..errors import PluginError
    from ..registry import installed_providers, load_provider

    click.secho("\nLocal servers", bold=True)
    found = False
    with Waiting("looking"):
        servers = []
        for name in installed_providers():
            try:
                provider = load_provider(name)
            except PluginError:
                continue
            if provider.discover is not None:
                settings = {
                    key: os.environ[name] for key, name in provider.settings_env.items() if os.environ.get(name)
                }
                servers += list(provider.discover(settings))
    for server in servers:
        found = True
        click.echo(f"  {server.provider:<14} {server.base_url}  {', '.join(server.models[:4])}")
    if not found:
        click.echo("  none answers on the usual ports")
