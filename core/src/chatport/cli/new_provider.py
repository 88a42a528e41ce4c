"""`chatport new-provider`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .failures import reporting_errors
from .terminal import write

__all__ = ["command"]


@click.command("new-provider")
@click.argument("name")
@click.option("--base-url", required=True, help="Where the vendor's API is, such as https://llm.acme.example/v1.")
@click.option("--key-env", metavar="VARIABLE", help="The variable that holds its key (default: NAME_API_KEY).")
@click.option("--model", help="One of its models (default: NAME-large).")
@click.option("--title", help="The vendor's name as people write it, such as OpenAI (default: Name).")
@click.option("--folder", type=click.Path(path_type=Path), help="Default: chatport-provider-NAME, here.")
def command(
    name: str, base_url: str, key_env: str | None, model: str | None, title: str | None, folder: Path | None
) -> None:
    """Write a complete provider package for the vendor NAME. Its tests pass before anything is filled in."""
    from .scaffold import NewProvider, write_provider

    with reporting_errors():
        new = NewProvider.of(name, base_url, key_env=key_env, model=model, title=title)
        place = folder or Path(f"chatport-provider-{name}")
        for path in write_provider(new, place):
            write(str(path))
    write(f"Now: cd {shlex.quote(str(place))} && pip install -e '.[test]' && pytest", dim=True, err=True)
