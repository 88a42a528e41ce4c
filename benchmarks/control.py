"""How a running vendor is told what the next streams look like. By a port of its own, without TLS."""

from __future__ import annotations

import socket

from .wire import Knobs

__all__ = ["DONE", "PREFIX", "set_knobs"]

PREFIX = "/knobs/"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


def set_knobs(control_port: int, knobs: Knobs) -> None:
    """Set the knobs of the streams whose model name has none."""
    with socket.create_connection(("127.0.0.1", control_port)) as control:
        control.sendall(f"POST {PREFIX}{knobs} HTTP/1.1\r\n\r\n".encode())
        assert control.recv(1024) == DONE
