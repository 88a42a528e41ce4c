"""Which calls the cache is asked for, and which answers are kept: those that may be the same a second time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Reply

__all__ = ["Wish", "is_repeatable", "is_worth_keeping", "wish_of"]

_OF_THE_VENDOR = frozenset({"background", "container", "conversation", "mcp_servers", "prompt", "web_search_options"})
"""Fields of a request that point to what lies, or goes on, at the vendor or elsewhere: the same words may mean another
thing tomorrow. (From `previous_response_id` the gateway itself goes on: the conversation is in the request then.)"""
_WHOLE = ("stop", "tool_calls")


@attrs.frozen
class Wish:
    """What a client says of caches in `cache-control`. `most_seconds` is the greatest age that it takes."""

    reads: bool = True
    writes: bool = True
    most_seconds: float = float("inf")


def wish_of(headers: Mapping[str, str]) -> Wish:
    """Return what a client wishes: `no-store` neither to be given a kept answer nor to have its own kept, `no-cache`
    a fresh one, `max-age=N` none that is older. What else it says is left alone."""
    given = headers.get("cache-control")
    if given is None:
        return _USUAL
    words = [word.strip().lower() for word in given.split(",")]
    if "no-store" in words:
        return Wish(reads=False, writes=False)
    ages = [word.removeprefix("max-age=") for word in words if word.startswith("max-age=")]
    seconds = [float(age) for age in ages if age.isascii() and age.isdigit()]
    most = min(seconds, default=float("inf"))
    return Wish(reads="no-cache" not in words and most > 0, most_seconds=most)


_USUAL = Wish()


def is_repeatable(body: Mapping[str, Any]) -> bool:
    """Whether the answer to a request may be the same a second time, as far as its own words tell."""
    return not any(body.get(name) for name in _OF_THE_VENDOR & body.keys())


def is_worth_keeping(reply: Reply) -> bool:
    """Whether an answer is whole: neither cut, nor refused, and nothing of it lies at the vendor."""
    if reply.refusal or any(one.refusal for one in reply.alternatives):
        return False
    if reply.audio is not None and "id" in reply.audio:  # by which it is to be named, as long as the vendor keeps it
        return False
    return all(reason in _WHOLE for reason in (reply.finish_reason, *[one.finish_reason for one in reply.alternatives]))
