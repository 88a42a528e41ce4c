"""Moonshot (Kimi) for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Prefill, Provider, load_facts

from . import models, request, tools

__all__ = ["provider"]

provider = Provider(
    name="moonshot",
    title="Moonshot (Kimi)",
    base_url="https://api.moonshot.ai/v1",
    hosts=("api.moonshot.ai", "api.moonshot.cn"),  # MS-B1
    key_env=("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY", "KIMI_API_KEY"),  # MS-B3
    base_url_env=("MOONSHOT_API_BASE",),  # MS-B3
    dialect=Dialect(
        max_tokens_field="max_completion_tokens",  # MS-P1: the old name still works and is deprecated
        prefill=Prefill({"partial": True}, fact="MS-P16"),
        developer_role="system",  # MS-P13
        reasoning_field="reasoning_content",  # MS-R1, MS-R2
        request_id_headers=("msh-request-id", "x-msh-trace-id"),  # MS-L4
        stop_limit=5,  # MS-P4
        embeddings_path=None,  # MS-N3
    ),
    facts=load_facts("chatport_moonshot"),
    hooks=(models, request, tools),
    settings={"region": "where the account is: international (the default) or china"},
    settings_env={"region": "MOONSHOT_REGION"},
    timeouts={"total": 1800},  # MS-P2, MS-E15: 131072 tokens unless told otherwise, and a gateway that waits long
    emulator="chatport_moonshot.emulator:MoonshotEmulator",
)
