"""Moonshot (Kimi) for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Provider
from chatport.facts import load_facts
from chatport.provider import FieldRule, Prefill

from . import errors, places, request, tools
from .places import HOSTS, locate

__all__ = ["provider"]


_FIELDS = {
    "max_tokens": FieldRule("its older name", "MS-P1", rename="max_completion_tokens"),
    "user": FieldRule("accepted without effect", "MS-P11", rename="safety_identifier"),
    "seed": FieldRule("no such field here", "MS-P11", same=(None,)),
    "top_k": FieldRule("no such field here", "MS-P11", same=(None,)),
    "logit_bias": FieldRule("no such field here", "MS-P11", same=(None,)),
    "parallel_tool_calls": FieldRule("several calls in one turn cannot be switched off", "MS-T10", same=(True,)),
    "thinking_budget": FieldRule("no token budgets", "MS-P9", same=(None,)),
    "reasoning_history": FieldRule("accepted without effect", "MS-R6", same=(None,)),
}

provider = Provider(
    name="moonshot",
    title="Moonshot (Kimi)",
    base_url=f"https://{HOSTS['international']}/v1",
    hosts=tuple(HOSTS.values()),
    key_env=("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY", "KIMI_API_KEY"),  # MS-B3
    base_url_env=("MOONSHOT_API_BASE",),  # MS-B3
    dialect=Dialect(
        acts_on_facts=False,
        max_tokens_field="max_completion_tokens",  # MS-P1: the old name still works and is deprecated
        fields=_FIELDS,
        prefill=Prefill({"partial": True}, fact="MS-P16"),
        developer_role="system",  # MS-P13
        reasoning_field="reasoning_content",  # MS-R1, MS-R2
        request_id_headers=("msh-request-id", "x-msh-trace-id"),  # MS-L4
        stop_limit=5,  # MS-P4
        embeddings_path=None,  # MS-N3
    ),
    facts=load_facts("chatport_moonshot"),
    hooks=(places, request, tools, errors),
    settings={"region": "where the account is: international (the default) or china"},
    settings_env={"region": "MOONSHOT_REGION"},
    locate=locate,
    timeouts={"total": 1800},  # MS-P2, MS-E15: 131072 tokens unless told otherwise, and a gateway that waits long
    emulator="chatport_moonshot.emulator:MoonshotEmulator",
)
