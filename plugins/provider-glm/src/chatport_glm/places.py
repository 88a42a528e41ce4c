"""Where the vendor is: two regions with accounts of their own, and a path of its own for the coding plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport.errors import ConfigurationError

__all__ = ["DEFAULT_BASE_URL", "HOSTS", "locate"]

HOSTS: Mapping[str, str] = {"international": "api.z.ai", "china": "open.bigmodel.cn"}  # GL-0.1, GL-D1
_PATHS: Mapping[str, str] = {"general": "/api/paas/v4", "coding": "/api/coding/paas/v4"}  # GL-0.2, GL-B1
DEFAULT_BASE_URL = f"https://{HOSTS['international']}{_PATHS['general']}"


def locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL of `region` and `plan`, None without either. ConfigurationError for a word not known."""
    if settings.get("region") is None and settings.get("plan") is None:
        return None
    host = _one_of("region", HOSTS, settings.get("region") or "international")
    return f"https://{host}{_one_of('plan', _PATHS, settings.get('plan') or 'general')}"


def _one_of(setting: str, known: Mapping[str, str], value: Any) -> str:
    found = known.get(str(value).lower())
    if found is None:
        raise ConfigurationError(f"glm: {setting} is one of {', '.join(known)}, not {value!r}.")
    return found
