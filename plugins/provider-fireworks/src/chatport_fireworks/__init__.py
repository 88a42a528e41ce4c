"""Fireworks AI for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import models, request

__all__ = ["provider"]

provider = Provider(
    name="fireworks",
    title="Fireworks AI",
    base_url="https://api.fireworks.ai/inference/v1",  # FW-B1
    hosts=("*.fireworks.ai",),  # FW-B1: the US-only host takes the same key
    key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),  # FW-B3
    base_url_env=("FIREWORKS_API_BASE",),  # FW-B3
    dialect=Dialect(
        include_usage=False,  # FW-S2: usage comes unasked, and the field that asks for it is refused
        reasoning_field="reasoning_content",  # FW-R1, FW-R2
        request_id_headers=("x-request-id",),  # FW-H4
        stop_limit=4,  # FW-P5
    ),
    facts=load_facts("chatport_fireworks"),
    hooks=(request, models),
    settings={
        "region": "us: requests stay in the United States",
        "endpoint": "the vendor's address as its own SDK has it, with or without /inference/v1",
        "extra_fields": "a list of body fields that are sent although Chatport does not know them yet",
    },
    settings_env={"endpoint": "FIREWORKS_BASE_URL"},
    emulator="chatport_fireworks.emulator:FireworksEmulator",
)
