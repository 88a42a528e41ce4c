"""`chatport chat`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from .failures import reporting_errors
from .options import config_option, piped_text, read_reasoning, reasoning_option, short_model_option
from .terminal import write, write_bytes_of, write_json
from .waiting import Waiting

__all__ = ["command"]


@click.command("chat")
@click.argument("message", required=False)
@short_model_option
@click.option("-s", "--system", help="An instruction above the conversation.")
@click.option("--image", "images", multiple=True, metavar="FILE|URL", help="An image for the message; may be repeated.")
@reasoning_option
@click.option("--max-tokens", type=int)
@click.option("--temperature", type=float)
@click.option(
    "--schema", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON Schema of the answer."
)
@click.option(
    "--strict", is_flag=True, help="Fail where the vendor cannot do exactly what was asked, instead of warning."
)
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--raw", is_flag=True, help="The answer as it came, control characters included: for pipes.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--timeout", type=float, help="Seconds for the whole call.")
@click.option("-q", "--quiet", is_flag=True, help="Only the answer: no reasoning, no usage.")
@config_option
def command(message: str | None, config: Path | None, **options: Any) -> None:
    """Send MESSAGE and stream the answer. Without MESSAGE, or with "-", it is read from stdin.

    With both, what comes on stdin follows the message: `chatport chat "Summarise:" < report.txt`.
    """
    with reporting_errors():
        _chat(_text(message), config, options)


def _text(message: str | None) -> str:
    parts = [message] if message and message != "-" else []
    if message == "-" or (sys.stdin is not None and not sys.stdin.isatty()):
        piped = piped_text().strip()
        parts += [piped] if piped else []
    if not parts:
        raise click.UsageError('No message. Write one: chatport chat "hello", or pipe it in.')
    return "\n\n".join(parts)


def _chat(text: str, config: Path | None, options: dict[str, Any]) -> None:
    from ..client.sync import Client
    from ..types import Message

    messages = [Message.system(options["system"])] if options["system"] else []
    messages.append(Message.user(text, *(_image(image) for image in options["images"])))
    call = {name: options[name] for name in ("model", "max_tokens", "temperature", "timeout")}
    call |= {"reasoning": read_reasoning(options["reasoning"]), "output": _schema(options["schema"])}
    if options["strict"]:
        call["on_unsupported"] = "raise"
    with Client(config) as client:
        if options["no_stream"]:
            _whole(client, messages, call, options)
        else:
            _stream(client, messages, call, options)


def _image(place: str) -> Any:
    from ..errors import BadRequestError
    from ..types import ImagePart

    if place.startswith(("https://", "http://", "data:")):
        return ImagePart(place)
    try:
        return ImagePart.from_file(place)
    except OSError as error:
        raise BadRequestError(f"Cannot read the image {place}: {error.strerror}.") from error


def _schema(path: Path | None) -> Any:
    from .. import jsoncodec
    from ..errors import BadRequestError

    if path is None:
        return None
    try:
        return jsoncodec.decode(path.read_bytes())
    except ValueError as error:
        raise BadRequestError(f"{path} is not JSON: {error}.") from error


def _stream(client: Any, messages: list[Any], call: dict[str, Any], options: dict[str, Any]) -> None:
    from .render import Printer, event_line

    printer = Printer(reasoning=not options["quiet"], raw=options["raw"])
    began = time.monotonic()
    try:
        with Waiting("waiting for the first words") as waiting, client.stream(messages, **call) as stream:
            for event in stream:
                waiting.done()
                if options["as_json"]:
                    write_json(event_line(event))
                else:
                    printer.show(event)
    finally:
        printer.end()
    _footer(stream.reply, time.monotonic() - began, options)


def _whole(client: Any, messages: list[Any], call: dict[str, Any], options: dict[str, Any]) -> None:
    from ..events import Finished
    from .render import event_line

    began = time.monotonic()
    with Waiting("waiting for the answer"):
        reply = client.chat(messages, **call)
    if options["as_json"]:
        write_json(event_line(Finished(reply)))
    else:
        if reply.reasoning and not options["quiet"]:
            write(reply.reasoning, dim=True, italic=True, err=True)
        text = reply.text or reply.refusal or ""
        write_bytes_of(f"{text}\n") if options["raw"] else write(text)
    _footer(reply, time.monotonic() - began, options)


def _footer(reply: Any, seconds: float, options: dict[str, Any]) -> None:
    from .render import sources, summary

    _check_said(reply)
    if options["quiet"] or options["as_json"]:
        return
    for line in sources(reply):
        write(f"  {line}", fg="cyan", err=True)
    write(summary(reply, seconds), dim=True, err=True)
    for warning in reply.warnings:
        write(f"  {warning}", fg="yellow", err=True)


def _check_said(reply: Any) -> None:
    """Fail for an answer with nothing in it that did not end in order: in a script it would pass for an empty one."""
    if reply.text or reply.refusal or reply.tool_calls or reply.media or reply.finish_reason == "stop":
        return
    word = reply.raw_finish_reason or reply.finish_reason
    write(f"The answer is empty. It ended with {word!r}.", fg="red", err=True)
    raise click.exceptions.Exit(5)
