"""GLM for Chatport: the models of Zhipu (open.bigmodel.cn) and Z.ai (api.z.ai), which speak one dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import ConfigurationError, Dialect, FieldRule, Provider
from chatport.facts import load_facts

from . import errors, request

__all__ = ["provider"]

_HOSTS: Mapping[str, str] = {"international": "api.z.ai", "china": "open.bigmodel.cn"}  # GL-0.1, GL-D1
_PATHS: Mapping[str, str] = {"general": "/api/paas/v4", "coding": "/api/coding/paas/v4"}  # GL-0.2, GL-B1


def _locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL of `region` and `plan`, None without either. ConfigurationError for a word not known."""
    if settings.get("region") is None and settings.get("plan") is None:
        return None
    host = _one_of("region", _HOSTS, settings.get("region") or "international")
    return f"https://{host}{_one_of('plan', _PATHS, settings.get('plan') or 'general')}"


def _one_of(setting: str, known: Mapping[str, str], value: Any) -> str:
    found = known.get(str(value).lower())
    if found is None:
        raise ConfigurationError(f"glm: {setting} is one of {', '.join(known)}, not {value!r}.")
    return found


_UNHEARD = FieldRule("accepted, without any effect", "GL-P2")
_UNLISTED = FieldRule("not among the vendor's fields", "GL-P1")
_FIELDS: Mapping[str, FieldRule] = {
    "max_completion_tokens": FieldRule("", "GL-P6", rename="max_tokens"),
    "temperature": FieldRule("goes from 0 to 1 here", "GL-P3", least=0, most=1),  # GL-X7
    "top_p": FieldRule("goes from 0.01 to 1 here", "GL-P4", least=0.01, most=1),
    **dict.fromkeys(("seed", "frequency_penalty", "logprobs", "top_logprobs"), _UNHEARD),
    "n": FieldRule(_UNLISTED.reason, "GL-P1", same=(1,)),
    "parallel_tool_calls": FieldRule(_UNLISTED.reason, "GL-P1", same=(True,)),  # GL-T4
    "stream_options": FieldRule("usage comes in any case", "GL-P8", same=({"include_usage": True},)),
    **dict.fromkeys(("presence_penalty", "metadata", "logit_bias", "store", "service_tier"), _UNLISTED),
    **dict.fromkeys(("top_k", "prediction"), _UNLISTED),
}

provider = Provider(
    name="glm",
    title="GLM",
    base_url=f"https://{_HOSTS['international']}{_PATHS['general']}",
    hosts=tuple(_HOSTS.values()),
    key_env=("ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "GLM_API_KEY"),  # GL-B2, GL-B4
    base_url_env=("ZAI_API_BASE",),  # GL-B4
    dialect=Dialect(
        acts_on_facts=False,
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
        fields=_FIELDS,
    ),
    facts=load_facts("chatport_glm"),
    hooks=(request, errors),
    settings={
        "region": "where the account is: china or international (the default)",
        "plan": "what the key is for: general (the default) or coding, the subscription",
    },
    locate=_locate,
    emulator="chatport_glm.emulator:GlmEmulator",
)
