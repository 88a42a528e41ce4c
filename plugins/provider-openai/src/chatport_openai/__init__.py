"""The OpenAI provider for Chatport: chat completions, and Responses where a call needs it."""

from __future__ import annotations

from chatport import Dialect, FieldRule, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, models, request

__all__ = ["provider"]

provider = Provider(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    hosts=("us.api.openai.com", "eu.api.openai.com", "ae.api.openai.com"),  # OA-A1
    key_env=("OPENAI_API_KEY",),  # OA-A4
    base_url_env=("OPENAI_BASE_URL",),
    dialect=Dialect(  # no prefill, and no idempotency header (OA-H7)
        max_tokens_field="max_completion_tokens",  # OA-R4
        # OA-P5: never both
        fields={"max_tokens": FieldRule("the older name of it", "OA-R5", rename="max_completion_tokens")},
        stop_limit=4,  # OA-R10
    ),
    facts=load_facts("chatport_openai"),
    hooks=(models, request, errors),
    protocols=(responses_protocol(hooks=(models, request, errors), native=True),),  # OA-E2, RS-A3, OA-T14
    settings={
        "organization": "Organisation id, sent as OpenAI-Organization.",  # OA-A3
        "project": "Project id, sent as OpenAI-Project.",
        "reasoning_summary": "auto, concise or detailed: thoughts in short, where a call takes Responses.",  # RS-R9
        "stream": "False: ask for whole replies only, for an organisation not verified to stream.",  # OA-P11
    },
    settings_headers={"organization": "openai-organization", "project": "openai-project"},  # OA-A3
    settings_env={"organization": "OPENAI_ORG_ID", "project": "OPENAI_PROJECT_ID"},
    # Thoughts are not shown, so a hard question is silence until its first word, streamed or not (OA-A6, OA-K1).
    timeouts={"connect": 5, "silence": 600, "first_event": 600, "total": 600},
    emulator="chatport_openai.emulator:OpenAIEmulator",
)
