"""`chatport emulate`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import click

from .failures import reporting_errors
from .options import complete_providers
from .terminal import write

__all__ = ["command"]


@click.command("emulate")
@click.argument("provider", required=False, shell_complete=complete_providers)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
@click.option("--pace", type=click.FloatRange(0, 3600), default=0.0, help="Seconds between the pieces of a stream.")
@click.option("--key", help="Accept only this API key (default: any).")
@click.option(
    "--fault",
    "named",
    multiple=True,
    metavar="FAULT",
    help="How the next request goes wrong: `status(503)`, `cut(after_events=2)`, `none`. May be repeated, one for each "
    "request. `list` shows all.",
)
@click.option("--repeat", is_flag=True, help="When all faults are played, start again with the first.")
@click.option("--log", metavar="FILE", help="Append a line for each request; `-` is stderr. Keys are never in it.")
@click.option("--log-content", is_flag=True, help="Log what was said, too: on stderr, without --log.")
def command(
    provider: str | None,
    port: int,
    pace: float,
    key: str | None,
    named: tuple[str, ...],
    repeat: bool,
    log: str | None,
    log_content: bool,
) -> None:
    """Serve PROVIDER's twin on 127.0.0.1 until Ctrl-C. It answers as the vendor does, refusals included.

    The last user message directs it: `say: TEXT`, `think: TEXT`, `call: NAME {JSON}`, `refuse: TEXT`, `error: STATUS`.
    """
    from ..testing import Emulator
    from ..testing.fault_words import fault_lines

    if "list" in named:
        write("\n".join(fault_lines()))
        return
    if provider is None:
        raise click.UsageError("Missing argument 'PROVIDER'.")
    settings: dict[str, Any] = {"api_key": key} if key else {}
    if log is not None or log_content:
        settings |= {"log": sys.stderr if log in (None, "-") else log, "log_content": log_content}
    with reporting_errors():
        emulator = Emulator(provider, port=port, pace_seconds=pace, faults=named, repeat=repeat, **settings)
        try:
            emulator.start()
        except OSError as error:
            raise click.ClickException(f"Cannot listen on port {port}: {error.strerror}.") from error
        try:
            write(emulator.base_url)
            write(f"{provider} is emulated here; stop it with Ctrl-C", dim=True, err=True)
            threading.Event().wait()
        finally:
            emulator.stop()
