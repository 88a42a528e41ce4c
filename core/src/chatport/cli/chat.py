"""`chatport chat`: one question, or a conversation where somebody sits at a terminal."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from .failures import reporting_errors
from .options import (
    complete_conversations,
    config_option,
    log_option,
    piped_text,
    reasoning_option,
    sampling_options,
    short_model_option,
)

__all__ = ["command"]

_ID = re.compile(r"[0-9][0-9a-f]*+-[0-9a-f]++")
"""What is meant for the name of a conversation, though it may have a slip in it; everything else is a message."""


@click.command("chat")
@click.argument("message", required=False)
@short_model_option
@click.option("-s", "--system", help="An instruction above the conversation.")
@click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE", type=click.Path(),
    help="A text file or a document for the message; may be repeated.",
)  # fmt: skip
@click.option(
    "--image", "images", multiple=True, metavar="FILE|URL", type=click.Path(),
    help="An image for the message; may be repeated.",
)  # fmt: skip
@click.option(
    "-c", "--continue", "goes_on", is_flag=False, flag_value="", metavar="[ID]", shell_complete=complete_conversations,
    help="Go on with a conversation of the log; the last one if not said.",
)  # fmt: skip
@reasoning_option
@sampling_options
@click.option(
    "--schema", metavar="FILE|MODULE:TYPE", type=click.Path(),
    help="The structure of the answer, which is printed as JSON.",
)  # fmt: skip
@click.option(
    "--retry-invalid", type=click.IntRange(0, 100), default=0,
    help="Ask again so often where the answer is not of the schema.",
)  # fmt: skip
@click.option(
    "-t", "--tool", "tools", multiple=True, metavar="MODULE:FUNCTION", type=click.Path(),
    help="A function that the model may call; may be repeated.",
)  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Run tools without asking.")
@click.option("--approve", multiple=True, metavar="TOOL", help="Run this tool without asking; may be repeated.")
@click.option("--max-steps", type=click.IntRange(1), default=20, help="How often the model is asked, with tools.")
@click.option(
    "--strict", is_flag=True, help="Fail where the vendor cannot do exactly what was asked, instead of warning."
)
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--raw", is_flag=True, help="The answer as it came, control characters included: for pipes.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--timeout", type=float, help="Seconds for the whole call.")
@click.option("-q", "--quiet", is_flag=True, help="Only the answer: no reasoning, no usage.")
@log_option
@config_option
def command(message: str | None, config: Path | None, **options: Any) -> None:
    """Send MESSAGE and stream the answer. Without MESSAGE on a terminal, hold a conversation.

    What comes on stdin follows the message: `chatport chat "Summarise:" < report.txt`. Without MESSAGE, or with "-", it
    is the message.
    """
    message, options["goes_on"] = _sorted_out(message, options["goes_on"])
    with reporting_errors():
        if message is None and sys.stdin is not None and sys.stdin.isatty():
            _talk(config, options)
        else:
            _ask(_text(message), config, options)


def _sorted_out(message: str | None, place: str | None) -> tuple[str | None, str | None]:
    """Return message and conversation: in `--continue "And then?"` the word after the option is no name of one."""
    if not place or message is not None or _ID.fullmatch(place):
        return message, place
    return place, ""


def _text(message: str | None) -> str:
    parts = [message] if message and message != "-" else []
    if message == "-" or (sys.stdin is not None and not sys.stdin.isatty()):
        piped = piped_text().strip()
        parts += [piped] if piped else []
    if not parts:
        raise click.UsageError('No message. Write one: chatport chat "hello", or pipe it in.')
    return "\n\n".join(parts)


def _ask(text: str, config: Path | None, options: dict[str, Any]) -> None:
    from ..client.sync import Client
    from .sessions import Session

    with Client(config) as client:
        session = Session.opened(client, options)
        session.attach(options["files"], options["images"])
        session.ask(text).tell()


def _talk(config: Path | None, options: dict[str, Any]) -> None:
    alone = {"as_json": "--json", "raw": "--raw", "no_stream": "--no-stream", "schema": "--schema"}
    for name, option in alone.items():
        if options[name]:
            raise click.UsageError(f'No message. {option} wants one: chatport chat {option} … "hello", or pipe it in.')
    from ..client.sync import Client
    from .sessions import Session
    from .talk import Talk

    with Client(config) as client:
        session = Session.opened(client, options)
        session.attach(options["files"], options["images"])
        Talk(session).hold()
