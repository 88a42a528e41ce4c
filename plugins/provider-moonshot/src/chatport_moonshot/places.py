"""Where the vendor is: two separate platforms, of which only one has prices that are known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import ConfigurationError, Context, ModelFacts, hookimpl
from chatport.setup.origins import host_of

__all__ = ["HOSTS", "describe_model", "locate"]

HOSTS = {"international": "api.moonshot.ai", "china": "api.moonshot.cn"}  # MS-B1, MS-D1


def locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL of `region`, None without one. Raises ConfigurationError for an unknown one."""
    region = settings.get("region")
    if region is None:
        return None
    if region not in HOSTS:
        raise ConfigurationError(f"moonshot: the region is one of {', '.join(HOSTS)}, not {region!r}.")
    return f"https://{HOSTS[region]}/v1"


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    """Leave the price unknown in China, where it is in another currency (MS-U2)."""
    facts = yield
    return attrs.evolve(facts, prices=()) if host_of(context.base_url).endswith(".cn") else facts
