"""Standard `decode_reply`: a whole `chat.completion` object to the same events a stream would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..call import Context, WireRequest
from ..events import ErrorReported, Event, ReplyStarted, UsageReported
from ..hooks import hookimpl
from .calls import CallCount
from .stream import beside_choices, check_choices, choice_events, is_error
from .usage import vendors_usage

__all__ = ["decode_reply"]


@hookimpl
def decode_reply(data: Any, context: Context, request: WireRequest | None = None) -> Sequence[Event]:
    if not (type(data) is dict or isinstance(data, Mapping)) or is_error(data):
        return (ErrorReported(data),)
    choices = data.get("choices")
    if not isinstance(choices, list):
        return (ErrorReported(data),)
    if len(choices) > 1:
        check_choices(choices, context)
    count = CallCount(context.limits.tool_calls)
    reply_id, model = data.get("id"), data.get("model")
    events: list[Event] = [
        ReplyStarted(reply_id if isinstance(reply_id, str) else None, model if isinstance(model, str) else None)
    ]
    usage = vendors_usage(data.get("usage"), context)
    if usage is not None:
        events.append(UsageReported(usage))
    turns: Sequence[Any] = choices
    if len(choices) > 1:
        from .split_turns import whole_turns  # few answers have several choices

        turns = whole_turns(choices, request)
    has_choice = False
    for position, choice in enumerate(turns):
        if isinstance(choice, dict):
            has_choice = True
            events.extend(choice_events(choice, position, context, count))
    if not has_choice:
        return (ErrorReported(data),)
    events.extend(beside_choices(data))
    return events
