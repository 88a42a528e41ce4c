"""DeepSeek for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Provider
from chatport.facts import load_facts
from chatport.provider import FieldRule, Prefill

from . import errors, request, tools

__all__ = ["provider"]

_IGNORED = {  # DS-P1: a closed set of fields. What is accepted and does nothing goes, so that nobody relies on it.
    "seed": FieldRule("DeepSeek has no seed and ignores it", "DS-P2"),
    "n": FieldRule("DeepSeek writes one answer for each request", "DS-P2", same=(1,)),
    "top_k": FieldRule("DeepSeek has no top_k and ignores it", "DS-P2"),
    "logit_bias": FieldRule("DeepSeek has no logit_bias and ignores it", "DS-P2"),
    "metadata": FieldRule("DeepSeek keeps no metadata", "DS-P2"),
    "store": FieldRule("DeepSeek keeps no conversation", "DS-N3"),
    "frequency_penalty": FieldRule("deprecated: accepted, without effect", "DS-P7"),
    "presence_penalty": FieldRule("deprecated: accepted, without effect", "DS-P7"),
    "parallel_tool_calls": FieldRule("parallel calls cannot be switched off", "DS-T8", same=(True,)),
}

provider = Provider(
    name="deepseek",
    title="DeepSeek",
    base_url="https://api.deepseek.com",  # DS-B1, DS-B3: one host; "/v1" is an alias of it
    key_env=("DEEPSEEK_API_KEY",),  # DS-B4
    base_url_env=("DEEPSEEK_API_BASE",),  # DS-B4
    dialect=Dialect(
        acts_on_facts=False,
        fields={
            "max_completion_tokens": FieldRule(
                "sent as max_tokens: this name limits nothing", "DS-P3", rename="max_tokens"
            ),
            **_IGNORED,
        },
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
    emulator="chatport_deepseek.emulator:DeepSeekEmulator",
)
