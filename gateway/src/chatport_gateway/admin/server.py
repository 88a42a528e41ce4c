"""Where the admin port is served."""

from __future__ import annotations

from ..app import Gateway
from ..beside import Beside
from .app import Admin
from .settings import read_admin

__all__ = ["admin_of"]


def admin_of(gateway: Gateway) -> Beside | None:
    """Return the admin port of a gateway, None where none is configured. Raises ConfigurationError."""
    settings = read_admin(gateway.client.config)
    return None if settings is None else Beside(Admin(gateway, settings), settings.host, settings.port, "[admin]")
