"""Groq for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chatport import Dialect, Provider
from chatport.facts import load_facts

from . import errors, request, stream

__all__ = ["provider"]


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
        max_tokens_field="max_completion_tokens",  # GQ-P4
        reasoning_field="reasoning",  # GQ-R1, GQ-R2
        request_id_headers=("x-request-id",),  # GQ-H4
        stop_limit=4,  # GQ-P4
    ),
    facts=load_facts("chatport_groq"),
    hooks=(request, stream, errors),
    emulator="chatport_groq.emulator:GroqEmulator",
)
