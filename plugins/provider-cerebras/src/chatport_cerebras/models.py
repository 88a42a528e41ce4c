"""`parse_models` for Cerebras: what its public catalogue says of a model's window (CB-2, CB-E2, CB-L3)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import attrs

from chatport import ModelInfo, hookimpl

__all__ = ["parse_models"]


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Prices, abilities and whether a model is deprecated are in `raw`, as the catalogue has them."""
    return [_with_window(model) for model in (yield)]


def _with_window(model: ModelInfo) -> ModelInfo:
    limits = model.raw.get("limits")
    window = limits.get("max_context_length") if isinstance(limits, dict) else None
    return attrs.evolve(model, context_tokens=window) if type(window) is int else model
