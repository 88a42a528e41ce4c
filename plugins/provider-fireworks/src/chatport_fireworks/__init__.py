"""Fireworks AI for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chatport import ConfigurationError, Dialect, FieldRule, Provider, load_facts

from . import errors, request

__all__ = ["provider"]

_PATH = "/inference/v1"
_HIGHEST = "it is the highest value"
_FIELDS = {
    "stream_options": FieldRule("refused; usage comes unasked", "FW-P1", same=({"include_usage": True}, {})),  # FW-S2
    "max_completion_tokens": FieldRule("the same under its older name", "FW-P4", rename="max_tokens"),
    "top_k": FieldRule(_HIGHEST, "FW-P5", most=100),
    "top_logprobs": FieldRule(_HIGHEST, "FW-P6", most=5),
    "logprobs": FieldRule(_HIGHEST, "FW-P6", most=5),
}


def _located(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL that the settings mean, None for the default (FW-B1). The SDK's variable lacks the path."""
    endpoint, region = settings.get("endpoint"), settings.get("region")
    if endpoint:
        url = str(endpoint).rstrip("/")
        return url if urlsplit(url).path else url + _PATH
    if region not in (None, "us"):
        raise ConfigurationError(f"fireworks: the only region is 'us', not {region!r}; leave it out for all of them.")
    return f"https://us.api.fireworks.ai{_PATH}" if region else None


provider = Provider(
    name="fireworks",
    title="Fireworks AI",
    base_url=f"https://api.fireworks.ai{_PATH}",  # FW-B1
    hosts=("*.fireworks.ai",),  # FW-B1: the US-only host takes the same key
    key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),  # FW-B3
    base_url_env=("FIREWORKS_API_BASE",),  # FW-B3
    dialect=Dialect(
        acts_on_facts=False,
        include_usage=False,  # FW-S2: usage comes unasked, and the field that asks for it is refused
        reasoning_field="reasoning_content",  # FW-R1, FW-R2
        reasoning_budget_field="reasoning_effort",  # FW-P7: a number there is a cap in tokens
        request_id_headers=("x-request-id",),  # FW-H4
        stop_limit=4,  # FW-P5
        fields=_FIELDS,
    ),
    facts=load_facts("chatport_fireworks"),
    hooks=(request, errors),
    settings={
        "region": "us: requests stay in the United States",
        "endpoint": "the vendor's address as its own SDK has it, with or without /inference/v1",
        "extra_fields": "a list of body fields that are sent although Chatport does not know them yet",
    },
    settings_env={"endpoint": "FIREWORKS_BASE_URL"},
    locate=_located,
    emulator="chatport_fireworks.emulator:FireworksEmulator",
)
