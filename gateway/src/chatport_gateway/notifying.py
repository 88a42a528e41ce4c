"""Telling the manager of services how it stands, where there is one that wants to know (`Type=notify` of systemd)."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["tell_manager"]


def tell_manager(state: str) -> None:
    """Say a state, such as `READY=1`, to the socket that `NOTIFY_SOCKET` names. Without one nothing is done."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.setblocking(False)
        told.sendto(state.encode(), name)
