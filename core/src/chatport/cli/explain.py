"""`chatport explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .failures import reporting_errors
from .options import config_option, read_reasoning, reasoning_option, short_model_option
from .terminal import write

__all__ = ["command"]


@click.command("explain")
@click.argument("message", default="hello")
@short_model_option
@reasoning_option
@click.option("--max-tokens", type=int)
@click.option("--temperature", type=float)
@click.option("--stream", is_flag=True)
@config_option
def command(message: str, config: Path | None, **options: Any) -> None:
    """Show the request that MESSAGE becomes, and what was changed on the way. Nothing is sent: no key is needed."""
    from ..client.sync import Client

    options["reasoning"] = read_reasoning(options["reasoning"])
    with reporting_errors(), Client(config) as client:
        write(str(client.explain(message, **options)))
