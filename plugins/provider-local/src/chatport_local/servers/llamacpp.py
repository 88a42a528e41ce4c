"""llama.cpp's own server: the model list tells the window of a slot."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import attrs

from chatport import ModelInfo, hookimpl

__all__ = ["parse_models"]


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Fill in the window of a slot, which is what one request may use (LC-M1)."""
    models = yield
    return [attrs.evolve(model, context_tokens=model.context_tokens or _window(model.raw)) for model in models]


def _window(entry: Any) -> int | None:
    meta = entry.get("meta")
    window = meta.get("n_ctx") if isinstance(meta, dict) else None
    return window if isinstance(window, int) else None
