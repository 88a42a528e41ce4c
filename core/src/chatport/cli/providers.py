"""`chatport providers`."""

from __future__ import annotations

import click

from .common import reporting_errors

__all__ = ["command"]


@click.command("providers")
@click.option("--check", is_flag=True, help="Import each one, and report those that are broken.")
def command(check: bool) -> None:
    """List the installed providers. None is imported, unless --check is given."""
    from ..errors import PluginError
    from ..registry import build_plan, installed_providers, load_provider

    with reporting_errors():
        plugins = installed_providers()
    broken = 0
    for plugin in plugins.values():
        state = ""
        if plugin.problem:
            state, broken = click.style(f"  broken: {plugin.problem}", fg="red"), broken + 1
        elif check:
            try:
                provider = load_provider(plugin.name)
                build_plan(provider)
                state = f"  {provider.title}"
            except PluginError as error:
                state, broken = click.style(f"  broken: {error.message}", fg="red"), broken + 1
        click.echo(f"{plugin.name:<14} {plugin.distribution} {plugin.version}{state}")
    if not plugins:
        click.echo("No provider is installed. Try: pip install chatport-provider-openai", err=True)
    if broken:
        raise click.exceptions.Exit(1)
