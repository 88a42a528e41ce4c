"""Sockets that listen, taken before anything else begins, with an error that says why one cannot be had."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from chatport import ConfigurationError

__all__ = ["open_sockets"]

_WAITING = 2048  # as the server itself says when it begins


def open_sockets(host: str, port: int, table: str = "[gateway]") -> list[socket.socket]:
    """Return what listens at an address, on the same port for each of its forms; 0: a free one.

    Raises ConfigurationError, which says why it cannot be had; `table` is where the address stands.
    """
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in _forms(host, port):
            at = opened[0].getsockname()[1] if opened else address[1]
            opened.append(_bound(socket.socket(family, kind, protocol), (address[0], at, *address[2:])))
    except OSError as error:
        for one in opened:
            one.close()
        raise ConfigurationError(_no_address(host, port, error, table)) from None
    for one in opened:
        one.listen(_WAITING)  # whoever has read that it serves may ask at once
    return opened


def _forms(host: str, port: int) -> list[Any]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted(dict.fromkeys(found))


def _bound(made: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        if os.name == "posix":  # elsewhere it would let two listen on one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _no_address(host: str, port: int, error: OSError, table: str) -> str:
    """Return why an address cannot be had, and what to do."""
    where = f"Port {port} of {host}"
    if isinstance(error, socket.gaierror):
        return f"{table} host is {host!r}, which is no address and no name that is known here."
    if error.errno == errno.EADDRINUSE:
        how = "with --port" if table == "[gateway]" else f"in {table}"
        return f"{where} is taken: something listens there already. Stop it, or give another port {how}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{table} host is {host!r}, which is no address of this machine. 0.0.0.0 stands for all of them."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where} needs more rights than this program has. Ports from 1024 on do not."
    return f"{where} cannot be had: {error.strerror or error}."
