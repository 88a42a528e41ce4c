"""`describe_model` for Qwen: no price where a subscription pays."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Context, ModelFacts, hookimpl

__all__ = ["describe_model"]


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    """Leave the price unknown at the hosts of the plans, where no call has a price of its own (QW-B3)."""
    facts = yield
    is_plan = "//coding" in context.base_url or "//token-plan." in context.base_url
    return attrs.evolve(facts, prices=()) if is_plan else facts
