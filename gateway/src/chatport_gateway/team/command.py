"""`chatport gateway`: keys, projects, limits and usage of a team, from the command line. The gateway may be running."""

from __future__ import annotations

import asyncio
import getpass
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

import chatport
from chatport import ChatportError, ConfigurationError

from .desk import BadName, Desk, state_of
from .settings import read_team
from .store import NotThere, Store, Taken
from .values import GATEWAY, NANO, Key, Limits

__all__ = ["group"]

T = TypeVar("T")

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, kind, words in reversed(
        [
            ("usd-day", float, "USD a day (UTC)."),
            ("usd-month", float, "USD a month (UTC)."),
            ("usd-total", float, "USD in all."),
            ("requests-per-minute", int, "Requests a minute."),
            ("tokens-per-minute", int, "Tokens a minute."),
            ("concurrency", int, "Calls at once."),
        ]
    ):
        function = click.option(f"--{name}", type=kind, help=words)(function)
    return function


def _limits(given: dict[str, Any]) -> Limits:
    try:
        return Limits.of(**{name: given[name] for name in Limits().told()})
    except (TypeError, ValueError) as error:
        raise click.ClickException(str(error)) from None


@click.group("gateway")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Configuration file.")
@click.pass_context
def group(context: click.Context, config: Path | None) -> None:
    """Keys, projects, limits and usage of the gateway that a [team] table describes."""
    context.obj = config


