"""What a vendor's word for the end of an answer means: by its own table, the standard one, and what speaks for itself.

A word that says a cut, a filter or a failure in so many letters is taken at that (`function_call_filter: MALFORMED_…`),
but only a known word is an ordinary end: a new one may mean anything, and half a call must never be run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..call import Context

__all__ = ["UNKNOWN", "end_word", "finish_reason"]

UNKNOWN = "unknown"
"""The reason of a `FinishReported` whose word nobody knows. The reply's is `other`, or it is an error."""

_WORDS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
    # words of compatible servers for the same things
    "eos": "stop",
    "eos_token": "stop",
    "eos_token_id": "stop",
    "eot": "stop",
    "end": "stop",
    "end_turn": "stop",
    "end_of_turn": "stop",
    "stop_sequence": "stop",
    "stop_token": "stop",
    "stop_string": "stop",
    "completed": "stop",
    "complete": "stop",
    "done": "stop",
    "finished": "stop",
    "success": "stop",
    "normal": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "limit": "length",
    "pause_turn": "other",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_calls": "tool_calls",
    "recitation": "content_filter",
    "spii": "content_filter",
    "incomplete": "error",
}
_NONE = frozenset(("", "null", "none", "nil", "undefined"))
"""Words for no end at all: a server that writes its null as a text."""
_SAYS = (
    (
        re.compile(
            r"abort|cancel|interrupt|disconnect|fail|error|exception|time_?d?_?out|deadline|malformed|invalid|unexpected"
            r"|too_many|missing|overload|insufficient|unavailable|capacity|kill|preempt|evict|shut_?down|crash"
            r"|(?:^|_)oom(?:$|_)|network|rate_limit|quota|call_filter"
        ),
        "error",
    ),
    (
        re.compile(
            r"filter|safety|sensitive|moderat|prohibit|block_?list|blocked|guardrail|refus|policy|copyright|risk"
            r"|inappropriate|model_armor"
        ),
        "content_filter",
    ),
    (re.compile(r"length|max_|limit|truncat|exceed|window"), "length"),
)
"""What a word says that is in no table, by the first of these that is in it."""
_LONGEST = 200


def end_word(reason: Any) -> str | None:
    """Return the word in a `finish_reason`, None where it holds none: an object of one has it in `type`."""
    if type(reason) is not str and isinstance(reason, Mapping):
        reason = reason.get("type")
    if not reason:
        return None
    word = str(reason)
    return None if len(word) < 10 and word.strip().lower() in _NONE else word


def finish_reason(raw: Any, context: Context) -> str:
    """Return our word for the vendor's, by its own table, then the standard one; `unknown` where neither knows it.

    Case does not count, nor does what follows a colon.
    """
    word = str(raw)
    own = context.provider.dialect.finish_reasons
    known = own.get(word) or _WORDS.get(word)
    if known is not None:
        return known
    first = word[:_LONGEST].partition(":")[0].strip()
    known = own.get(first)
    if known is not None:
        return known
    plain = re.sub(r"[\s.-]+|(?<=[a-z])(?=[A-Z])", "_", first).lower()
    known = _WORDS.get(plain)
    return known or next((meaning for says, meaning in _SAYS if says.search(plain)), UNKNOWN)
