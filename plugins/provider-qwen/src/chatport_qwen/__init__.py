"""The Qwen provider for Chatport: Alibaba Cloud Model Studio in its OpenAI-compatible mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatport import ConfigurationError, Dialect, Prefill, Provider, load_facts

from . import models, request

__all__ = ["provider"]

_PATH = "/compatible-mode/v1"

# QW-B1, QW-B2: city -> (region id, the shared host if there is one). The newer regions have workspace hosts only.
_REGIONS: Mapping[str, tuple[str, str | None]] = {
    "beijing": ("cn-beijing", "dashscope.aliyuncs.com"),
    "singapore": ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
    "virginia": ("us-east-1", "dashscope-us.aliyuncs.com"),
    "hongkong": ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
    "frankfurt": ("eu-central-1", None),
    "tokyo": ("ap-northeast-1", None),
}


def _locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL of `region` and `workspace`, None without either. ConfigurationError for wrong ones."""
    region, workspace = settings.get("region"), settings.get("workspace")
    if region is None:
        if workspace is None:
            return None
        raise ConfigurationError("qwen: a workspace has an address in one region only; give its region too.")
    region_id, shared = _region(str(region))
    if workspace is not None:
        return f"https://{_checked(str(workspace))}.{region_id}.maas.aliyuncs.com{_PATH}"  # QW-0.2
    if shared is None:
        raise ConfigurationError(f"qwen: the region {region!r} has no shared address; give the workspace id too.")
    return f"https://{shared}{_PATH}"


def _region(name: str) -> tuple[str, str | None]:
    by_id = {region_id: (region_id, host) for region_id, host in _REGIONS.values()}
    found = _REGIONS.get(name.lower()) or by_id.get(name.lower())
    if found is None:
        raise ConfigurationError(f"qwen: the region is one of {', '.join(_REGIONS)}, or a region id, not {name!r}.")
    return found


def _checked(workspace: str) -> str:
    """Return the id if it is one host label: anything else could lead the key to a foreign host."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", workspace):
        raise ConfigurationError(f"qwen: a workspace id has letters, digits and dashes only, not {workspace!r}.")
    return workspace.lower()


provider = Provider(
    name="qwen",
    title="Qwen (Alibaba Cloud Model Studio)",
    base_url=f"https://dashscope-intl.aliyuncs.com{_PATH}",  # QW-B6: the README says so, and why
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
        developer_role="system",  # QW-P11
        prefill=Prefill({"partial": True}, fact="alibabacloud.com/help/en/model-studio/partial-mode, 2026-10-12"),
        reasoning_field="reasoning_content",  # QW-R3
    ),
    facts=load_facts("chatport_qwen"),
    hooks=(models, request),
    settings={
        "region": "where the account is: beijing, singapore, virginia, hongkong, frankfurt or tokyo",
        "workspace": "the workspace id, for a workspace's own address in that region",
    },
    locate=_locate,
    timeouts={"silence": 310.0},  # QW-P14: an answer that is no stream sends no byte for up to 300 s
    emulator="chatport_qwen.emulator:QwenEmulator",
)
