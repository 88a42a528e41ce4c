"""`chatport decode`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from .failures import reporting_errors
from .options import complete_providers, piped_bytes
from .terminal import write, write_json

__all__ = ["command"]


@click.command("decode")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option(
    "-p", "--provider", default="compatible", show_default=True, shell_complete=complete_providers,
    help="Whose bytes these are.",
)  # fmt: skip
@click.option("-m", "--model", help="The model that was asked, where its quirks matter.")
@click.option("--status", type=click.IntRange(100, 599), default=200, show_default=True)
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A response header; may be repeated."
)
@click.option("--plain", is_flag=True, help="The request did not ask for a stream.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines.")
@click.option("--raw", is_flag=True, help="The text as it came, control characters included: for pipes.")
def command(
    file: Path,
    provider: str,
    model: str | None,
    status: int,
    headers: tuple[str, ...],
    plain: bool,
    as_json: bool,
    raw: bool,
) -> None:
    """Decode a recorded response body (FILE, or stdin) into events. Nothing is sent."""
    from ..testing import decode_events
    from .render import Printer, event_line, sources, summary

    known = dict(map(_header, headers))
    printer = Printer(raw=raw)
    body = piped_bytes() if str(file) == "-" else file.read_bytes()
    with reporting_errors():
        events = decode_events(provider, status=status, headers=known, body=body, stream=not plain, model=model)
        for event in events:
            if as_json:
                write_json(event_line(event))
            else:
                printer.show(event)
        printer.end()
        reply = getattr(events[-1], "reply", None) if events else None
        if reply is not None and not as_json:
            for line in sources(reply):
                write(f"  {line}", fg="cyan", err=True)
            write(summary(reply), dim=True, err=True)
            for warning in reply.warnings:
                write(f"  {warning}", fg="yellow", err=True)


def _header(given: str) -> tuple[str, str]:
    """Return name and value of a header. Raises BadParameter for one that no server could send."""
    name, colon, value = given.partition(":")
    if not colon or re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()) is None:
        raise click.BadParameter(f"{given!r} is not NAME:VALUE, such as retry-after:3.", param_hint="'--header'")
    return name.strip(), value.strip()
