"""Telling the manager of services how it stands, where there is one that wants to know (`Type=notify` of systemd)."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["tell_manager"]


def tell_manager(state: str) -> None:
    """Say a state, such as `READY=1`, to the socket that `NOTIFY_SOCKET` names. Without one nothing is done."""
    address, family = os.environ.get("NOTIFY_SOCKET", ""), getattr(socket, "AF_UNIX", None)
    if not address.startswith(("/", "@")) or family is None:
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as told:
        told.setblocking(False)
        told.sendto(state.encode(), name)
