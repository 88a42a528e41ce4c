"""`chatport emulate`."""

from __future__ import annotations

import threading
from typing import Any

import click

from .failures import reporting_errors
from .terminal import write

__all__ = ["command"]


@click.command("emulate")
@click.argument("provider")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
@click.option("--pace", type=click.FloatRange(0, 3600), default=0.0, help="Seconds between the pieces of a stream.")
@click.option("--key", help="Accept only this API key (default: any).")
def command(provider: str, port: int, pace: float, key: str | None) -> None:
    """Serve PROVIDER's twin on 127.0.0.1 until Ctrl-C. It answers as the vendor does, refusals included.

    The last user message directs it: `say: TEXT`, `think: TEXT`, `call: NAME {JSON}`, `refuse: TEXT`, `error: STATUS`.
    """
    from ..testing import Emulator

    settings: dict[str, Any] = {"api_key": key} if key else {}
    with reporting_errors():
        emulator = Emulator(provider, port=port, pace_seconds=pace, **settings)
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
