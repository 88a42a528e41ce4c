"""Answers as bytes. A chat's is core's `KeptAnswer`; vectors are written here."""

from __future__ import annotations

from typing import Any

import msgspec

from chatport import Cost, Embeddings, Usage

__all__ = ["FREE", "vectors_from_bytes", "vectors_to_bytes"]

FREE = Cost(0.0, "USD", "cache")
"""What an answer from the cache costs; its basis says that it is one."""
_FORM = 1


class _Vectors(msgspec.Struct, array_like=True):
    form: int
    vectors: tuple[tuple[float, ...], ...]
    model: str
    input_tokens: int | None
    output_tokens: int | None


def vectors_to_bytes(vectors: Embeddings) -> bytes | None:
    """Return vectors as bytes, None for those with warnings: they are few."""
    if vectors.warnings:
        return None
    usage = vectors.usage
    kept = _Vectors(_FORM, vectors.vectors, vectors.model, usage.input_tokens, usage.output_tokens)
    return msgspec.msgpack.encode(kept)


def vectors_from_bytes(data: bytes) -> Embeddings:
    """Return the vectors that were written. Raises ValueError for anything else."""
    try:
        kept: Any = msgspec.msgpack.decode(data, type=_Vectors)
    except msgspec.MsgspecError as error:
        raise ValueError(f"These are no kept vectors ({type(error).__name__}).") from None
    if kept.form != _FORM:
        raise ValueError(f"These are vectors of form {kept.form}.")
    usage = Usage(input_tokens=kept.input_tokens, output_tokens=kept.output_tokens)
    return Embeddings(kept.vectors, kept.model, usage, FREE)
