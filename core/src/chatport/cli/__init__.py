"""The `chatport` command. Answers go to stdout, everything about them to stderr.

Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 key, permission or balance, 4 worth trying again later,
5 the reply came broken or cut, 6 the vendor's filter or the model refuses, 130 stopped with Ctrl-C, 141 the reader of
the output has closed it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ..basics.version import __version__
from ..errors import PluginError
from ..plugins.installed import InstalledPlugin, installed_commands
from .terminal import READER_LEFT, give_up, write, write_problem

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]

_COMMANDS = {
    "chat": "Send a message and stream the answer.",
    "embed": "Turn texts into vectors.",
    "logs": "List, show, search and delete logged conversations.",
    "providers": "List the installed providers.",
    "models": "List the models a provider offers.",
    "prices": "Show what a mix of tokens costs on every model.",
    "compare": "Send one message to several models at once, side by side.",
    "explain": "Show the request that would be sent, and why it looks so.",
    "decode": "Decode recorded bytes into events, without a network.",
    "emulate": "Serve a vendor's twin on a loopback port.",
    "doctor": "Show what is configured, and what answers.",
    "trust": "Trust the configuration file of a working folder.",
    "new-provider": "Write a new provider package.",
    "completions": "Print what makes a shell complete commands, options and models.",
}


class _Group(click.Group):
    """Loads a command's module only when it is used, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *_added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            command = import_module(f".{cmd_name.replace('-', '_')}", __name__).command
        else:
            added = _added().get(cmd_name)
            command = None if added is None else _loaded(added)
        return command if isinstance(command, click.Command) else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands from the tables, and load none of them."""
        from .completing import commands

        if not incomplete or incomplete[0].isalnum():
            return commands({**_COMMANDS, **dict.fromkeys(_added(), "")}, incomplete)
        return super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        added = {name: f"Of {plugin.distribution}." for name, plugin in _added().items()}
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items(), *added.items()])


def _added() -> dict[str, InstalledPlugin]:
    """Return the commands of other distributions. None of them stands in the place of one of ours."""
    return {name: plugin for name, plugin in installed_commands().items() if name not in _COMMANDS}


def _loaded(plugin: InstalledPlugin) -> Any:
    try:
        return plugin.load()
    except PluginError as error:
        raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chatport")
def group() -> None:
    """Talk to any model vendor through one port."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(_code(arguments))


def _code(arguments: list[str] | None) -> int:
    if sys.stdout is None:  # else an answer would be paid for that nobody gets
        write("Error: Standard output is closed.", err=True)
        return 1
    try:
        code = group.main(arguments, prog_name="chatport", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        write_problem(error)
        return error.exit_code
    except OSError as error:  # such as a full disk under the text that click itself prints for --help
        give_up()
        write(f"Error: {error}.", err=True)
        return 1
    except SystemExit:  # click's way to say that the reader of its own text is gone
        give_up()
        return READER_LEFT
