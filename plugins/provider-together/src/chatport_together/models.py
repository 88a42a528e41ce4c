"""`parse_models` and `read_rate_limits` for Together AI: the standard finds little under the vendor's names."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence

import attrs

from chatport import ModelInfo, RateLimits, hookimpl

__all__ = ["parse_models", "read_rate_limits"]


_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]*)?")


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Name the owner, which is `organization` here. The standard reads the bare array (TG-E3)."""
    listed = yield
    return [
        attrs.evolve(info, owned_by=owner) if isinstance(owner := info.raw.get("organization"), str) and owner else info
        for info in listed
    ]


@hookimpl
def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Read the headers without OpenAI's suffixes (TG-H1); of 2025, the token counts are under another name."""

    def number(*names: str) -> float | None:
        texts = (headers.get(name + twin, "") for name in names for twin in ("", "-dynamic"))
        return next((float(text) for text in texts if _NUMBER.fullmatch(text)), None)

    def count(*names: str) -> int | None:
        value = number(*names)
        return None if value is None else int(value)

    limits = RateLimits(
        requests_limit=count("x-ratelimit-limit"),
        requests_remaining=count("x-ratelimit-remaining"),
        requests_reset_seconds=number("x-ratelimit-reset"),
        tokens_limit=count("x-tokenlimit-limit", "x-ratelimit-limit-tokens"),
        tokens_remaining=count("x-tokenlimit-remaining", "x-ratelimit-remaining-tokens"),
    )
    return None if limits == RateLimits() else limits
