"""`chatport trust`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .terminal import is_confirmed, write

__all__ = ["command"]

_TELLING = ("base_url", "kind", "patches", "api_key", "headers", "transport")
"""Keys of which the value is shown, as far as it is no key, since it says what would be done."""


@click.command("trust")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="chatport.toml")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--revoke", is_flag=True, help="Trust the file no longer.")
@click.option("--list", "lists", is_flag=True, help="List the files that are trusted.")
def command(file: Path, yes: bool, revoke: bool, lists: bool) -> None:
    """Trust a configuration file (FILE, or chatport.toml) that lies in a working folder, as it is now.

    Shows what it would be allowed to do, and asks. If the file changes, or a patch that it names, it is trusted no
    longer.
    """
    with reporting_errors():
        if lists:
            _list()
        elif revoke:
            _revoke(file)
        else:
            _trust(file, yes)


def _trust(path: Path, yes: bool) -> None:
    from ..setup.config import read_file
    from ..setup.trust import refused_keys
    from ..setup.truststore import place_of, trust

    file = read_file(path, only_regular=True)  # once: what is shown is what is trusted
    place, refused = one_line(place_of(path)), refused_keys(file.tables)
    if not refused:
        write(f"{place} needs no trust: it says only how calls are made.")
        return
    write(f"{place} wants more than to say how calls are made:")
    for line in refused:
        write(f"  {one_line(line)}")
    for line in _told_values(file.tables):
        write(f"    {one_line(line)}")
    if not yes and not _is_confirmed():
        raise click.exceptions.Exit(1)
    trust(file)
    write("Trusted, until it or a patch that it names changes.")


def _is_confirmed() -> bool:
    if sys.stdin is not None and sys.stdin.isatty():
        return is_confirmed("Trust it?")
    write("Nothing was trusted: there is nobody to ask. Confirm with --yes.", err=True)
    return False


def _told_values(tables: Mapping[str, Any]) -> Iterator[str]:
    """Give what the values say that matter most: which program, which file, which address; never a key."""
    providers = tables.get("providers")
    for name, table in providers.items() if isinstance(providers, Mapping) else ():
        for key in _TELLING if isinstance(table, Mapping) else ():
            if key in table:
                yield f"{name}: {key} = {_shown(key, table[key])}"


def _shown(key: str, value: Any) -> str:
    from ..basics.secret import Secret

    if isinstance(value, Secret):
        return "a key"
    if isinstance(value, Mapping):
        return ", ".join(f"{part}: {_shown(part, item) if key != 'headers' else '…'}" for part, item in value.items())
    if isinstance(value, list):
        return " ".join(_shown(key, item) for item in value)
    return str(value) if key in ("base_url", "patches") else _without_keys(str(value))


def _without_keys(text: str) -> str:
    """Return a word of a command, quoted, with what may be a key in it hidden. Addresses and paths are no keys."""
    from ..setup.keys import may_be_shown

    pieces = re.split(r"([\s\"'=:,;|&()<>]+)", text)
    return repr("".join(piece if piece[:1] in "/.~" or may_be_shown(piece) else "***" for piece in pieces))


def _revoke(path: Path) -> None:
    from ..setup.truststore import place_of, revoke

    known = revoke(path)
    write(f"{one_line(place_of(path))} is {'no longer' if known else 'not'} trusted.")


def _list() -> None:
    from ..errors import ConfigurationError
    from ..setup.configfile import read_config_file
    from ..setup.truststore import standing_of, trusted_files

    for place in sorted(trusted_files()):
        try:
            state: str = standing_of(read_config_file(Path(place), only_regular=True))
        except ConfigurationError:
            state = "gone"
        write(f"{state:<8} {one_line(place)}")
