"""The headers of a call, as its caller gives them: each one line, none of those that say where a message ends."""

from __future__ import annotations

import re
from typing import Any

from ..basics.secret import Secret
from ..errors import BadRequestError

__all__ = ["is_key_like", "read_headers"]

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_OURS = frozenset((
    "accept-encoding", "connection", "content-encoding", "content-length", "expect", "host", "keep-alive",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
))  # fmt: skip
"""What says how a message is framed, to whom it goes, or how its answer comes: written by Chatport alone."""
_KEY_LIKE = re.compile(r"authorization|cookie|(?:^|[-_])(?:key|token|secret|password)(?:$|[-_])|apikey")


def read_headers(given: Any) -> tuple[tuple[str, str | Secret], ...]:
    """Read `headers=`; names become lower case. No error shows a value: it may be a key."""
    problem = "headers must be a dict of names and texts."
    if hasattr(given, "items"):
        read = {name.lower() if isinstance(name, str) else "": value for name, value in given.items()}
        del given  # a traceback may show locals
        wrong = next((name for name, value in read.items() if _fault_of(name, value)), None)
        if wrong is None:
            return tuple(read.items())
        problem = f"headers: {wrong!r:.80} {_fault_of(wrong, read[wrong])}."
        del read
    raise BadRequestError(problem)


def is_key_like(name: str) -> bool:
    """Whether a header is one in which keys are sent, by its name."""
    return _KEY_LIKE.search(name.lower()) is not None and name.lower() != "idempotency-key"


def _fault_of(name: str, value: Any) -> str | None:
    if not _NAME.fullmatch(name):
        return "is no name of a header"
    if name in _OURS:
        return "is a header that Chatport writes itself"
    if not isinstance(value, str | Secret):
        return f"is to have a text, not a value of type {type(value).__name__}"
    if not _VALUE.fullmatch(value if isinstance(value, str) else value.reveal()):
        return "has a line break, a control or non-ASCII character, or blanks at an end (not shown: it may be a key)"
    return None
