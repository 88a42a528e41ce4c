"""Embeddings: the one other endpoint that most vendors share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from ..errors import MalformedReplyError
from ..standard.usage import read_usage
from ..types import Reply, Usage

__all__ = ["Embeddings", "read_embeddings"]


@attrs.frozen
class Embeddings:
    """One vector for each text, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage


def read_embeddings(reply: Reply) -> Embeddings:
    """Return the vectors of an embeddings reply. Raises MalformedReplyError if it holds none."""
    data = reply.raw.get("data") if isinstance(reply.raw, Mapping) else None
    try:
        entries = sorted(data or (), key=lambda entry: int(entry.get("index", 0)))
        vectors = tuple(tuple(map(_number, entry["embedding"])) for entry in entries)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise MalformedReplyError(
            f"The reply holds no embeddings: {error}.", provider=reply.provider, raw=reply.raw
        ) from error
    if not vectors:
        raise MalformedReplyError("The reply holds no embeddings.", provider=reply.provider, raw=reply.raw)
    return Embeddings(
        vectors, str(reply.raw.get("model") or reply.model), read_usage(reply.raw.get("usage")) or Usage()
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is no coordinate")
    return float(value)
