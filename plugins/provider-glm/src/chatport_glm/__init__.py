"""GLM for Chatport: the models of Zhipu (open.bigmodel.cn) and Z.ai (api.z.ai), which speak one dialect."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import request

__all__ = ["provider"]

provider = Provider(
    name="glm",
    title="GLM",
    base_url="https://api.z.ai/api/paas/v4",  # GL-0.1: there is no /v1
    hosts=("api.z.ai", "open.bigmodel.cn"),  # GL-D1
    key_env=("ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "GLM_API_KEY"),  # GL-B2, GL-B4
    base_url_env=("ZAI_API_BASE",),  # GL-B4
    dialect=Dialect(
        max_tokens_field="max_tokens",  # GL-P6
        developer_role="system",  # GL-P14
        include_usage=False,  # GL-P8, GL-S4: usage comes unasked, and the field is not in the schema
        reasoning_field="reasoning_content",  # GL-R1, GL-R2
        # GL-S6, GL-S7, GL-X5: none of these is an ordinary stop
        finish_reasons={
            "sensitive": "content_filter",
            "network_error": "error",
            "model_context_window_exceeded": "length",
        },
        stop_limit=4,  # GL-P7
    ),
    facts=load_facts("chatport_glm"),
    hooks=(request,),
    settings={
        "region": "where the account is: china or international (the default)",
        "plan": "what the key is for: general (the default) or coding, the subscription",
    },
    emulator="chatport_glm.emulator:GlmEmulator",
)
