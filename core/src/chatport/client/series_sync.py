"""What a client makes of several calls: runs of tools, without an event loop.

Made of `series.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from ..inputs.messages import MessagesInput
from .base import BaseClient

if TYPE_CHECKING:
    from ..inputs.options import CommonOptions
    from ..inputs.tools import ToolInput
    from ..runs.approval import Approve
    from ..types.runs import Run
    from .running_sync import RunStream
    from .sync import _Driver

__all__ = ["Series"]


class Series(BaseClient):
    """The calls that are made of calls: each step of theirs is one of the client's own."""

    if TYPE_CHECKING:

        def _driver(self, messages: MessagesInput, stream: bool, options: Mapping[str, Any]) -> _Driver: ...

    def run(
        self,
        messages: MessagesInput | Run,
        *,
        tools: Sequence[ToolInput] = (),
        max_steps: int = 20,
        max_seconds: float | None = None,
        approve: Approve | None = None,
        threads: bool = False,
        output: Any = None,
        **options: Unpack[CommonOptions],
    ) -> Run:
        """Ask, run the tools that the model calls, and ask again, until it calls none; return the whole of it.

        Calls of one answer run at the same time where they can: asynchronous tools do, plain ones in worker threads
        with `threads=True`. What goes wrong in a tool, or with its arguments, is told to the model in words.
        `approve` is given each call before it is run, and returns True, False or an `Approval`, awaited if need be.
        Other options as for `chat`. Raises RunLimitError when the model was asked `max_steps` times, or after
        `max_seconds`, and ChatportError as `chat` does, both with all there is in their `run`.
        """
        with self.run_stream(
            messages,
            tools=tools,
            max_steps=max_steps,
            max_seconds=max_seconds,
            approve=approve,
            threads=threads,
            output=output,
            **options,
        ) as stream:
            return stream.without_events()

    def run_stream(
        self,
        messages: MessagesInput | Run,
        *,
        tools: Sequence[ToolInput] = (),
        max_steps: int = 20,
        max_seconds: float | None = None,
        approve: Approve | None = None,
        threads: bool = False,
        output: Any = None,
        **options: Unpack[CommonOptions],
    ) -> RunStream:
        """Return a run as a stream of the events of all its answers and tools, to be used as `with`.

        Options as for `run`.
        """
        from .running_sync import RunStream

        loop, plan = self._run_loop(
            messages,
            {**options, "output": output},
            tools=tools,
            max_steps=max_steps,
            max_seconds=max_seconds,
            approve=approve,
            threads=threads,
        )
        return RunStream(self, loop, plan)
