"""What rows are sent to: a model's name with its own number of calls at once; and what an error says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import chatport
from chatport import (
    AuthenticationError,
    ChatportError,
    ConfigurationError,
    DeadlineError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PluginError,
    PolicyError,
    QuotaExceededError,
    RateLimitError,
)

from .pace import Pace

__all__ = ["Lane", "bulk_config", "is_fatal", "is_refusal", "is_transient", "lanes_of"]

_FATAL = (
    AuthenticationError, PermissionDeniedError, QuotaExceededError, ModelNotFoundError, ConfigurationError, PluginError,
    PolicyError,
)  # fmt: skip


def bulk_config(config: Any) -> chatport.Config:
    """Return the configuration of a client for rows: it keeps the limits that vendors' headers tell, unless said."""
    loaded = chatport.load_config(config)
    if loaded.pacing is not None or isinstance(config, chatport.Config):
        return loaded
    learning: dict[str, Any] = {"pacing": {"learn": True}}
    if isinstance(config, str | Path):
        return chatport.load_config(learning, environment={**os.environ, "CHATPORT_CONFIG": str(config)})
    return chatport.load_config({**(config or {}), **learning})


class Lane(msgspec.Struct, eq=False):
    """A name that calls go to, with `options` that its alias gives. `active` calls are under way in it."""

    model: str
    pace: Pace
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)
    active: int = 0
    is_open: bool = True
    wakes: list[Callable[[], None]] = msgspec.field(default_factory=list)
    """Called when a place is free again: several who ask may share a lane."""

    def leave(self) -> None:
        """Give a place back."""
        self.active -= 1
        for wake in self.wakes:
            wake()


def lanes_of(client: chatport.AsyncClient, model: str, *, spread: bool, most: int, first: int) -> list[Lane]:
    """Return one lane, or one for each target of an alias. Raises ConfigurationError for a name that means none."""
    targets = client.targets(model)
    if not spread or len(targets) < 2:
        return [Lane(model, Pace(most, first))]
    alias = client.config.aliases.get(model)
    options = {} if alias is None else dict(alias.options)
    return [Lane(target, Pace(most, first), options) for target in targets]


def is_fatal(error: ChatportError) -> bool:
    """Whether no row can be answered as long as nobody mends something: the key, the account, the configuration."""
    return isinstance(error, _FATAL)


def is_refusal(error: ChatportError) -> bool:
    """Whether the vendor had no room. It says nothing of the row, so it costs the row no try."""
    return isinstance(error, RateLimitError | OverloadedError)


def is_transient(error: ChatportError) -> bool:
    """Whether the same row may be answered later."""
    return error.retryable or isinstance(error, DeadlineError | MalformedReplyError)
