"""From a call that is over to its row."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from chatport import Attempt, Embeddings, Reply, Usage
from chatport.helpers import jsoncodec

from .meter import Meter
from .redaction import redacted
from .rows import CallRow, Outcome, clean

__all__ = ["row_of"]

_LEFT = 499


@lru_cache(1024)
def _known(text: str | None, most: int) -> str | None:
    """Return a text of ours, which comes again with each call, as the database takes it."""
    return clean(text, most)


def row_of(meter: Meter, status: int, content: str) -> CallRow:
    """Return the row of a call that ended with a status. `content` says what is kept of what was said."""
    asked, reply, error, vectors = meter.asked, meter.reply, meter.error, meter.vectors
    attempts: Sequence[Attempt] = reply.attempts if reply is not None and reply.attempts else ()
    if error is not None and error.attempts:
        attempts = error.attempts
    usage = _usage(reply, vectors)
    cost = reply.cost if reply is not None else None if vectors is None else vectors.cost
    is_kept = cost is not None and cost.basis == "cache"
    usage = _NOTHING if is_kept else usage
    is_known = is_kept or (meter.is_let_pass and not meter.is_unknown)
    row = CallRow(
        id=meter.id,
        at_us=meter.at_us,
        request_id=meter.request_id,
        key_id=meter.member.key.id,
        project_id=meter.member.key.project_id,
        surface="" if meter.surface is None else meter.surface.name,
        model="" if asked is None else clean(asked.model, 256) or "",
        target=_target(meter, attempts),
        stream=asked is not None and asked.stream,
        status=status,
        outcome=_outcome(meter, status),
        error=None if error is None else type(error).__name__,
        finish_reason=None if reply is None or error is not None or status == _LEFT else reply.finish_reason,
        is_partial=reply is not None and (error is not None or status == _LEFT),
        attempts=[_attempt(one) for one in attempts] or None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usd_nano=meter.usd_nano if is_known else None,
        is_estimate=meter.is_estimate,
        reserved_nano=meter.reserved_nano,
        cost=None if cost is None else cost.amount,
        currency=None if cost is None else _known(cost.currency, 8),
        cost_basis=None if cost is None else _known(cost.basis, 256),
        queue_seconds=None if meter.granted_at is None else round(meter.granted_at - meter.began, 6),
        first_seconds=None if meter.first_at is None else round(meter.first_at - meter.began, 6),
        seconds=round(time.monotonic() - meter.began, 6),
        vendor_request_id=None if reply is None else clean(reply.request_id, 256),
    )
    if content != "none":
        _add_content(row, meter, content)
    return row


_NO_USAGE = Usage()
_NOTHING = Usage(0, 0)
"""What an answer from the cache has used."""


def _usage(reply: Reply | None, vectors: Embeddings | None) -> Usage:
    if reply is not None:
        return reply.usage
    return _NO_USAGE if vectors is None else vectors.usage


def _outcome(meter: Meter, status: int) -> Outcome:
    if status == _LEFT:
        return "left"
    if meter.error is None and status < 400:
        return "ok"
    return "failed" if meter.is_let_pass else "refused"


def _target(meter: Meter, attempts: Sequence[Attempt]) -> str | None:
    """Return who has answered, or was asked last."""
    if attempts:
        return _known(attempts[-1].target, 256)
    reply = meter.reply
    if reply is not None:
        return clean(f"{reply.provider}:{reply.model}", 256)
    return meter.last_target


def _attempt(attempt: Attempt) -> list[Any]:
    return [
        _known(attempt.target, 256),
        attempt.outcome,
        attempt.status,
        round(attempt.seconds, 6),
        round(attempt.wait_seconds, 6),
    ]


def _add_content(row: CallRow, meter: Meter, content: str) -> None:
    asked, reply = meter.asked, meter.reply
    request = b"" if asked is None else jsoncodec.encode_anything(asked.body)
    said = {} if reply is None else {"text": reply.text, "reasoning": reply.reasoning, "refusal": reply.refusal}
    if reply is not None and reply.tool_calls:
        said["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in reply.tool_calls]  # type: ignore[assignment]
    answer = jsoncodec.encode_anything(said)
    row.request_hash = hashlib.sha256(request).hexdigest()
    row.reply_hash = None if reply is None else hashlib.sha256(answer).hexdigest()
    if content == "full":
        row.request, row.reply = redacted(request), redacted(answer)
