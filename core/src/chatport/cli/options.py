"""What a command is given besides its own options: the configuration, the model, and what is piped into it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "complete_conversations",
    "complete_providers",
    "complete_targets",
    "config_option",
    "log_option",
    "piped_bytes",
    "piped_text",
    "read_reasoning",
    "reasoning_option",
    "sampling_options",
    "short_model_option",
    "text_of",
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
    words = "provider:model, or an alias (default: $LLM_MODEL)."
    return click.option("-m", "--model", metavar="TARGET", help=words, shell_complete=complete_targets)(function)


def reasoning_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--reasoning EFFORT`, whose word `read_reasoning` reads."""
    words = "none, minimal, low, medium, high, xhigh, max, or a number of tokens."
    return click.option("--reasoning", metavar="EFFORT", help=words, shell_complete=_complete_efforts)(function)


def sampling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how the model is to choose its words, and when to stop."""
    for option in reversed((
        click.option("--max-tokens", type=int, help="The most tokens the model may write."),
        click.option("--temperature", type=float, help="How freely it chooses."),
        click.option("--top-p", type=float, help="Of which share of the likely words it chooses."),
        click.option("--stop", multiple=True, metavar="TEXT", help="Where the answer is to end; may be repeated."),
        click.option("--seed", type=int, help="For the same answer again, as far as the vendor can."),
    )):  # fmt: skip
        function = option(function)
    return function


def log_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--log/--no-log`; None where neither is given."""
    words = "Keep the conversation in the local log (default: `log` of [cli])."
    return click.option("--log/--no-log", "logs", default=None, help=words)(function)


# --- what a shell may complete, each looked up by modules that nothing else needs


def complete_targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the aliases and targets that begin like this."""
    from .completing import targets

    return targets(incomplete, context.params.get("config"))


def complete_providers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the installed and configured providers whose names begin like this."""
    from .completing import providers

    return providers(incomplete, context.params.get("config"))


def complete_conversations(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the conversations of the log whose names begin like this."""
    from .completing import conversations

    return conversations(incomplete)


def _complete_efforts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from ..standard.efforts import EFFORTS

    return [effort for effort in EFFORTS if effort.startswith(incomplete)]


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
    return _text(piped_bytes(), "Standard input")


def text_of(place: str) -> str:
    """Return the text of a file. Raises UsageError if it cannot be read, or is none."""
    try:
        with Path(place).expanduser().open("rb") as file:
            data = file.read(_MOST_PIPED_BYTES + 1)
    except (OSError, ValueError) as error:  # a NUL in the path
        raise click.UsageError(f"Cannot read {place}: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > _MOST_PIPED_BYTES:
        raise click.UsageError(f"{place} has more than {_MOST_PIPED_BYTES >> 20} MiB.")
    return _text(data, place)


def _text(data: bytes, what: str) -> str:
    try:
        text = data.decode("utf-8-sig")
        at = data.find(0)
    except UnicodeDecodeError as error:
        text, at = "", error.start
    if at >= 0:
        raise click.UsageError(
            f"{what} is not UTF-8 text: its byte {at} is {data[at]:#04x}. "
            "Convert it, for example with iconv; an image goes with --image FILE."
        )
    return text
