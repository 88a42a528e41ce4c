"""SiliconFlow for Chatport: a host of open models, on two sites that share nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import ConfigurationError, Dialect, FieldRule, Provider
from chatport.facts import load_facts

from . import errors, request

__all__ = ["provider"]

# SF-B1: accounts, keys, catalogues and prices of one site are unknown to the other.
_SITES = {"china": "https://api.siliconflow.cn/v1", "global": "https://api.siliconflow.com/v1"}


def _locate(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the setting `site`, None without it."""
    site = settings.get("site")
    if site is None:
        return None
    if site not in _SITES:
        raise ConfigurationError(f"siliconflow: the site is one of {', '.join(_SITES)}, not {site!r}.")
    return _SITES[site]


_NOT_IN_SCHEMA = FieldRule("not a field of this API", "SF-P9")
_FIELDS: Mapping[str, FieldRule] = {
    "max_completion_tokens": FieldRule("", "SF-P9", rename="max_tokens"),
    "parallel_tool_calls": FieldRule(_NOT_IN_SCHEMA.reason, "SF-P9", same=(True,)),  # what holds anyway
    **dict.fromkeys(("seed", "logprobs", "top_logprobs", "logit_bias", "user"), _NOT_IN_SCHEMA),
    **dict.fromkeys(("presence_penalty", "metadata", "store"), _NOT_IN_SCHEMA),
    "thinking": FieldRule("another vendor's switch: has no effect here, or is refused", "SF-P7"),
    "thinking_budget": FieldRule("the largest budget there is", "SF-P4", most=32768),
}

provider = Provider(
    name="siliconflow",
    title="SiliconFlow",
    base_url=_SITES["china"],  # SF-B1, SF-B3: the default of the vendor's own adapter
    hosts=("api.siliconflow.com", "api.ap.siliconflow.com"),  # SF-B1
    key_env=("SILICONFLOW_API_KEY", "SILICONFLOW_CN_API_KEY"),  # SF-B3
    base_url_env=("SILICONFLOW_BASE_URL",),  # SF-B3
    dialect=Dialect(
        acts_on_facts=False,
        reasoning_field="reasoning_content",  # SF-R1; request.py keeps it where it is wanted (SF-R2)
        reasoning_budget_field="thinking_budget",  # SF-P4
        finish_reasons={"insufficient_system_resource": "error"},  # SF-S5
        request_id_headers=("x-request-id", "x-siliconcloud-trace-id"),  # SF-H1
        stop_limit=4,  # SF-P1
        fields=_FIELDS,
        empty_is_error=True,  # SF-S7
        models_path="/models?sub_type=chat",  # SF-E3: else images, sound and video are among them
    ),
    settings={"site": "where the account is: china (api.siliconflow.cn, the default) or global (api.siliconflow.com)"},
    locate=_locate,
    timeouts={"silence": 300.0, "first_event": 300.0, "between_events": 300.0},  # SF-B4
    facts=load_facts("chatport_siliconflow"),
    hooks=(request, errors),
    emulator="chatport_siliconflow.emulator:SiliconFlowEmulator",
)
