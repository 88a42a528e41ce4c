"""`parse_models` for Mistral: a model is listed by each of its names, with a word of its own for the window."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import attrs

from chatport import ModelInfo, hookimpl

__all__ = ["parse_models"]


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Every name once (MI-E3). Its `raw` has the aliases, the abilities (MI-L4) and the day of its retirement."""
    listed: dict[str, ModelInfo] = {}
    for model in (yield):
        window = model.raw.get("max_context_length")
        listed.setdefault(model.id, attrs.evolve(model, context_tokens=window if type(window) is int else None))
    return list(listed.values())
