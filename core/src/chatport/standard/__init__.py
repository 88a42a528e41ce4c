"""The standard dialect: OpenAI-shaped chat completions, as ordinary hook implementations at the bottom of every chain.

One module per hook, the same names as in every provider package.
"""

from __future__ import annotations

from typing import Any

__all__ = ["hook_modules"]


def hook_modules() -> tuple[Any, ...]:
    """Return the modules that hold the standard hooks."""
    from . import errors, models, reply, request, stream, tools

    return (request, stream, reply, tools, errors, models)
