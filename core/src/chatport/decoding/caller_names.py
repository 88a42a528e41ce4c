"""An answer in the caller's own terms: the tools by their own names, and the arguments of a forced tool as the text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .. import events as ev
from ..basics.pieces import join_small

__all__ = ["CallerNames"]


class CallerNames:
    """Puts the caller's own names back into the events of one attempt.

    `names` maps a tool's name as sent to the caller's own. `output_tool` names the tool whose arguments are the text of
    the answer. `is_resumed`: the answer goes on after a cut, and its reasoning does not, for the two halves would be
    two different thoughts.
    """

    def __init__(self, names: Mapping[str, str], output_tool: str | None, *, is_resumed: bool) -> None:
        self._names = names
        self._output_tool = output_tool
        self._is_resumed = is_resumed
        self._beside: dict[int, list[str]] | None = {}
        """What a model says, by choice, beside the call that stands for its answer, until that call comes."""

    def events(self, decoded: Iterable[ev.Event]) -> list[ev.Event]:
        """Return what these events are to the caller."""
        return [renamed for each in decoded for renamed in self._one(each)]

    def left_beside(self) -> Sequence[ev.Event]:
        """Return, once, what was said beside a call that has not come: where the answer was cut, it is a part of it."""
        beside, self._beside = self._beside or {}, None
        return [ev.TextDelta("".join(pieces), choice) for choice, pieces in beside.items()]

    def compact(self) -> int:
        """Join small pieces of what is held back, and return how many characters that is."""
        held = (self._beside or {}).values()
        for pieces in held:
            join_small(pieces)
        return sum(len(piece) for pieces in held for piece in pieces)

    def _one(self, event: ev.Event) -> Sequence[ev.Event]:
        if self._is_resumed and type(event) is ev.ReasoningDelta:
            return ()
        if self._output_tool is not None:
            return self._as_output(event, self._output_tool)
        if type(event) is ev.ToolCallDelta:
            own = self._names.get(event.name, event.name)
            return (ev.ToolCallDelta(event.index, event.id, own, event.arguments, event.choice),)
        return (event,)

    def _as_output(self, event: ev.Event, tool: str) -> Sequence[ev.Event]:
        """Make the text of the forced call's arguments. What the model says beside the call is no part of the answer.

        It waits until the end: a model that does not call has answered with it after all.
        """
        if type(event) is ev.ToolCallDelta and event.name == tool:
            is_piece = event.arguments and event.index == 0  # asked for once: a second such call says it again
            self._beside = None
            return (ev.TextDelta(event.arguments, event.choice),) if is_piece else ()
        if type(event) is ev.ToolCallDelta and not event.arguments and tool.startswith(event.name):
            return ()  # its name comes in pieces
        if type(event) is ev.TextDelta:
            if self._beside is not None:
                self._beside.setdefault(event.choice, []).append(event.text)
            return ()
        if isinstance(event, ev.FinishReported):
            beside = self.left_beside()
            reason = "stop" if event.reason == "tool_calls" and not beside else event.reason
            return (*beside, ev.FinishReported(reason, event.raw, event.choice))
        return (event,)
