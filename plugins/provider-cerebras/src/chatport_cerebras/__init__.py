"""Cerebras for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import errors, models, request, tools

__all__ = ["provider"]

provider = Provider(
    name="cerebras",
    title="Cerebras",
    base_url="https://api.cerebras.ai/v1",  # CB-B1, CB-B2: bearer key, one host
    key_env=("CEREBRAS_API_KEY",),  # CB-B1
    headers={"x-cerebras-version-patch": "2"},  # CB-0: the version that this package is written for
    settings={
        "address": "the vendor's host, with or without /v1; base_url is taken as it is",
        "extra_fields": "a list of body fields that are sent although Chatport does not know them yet",
    },
    settings_env={"address": "CEREBRAS_BASE_URL"},  # CB-B1
    dialect=Dialect(
        max_tokens_field="max_completion_tokens",  # CB-P4
        developer_role="developer",  # CB-P8
        include_usage=False,  # CB-S2: usage comes unasked
        reasoning_field="reasoning",  # CB-R2, CB-R3
        request_id_headers=("x-request-id",),  # CB-H2
        stop_limit=4,  # CB-P2
        models_path="/../public/v1/models",  # CB-E2: the catalogue with limits and prices, beside /v1
        embeddings_path=None,  # CB-E1
    ),
    facts=load_facts("chatport_cerebras"),
    hooks=(models, request, tools, errors),
    emulator="chatport_cerebras.emulator:CerebrasEmulator",
)
