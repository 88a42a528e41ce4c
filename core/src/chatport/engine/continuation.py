"""Going on from a part of an answer: when that can be exact, and how a caller may go on by hand."""

from __future__ import annotations

from ..call import Call, WireRequest
from ..decoding.collector import Collector
from ..types import Message, Reply

__all__ = ["can_continue", "conversation", "reopened"]

_GO_ON = "Your answer was cut off. Go on exactly where it stopped, without repeating anything."


def can_continue(wire: WireRequest, collector: Collector) -> bool:
    """Whether a vendor can go on from what was received: one choice, plain text, and no tool call begun.

    Tool calls and reasoning are never joined from two answers: half a call could be run, and half a thought misleads.
    Nor is a structured answer that a forced tool stands for: what is text to the caller is a call to the vendor.
    """
    if wire.output_tool is not None:
        return False
    first = collector.first
    others = first.calls or first.refusal or first.audio or first.media
    return len(collector.choices) == 1 and bool(first.text) and not others


def reopened(collector: Collector) -> str:
    """Make a collector ready to take the rest of its answer, and return the text it goes on from."""
    first = collector.first
    first.ended, first.finish, first.raw_finish = False, None, None
    collector.error = collector.usage = None
    return "".join(first.text)


def conversation(call: Call, partial: Reply) -> tuple[Message, ...]:
    """Return the messages with which a caller goes on by hand: the call's own, the text so far, and a request.

    Calls of tools are left out: half of one cannot be answered.
    """
    if not partial.text:
        return call.messages
    return (*call.messages, Message.assistant(partial.text), Message.user(_GO_ON))
