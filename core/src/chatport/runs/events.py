"""What a streamed run gives beside the events of its answers."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ..events import Event
from ..types import ToolCall
from ..types.runs import Run, ToolResult

__all__ = ["RunEvent", "RunFinished", "ToolEnded", "ToolStarted"]


class ToolStarted(msgspec.Struct, frozen=True):
    """A tool begins, with arguments that fit. `step` counts the answers of the run from 0."""

    call: ToolCall
    step: int


class ToolEnded(msgspec.Struct, frozen=True):
    """A tool call has its result, also one that was never begun: unknown, not allowed, with arguments that do not fit.

    Of tools that run at the same time, each ends as it does.
    """

    result: ToolResult
    step: int


class RunFinished(msgspec.Struct, frozen=True):
    """The last event of a run that has come to its end. `Finished` is the end of one answer of it."""

    run: Run


RunEvent: TypeAlias = Event | ToolStarted | ToolEnded | RunFinished
