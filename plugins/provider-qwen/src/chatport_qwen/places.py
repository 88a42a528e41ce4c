"""Where the vendor is: one address for each region, one for each workspace in it, and where its list prices hold."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport.call import Context
from chatport.errors import ConfigurationError
from chatport.facts import ModelFacts
from chatport.hooks import hookimpl

__all__ = ["DEFAULT_BASE_URL", "REGIONS", "describe_model", "is_plan_host", "locate"]

_PATH = "/compatible-mode/v1"

# QW-B1, QW-B2: city -> (region id, the shared host if there is one). The newer regions have workspace hosts only.
REGIONS: Mapping[str, tuple[str, str | None]] = {
    "beijing": ("cn-beijing", "dashscope.aliyuncs.com"),
    "singapore": ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
    "virginia": ("us-east-1", "dashscope-us.aliyuncs.com"),
    "hongkong": ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
    "frankfurt": ("eu-central-1", None),
    "tokyo": ("ap-northeast-1", None),
}
DEFAULT_BASE_URL = f"https://{REGIONS['singapore'][1]}{_PATH}"
"""Where a call goes when nothing is configured (QW-B6): the README says so, and why."""


def locate(settings: Mapping[str, Any]) -> str | None:
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
    by_id = {region_id: (region_id, host) for region_id, host in REGIONS.values()}
    found = REGIONS.get(name.lower()) or by_id.get(name.lower())
    if found is None:
        raise ConfigurationError(f"qwen: the region is one of {', '.join(REGIONS)}, or a region id, not {name!r}.")
    return found


def _checked(workspace: str) -> str:
    """Return the id if it is one host label: anything else could lead the key to a foreign host."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", workspace):
        raise ConfigurationError(f"qwen: a workspace id has letters, digits and dashes only, not {workspace!r}.")
    return workspace.lower()


def is_plan_host(base_url: str) -> bool:
    """Whether the address belongs to a subscription, where no call has a price of its own (QW-B3)."""
    return "//coding" in base_url or "//token-plan." in base_url


@hookimpl(wrapper=True)
def describe_model(context: Context) -> Generator[None, ModelFacts, ModelFacts]:
    """Leave the price unknown at the hosts of the plans."""
    facts = yield
    return attrs.evolve(facts, prices=()) if is_plan_host(context.base_url) else facts
