"""`chatport decode`."""

from __future__ import annotations

from typing import IO

import click

from .common import reporting_errors

__all__ = ["command"]


@click.command("decode")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("-p", "--provider", default="compatible", show_default=True, help="Whose bytes these are.")
@click.option("-m", "--model", help="The model that was asked, where its quirks matter.")
@click.option("--status", type=int, default=200, show_default=True)
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A response header; may be repeated."
)
@click.option("--plain", is_flag=True, help="The request did not ask for a stream.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines.")
def command(
    file: IO[bytes], provider: str, model: str | None, status: int, headers: tuple[str, ...], plain: bool, as_json: bool
) -> None:
    """Decode a recorded response body (FILE, or stdin) into events. Nothing is sent."""
    from ..testing import decode_events
    from .render import Printer, event_line, summary

    known = {name.strip(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
    printer = Printer()
    with reporting_errors():
        events = decode_events(provider, status=status, headers=known, body=file.read(), stream=not plain, model=model)
        for event in events:
            if as_json:
                click.echo(event_line(event))
            else:
                printer.show(event)
        printer.end()
        reply = getattr(events[-1], "reply", None) if events else None
        if reply is not None and not as_json:
            click.secho(summary(reply), dim=True, err=True)
            for warning in reply.warnings:
                click.secho(f"  {warning}", fg="yellow", err=True)
