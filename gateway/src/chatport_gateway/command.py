"""`chatport serve`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import structlog

import chatport
from chatport import ChatportError, Config

__all__ = ["command"]


@click.command("serve")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Configuration file.")
@click.option("--host", help="Default: 127.0.0.1, and nothing else without a key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 4000.")
@click.option(
    "--hash-key", is_flag=True, help="Read a key from standard input, print its hash for key_hashes, and stop."
)
@click.option(
    "--print-config", "client", metavar="CLIENT", help="Show what a client needs to be told; `list` shows all."
)
@click.option("--model", default="MODEL", help="With --print-config: the alias that the client is to ask for.")
def command(
    config: Path | None, host: str | None, port: int | None, hash_key: bool, client: str | None, model: str
) -> None:
    """Serve every configured vendor to clients of chat completions, Responses and Messages, until Ctrl-C."""
    from .app import Gateway
    from .keys import hash_of
    from .ports import open_sockets
    from .reloading import Reloads
    from .server import make_server
    from .settings import GatewaySettings, read_settings

    if hash_key:
        click.echo(hash_of(sys.stdin.readline().rstrip("\n")))
        return
    try:

        def read() -> tuple[Config, GatewaySettings]:
            loaded = chatport.load_config(config)
            return loaded, read_settings(loaded, host=host, port=port)

        loaded, settings = read()
        if client is not None:
            click.echo(_told(client, settings, model))
            return
        gateway = Gateway(loaded, settings=settings)
        reloads = Reloads(gateway, read)
        server = make_server(gateway, reloads)
        for beside in gateway.besides:
            beside.bind()
        sockets = open_sockets(settings.host, settings.port)
    except ChatportError as error:
        raise click.ClickException(str(error)) from error
    with reloads.listening():
        _announce(settings.host, sockets[0].getsockname()[1], gateway.surfaces.problems)
        if gateway.admin is not None:
            structlog.get_logger("chatport.gateway").info("admin", **gateway.admin.address)
        with contextlib.suppress(KeyboardInterrupt):  # it has been waited for: streams have ended
            server.run(sockets=sockets)


def _told(client: str, settings: Any, model: str) -> str:
    from .clients import told
    from .codex import codex_models

    return codex_models(sys.stdin.read(), model) if client == "codex-models" else told(client, settings, model)


def _announce(host: str, port: int, problems: Sequence[str]) -> None:
    structlog.get_logger("chatport.gateway").info("serving", host=host, port=port)
    for problem in problems:
        click.echo(f"Warning: {problem}", err=True)
