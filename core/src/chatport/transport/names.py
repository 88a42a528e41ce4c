"""From the name of a host to its addresses, looked up in threads of our own: nothing can stop a look-up that hangs."""

from __future__ import annotations

import socket
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from ..basics.blocking import Job, Room
from .address import Address

__all__ = ["NEXT_ADDRESS_SECONDS", "Place", "fixed_places", "is_numeric", "look_up"]

NEXT_ADDRESS_SECONDS = 0.25
"""After how long the next address is tried beside one that does not answer (RFC 8305, 8)."""

Place: TypeAlias = tuple[Any, Any, int, str, Any]
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


def fixed_places(address: Address) -> list[Place]:
    """Return where a numeric host is, without a look-up."""
    return _look_up(address.host, address.port, socket.AI_NUMERICHOST)


def look_up(address: Address) -> Job[list[Place]]:
    """Begin to look a host up, or join those who do. Raises StuckError; the job raises OSError, UnicodeError."""
    host, port = address.host, address.port
    return _ROOM.job((host, port), lambda: _taking_turns(_look_up(host, port)))


def _look_up(host: str, port: int, flags: int = 0) -> list[Place]:
    places = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
    if not places:
        raise OSError("the name has no address")
    return places


def _taking_turns(places: list[Place]) -> list[Place]:
    """Let the families take turns (RFC 8305, 4): a network that has lost one of them has lost all its addresses."""
    first = [place for place in places if place[0] == places[0][0]]
    others = [place for place in places if place[0] != places[0][0]]
    return [place for place in chain.from_iterable(zip_longest(first, others)) if place is not None]
