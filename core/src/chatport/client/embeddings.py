"""Embeddings: the one other endpoint that most vendors share."""

from __future__ import annotations

import binascii
import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from ..errors import BadRequestError, MalformedReplyError, UnsupportedFeatureError
from ..facts.models import ModelFacts
from ..facts.rules import EmbeddingRule
from ..types import Adjustment, Cost, Reply, Usage

__all__ = ["Embeddings", "batches", "check_dimensions", "count_of", "joined", "read_embeddings", "read_texts"]


@attrs.frozen
class Embeddings:
    """One vector for each text, in the order of the texts.

    `usage` and `cost` are those of all requests together, if the texts did not fit into one; `cost` is None where it is
    not known. `warnings` tell what is not as asked.
    """

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage
    cost: Cost | None = None
    warnings: tuple[Adjustment, ...] = ()


# --- what is asked


def read_texts(texts: Any) -> list[str]:
    """Return the texts as a list. Raises BadRequestError for anything else than texts that are not empty."""
    inputs = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Iterable) else []
    if not inputs or not all(inputs) or not all(type(text) is str for text in inputs):
        raise BadRequestError("embed takes a text or a list of texts, none of them empty.")
    return inputs


def check_dimensions(dimensions: Any, facts: ModelFacts, target: str) -> None:
    """Raise BadRequestError for what is no length of a vector, UnsupportedFeatureError where the model has but one."""
    if dimensions is None:
        return
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1:
        raise BadRequestError(f"dimensions is a whole number of at least 1, not {dimensions!r}.")
    rule = _rule(facts)
    if not rule.dimensions:
        raise UnsupportedFeatureError(
            f"{target} has vectors of one length only: leave dimensions out." + (f" ({rule.fact})" if rule.fact else "")
        )


def batches(texts: Sequence[str], facts: ModelFacts) -> Iterator[Sequence[str]]:
    """Give the texts in as many requests as the vendor's caps make necessary, in their order."""
    rule = _rule(facts)
    most_inputs, most_tokens = rule.most_inputs or len(texts), rule.most_tokens
    if len(texts) <= most_inputs and most_tokens is None:
        yield texts
        return
    batch: list[str] = []
    tokens = 0.0
    for text, size in zip(texts, _sizes(texts, most_tokens), strict=True):
        if batch and (len(batch) >= most_inputs or (most_tokens is not None and tokens + size > most_tokens)):
            yield batch
            batch, tokens = [], 0.0
        batch.append(text)
        tokens += size
    yield batch


def _sizes(texts: Sequence[str], most_tokens: int | None) -> Iterator[float]:
    if most_tokens is None:
        yield from (0.0 for _ in texts)
        return
    from ..limits.estimate import estimate_text_tokens  # only vendors with such a cap need it

    yield from map(estimate_text_tokens, texts)


def _rule(facts: ModelFacts) -> EmbeddingRule:
    rules = facts.rules
    return EmbeddingRule() if rules is None or rules.embeddings is None else rules.embeddings


def count_of(inputs: Any) -> int:
    """Return how many vectors are due for what a request asks: a text, or the tokens of one, is one."""
    is_one = not isinstance(inputs, list) or (inputs and isinstance(inputs[0], int))
    return 1 if is_one else len(inputs)


# --- what comes back


def read_embeddings(reply: Reply, texts: int, dimensions: int | None = None) -> Embeddings:
    """Return the vectors of one reply to a request with so many texts.

    Raises MalformedReplyError if they are not as many, or not all of one length, or if their order cannot be told.
    """
    data = reply.raw.get("data", reply.raw.get("embeddings")) if isinstance(reply.raw, Mapping) else None
    entries = data if isinstance(data, list) else []
    try:
        if len(entries) != texts:
            raise ValueError(
                f"{len(entries)} vectors came for {texts} texts" if entries else "there is no vector in it"
            )
        vectors = tuple(map(_vector, _in_order(entries)))
        lengths = {len(vector) for vector in vectors}
        if len(lengths) != 1:
            raise ValueError(f"the vectors have {min(lengths)} to {max(lengths)} coordinates")
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise MalformedReplyError(
            f"The reply does not hold the embeddings: {error}.",
            provider=reply.provider,
            model=reply.model,
            raw=reply.raw,
        ) from error
    warnings = reply.warnings
    if dimensions is not None and lengths != {dimensions}:
        reason = f"vectors of {min(lengths)} coordinates came, {dimensions} were asked for"
        warnings = (*warnings, Adjustment("note", "dimensions", reason))
    return Embeddings(vectors, str(reply.raw.get("model") or reply.model), reply.usage, reply.cost, warnings)


def _in_order(entries: Sequence[Any]) -> Sequence[Any]:
    """Return the entries in the order of the texts: by their places, or as they came where all say the same one."""
    places: list[Any] = [entry.get("index") if isinstance(entry, Mapping) else None for entry in entries]
    if all(place == places[0] for place in places):
        return entries
    if not all(type(place) is int for place in places) or len(set(places)) < len(places):
        raise ValueError("two vectors have one place, or one has none")
    return [entry for _, entry in sorted(zip(places, entries, strict=True), key=lambda pair: pair[0])]


def _vector(entry: Any) -> tuple[float, ...]:
    value = entry["embedding"] if isinstance(entry, Mapping) else entry
    vector = tuple(_from_base64(value) if isinstance(value, str) else map(_number, value))
    if not vector:
        raise ValueError("a vector is empty")
    return vector


def _from_base64(text: str) -> Iterator[float]:
    """Give the coordinates of a vector in base64: four bytes each, the lowest first."""
    try:
        numbers = array("f", binascii.a2b_base64(text, strict_mode=True))
    except ValueError as error:
        raise ValueError(f"a vector in base64 cannot be read ({error})") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return map(_number, numbers)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is no coordinate")
    return float(value)


def joined(parts: Sequence[Embeddings]) -> Embeddings:
    """Return the embeddings of several requests as one. Raises MalformedReplyError if they differ in length."""
    if len(parts) == 1:
        return parts[0]
    vectors = tuple(vector for part in parts for vector in part.vectors)
    if len({len(part.vectors[0]) for part in parts}) != 1:
        raise MalformedReplyError("Two requests for embeddings were answered with vectors of different lengths.")
    warnings = tuple(dict.fromkeys(note for part in parts for note in part.warnings))
    return Embeddings(vectors, parts[0].model, _all_usage(parts), _all_costs(parts), warnings)


def _all_usage(parts: Sequence[Embeddings]) -> Usage:
    names = ("input_tokens", "output_tokens", "cached_input_tokens")
    counts = {name: [getattr(part.usage, name) for part in parts] for name in names}
    return Usage(**{name: sum(values) for name, values in counts.items() if None not in values})


def _all_costs(parts: Sequence[Embeddings]) -> Cost | None:
    costs = [part.cost for part in parts]
    first = costs[0]
    if first is None or any(cost is None or cost.currency != first.currency for cost in costs):
        return None
    return attrs.evolve(first, amount=math.fsum(cost.amount for cost in costs if cost is not None))
