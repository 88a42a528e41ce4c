"""DeepSeek for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Prefill, Provider, load_facts
from chatport_responses import responses_protocol

from . import errors, request, tools

__all__ = ["provider"]

provider = Provider(
    name="deepseek",
    title="DeepSeek",
    base_url="https://api.deepseek.com",  # DS-B1, DS-B3: one host; "/v1" is an alias of it
    key_env=("DEEPSEEK_API_KEY",),  # DS-B4
    base_url_env=("DEEPSEEK_API_BASE",),  # DS-B4
    dialect=Dialect(
        prefill=Prefill({"prefix": True}, fact="DS-P18"),
        developer_role="system",  # DS-P15
        reasoning_field="reasoning_content",  # DS-R1, DS-R4
        # DS-S10: both are cuts, not ends. Our `error` also marks a last tool call as incomplete (DS-S11).
        finish_reasons={"insufficient_system_resource": "error", "aborted": "error"},
        request_id_headers=("x-ds-trace-id",),  # DS-L4
        stop_limit=16,  # DS-P8
        embeddings_path=None,  # DS-N2
    ),
    # DS-L2: a request may wait ten minutes for its turn, kept alive by heartbeats, and then think at length (DS-P4).
    timeouts={"first_event": 660, "total": 1800},
    facts=load_facts("chatport_deepseek"),
    hooks=(request, tools, errors),
    protocols=(responses_protocol(hooks=(errors,)),),  # DS-N1, RS-V6: strict tools need no other path there
    emulator="chatport_deepseek.emulator:DeepSeekEmulator",
)
