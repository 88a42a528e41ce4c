"""SiliconFlow for Chatport: a host of open models, on two sites that share nothing."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import request

__all__ = ["provider"]

provider = Provider(
    name="siliconflow",
    title="SiliconFlow",
    base_url="https://api.siliconflow.cn/v1",  # SF-B1, SF-B3: the default of the vendor's own adapter
    hosts=("api.siliconflow.com", "api.ap.siliconflow.com"),  # SF-B1
    key_env=("SILICONFLOW_API_KEY", "SILICONFLOW_CN_API_KEY"),  # SF-B3
    base_url_env=("SILICONFLOW_BASE_URL",),  # SF-B3
    dialect=Dialect(
        reasoning_field="reasoning_content",  # SF-R1
        finish_reasons={"insufficient_system_resource": "error"},  # SF-S5
        request_id_headers=("x-request-id", "x-siliconcloud-trace-id"),  # SF-H1
        stop_limit=4,  # SF-P1
        empty_is_error=True,  # SF-S7
        models_path="/models?sub_type=chat",  # SF-E3: else images, sound and video are among them
    ),
    settings={"site": "where the account is: china (api.siliconflow.cn, the default) or global (api.siliconflow.com)"},
    timeouts={"silence": 300.0, "first_event": 300.0, "between_events": 300.0},  # SF-B4
    facts=load_facts("chatport_siliconflow"),
    hooks=(request,),
    emulator="chatport_siliconflow.emulator:SiliconFlowEmulator",
)
