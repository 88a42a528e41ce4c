"""`chatport compare`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .options import config_option, piped_text, read_reasoning, reasoning_option
from .terminal import write, write_json
from .waiting import Waiting

if TYPE_CHECKING:
    from .comparing import Compared

__all__ = ["command"]

_MOST_MODELS = 32


@click.command("compare")
@click.argument("message", required=False)
@click.option("-m", "--model", "models", multiple=True, required=True, metavar="TARGET", help="May be repeated.")
@click.option("-s", "--system", help="An instruction above the message.")
@reasoning_option
@click.option("--max-tokens", type=int)
@click.option("--temperature", type=float)
@click.option("--timeout", type=float, help="Seconds for each call.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, in the order of the models.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write it as one page to this file, too."
)
@config_option
def command(
    message: str | None, models: tuple[str, ...], config: Path | None, as_json: bool, page: Path | None, **options: Any
) -> None:
    """Send MESSAGE to several models at once, and show their answers and figures side by side.

    Without MESSAGE, or with "-", it is read from stdin. Exits with 0 if anybody has answered.
    """
    if len(models) > _MOST_MODELS:
        raise click.UsageError(f"At most {_MOST_MODELS} models are asked at once.")
    if page is not None and not page.parent.is_dir():
        raise click.UsageError(f"There is no folder for {one_line(str(page))}.")
    text = _text(message)
    with reporting_errors():
        rows = _asked(text, models, config, options)
    if page is not None:
        _write_page(page, text, rows)
    if as_json:
        for row in rows:
            write_json(_object(row))
    else:
        _show(rows)
    errors = [row.error for row in rows if row.error is not None]
    if len(errors) == len(rows):
        with reporting_errors():
            raise errors[0]


def _text(message: str | None) -> str:
    if message and message != "-":
        return message
    piped = "" if sys.stdin is None or sys.stdin.isatty() else piped_text().strip()
    if not piped:
        raise click.UsageError('No message. Write one: chatport compare -m A -m B "hello", or pipe it in.')
    return piped


def _asked(text: str, models: Sequence[str], config: Path | None, options: dict[str, Any]) -> list[Compared]:
    from ..types import Message
    from .comparing import compare

    messages = [Message.system(options["system"])] if options["system"] else []
    call = {name: options[name] for name in ("max_tokens", "temperature", "timeout")}
    call["reasoning"] = read_reasoning(options["reasoning"])
    with Waiting(f"asking {len(models)} models"):
        return compare(models, [*messages, Message.user(text)], config, call)


def _write_page(page: Path, text: str, rows: Sequence[Compared]) -> None:
    from .compare_page import page_of

    try:
        page.write_text(page_of(text, rows), "utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {page}: {error.strerror or error}.") from None


# --- for people


def _show(rows: Sequence[Compared]) -> None:
    from .columns import beside

    width = max(shutil.get_terminal_size().columns, 40)
    for line in beside([_cell(row) for row in rows], width):
        write(line)
    for row in rows:
        for warning in row.reply.warnings:
            write(one_line(f"  {row.model}: {warning}"), fg="yellow", err=True)


def _cell(row: Compared) -> str:
    """Return all that is shown of one answer: its figures, what it says, and how it failed."""
    from .compare_page import figures

    parts = [one_line(row.model), *(f"{name}: {one_line(value)}" for name, value in figures(row)), ""]
    answer = row.reply.text or row.reply.refusal or ""
    calls = [one_line(f"→ {call.name}({call.arguments})") for call in row.reply.tool_calls]
    problem = [] if row.error is None else [one_line(f"{type(row.error).__name__}: {row.error}")]
    return "\n".join([*parts, *([answer] if answer else []), *calls, *problem])


# --- for programs


def _object(row: Compared) -> str:
    from .. import jsoncodec
    from ..types import COUNTS

    reply, error = row.reply, row.error
    return jsoncodec.encode_anything(
        {
            "model": row.model,
            "target": row.target,
            "text": reply.text,
            "reasoning": reply.reasoning,
            "refusal": reply.refusal,
            "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls],
            "finish_reason": reply.finish_reason,
            "first_seconds": row.first_seconds,
            "seconds": row.seconds,
            "tokens_per_second": row.tokens_per_second,
            "usage": {name: getattr(reply.usage, name) for name in COUNTS},
            "cost": None if reply.cost is None else {"amount": reply.cost.amount, "currency": reply.cost.currency},
            "warnings": [str(warning) for warning in reply.warnings],
            "error": None if error is None else {"error": type(error).__name__, "message": str(error)},
        }
    ).decode()
