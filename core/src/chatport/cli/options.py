"""What a command is given besides its own options: the configuration, the model, and what is piped into it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = [
    "config_option",
    "piped_bytes",
    "piped_text",
    "read_reasoning",
    "reasoning_option",
    "short_model_option",
]

_MOST_PIPED_BYTES = 64 * 1024 * 1024


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config FILE`."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--config", type=kind, help="Configuration file (default: your own, and chatport.toml here).")(
        function
    )


def short_model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-m/--model`."""
    return click.option("-m", "--model", metavar="TARGET", help="provider:model, or an alias (default: $LLM_MODEL).")(
        function
    )


def reasoning_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--reasoning EFFORT`, whose word `read_reasoning` reads."""
    words = "none, minimal, low, medium, high, xhigh, max, or a number of tokens."
    return click.option("--reasoning", metavar="EFFORT", help=words)(function)


def read_reasoning(word: str | None) -> str | int | None:
    """Return an effort as it stands, and a budget as a number."""
    return int(word) if word and word.isascii() and word.isdigit() and len(word) < 10 else word


def piped_bytes() -> bytes:
    """Return what comes on stdin. Raises UsageError if it cannot be read, or has no end."""
    if sys.stdin is None:
        return b""
    try:
        data = sys.stdin.buffer.read(_MOST_PIPED_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"Cannot read standard input: {error.strerror or error}.") from None
    if len(data) > _MOST_PIPED_BYTES:
        raise click.UsageError(f"Standard input has more than {_MOST_PIPED_BYTES >> 20} MiB.")
    return data


def piped_text() -> str:
    """Return the text that comes on stdin. Raises UsageError if it is none."""
    data = piped_bytes()
    try:
        text = data.decode("utf-8-sig")
        at = data.find(0)
    except UnicodeDecodeError as error:
        text, at = "", error.start
    if at >= 0:
        raise click.UsageError(
            f"Standard input is not UTF-8 text: its byte {at} is {data[at]:#04x}. "
            "Convert it, for example with iconv; an image goes with --image FILE."
        )
    return text
