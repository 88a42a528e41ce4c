"""Write `docs/vendors.md`: what each model family takes and what becomes of requests, from the providers' facts.

python docs/generate_vendors.py            write the page
python docs/generate_vendors.py --check    fail if the page is not what would be written

The check asks for the providers that are on the page: a new one is a folder, and changes no other file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chatport import ModelFacts, Provider
from chatport.errors import PluginError
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider

PAGE = Path(__file__).with_name("vendors.md")
HEADER = """# Vendors

What each provider's facts say of its model families, most general first: a pattern takes over what the ones before it
say. An empty place is not known, and nothing is refused for it. The page is written by `make docs`.

What a vendor lacks is lowered along a ladder, with a warning on the reply: a structured output from `json_schema` to
`json_object` with the schema in the system text, and from there to the text alone; a forced tool choice to the nearest
one that the vendor takes. What cannot be lowered is an `UnsupportedFeatureError` before anything is sent.
"""
HOSTS_HEADER = """## Where requests are processed

What [a policy](budgets-and-policy.md#policy) goes by: for each of a vendor's hosts, where requests may be processed,
whether the vendor trains models on them unless the customer does something about it, and how many days it keeps them
at most. An empty place is not known, which counts as forbidden unless the policy says otherwise. Terms change: the
date says how old the knowledge is, and what your own contract says you can
[state yourself](budgets-and-policy.md#what-you-know-better).
"""
HOST_COLUMNS = ("host", "regions", "trains", "keeps, days", "source", "date")
COLUMNS = ("models", "input", "tools", "forced choice", "output formats", "reasoning", "context", "output", "source")


def page(names: Sequence[str]) -> str:
    """Return the page for these providers."""
    parts = [HEADER]
    for name in names:
        provider = load_provider(name)
        rows = list(_rows(provider))
        if rows:
            parts.append("\n".join([f"## {provider.title} (`{name}`)\n", *_head(COLUMNS), *rows]) + "\n")
    hosts = [row for name in names for row in _host_rows(load_provider(name))]
    return "\n".join([*parts, HOSTS_HEADER, *_head(HOST_COLUMNS), *hosts]) + "\n"


def _head(columns: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def _host_rows(provider: Provider) -> Iterator[str]:
    for host, known in provider.facts.hosts.items() if provider.facts is not None else ():
        days = "" if known.retention_days is None else str(known.retention_days)
        trains = "; ".join([_yes(known.trains), *(f"yes with `{models}`" for models in known.trains_on)])
        cells = [f"`{host}`", ", ".join(known.regions), trains, days, _plain(known.source), known.date]
        yield "| " + " | ".join(cells) + " |"


def _rows(provider: Provider) -> Iterator[str]:
    if provider.facts is None:
        return
    for entry in provider.facts.models:
        host = entry.hosts[0] if entry.hosts else provider.base_url
        facts = provider.facts.describe(_sample(entry.match), host)
        where = f" on {', '.join(entry.hosts)}" if entry.hosts else ""
        yield "| " + " | ".join([f"`{entry.match}`{where}", *_cells(facts), _plain(entry.source)]) + " |"


def _sample(pattern: str) -> str:
    """Return a model name that a pattern matches: the last of a range, which hardly has an entry of its own."""
    return re.sub(r"\[[^]]*(.)\]", r"\1", pattern).replace("*", "").replace("?", "x") or "any"


def _cells(facts: ModelFacts) -> list[str]:
    return [
        ", ".join(facts.input),
        _yes(facts.tools),
        _yes(facts.forced_tool_choice),
        "" if facts.output_formats is None else ", ".join(facts.output_formats) or "none",
        _reasoning(facts),
        "" if facts.context_tokens is None else f"{facts.context_tokens:,}",
        "" if facts.max_output_tokens is None else f"{facts.max_output_tokens:,}",
    ]


def _yes(value: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[value]


def _reasoning(facts: ModelFacts) -> str:
    efforts = ", ".join(facts.efforts)
    default = f"{facts.default_effort} by default" if facts.default_effort else ""
    return "; ".join(part for part in (_yes(facts.reasoning), efforts, default) if part)


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def shown_names(text: str) -> list[str]:
    """Return the providers that a written page has a section for."""
    return re.findall(r"^## .* \(`(\w+)`\)$", text, re.MULTILINE)


def main() -> None:
    """Write the page, or with --check say whether it is up to date."""
    try:
        if "--check" in sys.argv:
            shown = PAGE.read_text("utf-8")
            if page(shown_names(shown)) != shown:
                sys.exit("docs/vendors.md is not what the facts say: run `make docs`")
        else:
            PAGE.write_text(page(sorted(installed_providers())), "utf-8")
    except PluginError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
