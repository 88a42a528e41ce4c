"""The Amazon Bedrock provider for Chatport: its OpenAI-compatible endpoints, chat and Responses, by API key."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, request, stream
from .settings import adapt, locate

__all__ = ["provider"]

provider = Provider(
    name="bedrock",
    title="Amazon Bedrock",
    base_url="",  # BR-B1, BR-B2: a host for each region and endpoint
    key_env=("AWS_BEARER_TOKEN_BEDROCK", "BEDROCK_MANTLE_API_KEY"),  # BR-B5
    dialect=Dialect(  # no prefill, and no idempotency header
        max_tokens_field="max_completion_tokens",  # BR-P2
        reasoning_field="reasoning",  # BR-R1, BR-S2
        reasoning_tags=("<reasoning>", "</reasoning>"),  # BR-S1
        request_id_headers=("x-amzn-requestid", "x-request-id"),  # BR-H1
        embeddings_path=None,  # BR-E1
    ),
    facts=load_facts("chatport_bedrock"),
    hooks=(request, stream, errors),
    protocols=(responses_protocol(hooks=(request, stream, errors)),),  # BR-E1, BR-E3
    settings={
        "region": "where requests go, such as us-east-1",  # BR-B8
        "default_region": "the same, if region is not given",
        "endpoint": "runtime or mantle",  # BR-K1
        "address": "another base URL, for other partitions of AWS",
        "base_url": "completed where it is one of these endpoints",
        "project": "the id of a project, on mantle",  # BR-B10
        "guardrail": "the identifier of a guardrail, for chat on runtime",  # BR-P6
        "guardrail_version": "its version, or DRAFT",
        "reasoning_summary": "auto, concise or detailed: thoughts in short, where a call takes Responses",
    },
    settings_env={  # BR-B8
        "region": "AWS_REGION",
        "default_region": "AWS_DEFAULT_REGION",
        "address": "AWS_BEDROCK_BASE_URL",
    },
    settings_headers={
        "project": "openai-project",
        "guardrail": "x-amzn-bedrock-guardrailidentifier",
        "guardrail_version": "x-amzn-bedrock-guardrailversion",
    },
    locate=locate,
    adapt=adapt,
    timeouts={"connect": 5, "silence": 600, "first_event": 600, "total": 600},  # BR-S5: what was given up is billed
    emulator="chatport_bedrock.emulator:BedrockEmulator",
)
