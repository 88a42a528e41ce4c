"""`chatport logs`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..basics.display import one_line
from .failures import reporting_errors
from .options import complete_conversations
from .terminal import is_confirmed, styled, write, write_json

if TYPE_CHECKING:
    from .conversations import Listed

__all__ = ["command"]

_WIDTH = 60
_DAY = 86_400.0


class _Group(click.Group):
    """Lists, where no command of it is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_other = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        if not is_other and not ctx.resilient_parsing:  # else a shell wants to know what may follow
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("logs", cls=_Group)
def command() -> None:
    """List, show, search and delete what was logged: `chatport chat --log`, or `log = true` in [cli]."""


_json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
_yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_number_option = click.option(
    "-n", "--number", type=click.IntRange(1), default=20, show_default=True, help="How many at most."
)


@command.command("list")
@_number_option
@_json_option
def _list(number: int, as_json: bool) -> None:
    """List the newest conversations."""
    from .conversations import Book

    with reporting_errors():
        _lines(Book().listed(number), as_json)


@command.command("search")
@click.argument("text")
@_number_option
@_json_option
def _search(text: str, number: int, as_json: bool) -> None:
    """List the newest conversations in which TEXT was said, in small letters or capitals."""
    from .conversations import Book

    with reporting_errors():
        _lines(Book().listed(number, text), as_json, text)
        # as grep does it, a script can ask whether there is one


def _lines(found: Sequence[Listed], as_json: bool, text: str | None = None) -> None:
    for entry in found:
        if as_json:
            _write_listed(entry)
        else:
            shown = entry.beginning if text is None else _around(entry.found or "", text)
            about = styled(f"  {_when(entry.changed)}  {entry.messages:>3}  ", dim=True)
            write(
                entry.id,
                about,
                one_line(" ".join(shown.split()), _WIDTH),
                styled(f"  {one_line(entry.model)}", dim=True),
            )
    if not found:
        write("No conversation." if text is None else f"No conversation has {text!r} in it.", err=True)
        raise click.exceptions.Exit(0 if text is None else 1)


def _write_listed(entry: Listed) -> None:
    from .. import jsoncodec

    told: dict[str, Any] = {"id": entry.id, "changed": _iso(entry.changed), "model": entry.model}
    told |= {"messages": entry.messages, "beginning": one_line(entry.beginning, 500)}
    write_json(jsoncodec.encode_text(told if entry.found is None else {**told, "found": entry.found}))


def _around(whole: str, text: str) -> str:
    """Return what stands around the place where a text was found."""
    at = whole.casefold().find(text.casefold())
    begin = max(at - _WIDTH // 3, 0)
    return ("…" if begin else "") + whole[begin : begin + 2 * _WIDTH]


@command.command("show")
@click.argument("name", metavar="[ID]", required=False, shell_complete=complete_conversations)
@_json_option
def _show(name: str | None, as_json: bool) -> None:
    """Show a conversation; the last one if not said which."""
    from .conversations import Book

    with reporting_errors():
        kept = Book().read(name)
    if as_json:
        from .. import jsoncodec

        told = {"id": kept.id, "began": _iso(kept.began), "changed": _iso(kept.changed), "model": kept.model}
        messages = [jsoncodec.decode_text(message.to_json())["value"] for message in kept.messages]
        answers = [{**answer, "at": _iso(answer["at"])} for answer in kept.answers]
        write_json(jsoncodec.encode_text({**told, "messages": messages, "answers": answers}))
        return
    write(f"{kept.id}  {_when(kept.began)}  {one_line(kept.model)}", dim=True)
    for message in kept.messages:
        _write_message(message)
    for answer in kept.answers:
        write(one_line(f"{_when(answer['at'])}  {answer['model']}  {_counted(answer)}"), dim=True)


def _write_message(message: Any) -> None:
    write(f"\n{message.role}", bold=True)
    if message.text:
        write(message.text)
    if message.refusal:
        write(message.refusal, fg="yellow")
    for part in message.content:
        if not hasattr(part, "text"):
            write(f"({type(part).__name__.removesuffix('Part').lower()})", dim=True)
    for call in message.tool_calls:
        write(one_line(f"→ {call.name}({call.arguments})"), fg="cyan")


def _counted(answer: dict[str, Any]) -> str:
    from ..types import Cost

    count = ["?" if answer[name] is None else f"{answer[name]:,}" for name in ("input_tokens", "output_tokens")]
    cost = "cost unknown" if answer["cost"] is None else str(Cost(answer["cost"], answer["currency"]))
    return f"{count[0]} in, {count[1]} out · {cost} · {answer['finish_reason']}"


@command.command("delete")
@click.argument("names", metavar="ID...", nargs=-1, required=True, shell_complete=complete_conversations)
def _delete(names: tuple[str, ...]) -> None:
    """Delete conversations by their names."""
    from .conversations import Book

    with reporting_errors():
        book = Book()
        for name in names:
            book.read(name)  # where one is not there, none is deleted
        write(f"{book.delete(names)} deleted.")


@command.command("prune")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Those that are older than so many days.")
@click.option("--keep", type=click.IntRange(0), metavar="NUMBER", help="All but the newest ones.")
@_yes_option
def _prune(older_than: float | None, keep: int | None, yes: bool) -> None:
    """Delete old conversations. With both options, those that both mean."""
    from .conversations import Book

    if older_than is None and keep is None:
        raise click.UsageError("Say which: --older-than DAYS, --keep NUMBER, or both.")
    with reporting_errors():
        book = Book()
        if not book.exists:
            names = []
        elif older_than is None:
            names = book.all_but(keep or 0)
        else:
            old = book.older_than(time.time() - older_than * _DAY)
            spared = None if keep is None else set(book.all_but(keep))
            names = [name for name in old if spared is None or name in spared]
        if names and not yes and not _is_agreed(len(names)):
            raise click.exceptions.Exit(1)
        write(f"{book.delete(names) if names else 0} deleted.")


def _is_agreed(number: int) -> bool:
    if sys.stdin is not None and sys.stdin.isatty():
        return is_confirmed(f"Delete {number} conversations?")
    write(f"Nothing was deleted: there is nobody to ask. Confirm the {number} with --yes.", err=True)
    return False


@command.command("path")
def _path() -> None:
    """Print where the log is, whether there is one or not."""
    from .conversations import log_file

    with reporting_errors():
        write(one_line(str(log_file())))


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
