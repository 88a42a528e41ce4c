"""The transport by the name `sockets`: sockets of our own, or httpx where the environment names a proxy."""

from __future__ import annotations

import os
import sys

from . import AsyncTransport, Transport

__all__ = ["open_async_transport", "open_transport"]

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_WITH_SETTINGS: tuple[str, ...] = ("darwin", "win32")
"""The systems that have settings of their own for proxies, beside the environment."""


def _has_proxy() -> bool:
    """Whether the environment names a proxy, for some hosts at least. All of that is httpx's own business."""
    if any(value and name.lower() in _VARIABLES for name, value in os.environ.items()):
        return True
    if sys.platform in _WITH_SETTINGS:
        from .proxies import system_settings

        settings = system_settings()
        return settings is not None and bool(settings.urls)
    return False


def open_async_transport() -> AsyncTransport:
    """Return a transport for AsyncClient."""
    if _has_proxy():
        from .httpx_async import HttpxAsyncTransport

        return HttpxAsyncTransport()
    from .sockets_async import SocketsAsyncTransport

    return SocketsAsyncTransport()


def open_transport() -> Transport:
    """Return a transport for Client."""
    if _has_proxy():
        from .httpx_sync import HttpxTransport

        return HttpxTransport()
    from .sockets_sync import SocketsTransport

    return SocketsTransport()