def _run(config: Path | None, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Do some work at a desk. What goes wrong is said in a line."""

    async def opened() -> T:
        settings = read_team(chatport.load_config(config))
        if settings is None:
            raise ConfigurationError("The configuration has no [team] table, so there are no keys and no records.")
        Path(settings.folder).mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # nobody waits for this loop
        async with await Store.open(settings.database) as store:
            return await work(Desk(store, _actor()))

    try:
        return asyncio.run(opened())
    except (ChatportError, NotThere, Taken, BadName) as error:
        raise click.ClickException(str(error.args[0] if isinstance(error, LookupError) else error)) from None


def _actor() -> str:
    try:
        return f"cli:{getpass.getuser()}"[:64]
    except (OSError, KeyError):  # a container without a name for its user
        return "cli"


def _span(text: str | None) -> timedelta | None:
    """Return a span of time: `30m`, `24h`, `90d`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if match is None:
        raise click.ClickException(f"{text!r} is no span of time: 30m, 24h or 90d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


# --- keys


@group.group("keys")
def keys() -> None:
    """Make, list, rotate and revoke keys."""


@keys.command("create")
@click.argument("name")
@click.option("--project", help="The project that it belongs to, by name or id.")
@click.option("--model", "models", multiple=True, help="A glob over names that it may ask for. May be repeated.")
@click.option("--provider", "providers", multiple=True, help="A provider that may answer. May be repeated.")
@click.option("--expires", metavar="SPAN", help="After how long it ends: 30m, 24h, 90d.")
@_limit_options
@click.pass_obj
def create_key(
    config: Path | None,
    /,
    name: str,
    project: str | None,
    models: Sequence[str],
    providers: Sequence[str],
    expires: str | None,
    **given: Any,
) -> None:
    """Make a key, and print it: it is shown this once, and kept nowhere."""
    limits, span = _limits(given), _span(expires)

    async def work(desk: Desk) -> str:
        made = await desk.create_key(
            name, project=project, limits=limits, models=models, providers=providers, expires_after=span
        )
        return made.secret

    click.echo(_run(config, work))


@keys.command("list")
@click.pass_obj
def list_keys(config: Path | None) -> None:
    """List all keys: how they begin, their names, projects and state."""

    async def work(desk: Desk) -> tuple[list[Key], dict[str, str]]:
        found: list[Key] = []
        while page := await desk.store.keys(after=found[-1].id if found else ""):
            found += page
        return found, {project.id: project.name for project in await desk.store.projects()}

    found, names = _run(config, work)
    rows = [(key.id, f"{key.shown}…", key.name, names.get(key.project_id or "", ""), _state(key)) for key in found]
    _table(("id", "key", "name", "project", "state"), rows)


def _state(key: Key) -> str:
    state = state_of(key)
    return f"until {_when(key.expires_us)}" if state == "active" and key.expires_us is not None else state


@keys.command("rotate")
@click.argument("key")
@click.option("--keep-old", metavar="SPAN", help="For how long the old one is taken too: 30m, 24h, 90d.")
@click.pass_obj
def rotate_key(config: Path | None, key: str, keep_old: str | None) -> None:
    """Put a new key in the place of one (its id or its beginning), and print it."""
    span = _span(keep_old)

    async def work(desk: Desk) -> str:
        return (await desk.rotate_key(key, keep_old=span)).secret

    click.echo(_run(config, work))


@keys.command("revoke")
@click.argument("key")
@click.pass_obj
def revoke_key(config: Path | None, key: str) -> None:
    """Refuse a key (its id or its beginning) from now on."""

    async def work(desk: Desk) -> None:
        await desk.revoke_key(key)

    _run(config, work)


# --- projects


@group.group("projects")
def projects() -> None:
    """Make and list projects, which have limits of their own above their keys."""


@projects.command("create")
@click.argument("name")
@_limit_options
@click.pass_obj
def create_project(config: Path | None, /, name: str, **given: Any) -> None:
    """Make a project, and print its id."""
    limits = _limits(given)

    async def work(desk: Desk) -> str:
        return (await desk.create_project(name, limits)).id

    click.echo(_run(config, work))


@projects.command("list")
@click.pass_obj
def list_projects(config: Path | None) -> None:
    """List all projects."""

    async def work(desk: Desk) -> Any:
        return await desk.store.projects()

    rows = [(one.id, one.name, "closed" if one.closed_us is not None else "open") for one in _run(config, work)]
    _table(("id", "name", "state"), rows)


# --- limits and usage


@group.group("limits")
def limits() -> None:
    """Show and set what the gateway, a project or a key may use up."""


@limits.command("show")
@click.argument("holder", default=GATEWAY)
@click.pass_obj
def show_limits(config: Path | None, holder: str) -> None:
    """Show the limits of `gateway`, a project or a key, and what is spent of them."""

    async def work(desk: Desk) -> tuple[Limits, dict[str, int]]:
        one = await desk.holder(holder)
        spent = (await desk.spent([one]))[one]
        return (await desk.limits([one]))[one], {name: standing.usd_nano for name, standing in spent.items()}

    its, spent = _run(config, work)
    rows = []
    for name, value in its.told().items():
        used = f"{spent.get(name, 0) / NANO:.6f}" if name.startswith("usd") else ""
        rows.append((name, "none" if value is None else f"{value:g}" if name.startswith("usd") else str(value), used))
    _table(("limit", "value", "spent"), rows)


@limits.command("set")
@click.argument("holder")
@_limit_options
@click.pass_obj
def set_limits(config: Path | None, /, holder: str, **given: Any) -> None:
    """Put limits in the place of those of `gateway`, a project or a key. What is not named is not limited."""
    its = _limits(given)

    async def work(desk: Desk) -> None:
        await desk.set_limits(await desk.holder(holder), its)

    _run(config, work)


@group.command("usage")
@click.option("--days", type=click.IntRange(1, 3660), default=7, help="Of how many days. Default: 7.")
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["day", "key_id", "project_id", "model", "target", "outcome"]),
    help="What the sums are of; may be repeated. Default: day.",
)
@click.pass_obj
def usage(config: Path | None, days: int, by: Sequence[str]) -> None:
    """Show what calls have used: their number, tokens, and cost in USD."""
    since = (datetime.now(UTC) - timedelta(days=days - 1)).strftime("%Y-%m-%d")
    names = tuple(dict.fromkeys(by)) or ("day",)

    async def work(desk: Desk) -> Any:
        return await desk.usage.days(since=since, by=names)

    rows = [
        (
            *[str(row[name]) for name in names],
            *[str(row[name]) for name in ("calls", "input_tokens", "output_tokens")],
            f"{row['usd_nano'] / NANO:.6f}",
            str(row["unknown_cost_calls"]),
        )
        for row in _run(config, work)
    ]
    _table((*names, "calls", "input", "output", "usd", "cost unknown"), rows)


def _when(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    shown = [[_plain(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(heads))]
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(text: str) -> str:
    """Return a text without what a terminal would obey: others have chosen the names."""
    return "".join([character if character.isprintable() else "\ufffd" for character in text])
