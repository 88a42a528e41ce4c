"""The Perplexity provider for Chatport: its Agent API, which is Responses, and the Orchestrator's chat completions."""

from __future__ import annotations

from chatport import Dialect, FieldRule, Provider, load_facts
from chatport_responses import responses_protocol

from . import request, stream

__all__ = ["provider"]

_HOOKS = (request, stream)
_KEPT = {"web_search_options": FieldRule(kept=True)}
"""Sonar's own field: `shape_request` makes a tool of it (PX-P10, PX-W1)."""

provider = Provider(
    name="perplexity",
    title="Perplexity",
    base_url="https://api.perplexity.ai/v1",  # PX-B1, PX-1
    key_env=("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY", "PPLX_API_KEY"),  # PX-B1
    dialect=Dialect(embeddings_path=None),  # PX-E3: they come as base64 of small integers only; no prefill (PX-F1)
    facts=load_facts("chatport_perplexity"),
    hooks=_HOOKS,
    protocols=(responses_protocol(hooks=_HOOKS, dialect={"fields": _KEPT}, native=True),),  # PX-3
    settings={
        "api": 'which of the vendor\'s APIs: "agent" (the default), or "orchestrator", a private preview',  # PX-2
        "address": "the vendor's address, with or without /v1",
        "extra_fields": "further fields that the Agent API takes, which it may have added since",  # PX-P1
    },
    settings_env={"address": "PERPLEXITY_BASE_URL"},  # PX-B1: its own SDK has the bare host there
    timeouts={"first_event": 900, "total": 900},  # PX-B3
    emulator="chatport_perplexity.emulator:PerplexityEmulator",
)
