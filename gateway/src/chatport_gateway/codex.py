"""What Codex has to know of a model, told of one behind the gateway: made of its own list, so that it fits the version.

codex debug models | chatport serve --print-config codex-models --model chat-fast > ~/.codex/chatport-models.json
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import ConfigurationError
from chatport.helpers import jsoncodec

__all__ = ["codex_models"]

_OWN: Mapping[str, Any] = {
    "tool_mode": None,
    "use_responses_lite": False,
    "multi_agent_version": None,
    "supports_search_tool": False,
    "service_tiers": [],
    "additional_speed_tiers": [],
    "upgrade": None,
    "availability_nux": None,
}
"""What only its own service has, and how it is said that there is none."""


def codex_models(listed: str, model: str) -> str:
    """Return the list with the one model that is asked for; `listed` is what `codex debug models` prints.

    It has what Codex says of one of its own that needs least of its own service. Raises ConfigurationError for anything
    else than such a list.
    """
    try:
        models = jsoncodec.decode_text(listed)["models"]
        like = min(models, key=_needs)
        known = {**like, **{name: value for name, value in _OWN.items() if name in like}}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError("Give on standard input what `codex debug models` prints.") from error
    known |= {"slug": model, "display_name": model, "description": "Behind Chatport.", "visibility": "list"}
    return jsoncodec.encode({"models": [known]}).decode()


def _needs(model: Mapping[str, Any]) -> int:
    return sum(bool(model.get(name)) for name in ("tool_mode", "use_responses_lite", "multi_agent_version"))
