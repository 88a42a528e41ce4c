"""Anthropic for Chatport: the native Messages protocol, spoken through the same hooks as every other dialect.

With a setting it speaks to the vendor's OpenAI-compatible endpoint instead (AN-E4), see `settings.py`.
"""

from __future__ import annotations

from chatport import Auth, Dialect, Prefill, Provider, load_facts

from . import errors, limits, models, request, stream, tools
from .settings import adapt

__all__ = ["provider"]

provider = Provider(
    name="anthropic",
    title="Anthropic",
    base_url="https://api.anthropic.com",  # AN-A1
    key_env=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),  # AN-A5
    base_url_env=("ANTHROPIC_BASE_URL",),  # AN-A5
    auth=Auth(header="x-api-key", prefix=""),  # AN-A2
    auth_env={"ANTHROPIC_AUTH_TOKEN": Auth()},  # AN-A2: an OAuth token goes as a bearer
    headers={"anthropic-version": "2023-06-01"},  # AN-A3
    dialect=Dialect(
        chat_path="/v1/messages",  # AN-E1
        models_path="/v1/models?limit=1000",  # AN-E2: paged; this many are one page
        embeddings_path=None,  # AN-E1
        request_id_headers=("request-id", "x-request-id"),  # AN-H1
        finish_reasons={  # AN-S15 to AN-S20; the words not named here are those of the standard table
            "model_context_window_exceeded": "length",
            "refusal": "content_filter",
            "pause_turn": "stop",
            "compaction": "other",
        },
        prefill=Prefill(fact="AN-T14"),
    ),
    # AN-A7, AN-K4: thinking whose text is withheld may take minutes, and in recordings a ping comes but once.
    timeouts={"silence": 300, "first_event": 300, "between_events": 300},
    facts=load_facts("chatport_anthropic"),
    hooks=(request, tools, stream, errors, limits, models),
    settings={
        "protocol": "messages (default) or openai: the vendor's OpenAI-compatible endpoint, meant for comparisons",
        "auth": "key (default) or token: an OAuth token, which goes as a bearer, from ANTHROPIC_AUTH_TOKEN",
        "workspace": "the workspace, for a key that belongs to several",
        "betas": "beta features to switch on, a list",
        "thinking_display": "summarized (default) or omitted: whether thinking that was asked for comes as text",
        "thinking_mismatch": "drop_block: thinking that no longer fits its conversation is left out, not refused",
    },
    settings_headers={"workspace": "anthropic-workspace-id"},  # AN-A4
    adapt=adapt,
    protocol="messages",
    emulator="chatport_anthropic.emulator:AnthropicEmulator",
)
