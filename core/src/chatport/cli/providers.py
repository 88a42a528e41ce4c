"""`chatport providers`."""

from __future__ import annotations

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .terminal import Styled, styled, write

__all__ = ["command"]


@click.command("providers")
@click.option("--check", is_flag=True, help="Import each one, and report those that are broken.")
def command(check: bool) -> None:
    """List the installed providers. None is imported, unless --check is given."""
    from ..errors import PluginError
    from ..plugins.installed import installed_providers, known_distributions
    from ..plugins.registry import build_plan, load_provider

    with reporting_errors():
        plugins = installed_providers()
    broken = 0
    for plugin in plugins.values():
        state: str | Styled = ""
        if plugin.problem:
            state, broken = styled(f"  broken: {one_line(plugin.problem)}", fg="red"), broken + 1
        elif check:
            try:
                provider = load_provider(plugin.name)
                build_plan(provider)
                state = f"  {one_line(provider.title)}"
            except PluginError as error:
                state, broken = styled(f"  broken: {one_line(error.message)}", fg="red"), broken + 1
        write(one_line(f"{plugin.name:<14} {plugin.distribution} {plugin.version}"), state)
    if not plugins:
        there_are = ", ".join(sorted(set(known_distributions().values())))
        write(f"No provider is installed. Install one of: {there_are}", err=True)
    if broken:
        raise click.exceptions.Exit(1)
