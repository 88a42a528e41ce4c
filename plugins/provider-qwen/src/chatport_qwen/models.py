"""describe_model: the list prices do not hold at the hosts of the subscription plans."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport.call import Context
from chatport.facts import ModelFacts
from chatport.hooks import hookimpl

from .places import is_plan_host


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    facts = yield
    return attrs.evolve(facts, prices=()) if is_plan_host(context.base_url) else facts  # QW-B3
