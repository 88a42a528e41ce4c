"""`chatport gateway`, where what it needs is installed; else it says what is missing."""

from __future__ import annotations

import click

__all__ = ["command"]

command: click.Command
try:
    from .team.command import group as command
except ImportError as _missing:
    _name = _missing.name

    @click.command("gateway", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def command(rest: tuple[str, ...]) -> None:
        """Keys, projects, limits and usage of a gateway for a team."""
        raise click.ClickException(f'This needs an extra ({_name} is missing): pip install "chatport-gateway[team]".')
