"""The standard dialect: OpenAI-shaped chat completions, as ordinary hook implementations at the bottom of every chain.

One module per hook, the same names as in every provider package.
"""

from __future__ import annotations

from typing import Any

__all__ = ["hook_modules"]


def hook_modules(*, tagged: bool = False) -> tuple[Any, ...]:
    """Return the modules that hold the standard hooks; `tagged`: with those for reasoning that stands in the text."""
    from . import errors, models, reply, request, stream, tools

    modules = (request, stream, reply, tools, errors, models)
    if not tagged:
        return modules
    from . import tagged as around

    return (*modules, around)
