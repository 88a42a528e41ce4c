"""Write `docs/recipes/index.md`: the recipes, and how long each is beside the same program by hand.

python docs/generate_recipes.py            write the page
python docs/generate_recipes.py --check    fail if the page is not what would be written
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RECIPES = Path(__file__).with_name("recipes")
PAGE = RECIPES / "index.md"
BY_HAND = RECIPES / "by-hand.md"
ORDER = (
    "first-stream", "switch-vendor", "agent", "fastapi-stream", "bulk-extraction", "structured-output",
    "fallback-and-budget", "trio", "cancellation", "notebook", "persistence", "test-your-program",
    "gateway-and-migration",
)  # fmt: skip
HEADER = """# Recipes

<!-- Written by `make docs` from the recipes beside this page. -->

Small programs, whole as they stand. Each is run by the tests as it is on its page, with emulators in the vendors'
places, and passes mypy and pyright at their strictest.
"""
LENGTHS = """
## How long they are

Lines of code on the page, without empty lines, comments and text, beside [the same by hand](by-hand.md) with the
vendors' own SDKs. *Own* are the lines that the other one does not have: what both have (the tools of the agent, the
routes of FastAPI, imports) shows nothing. Where the library does the work, the own lines are half as many. Where
the SDK of a vendor does the same work, they are not, and what is gained is another thing: any vendor, costs, limits,
errors. What the programs by hand leave out is said on their page; with it they would be longer.

| recipe | lines | by hand | own lines | own by hand |
|---|---|---|---|---|"""
FOOTER = """
The notebook has no twin, since it shows small things. Nor has the gateway: nobody writes three protocols by hand."""
_BLOCK = re.compile(r"^```(?:python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Lengths(NamedTuple):
    """How many lines of code a recipe and its twin by hand have, and how many of them both have."""

    recipe: int
    by_hand: int
    shared: int


def title_of(name: str) -> str:
    """Return the heading of a recipe."""
    return (RECIPES / f"{name}.md").read_text("utf-8").partition("\n")[0].removeprefix("# ")


def code_of(text: str) -> list[str]:
    """Return the lines of code in the Python and TOML blocks of a text, without empty ones and comments."""
    lines = [line.partition("  #")[0].strip() for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def by_hand(name: str) -> str:
    """Return the section of `by-hand.md` for a recipe; empty where nobody would write it by hand."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |^And the vendors|\Z)", BY_HAND.read_text("utf-8"), re.M | re.S)
    return "" if found is None else found[1]


def lengths(name: str) -> Lengths | None:
    """Count a recipe and its twin; None where there is no twin."""
    ours, theirs = code_of((RECIPES / f"{name}.md").read_text("utf-8")), code_of(by_hand(name))
    if not theirs:
        return None
    return Lengths(len(ours), len(theirs), (Counter(ours) & Counter(theirs)).total())


def page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEADER
    for name in ORDER:
        yield f"* [{title_of(name)}]({name}.md)"
    yield LENGTHS
    for name in ORDER:
        counted = lengths(name)
        if counted is None:
            continue
        own, own_by_hand = counted.recipe - counted.shared, counted.by_hand - counted.shared
        yield f"| [{name}]({name}.md) | {counted.recipe} | {counted.by_hand} | {own} | {own_by_hand} |"
    yield FOOTER


def main() -> None:
    """Write the page, or with --check say whether it is up to date."""
    if "--check" not in sys.argv:
        PAGE.write_text(page(), "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != page():
        sys.exit("docs/recipes/index.md is out of date: run `make docs`")


if __name__ == "__main__":
    main()
