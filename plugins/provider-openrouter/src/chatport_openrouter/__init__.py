"""OpenRouter for Chatport: one key for the models of many vendors, and the router's own ways."""

from __future__ import annotations

from chatport import Dialect, Prefill, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, limits, request, responses, stream

__all__ = ["provider"]

provider = Provider(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",  # OR-B1
    hosts=("eu.openrouter.ai", "us.openrouter.ai"),  # OR-B1: in-region hosts, by `base_url`
    key_env=("OPENROUTER_API_KEY",),  # OR-B2, OR-B5
    base_url_env=("OPENROUTER_BASE_URL",),  # OR-B5
    dialect=Dialect(
        max_tokens_field="max_tokens",  # OR-P3: both names are taken, this one by every route
        include_usage=False,  # OR-P8: usage always comes
        request_id_headers=("x-generation-id",),  # OR-H2
        stop_limit=4,  # OR-P2
        cost_field="cost",  # OR-U1
        prefill=Prefill(fact="OR-P16"),  # an assistant message at the end is enough; for which models, the facts say
    ),
    facts=load_facts("chatport_openrouter"),
    hooks=(request, stream, errors, limits),
    protocols=(responses_protocol(inner=(request,), hooks=(responses, errors, limits)),),  # OR-E1, RS-V7
    settings={
        "referer": "Your site, sent as HTTP-Referer; without it nothing is attributed to you.",  # OR-B3
        "title": "Your app's name, sent as X-OpenRouter-Title.",  # OR-B3
        "categories": "At most two categories, with a comma, sent as X-OpenRouter-Categories.",  # OR-B3
        "cache": "True or False: the response cache, sent as X-OpenRouter-Cache.",  # OR-B4
        "cache_seconds": "1 to 86400: how long a cached response lives.",  # OR-B4
        "metadata": "True: adds `openrouter_metadata` to the raw reply.",  # OR-B4
        "require_parameters": (  # OR-P1, OR-J2
            "True: only routes that know every field of a request; False: never ask for that. Unset: structured output."
        ),
    },
    settings_headers={
        "referer": "http-referer",
        "title": "x-openrouter-title",
        "categories": "x-openrouter-categories",
        "cache": "x-openrouter-cache",
        "cache_seconds": "x-openrouter-cache-ttl",
    },
    settings_env={  # OR-B5
        "referer": "OPENROUTER_HTTP_REFERER",
        "title": "OPENROUTER_APP_TITLE",
        "categories": "OPENROUTER_APP_CATEGORIES",
    },
    emulator="chatport_openrouter.emulator:OpenRouterEmulator",
)
