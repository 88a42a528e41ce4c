"""Where requests go: two endpoints in each region, below whose hosts the path depends on the model (BR-B1, BR-B2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from chatport import ConfigurationError, Provider

__all__ = ["adapt", "endpoint_of", "locate"]

_HOSTS = {"runtime": "bedrock-runtime.{}.amazonaws.com", "mantle": "bedrock-mantle.{}.api.aws"}
_ORIGIN = re.compile(
    r"(https://bedrock-(runtime|mantle)(?:-fips)?\.[a-z0-9-]{1,30}\.(?:amazonaws\.com|api\.aws))(?:/(?:openai/)?v1)?/?$"
)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")


def endpoint_of(base_url: str) -> str:
    """Return which of the vendor's endpoints is at a base URL, `runtime` or `mantle`; "" for another host."""
    found = _ORIGIN.match(base_url)
    return "" if found is None else found[2]


def locate(settings: Mapping[str, Any]) -> str:
    """Return the base URL: an endpoint's host, behind which the vendor's paths come, or another as it is (BR-B8)."""
    given = str(settings.get("base_url") or settings.get("address") or "")
    if given:
        known = _ORIGIN.match(given)
        return given if known is None else known[1]
    region = settings.get("region") or settings.get("default_region")
    if not region:
        raise ConfigurationError('bedrock: in which region? Give region = "us-east-1" or another, or set AWS_REGION.')
    if not _REGION.fullmatch(str(region)):
        raise ConfigurationError(f"bedrock: a region is like us-east-1, not {region!r}.")
    endpoint = settings.get("endpoint") or "runtime"
    if endpoint not in _HOSTS:
        raise ConfigurationError(f'bedrock: endpoint is "runtime" or "mantle", not {endpoint!r}.')
    return f"https://{_HOSTS[endpoint].format(region)}"


def adapt(provider: Provider, settings: Mapping[str, Any]) -> Provider:
    """Return the provider as its endpoint has it. Raises ConfigurationError for a guardrail that would do nothing."""
    url = locate(settings)
    endpoint = endpoint_of(url)
    if endpoint == "mantle" and settings.get("guardrail"):  # BR-P6: it is ignored in silence
        raise ConfigurationError('bedrock: guardrails work on the endpoint "runtime" only.')
    paths = {"runtime": None, "mantle": "/v1/models"}  # BR-E1, BR-E2
    dialect = attrs.evolve(provider.dialect, models_path=paths.get(endpoint, "/models"))
    hosts = (url.removeprefix("https://"),) if endpoint else ()
    return attrs.evolve(provider, dialect=dialect, hosts=hosts)
