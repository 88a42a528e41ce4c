"""`describe_model` for Fireworks: both forms of a model's name mean the same facts."""

from __future__ import annotations

from chatport import Context, ModelFacts, hookimpl

__all__ = ["describe_model", "full_id"]


def full_id(model: str) -> str:
    """Return the id as the vendor has it: a short name is one of its own models (FW-E2)."""
    return model if "/" in model.partition("#")[0] else f"accounts/fireworks/models/{model}"


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts | None:
    facts = context.provider.facts
    return None if facts is None else facts.describe(full_id(model), context.base_url)
