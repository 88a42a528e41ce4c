"""Asking again for an answer that is not the structure that was asked for, with what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import attrs

from ..errors import BadRequestError, MalformedReplyError
from ..inputs.messages import MessagesInput, read_messages
from ..types import Adjustment, Cost, Message, Reply

__all__ = ["as_one", "check_retry_invalid", "problem_of", "with_problem"]


def check_retry_invalid(retry_invalid: Any, options: Mapping[str, Any]) -> None:
    """Raise BadRequestError for what is no number of times, and where there is no structure to be held against."""
    if isinstance(retry_invalid, bool) or not isinstance(retry_invalid, int) or retry_invalid < 0:
        raise BadRequestError(f"retry_invalid is how often to ask again, a whole number from 0, not {retry_invalid!r}.")
    if options.get("output") is None:
        raise BadRequestError("retry_invalid asks again for what is not the structure in output=, and there is none.")


def problem_of(reply: Reply) -> str | None:
    """Return what is wrong with the structure of an answer; None where it fits, and where asking again is of no use."""
    if reply.refusal or reply.tool_calls or reply.finish_reason in ("length", "content_filter"):
        return None
    try:
        reply.parsed()
    except MalformedReplyError as error:
        return error.message
    return None


def with_problem(messages: MessagesInput, reply: Reply, problem: str) -> list[Any]:
    """Return the conversation with the answer, and the request for a better one."""
    words = f"{problem} Answer again, with nothing but JSON that fits the schema."
    answer = [reply] if reply.text else []
    return [*read_messages(messages), *answer, Message.user(words)]


def as_one(replies: Sequence[Reply]) -> Reply:
    """Return the last answer with the tokens, the cost and the attempts of all."""
    if len(replies) == 1:
        return replies[0]
    times = len(replies) - 1
    reason = f"asked {times} more time{'s' if times > 1 else ''}, since the answer before was not the structure"
    return attrs.evolve(
        replies[-1],
        usage=reduce(add, [reply.usage for reply in replies]),
        cost=_cost([reply.cost for reply in replies]),
        attempts=tuple([attempt for reply in replies for attempt in reply.attempts]),
        warnings=(*replies[-1].warnings, Adjustment("note", "output", reason)),
    )


def _cost(costs: Sequence[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    is_whole = len(known) == len(costs) and len({cost.currency for cost in known}) == 1
    return reduce(add, known) if is_whole else None
