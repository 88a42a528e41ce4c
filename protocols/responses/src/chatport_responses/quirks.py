"""What the servers of a vendor do otherwise in this protocol, as `quirks` of the facts that hold in it.

    "protocols": { "responses": { "quirks": { "stateless": "RS-V6", "least_output": 1 } } }

`stateless`: nothing is ever kept, so `store` is not sent, and there is nothing to go on from; its value is the fact.
`open_thoughts`: thoughts come and go back as they are, and nothing sealed is asked for.
`calls_last`: the calls of a turn stand behind its other items; its value is the fact.
`thoughts_behind`: a thought may stand behind what it led to; otherwise it is refused there (RS-O1).
`least_output`: the least output limit, where it is not that of RS-R5.
"""

from __future__ import annotations

from chatport import Context

__all__ = ["calls_last", "has_open_thoughts", "keeps_nothing", "least_output", "takes_thoughts_behind"]

_LEAST_OUTPUT = 16  # RS-R5


def keeps_nothing(context: Context) -> str | None:
    """Return the fact that says that the servers keep nothing, None if they may."""
    fact = context.facts.quirks.get("stateless")
    return str(fact) if fact else None


def has_open_thoughts(context: Context) -> bool:
    """Whether thoughts come as they are."""
    return bool(context.facts.quirks.get("open_thoughts"))


def calls_last(context: Context) -> bool:
    """Whether the calls of a turn must stand behind its other items."""
    return bool(context.facts.quirks.get("calls_last"))


def takes_thoughts_behind(context: Context) -> bool:
    """Whether a thought may be the last item of its turn."""
    return bool(context.facts.quirks.get("thoughts_behind"))


def least_output(context: Context) -> int:
    """Return the least output limit that is taken, in tokens."""
    least = context.facts.quirks.get("least_output")
    return least if isinstance(least, int) else _LEAST_OUTPUT
