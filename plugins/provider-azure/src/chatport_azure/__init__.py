"""The Azure OpenAI (Microsoft Foundry) provider for Chatport: both forms of its address, chat and Responses."""

from __future__ import annotations

from chatport import Auth, Dialect, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, models, stream
from .settings import adapt, locate

__all__ = ["provider"]

provider = Provider(
    name="azure",
    title="Azure OpenAI",
    base_url="",  # AZ-B1: each customer's resource has a host of its own
    hosts=("*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com"),  # AZ-B1, AZ-B2
    key_env=("AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),  # AZ-B8: a token goes before a key
    auth=Auth(header="api-key", prefix=""),  # AZ-B6: the one form that both addresses take
    auth_env={"AZURE_OPENAI_AD_TOKEN": Auth()},  # AZ-B7
    dialect=Dialect(  # no prefill, and no idempotency header
        max_tokens_field="max_completion_tokens",  # AZ-P1
        request_id_headers=("apim-request-id", "x-request-id", "x-ms-client-request-id"),  # AZ-H2
    ),
    facts=load_facts("chatport_azure"),
    hooks=(models, stream, errors),
    protocols=(responses_protocol(hooks=(models, errors), native=True),),  # AZ-E3, AZ-P3
    settings={
        "resource": "the name of the resource: https://NAME.openai.azure.com",
        "endpoint": "the address of the resource, in any of the shapes that the portal shows",  # AZ-B10
        "api_version": "the dated version that the older addresses need; none, or preview, on the v1 form",  # AZ-B2
        "auth": "key, or entra where api_key gives a token of Entra ID",  # AZ-B7
        "deployments": "by the deployment's name: its base model, or {model = …, type = …}",  # AZ-B4
        "reasoning_summary": "auto, concise or detailed: thoughts in short, where a call takes Responses",  # AZ-R2
        "base_url": "completed where it is the address of a resource",  # AZ-B10
    },
    settings_env={  # AZ-B9
        "resource": "AZURE_RESOURCE_NAME",
        "endpoint": "AZURE_OPENAI_ENDPOINT",
        "api_version": "OPENAI_API_VERSION",
    },
    locate=locate,
    adapt=adapt,
    timeouts={"connect": 5, "silence": 600, "first_event": 600, "total": 600},  # AZ-R1: thoughts are not shown
    emulator="chatport_azure.emulator:AzureEmulator",
)
