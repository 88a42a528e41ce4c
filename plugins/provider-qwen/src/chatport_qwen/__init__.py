"""The Qwen provider for Chatport: Alibaba Cloud Model Studio in its OpenAI-compatible mode."""

from __future__ import annotations

from chatport.facts import load_facts
from chatport.provider import Dialect, FieldRule, Prefill, Provider

from . import errors, places, request, tools
from .places import DEFAULT_BASE_URL, locate

__all__ = ["provider"]

_WITHOUT_EFFECT = FieldRule("accepted without any effect that was ever seen", "QW-P4")
_FIELDS = {
    "temperature": FieldRule("must be below 2", "QW-P3", most=1.99),
    "top_p": FieldRule("must be above 0", "QW-P3", least=0.001),
    **dict.fromkeys(("frequency_penalty", "logit_bias", "user", "service_tier"), _WITHOUT_EFFECT),
}

provider = Provider(
    name="qwen",
    title="Qwen (Alibaba Cloud Model Studio)",
    base_url=DEFAULT_BASE_URL,
    hosts=(  # QW-0.2, QW-B1, QW-B3: old shared hosts, workspaces and plans
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
        "*.dashscope.aliyuncs.com",
        "*.maas.aliyuncs.com",
    ),
    key_env=("DASHSCOPE_API_KEY", "ALIBABA_API_KEY", "MODELSTUDIO_API_KEY"),  # QW-B5
    base_url_env=("DASHSCOPE_BASE_URL", "DASHSCOPE_API_BASE"),
    dialect=Dialect(
        acts_on_facts=False,
        developer_role="system",  # QW-P11
        fields=_FIELDS,
        prefill=Prefill({"partial": True}, fact="alibabacloud.com/help/en/model-studio/partial-mode, 2026-10-12"),
        reasoning_field="reasoning_content",  # QW-R3: request.py takes it out again unless it is asked for
    ),
    facts=load_facts("chatport_qwen"),
    hooks=(places, request, tools, errors),
    settings={
        "region": "where the account is: beijing, singapore, virginia, hongkong, frankfurt or tokyo",
        "workspace": "the workspace id, for a workspace's own address in that region",
    },
    locate=locate,
    timeouts={"silence": 310.0},  # QW-P14: an answer that is no stream sends no byte for up to 300 s
    emulator="chatport_qwen.emulator:QwenEmulator",
)
