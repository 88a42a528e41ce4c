"""What is known of a model, and of the host it is on: limits, abilities, prices, retirement, where requests go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..basics.frozen import freeze_fields
from ..basics.values import Value
from ..errors import BadRequestError
from .prices import Price
from .rules import Rules

__all__ = ["HostFacts", "ModelFacts", "RetiredModel", "is_region"]


@attrs.frozen(eq=False, repr=False)
class RetiredModel(Value):
    """A model id switched off on `since` (a date), its successor, and the options that keep the old behaviour."""

    id: str
    since: str
    successor: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "options", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class ModelFacts(Value):
    """What is known of one model on one host. None, or an empty tuple, means: not known.

    `input` lists the kinds of content it takes (text, image, audio, file). `output_formats` lists the structured
    outputs it supports (`json_schema`, `json_object`). `efforts` lists the reasoning efforts it accepts,
    `default_effort` what holds when none is sent (`none`: it does not reason unless asked). `prefill`: whether
    it goes on from the beginning of an answer, where its vendor has a way to ask for that. `rules` say what the vendor
    does differently with this model, and the standard dialect acts on them. `protocols` hold, by name, what is
    laid over the other facts where a call takes that protocol. `quirks` are flags for the vendor's own hooks.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input: tuple[str, ...] = ()
    tools: bool | None = None
    parallel_tools: bool | None = None
    forced_tool_choice: bool | None = None
    output_formats: tuple[str, ...] | None = None
    reasoning: bool | None = None
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    prefill: bool | None = None
    max_tools: int | None = None
    rules: Rules | None = None
    protocols: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    quirks: Mapping[str, Any] = attrs.field(factory=dict)
    prices: tuple[Price, ...] = ()
    retired: RetiredModel | None = None
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "quirks", "protocols", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class HostFacts(Value):
    """What becomes of the data that are sent to a host. An empty tuple, or None, means: not known.

    `regions` are the places where requests may be processed: ISO 3166 codes of countries ("US"), "EU", "local" (this
    machine or network), or "global" (the vendor says: anywhere). `trains`: whether the vendor trains models on what
    comes through the API unless the customer does something about it; `trains_on` are models (globs) for which it does
    so in any case. `retention_days`: how long it keeps requests at most by default. `date` is when `source` was read,
    or its own date.
    """

    regions: tuple[str, ...] = ()
    trains: bool | None = None
    retention_days: int | None = None
    source: str = ""
    date: str = ""
    trains_on: tuple[str, ...] = ()


def is_region(code: str) -> bool:
    """Whether a text is a region as `HostFacts` and `[policy]` write it. That the country exists is not checked."""
    return code in ("local", "global") or (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper())
