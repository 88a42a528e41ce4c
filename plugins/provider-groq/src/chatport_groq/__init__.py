"""Groq for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Prefill, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, request, stream

__all__ = ["provider"]

provider = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",  # GQ-B1, GQ-B2, GQ-B4: bearer key, one host
    key_env=("GROQ_API_KEY",),  # GQ-B3
    base_url_env=("GROQ_API_BASE",),  # GQ-B3
    settings={"address": "Groq's host, with or without /openai/v1; base_url is taken as it is"},
    settings_env={"address": "GROQ_BASE_URL"},  # GQ-B3
    dialect=Dialect(
        max_tokens_field="max_completion_tokens",  # GQ-P4
        reasoning_field="reasoning",  # GQ-R1, GQ-R2
        request_id_headers=("x-request-id",),  # GQ-H4
        stop_limit=4,  # GQ-P4
        prefill=Prefill(fact="GQ-C1"),  # no mark: an assistant message that is last is a beginning
    ),
    facts=load_facts("chatport_groq"),
    hooks=(request, stream, errors),
    protocols=(responses_protocol(inner=(request,), hooks=(errors,)),),  # GQ-E1, RS-V11
    emulator="chatport_groq.emulator:GroqEmulator",
)
