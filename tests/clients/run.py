"""Let real clients finish a tool loop through the gateway, with each of four vendors emulated behind it.

    make test-clients                                          all of them, an hour at most; installs 2 GB once
    make test-clients ARGS="--client codex --vendor deepseek"  one; both may be said more than once
    make test-clients ARGS="--list"                            what there is

Each client has a fresh home and, where the system lets us, a network of its own with nothing but loopback in it. Of one
that fails the folder is kept: what it said, what the gateway logged, and what the vendor got.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .alone import can_be_alone, is_alone, raise_loopback, run_alone
from .directed import MODELS
from .installed import CannotInstall, install
from .recipes import RECIPES
from .trial import Outcome, try_client

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and return 1 if anything was not as it should be."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    clients = options.client or list(RECIPES)
    if options.list:
        print("\n".join(f"{name}: {recipe.title} {recipe.version}" for name, recipe in RECIPES.items()))
        return 0
    if is_alone():
        raise_loopback()
        return _run(clients, options.vendor or list(MODELS), keep=options.keep)
    missing = _install(clients)
    there = [name for name in clients if name not in missing]
    if not there:
        return 1
    again = [sys.executable, "-m", "tests.clients.run", *(f"--client={name}" for name in there)]
    again += [*(f"--vendor={name}" for name in options.vendor), *(["--keep"] if options.keep else [])]
    if not can_be_alone():
        print("== no network namespace here: nothing keeps the clients from this machine's network", file=sys.stderr)
        return _run(there, options.vendor or list(MODELS), keep=options.keep) or bool(missing)
    return run_alone(again) or bool(missing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make test-clients", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--client", action="append", choices=RECIPES, default=[], metavar="NAME")
    parser.add_argument("--vendor", action="append", choices=MODELS, default=[], metavar="NAME")
    parser.add_argument("--keep", action="store_true", help="keep the folder of every client, not of the failed only")
    parser.add_argument("--list", action="store_true", help="list the clients")
    return parser


def _install(clients: Sequence[str]) -> dict[str, str]:
    """Install what is asked for; return why some cannot be."""
    missing = {}
    for name in clients:
        try:
            install(name, RECIPES[name])
        except CannotInstall as problem:
            missing[name] = str(problem)
            print(f"{name}: {problem}", file=sys.stderr)
    return missing


def _run(clients: Sequence[str], vendors: Sequence[str], *, keep: bool) -> int:
    outcomes = []
    for client in clients:
        for vendor in vendors:
            outcome = try_client(client, RECIPES[client], vendor, keep=keep)
            outcomes.append(outcome)
            said = "; ".join(outcome.problems) or f"done by {', '.join(outcome.paths)}"
            print(f"{client} before {vendor}: {said} ({outcome.seconds:.0f} s)", flush=True)
            if outcome.kept is not None:
                print(f"  kept: {outcome.kept}", flush=True)
    print(_table(outcomes, vendors))
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return int(failed > 0)


def _table(outcomes: Sequence[Outcome], vendors: Sequence[str]) -> str:
    """Return the table for docs/gateway.md."""
    lines = [f"| client | version | asks for | {' | '.join(vendors)} |", "|---" * (3 + len(vendors)) + "|"]
    for client in dict.fromkeys(outcome.client for outcome in outcomes):
        own = {outcome.vendor: outcome for outcome in outcomes if outcome.client == client}
        paths = ", ".join(f"`{path}`" for path in dict.fromkeys(p for outcome in own.values() for p in outcome.paths))
        cells = ["no" if own[vendor].problems else "yes" for vendor in vendors]
        recipe = RECIPES[client]
        lines.append(f"| {recipe.title} | {recipe.version} | {paths} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
