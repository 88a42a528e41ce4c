"""One question and what comes of it: asked, shown as it comes, and told about at its end.

What has come is kept at every moment. `messages` and `replies` hold it after an error and after Ctrl-C, too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs
import click

from ..errors import MalformedReplyError
from ..events import Finished, TextDelta
from ..types import COUNTS, Message, Reply
from .failures import REFUSED
from .render import Printer, event_line, sources, summary
from .terminal import write, write_bytes_of, write_json
from .waiting import Waiting

if TYPE_CHECKING:
    from ..types.runs import Run
    from .tools import Toolbox

__all__ = ["Turn", "unanswered"]


class Turn:
    """A question. `run` asks it; `messages` is what it adds to the conversation, `replies` the answers in it."""

    def __init__(
        self,
        client: Any,
        messages: list[Message],
        call: dict[str, Any],
        look: dict[str, Any],
        toolbox: Toolbox | None = None,
    ) -> None:
        self._client = client
        self._asked = messages
        self._call = call
        self._look = look
        self._toolbox = toolbox
        self._text = ""  # of the answer that is under way
        self._is_structure = call.get("output") is not None and not look["as_json"]
        self.messages: tuple[Message, ...] = ()
        self.replies: tuple[Reply, ...] = ()
        self.seconds = 0.0
        self.note = ""  # what else is to be told of it

    # --- asking

    def run(self) -> None:
        """Ask, and show what comes. Raises ChatportError and KeyboardInterrupt, with all that has come kept."""
        began = time.monotonic()
        try:
            if self._toolbox is not None:
                self._run(self._toolbox)
            elif self._is_structure or self._look["no_stream"] or self._look["retry_invalid"]:
                self._whole()
            else:
                self._stream()
        finally:
            self.seconds = time.monotonic() - began

    def _stream(self) -> None:
        printer = Printer(reasoning=not self._look["quiet"], raw=self._look["raw"])
        stream = None
        try:
            with (
                Waiting("waiting for the first words") as waiting,
                self._client.stream(self._asked, **self._call) as stream,
            ):
                for event in stream:
                    waiting.done()
                    self._take(event, printer)
        finally:
            printer.end()
            self._keep_part()

    def _take(self, event: Any, printer: Printer) -> None:
        if isinstance(event, TextDelta) and event.choice == 0:
            self._text += event.text
        elif isinstance(event, Finished):
            self._keep(event.reply)
        if self._look["as_json"]:
            write_json(event_line(event))
        else:
            printer.show(event)

    def _keep(self, reply: Reply) -> None:
        self.replies, self.messages, self._text = (*self.replies, reply), (*self.messages, reply.message), ""

    def _keep_part(self) -> None:
        """Keep what an answer that was cut has said: its words alone, since no vendor wants half a thought back."""
        if self._text:
            self.messages, self._text = (*self.messages, Message.assistant(self._text)), ""

    def _whole(self) -> None:
        with Waiting("waiting for the answer"):
            reply = self._client.chat(self._asked, retry_invalid=self._look["retry_invalid"], **self._call)
        self._keep(reply)
        self._show_whole(reply)

    def _show_whole(self, reply: Reply) -> None:
        if self._look["as_json"]:
            write_json(event_line(Finished(reply)))
            return
        if reply.reasoning and not self._look["quiet"]:
            write(reply.reasoning, dim=True, italic=True, err=True)
        if reply.refusal:
            write(reply.refusal, fg="yellow", err=True)
        if self._is_structure:
            _write_structure(reply, is_refused=self._problem()[1] == REFUSED)
        elif reply.text or not reply.refusal:
            write_bytes_of(f"{reply.text}\n") if self._look["raw"] else write(reply.text)

    # --- with tools

    def _run(self, toolbox: Toolbox) -> None:
        from ..runs.events import RunFinished, ToolEnded, ToolStarted
        from .tools import tell_result

        is_whole = self._is_structure or (self._look["no_stream"] and not self._look["as_json"])
        printer = Printer(reasoning=not self._look["quiet"], raw=self._look["raw"], text=not is_whole)
        options = {"tools": toolbox.tools, "approve": toolbox.approve, "max_steps": toolbox.max_steps, **self._call}
        stream = None
        try:
            with (
                Waiting("waiting for the first words") as waiting,
                self._client.run_stream(self._asked, **options) as stream,
            ):
                for event in stream:
                    waiting.done()
                    if not isinstance(event, RunFinished | ToolEnded | ToolStarted):
                        self._take(event, printer)
                    elif self._look["as_json"]:
                        write_json(_run_line(event))
                    elif isinstance(event, ToolEnded):
                        printer.end()
                        tell_result(event.result)
        finally:
            printer.end()
            if stream is not None:
                self._keep_run(stream.run)
        if is_whole:
            self._show_whole(self.replies[-1])

    def _keep_run(self, run: Run) -> None:
        self.messages = (*run.messages[len(self._asked) :], *unanswered(run))
        self.replies = run.replies
        self._keep_part()

    # --- telling

    def tell(self) -> None:
        """Say what is to be said about the answer. Raises Exit where it is none."""
        words, code = self._problem()
        if words:
            write(words, fg="red", err=True)
        if not self._look["quiet"] and not self._look["as_json"]:
            self._foot()
        if code:
            raise click.exceptions.Exit(code)

    def _problem(self) -> tuple[str, int]:
        """Return what is wrong with the last answer, in words and as an exit code, which is 0 where nothing is."""
        reply = self.replies[-1]
        if reply.refusal:
            return "The model refuses.", REFUSED
        if reply.finish_reason == "content_filter":
            return f"The vendor's content filter has {'cut' if reply.text else 'kept back'} the answer.", REFUSED
        if reply.text or reply.tool_calls or reply.media or reply.finish_reason == "stop":
            return "", 0
        # In a script it would pass for an empty answer.
        return f"The answer is empty. It ended with {reply.raw_finish_reason or reply.finish_reason!r}.", 5

    def _foot(self) -> None:
        last = self.replies[-1]
        for line in sources(last):
            write(f"  {line}", fg="cyan", err=True)
        write(summary(_sum(self.replies), self.seconds) + self.note, dim=True, err=True)
        for reply in self.replies:
            for warning in reply.warnings:
                write(f"  {warning}", fg="yellow", err=True)


def unanswered(run: Run) -> list[Message]:
    """Return what stands for the results of calls that have none: vendors refuse a conversation with such a call."""
    return [Message.tool(call, "This call was stopped, and has no result.") for call in run.open_calls]


def _sum(replies: tuple[Reply, ...]) -> Reply:
    """Return the last reply with the usage and the cost of all."""
    if len(replies) == 1:
        return replies[0]
    from ..types.runs import Run, RunStep

    run = Run((), tuple(RunStep(reply) for reply in replies))
    return attrs.evolve(replies[-1], usage=run.usage, cost=run.cost)


def _write_structure(reply: Reply, *, is_refused: bool) -> None:
    """Print the value that was asked for as JSON. An answer that is none goes to stderr, since nothing else has it."""
    from .. import jsoncodec
    from ..schemas.kinds import builtins_of

    try:
        value = builtins_of(reply.parsed())
    except MalformedReplyError:
        if reply.text:
            write(reply.text, fg="yellow", err=True)
        if is_refused:
            return
        raise
    write_json(jsoncodec.encode_text(value))


def _run_line(event: Any) -> str:
    """Return an event of a run as one line of JSON. The whole run is told in short: its answers were told before."""
    from .. import jsoncodec

    run = getattr(event, "run", None)
    if run is None:
        return event_line(event)
    told = {"event": type(event).__name__, "outcome": run.outcome, "steps": len(run.steps)}
    cost = None if run.cost is None else {"amount": run.cost.amount, "currency": run.cost.currency}
    counts = {name: getattr(run.usage, name) for name in COUNTS}
    return jsoncodec.encode_text({**told, "usage": counts, "cost": cost})
