"""The Responses protocol for Chatport: OpenAI's second protocol, which several vendors serve.

A provider that speaks it says so in its value, and brings what is its vendor's own there:

    protocols=(responses_protocol(hooks=(errors, models)),)

Installed, it is known to every provider of the kind "compatible" too, by the setting `protocol = "responses"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport import Protocol, Provider

__all__ = ["OPAQUE_KEY", "protocol", "responses_protocol"]

OPAQUE_KEY = "items"
"""Under this key of a message's opaque slot lie the output items of the answer, in order, as they came."""

_PATH = "/responses"  # RS-A1


def responses_protocol(
    *,
    hooks: tuple[Any, ...] = (),
    inner: tuple[Any, ...] = (),
    dialect: Mapping[str, Any] | None = None,
    path: str = _PATH,
    native: bool = False,
    **changes: Any,
) -> Protocol:
    """Return the protocol for a provider.

    `hooks` are the vendor's own that hold in it, outside the protocol's: they see a request in its words. `inner` are
    those that see it before, as chat has it. `dialect` are fields of the provider's dialect that are different in it,
    `changes` further fields of the provider, and `path` is below the base URL. `native`: a call that came in the
    protocol goes out in it.

    What a vendor's servers do otherwise is said by `quirks` in its facts, under `protocols`: see `quirks.py`.
    """

    def form(provider: Provider) -> Provider:
        from . import errors, request, stream  # many who know the protocol never speak it

        own = dict(dialect or {})
        fields = {**request.FIELDS, **own.pop("fields", {})}
        spoken = attrs.evolve(
            provider.dialect, chat_path=path, include_usage=False, prefill=None, fields=fields, stop_limit=None, **own
        )
        return attrs.evolve(provider, dialect=spoken, hooks=(*inner, request, stream, errors, *hooks), **changes)

    return Protocol("responses", form, native)


protocol = responses_protocol()
"""The protocol as any endpoint may speak it, without a vendor's own."""
