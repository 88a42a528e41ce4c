"""`chatport embed`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .failures import reporting_errors
from .options import complete_targets, config_option, piped_text, text_of
from .terminal import write, write_json
from .waiting import Waiting

__all__ = ["command"]


@click.command("embed")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("-m", "--model", metavar="TARGET", required=True, shell_complete=complete_targets,
              help="provider:model, or an alias.")  # fmt: skip
@click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE", type=click.Path(),
    help="A file of which each line is a text; may be repeated.",
)  # fmt: skip
@click.option(
    "--dimensions", type=click.IntRange(1), help="Coordinates of a vector, where the model leaves the choice."
)
@click.option("--timeout", type=float, help="Seconds for all of it.")
@click.option("-q", "--quiet", is_flag=True, help="No usage.")
@config_option
def command(texts: tuple[str, ...], files: tuple[str, ...], config: Path | None, **options: Any) -> None:
    """Turn each TEXT into a vector; without TEXT and --file, each line that comes on stdin.

    Prints a JSON object for each, in their order: its index, the text, and the vector. Empty lines are left out.
    """
    from .. import jsoncodec
    from ..client.sync import Client

    wanted = [*texts, *(line for file in files for line in _lines(text_of(file)))]
    if not texts and not files:
        if sys.stdin is None or sys.stdin.isatty():
            raise click.UsageError('No text. Write one: chatport embed -m TARGET "a text", or pipe lines in.')
        wanted += _lines(piped_text())
    if not wanted:
        raise click.UsageError("There is no text: all lines are empty.")
    quiet = options.pop("quiet")
    with reporting_errors(), Client(config) as client:
        with Waiting("waiting for the vectors"):
            found = client.embed(wanted, **options)
        for index, (text, vector) in enumerate(zip(wanted, found.vectors, strict=True)):
            write_json(jsoncodec.encode_text({"index": index, "text": text, "vector": vector}))
    for warning in found.warnings:
        write(f"  {warning}", fg="yellow", err=True)
    if not quiet:
        count = found.usage.input_tokens
        cost = "cost unknown" if found.cost is None else str(found.cost)
        write(
            f"{found.model} · {len(wanted)} vectors · {'?' if count is None else count} tokens · {cost}",
            dim=True,
            err=True,
        )


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip())
