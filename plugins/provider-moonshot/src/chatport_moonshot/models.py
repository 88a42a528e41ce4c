"""`describe_model` for Moonshot: of its two platforms only one has prices that are known."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import urlsplit

import attrs

from chatport import Context, ModelFacts, hookimpl

__all__ = ["describe_model"]


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    """Leave the price unknown in China, where it is in another currency (MS-U2)."""
    facts = yield
    return attrs.evolve(facts, prices=()) if (urlsplit(context.base_url).hostname or "").endswith(".cn") else facts
