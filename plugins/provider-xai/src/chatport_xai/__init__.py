"""The xAI provider for Chatport: Responses as its main way, and the older chat completions where asked for."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, request, tools

__all__ = ["provider"]

_HOOKS = (request, tools, errors)

provider = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",  # XA-B1, XA-E1
    hosts=("*.api.x.ai",),  # XA-B2, XA-B3
    key_env=("XAI_API_KEY",),  # XA-B1
    dialect=Dialect(  # no prefill: none is documented (XA-F1)
        max_tokens_field="max_completion_tokens",  # XA-P2
        reasoning_field="reasoning_content",  # XA-R3, XA-R5
        stop_limit=8,  # XA-P6
        embeddings_path=None,  # XA-E2
    ),
    facts=load_facts("chatport_xai"),
    hooks=_HOOKS,
    # XA-R4: what was thought goes back sealed here, and in no other form.
    protocols=(responses_protocol(hooks=_HOOKS, dialect={"reasoning_field": None}, native=True),),
    settings={"region": 'where requests are processed: "us", or left out: anywhere'},  # XA-B2
    # XA-B5: a hard question is silence for long, and a quarter of an hour is no failure yet.
    timeouts={"first_event": 1620, "total": 3600},
    emulator="chatport_xai.emulator:XAIEmulator",
)
