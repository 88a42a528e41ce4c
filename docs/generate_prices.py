"""Write `docs/prices.md`: what one mix of tokens costs on every model whose price the providers' facts know.

python docs/generate_prices.py            write the page
python docs/generate_prices.py --check    fail if the page is not what would be written

The day is that of the newest facts, and no clock's. The check asks for the providers that are on the page: a new one is
a folder, and changes no other file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chatport import Config, ModelPrice
from chatport.client.prices import price_list, read_wanted
from chatport.errors import PluginError
from chatport.limits.policy import Policy
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.setup.vendors import Vendors

PAGE = Path(__file__).with_name("prices.md")
INPUT, OUTPUT, CACHED = 2000, 500, 0.5
HEADER = f"""# Prices

What a call of {INPUT:,} tokens in, {CACHED:.0%} of them from a cache, and {OUTPUT:,} tokens out costs at list price: on
every model whose price the providers' facts know, at the host that each provider has if nothing else is set. For your
own mix, region, rates and policy: [`chatport prices`](command-line.md#chatport-prices) and
[`client.prices`](budgets-and-policy.md#choosing-by-figures).

Prices change. The date is the day on which a provider's facts were last looked at; the source, which often has a date
of its own, is the number of a fact in the provider's README, or a page. A `≤` says that the rate of cached input is not
known, and all input is counted as new. Rates are for a million tokens: in / cached / out. Where nothing stands, it is
not known. The page is written by `make docs`.
"""
COLUMNS = ("cost", "model", "rates", "context", "can", "notes", "source", "date")


def page(names: Sequence[str]) -> str:
    """Return the page for these providers."""
    priced = {name: known for name in names if (known := load_provider(name).facts) is not None and known.prices}
    day = max(known.date for known in priced.values())
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    wanted = read_wanted(
        Policy(),
        {},
        input_tokens=INPUT,
        output_tokens=OUTPUT,
        cached=CACHED,
        currency="USD",
        rates=None,
        providers=list(priced),
        needs=(),
        allow_regions=None,
        forbid_training=False,
    )
    rows = price_list(Vendors(Config(), environment={}), wanted, moment)
    parts = [HEADER, f"As of {day}, of: {', '.join(f'`{name}`' for name in sorted(priced))}.\n"]
    parts += ["## In USD\n", *_table(row for row in rows if row.cost is not None)]
    other = [row for row in rows if row.cost is None and row.listed is not None]
    if other:
        parts += ["\n## In other currencies\n", "No rate is built in: `[budget] rates` states yours.\n", *_table(other)]
    return "\n".join(parts) + "\n"


def _table(rows: Iterable[ModelPrice]) -> list[str]:
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return [*head, *("| " + " | ".join(_cells(row)) + " |" for row in rows)]


def _cells(row: ModelPrice) -> list[str]:
    assert row.listed is not None, "those without a price are left out"
    rates = (row.input_per_million, row.cached_input_per_million, row.output_per_million)
    return [
        f"{'≤ ' if row.is_at_most else ''}{row.cost or row.listed}",
        f"`{row.target}`",
        f"{' / '.join('?' if rate is None else f'{rate:g}' for rate in rates)} {row.listed.currency}",
        "" if row.facts.context_tokens is None else f"{row.facts.context_tokens:,}",
        ", ".join(row.abilities),
        _plain("; ".join(note for note in row.notes if not note.startswith(("at most", "there is no rate")))),
        _plain(row.source),
        row.date,
    ]


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ").replace("<", "&lt;")


def shown_names(text: str) -> list[str]:
    """Return the providers that a written page is of."""
    of = re.search(r"^As of .*, of: (.*)\.$", text, re.MULTILINE)
    return [] if of is None else re.findall(r"`(\w+)`", of[1])


def main() -> None:
    """Write the page, or with --check say whether it is up to date."""
    try:
        if "--check" in sys.argv:
            shown = PAGE.read_text("utf-8")
            if page(shown_names(shown)) != shown:
                sys.exit("docs/prices.md is not what the facts say: run `make docs`")
        else:
            PAGE.write_text(page(sorted(installed_providers())), "utf-8")
    except PluginError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
