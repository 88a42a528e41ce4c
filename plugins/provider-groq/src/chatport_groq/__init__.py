"""Groq for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chatport import Dialect, FieldRule, Prefill, Provider, load_facts

from . import errors, request

__all__ = ["provider"]

_FIELDS = {
    **dict.fromkeys(("logprobs", "top_logprobs"), FieldRule("refused: no model gives them", "GQ-P1")),
    "logit_bias": FieldRule("refused", "GQ-P1"),
    "n": FieldRule("refused: one answer for each request", "GQ-P1", same=(1,)),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), FieldRule("accepted, without effect", "GQ-P3")),
    **dict.fromkeys(("store", "metadata", "top_k"), FieldRule("not supported", "GQ-P3")),
    "max_tokens": FieldRule("max_completion_tokens is its newer name", "GQ-P4", rename="max_completion_tokens"),
}


def _located(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the compatible API: `GROQ_BASE_URL` may name the bare host, as Groq's own SDK does."""
    given = str(settings.get("address") or "").rstrip("/")
    return f"{given}/openai/v1" if given and not urlsplit(given).path else given or None  # GQ-B1


provider = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",  # GQ-B1, GQ-B2, GQ-B4: bearer key, one host
    key_env=("GROQ_API_KEY",),  # GQ-B3
    base_url_env=("GROQ_API_BASE",),  # GQ-B3
    settings={"address": "Groq's host, with or without /openai/v1; base_url is taken as it is"},
    settings_env={"address": "GROQ_BASE_URL"},  # GQ-B3
    locate=_located,
    dialect=Dialect(
        acts_on_facts=False,
        max_tokens_field="max_completion_tokens",  # GQ-P4
        reasoning_field="reasoning",  # GQ-R1, GQ-R2
        request_id_headers=("x-request-id",),  # GQ-H4
        stop_limit=4,  # GQ-P4
        fields=_FIELDS,
        prefill=Prefill(fact="GQ-C1"),  # no mark: an assistant message that is last is a beginning
    ),
    facts=load_facts("chatport_groq"),
    hooks=(request, errors),
    emulator="chatport_groq.emulator:GroqEmulator",
)
