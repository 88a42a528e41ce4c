"""`chatport models`."""

from __future__ import annotations

from pathlib import Path

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .options import complete_providers, config_option
from .terminal import styled, write, write_json
from .waiting import Waiting

__all__ = ["command"]


@click.command("models")
@click.argument("provider", shell_complete=complete_providers)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option
def command(provider: str, as_json: bool, config: Path | None) -> None:
    """List the models that PROVIDER offers, with what is known of each."""
    from .. import jsoncodec
    from ..client.sync import Client
    from .model_names import remember

    with reporting_errors(), Client(config) as client:
        with Waiting(f"asking {provider}"):
            models = client.models(provider)
        remember(provider, [model.id for model in models])
        for model in sorted(models, key=lambda model: model.id):
            if as_json:
                write_json(jsoncodec.encode_anything(model.raw).decode())
            else:
                target = f"{provider}:{model.id}"
                write(one_line(target), styled(_known(client.facts(target)), dim=True))


def _known(facts: object) -> str:
    from ..facts.models import ModelFacts

    assert isinstance(facts, ModelFacts)
    known = []
    if facts.context_tokens:
        known.append(f"{facts.context_tokens:,} tokens")
    if facts.input:
        known.append("+".join(facts.input))
    if facts.prices:
        price = facts.prices[-1]
        known.append(f"{price.input:g}/{price.output:g} {price.currency} per million")
    if facts.retired:
        known.append(f"retired {facts.retired.since}, now {facts.retired.successor}")
    return "  " + ", ".join(known) if known else ""
