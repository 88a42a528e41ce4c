"""What became of a row, as it is kept and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chatport import ChatportError, Reply

from .rows import Key

__all__ = ["COLUMNS", "Answer", "answer_of", "decode", "encode", "failure_of", "flat"]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer, or a failure: then `kind` is the error's class and `error` its text.

    `attempts` counts HTTP exchanges, `seconds` is from the first to the last. `cost` is in `currency`; None is not
    known. `same_as` is the key of the row that asked the same, whose answer this is: it cost nothing here.
    """

    key: Key
    answer: str | None = None
    parsed: Any = None
    tool_calls: Any = None
    finish_reason: str | None = None
    error: str | None = None
    kind: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    target: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    same_as: Key | None = None
    kept: Any = None

    @property
    def is_failure(self) -> bool:
        """Whether the row has no answer."""
        return self.kind is not None


COLUMNS = (
    "key", "answer", "finish_reason", "error", "kind", "input_tokens", "output_tokens", "cached_input_tokens",
    "reasoning_tokens", "cost", "currency", "target", "attempts", "seconds", "same_as",
)  # fmt: skip
"""What every part has, beside `parsed`, `tool_calls` and the kept columns."""

_encoder = msgspec.json.Encoder(enc_hook=str)
_decoder = msgspec.json.Decoder(Answer)


def encode(answer: Answer) -> bytes:
    """Return an answer as JSON."""
    return _encoder.encode(answer)


def decode(data: bytes) -> Answer:
    """Return what `encode` has made."""
    return _decoder.decode(data)


def answer_of(key: Key, reply: Reply, kept: Any, parsed: Any = None, error: ChatportError | None = None) -> Answer:
    """Return what a reply has brought, with the error where it does not fit the structure asked for."""
    usage, cost = reply.usage, reply.cost
    return Answer(
        key,
        reply.text,
        parsed,
        [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in reply.tool_calls] or None,
        reply.finish_reason,
        None if error is None else error.message[:_LONGEST_ERROR],
        None if error is None else type(error).__name__,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
        None if cost is None else cost.amount,
        None if cost is None else cost.currency,
        f"{reply.provider}:{reply.model}",
        len(reply.attempts),
        round(sum(attempt.seconds + attempt.wait_seconds for attempt in reply.attempts), 4),
        kept=kept,
    )


_LONGEST_ERROR = 2000


def failure_of(key: Key, error: Exception, kept: Any) -> Answer:
    """Return what an error leaves of a row: what had come before it too."""
    if not isinstance(error, ChatportError):
        return Answer(key, error=f"{error}"[:_LONGEST_ERROR], kind=type(error).__name__, kept=kept)
    if isinstance(error.partial, Reply):
        part = answer_of(key, error.partial, kept, None, error)
        return msgspec.structs.replace(part, attempts=max(part.attempts, len(error.attempts)))
    target = ":".join(part for part in (error.provider, error.model) if part) or None
    seconds = round(sum(attempt.seconds + attempt.wait_seconds for attempt in error.attempts), 4)
    return Answer(
        key,
        error=str(error)[:_LONGEST_ERROR],
        kind=type(error).__name__,
        target=target,
        attempts=len(error.attempts),
        seconds=seconds,
        kept=kept,
    )


def flat(answer: Answer, label: Any, parsed_columns: Sequence[str] | None) -> dict[str, Any]:
    """Return a row of the output: kept columns under their own names, parsed ones as `parsed_NAME`, then ours.

    `parsed_columns` None: the parsed value stays as it is, in `parsed`. `label` shows a key.
    """
    row: dict[str, Any] = {}
    if isinstance(answer.kept, Mapping):
        row.update((f"input_{name}" if name in _OURS else name, value) for name, value in answer.kept.items())
    row.update((name, getattr(answer, name)) for name in COLUMNS)
    row["key"] = label(answer.key)
    row["same_as"] = None if answer.same_as is None else label(answer.same_as)
    row["tool_calls"] = answer.tool_calls
    if parsed_columns is None:
        row["parsed"] = answer.parsed
    else:
        value = answer.parsed if isinstance(answer.parsed, Mapping) else {}
        row.update((f"parsed_{name}", value.get(name)) for name in parsed_columns)
    return row


_OURS = frozenset((*COLUMNS, "parsed", "tool_calls"))
