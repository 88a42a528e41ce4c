"""From the name of a host to its addresses, looked up in threads of our own: nothing can stop a look-up that hangs."""

from __future__ import annotations

import socket
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from ..basics.blocking import Job, Room
from .address import Address

__all__ = ["NEXT_ADDRESS_SECONDS", "SocketAddress", "is_numeric", "look_up", "numeric_addresses"]

NEXT_ADDRESS_SECONDS = 0.25
"""After how long the next address is tried beside one that does not answer (RFC 8305, 8)."""

SocketAddress: TypeAlias = tuple[Any, Any, int, str, Any]
"""Family, kind, protocol, canonical name and socket address, as `socket.getaddrinfo` gives them."""

_ROOM = Room("look-ups of host names")


def is_numeric(host: str) -> bool:
    """Whether a host is an address already, so that there is nothing to look up."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def numeric_addresses(address: Address) -> list[SocketAddress]:
    """Return where a numeric host is, without a look-up."""
    return _look_up_now(address.host, address.port, socket.AI_NUMERICHOST)


def look_up(address: Address) -> Job[list[SocketAddress]]:
    """Begin to look a host up, or join those who do. Raises StuckError; the job raises OSError, UnicodeError."""
    host, port = address.host, address.port
    return _ROOM.job((host, port), lambda: _taking_turns(_look_up_now(host, port)))


def _look_up_now(host: str, port: int, flags: int = 0) -> list[SocketAddress]:
    found = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
    if not found:
        raise OSError("the name has no address")
    return found


def _taking_turns(addresses: list[SocketAddress]) -> list[SocketAddress]:
    """Let the families take turns (RFC 8305, 4): a network that has lost one of them has lost all its addresses."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]
