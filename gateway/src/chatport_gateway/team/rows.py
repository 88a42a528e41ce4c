"""What is known of a call, as the journal writes it and the store keeps it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = ["Begun", "CallRow", "Entry", "Outcome", "clean", "decode", "encode", "lost"]

Outcome: TypeAlias = Literal["ok", "refused", "failed", "left", "lost"]
"""`ok`: answered whole. `refused`: nothing was sent to a vendor. `failed`: the answer is an error, or ends in one.
`left`: the client went away. `lost`: this process ended while the call was under way, so nobody knows."""


class Begun(msgspec.Struct, array_like=True, tag="b", frozen=True):
    """A call that was let pass, as far as it is known then."""

    id: str
    at_us: int
    request_id: str
    key_id: str | None
    project_id: str | None
    surface: str
    model: str
    stream: bool
    reserved_nano: int | None


class CallRow(msgspec.Struct, array_like=True, tag="e"):
    """A call that is over. A later version reads the journals of an earlier one: new fields come last, with a default.

    `usd_nano` is what all its attempts have cost, None where that is not known; `is_estimate`: not all of it is what
    the vendor has said. `cost` is that of the answer in the vendor's `currency`. `first_seconds` is the time to the
    first content of a stream, `queue_seconds` what the call has waited in queues of our own.
    """

    id: str
    at_us: int
    request_id: str
    key_id: str | None
    project_id: str | None
    surface: str
    model: str
    target: str | None
    stream: bool
    status: int
    outcome: Outcome
    error: str | None
    finish_reason: str | None
    is_partial: bool
    attempts: list[Any] | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    usd_nano: int | None
    is_estimate: bool
    reserved_nano: int | None
    cost: float | None
    currency: str | None
    cost_basis: str | None
    queue_seconds: float | None
    first_seconds: float | None
    seconds: float
    vendor_request_id: str | None
    request_hash: str | None = None
    reply_hash: str | None = None
    request: str | None = None
    reply: str | None = None


Entry: TypeAlias = Begun | CallRow

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Begun | CallRow)


def encode(entry: Entry) -> bytes:
    """Return an entry as a line."""
    return _encoder.encode(entry) + b"\n"


def decode(line: bytes) -> Entry | None:
    """Return the entry of a line, None for one that is broken: it was being written when all ended."""
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None


def lost(begun: Begun) -> CallRow:
    """Return the row of a call of which nothing more is known than that it has begun."""
    return CallRow(
        begun.id,
        begun.at_us,
        begun.request_id,
        begun.key_id,
        begun.project_id,
        begun.surface,
        begun.model,
        target=None,
        stream=begun.stream,
        status=0,
        outcome="lost",
        error=None,
        finish_reason=None,
        is_partial=True,
        attempts=None,
        input_tokens=None,
        output_tokens=None,
        cached_input_tokens=None,
        cache_write_tokens=None,
        reasoning_tokens=None,
        usd_nano=None,
        is_estimate=False,
        reserved_nano=begun.reserved_nano,
        cost=None,
        currency=None,
        cost_basis=None,
        queue_seconds=None,
        first_seconds=None,
        seconds=0.0,
        vendor_request_id=None,
    )


def clean(text: str | None, most: int) -> str | None:
    """Return a text of others as every database takes it: no control characters, no half emoji, so long at most."""
    if text is None or (len(text) <= most and text.isascii() and text.isprintable()):
        return text
    shown = text[:most].encode("utf-8", "replace").decode()
    return "".join([character if character.isprintable() else "\ufffd" for character in shown])
