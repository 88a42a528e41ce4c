"""Mistral for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Prefill, Provider, load_facts

from . import models, request, stream

__all__ = ["provider"]

provider = Provider(
    name="mistral",
    title="Mistral",
    base_url="https://api.mistral.ai/v1",  # MI-B1
    hosts=("*.mistral.ai",),  # MI-B2: the regional hosts take the same key; MI-B4
    key_env=("MISTRAL_API_KEY",),  # MI-B1
    settings={
        "region": "eu or us: the host that keeps requests there, at 1.1 times the price",
        "extra_fields": "a list of body fields that are sent although Chatport does not know them yet",
    },
    dialect=Dialect(
        include_usage=False,  # MI-P6: usage comes unasked, and a field that is not known fails the request
        reasoning_field="reasoning",  # MI-R4: request.py makes parts of it
        finish_reasons={"model_length": "length", "error": "error"},  # MI-S6
        request_id_headers=("mistral-correlation-id", "x-kong-request-id"),  # MI-H1
        prefill=Prefill({"prefix": True}, fact="MI-F1"),
    ),
    timeouts={"first_event": 300.0},  # MI-I5
    facts=load_facts("chatport_mistral"),
    hooks=(models, request, stream),
    emulator="chatport_mistral.emulator:MistralEmulator",
)
