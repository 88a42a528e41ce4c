"""`describe_model` for Moonshot: the prices that are known are those of the international platform."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Context, ModelFacts, hookimpl
from chatport.guard import host_of

__all__ = ["describe_model"]


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    """Leave the price unknown in China, where it is in another currency (MS-U2)."""
    facts = yield
    return attrs.evolve(facts, prices=()) if host_of(context.base_url).endswith(".cn") else facts
