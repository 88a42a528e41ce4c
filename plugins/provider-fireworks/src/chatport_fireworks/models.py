"""Where Fireworks is, how its models are called, and the headroom that its headers tell."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from chatport import ConfigurationError, Context, ModelFacts, RateLimits, hookimpl
from chatport.standard.models import header_count

__all__ = ["BASE_URL", "describe_model", "locate", "read_rate_limits", "resource_name"]

_PATH = "/inference/v1"
BASE_URL = f"https://api.fireworks.ai{_PATH}"


def locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL that the settings mean, None for the default (FW-B1). The SDK's variable lacks the path."""
    endpoint, region = settings.get("endpoint"), settings.get("region")
    if endpoint:
        url = str(endpoint).rstrip("/")
        return url if urlsplit(url).path else url + _PATH
    if region not in (None, "us"):
        raise ConfigurationError(f"fireworks: the only region is 'us', not {region!r}; leave it out for all of them.")
    return f"https://us.api.fireworks.ai{_PATH}" if region else None


def resource_name(model: str) -> str:
    """Return the id as the vendor has it: a short name is one of its own models (FW-E2)."""
    return model if "/" in model.partition("#")[0] else f"accounts/fireworks/models/{model}"


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts | None:
    """Look a model up by its full id, so that both forms mean the same facts."""
    facts = context.provider.facts
    return None if facts is None else facts.describe(resource_name(model), context.base_url)


@hookimpl(wrapper=True)
def read_rate_limits(headers: Mapping[str, str]) -> Generator[None, RateLimits | None, RateLimits | None]:
    """Take the prompt tokens for the token limit: they are the kind that a caller can foresee (FW-H1)."""
    limits = yield
    names = (f"x-ratelimit-{kind}-tokens-prompt" for kind in ("limit", "remaining"))
    limit, left = (header_count(headers.get(name, "")) for name in names)
    if limits is None or limits.tokens_limit is not None or limit is None or left is None:
        return limits
    return attrs.evolve(limits, tokens_limit=limit, tokens_remaining=left)
