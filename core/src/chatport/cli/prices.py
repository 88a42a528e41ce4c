"""`chatport prices`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .options import config_option
from .terminal import styled, write, write_json

__all__ = ["command"]

_LONGEST_SOURCE = 60


@click.command("prices")
@click.option("--input", "input_tokens", type=int, default=2000, show_default=True, help="Tokens that are sent.")
@click.option("--output", "output_tokens", type=int, default=500, show_default=True, help="Tokens that are written.")
@click.option("--cached", type=float, default=0.0, show_default=True, help="Share of the input from a cache, 0 to 1.")
@click.option("--currency", default="USD", show_default=True, help="Compare in this one.")
@click.option("--rate", "rates", multiple=True, metavar="CODE=USD", help="What one unit of a currency is in USD.")
@click.option("-p", "--provider", "providers", multiple=True, metavar="NAME", help="These only; may be repeated.")
@click.option("--needs", multiple=True, metavar="WORDS", help="Abilities, such as tools,images; may be repeated.")
@click.option("--allow-region", "regions", multiple=True, metavar="CODE", help="Requests processed there only.")
@click.option("--forbid-training", is_flag=True, help="No vendor that trains on requests.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option
def command(config: Path | None, as_json: bool, **options: Any) -> None:
    """Show what a mix of tokens costs on the models of all installed providers, the cheapest first.

    List prices, with their sources and dates. The policy of the configuration holds. Nothing is sent, and no key read.
    """
    from ..client.sync import Client

    asked = {name: options[name] for name in ("input_tokens", "output_tokens", "cached", "currency", "forbid_training")}
    asked |= {
        "rates": dict(_rate(text) for text in options["rates"]),
        "providers": options["providers"] or None,
        "needs": [word for words in options["needs"] for word in words.split(",") if word],
        "allow_regions": options["regions"] or None,
    }
    with reporting_errors(), Client(config) as client, warnings.catch_warnings(record=True) as troubles:
        warnings.simplefilter("always", RuntimeWarning)
        rows = client.prices(**asked)
    for trouble in troubles:
        write(one_line(str(trouble.message)), fg="yellow", err=True)
    if as_json:
        for row in rows:
            write_json(_object(row))
    else:
        _table(rows, asked)


def _rate(text: str) -> tuple[str, float]:
    code, _, rate = text.partition("=")
    try:
        return code, float(rate)
    except ValueError:
        raise click.UsageError(f"--rate is like CNY=0.14, not {one_line(text, 40)!r}.") from None


def _table(rows: Sequence[Any], asked: dict[str, Any]) -> None:
    write(
        f"{asked['input_tokens']:,} tokens in ({asked['cached']:.0%} of them cached), {asked['output_tokens']:,} out, "
        f"in {one_line(asked['currency'])}; rates per million: in / cached / out",
        err=True,
    )
    if not rows:
        write("No model with a known price is left.", err=True)
    widest = max((len(one_line(row.target)) for row in rows), default=0)
    for row in rows:
        price = _price(row)
        about = [f"{_rates(row):<22}", f"{_window(row):>7}", " ".join(row.abilities)]
        source = one_line(": ".join(text for text in (row.date, row.source) if text), _LONGEST_SOURCE)
        write(
            styled(f"{price:>12}", bold=row.cost is not None),
            f"  {one_line(row.target):<{widest}}  {'  '.join(about)}",
            styled(f"  {source}", dim=True),
            styled("".join(f"; {one_line(note)}" for note in row.notes), fg="yellow"),
        )


def _price(row: Any) -> str:
    if row.cost is None:
        return "unknown" if row.listed is None else f"({row.listed})"
    return f"{'≤ ' if row.is_at_most else ''}{row.cost}"


def _rates(row: Any) -> str:
    if row.listed is None:
        return ""
    rates = (row.input_per_million, row.cached_input_per_million, row.output_per_million)
    return " / ".join("?" if rate is None else f"{rate:g}" for rate in rates) + f" {row.listed.currency}"


def _window(row: Any) -> str:
    tokens = row.facts.context_tokens
    if tokens is None:
        return ""
    return f"{tokens / 1_000_000:.3g}M" if tokens >= 1_000_000 else f"{tokens / 1000:.0f}K"


def _object(row: Any) -> str:
    from .. import jsoncodec

    money = {
        name: None if cost is None else {"amount": cost.amount, "currency": cost.currency}
        for name, cost in (("cost", row.cost), ("listed", row.listed))
    }
    names = ("input_per_million", "cached_input_per_million", "output_per_million", "is_at_most", "source", "date")
    facts = ("context_tokens", "max_output_tokens")
    return jsoncodec.encode_text(
        {
            "target": row.target,
            **money,
            **{name: getattr(row, name) for name in names},
            **{name: getattr(row.facts, name) for name in facts},
            "abilities": list(row.abilities),
            "regions": list(row.host.regions),
            "trains": row.host.trains,
            "notes": list(row.notes),
        }
    )
