"""The MiniMax provider for Chatport."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import errors, request, stream

__all__ = ["provider"]

provider = Provider(
    name="minimax",
    title="MiniMax",
    base_url="https://api.minimax.io/v1",  # MM-B1
    hosts=("api.minimaxi.com", "api.minimax.cn"),  # MM-B1, MM-D1
    key_env=("MINIMAX_API_KEY",),  # MM-B4
    base_url_env=("MINIMAX_API_BASE",),  # MM-B4
    dialect=Dialect(
        max_tokens_field="max_completion_tokens",  # MM-P2: the older name is deprecated
        reasoning_field="reasoning_content",  # MM-R3: request.py puts it where the vendor wants it back
        request_id_headers=("trace-id", "x-mm-request-id", "minimax-request-id"),  # MM-H1
        embeddings_path=None,  # MM-E1: the vendor's own shape
    ),
    facts=load_facts("chatport_minimax"),
    hooks=(request, stream, errors),
    settings={"region": "where the account is: global (the default) or china"},
    emulator="chatport_minimax.emulator:MiniMaxEmulator",
)
