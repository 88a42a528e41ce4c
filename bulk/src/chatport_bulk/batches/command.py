"""What `chatport bulk` says and takes about batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from chatport import ConfigurationError

from .log import Batch
from .settings import BatchSettings

__all__ = ["BATCH_OPTIONS", "batch_lines", "batch_options", "batch_settings"]

BATCH_OPTIONS = ("lane", "batch_deadline", "batch_rows", "batch_rounds", "batch_poll", "delete_files")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def batch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the lane of batches."""
    options = (
        click.option("--lane", type=click.Choice(["online", "batch"]), help="batch: by the vendor's batches, cheaper."),
        click.option("--batch-deadline", metavar="TIME", help="After this (24h) what is missing is asked online."),
        click.option("--batch-rows", type=click.IntRange(1), help="The most rows of one batch."),
        click.option("--batch-rounds", type=click.IntRange(1), default=2, help="How often a row goes into a batch."),
        click.option(
            "--batch-poll", type=click.FloatRange(0, min_open=True), help="Seconds between the first looks (10)."
        ),
        click.option("--delete-files", is_flag=True, help="Delete the vendor's files of a batch that was read."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def batch_settings(how: Mapping[str, Any], *, cancels: bool = False) -> BatchSettings:
    """Return what the options mean. Raises ConfigurationError for a deadline that is no time."""
    usual = BatchSettings()
    poll = how.get("batch_poll") or usual.poll_seconds
    return BatchSettings(
        rounds=how.get("batch_rounds") or usual.rounds,
        deadline_seconds=_seconds(how.get("batch_deadline")),
        most_rows=how.get("batch_rows") or usual.most_rows,
        poll_seconds=poll,
        longest_poll_seconds=30 * poll,
        deletes_files=bool(how.get("delete_files")),
        cancels=cancels,
    )


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", text.strip())
    if found is None:
        raise ConfigurationError(f"--batch-deadline is a time such as 24h, 90m or 2d, not {text!r}.")
    return float(found[1]) * _SECONDS[found[2]]


def batch_lines(batches: list[Batch]) -> list[str]:
    """Return what the batches of a run stand at, the open ones one by one."""
    if not batches:
        return []
    open_now = [batch for batch in batches if not batch.is_over]
    read = sum(batch.state == "read" for batch in batches)
    lines = [f"batches: {len(open_now)} open, {read} read, {len(batches) - len(open_now) - read} given up"]
    for batch in open_now:
        usd = f", at most {batch.usd:,.4f} USD" if batch.usd else ""
        said = f", the vendor says: {batch.said}" if batch.said else ""
        lines.append(f"  {batch.job or batch.name}: {batch.rows:,} rows{usd}, {batch.state}{said}")
    return lines
