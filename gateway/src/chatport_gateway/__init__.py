"""Chatport's surfaces on a port: any client, any vendor.

app = chatport_gateway.Gateway("chatport.toml")   # ASGI, to run or to mount
"""

from __future__ import annotations

from .app import Gateway as Gateway
from .server import make_server as make_server
from .settings import GatewaySettings as GatewaySettings, read_settings as read_settings

__all__ = ["Gateway", "GatewaySettings", "make_server", "read_settings"]
