"""`parse_models` for Gemini: ids without the prefix that the list has, and chat does not need."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import attrs

from chatport import ModelInfo, hookimpl

__all__ = ["parse_models"]


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Return the models under the names by which facts and prices know them (GM-E3)."""
    listed = yield
    return [attrs.evolve(model, id=model.id.removeprefix("models/")) for model in listed]
