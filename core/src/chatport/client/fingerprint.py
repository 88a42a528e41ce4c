"""What a call is known by: a hash of all that would be sent for it, and of what tells how the answer is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import attrs

from ..basics.values import Value
from ..basics.version import __version__

if TYPE_CHECKING:
    from ..call import Call
    from ..engine.commands import HttpRequest
    from ..engine.route import Route
    from ..types import Adjustment

__all__ = ["Fingerprint", "fingerprint_of_embedding", "fingerprint_of_route"]

_NOT_ASKED = ("user-agent", "accept", "accept-encoding")
"""Headers that say how the answer travels, and not what is asked."""


@attrs.frozen(eq=False, repr=False)
class Fingerprint(Value):
    """The SHA-256 (`digest`) of a request as it goes to a `target`, plain or streamed.

    In it are the address, the body, the headers, the client's protocol where the vendor speaks it too, the names of
    tools, the warnings, and the version of Chatport. Not in it are the configured keys. `has_server_tools`: the vendor
    is to use tools of its own for the answer, such as a search.
    """

    target: str
    digest: bytes
    has_server_tools: bool = False


def fingerprint_of_route(route: Route, asked: Call) -> Fingerprint:
    """Return the fingerprint of a call as it was shaped. `asked` has the headers that are the call's own."""
    target = route.context.target
    told = [f"{name}\n{own}" for name, own in sorted(route.names.items())]
    more = ["chat", target, route.context.provider.protocol, str(route.is_native), route.wire.output_tool or "", *told]
    parts = [*more, *_notes(route.wire.adjustments), *_asked(route.request), *_own_secrets(asked)]
    has_tools = bool(asked.server_tools) and (route.call is None or bool(route.call.server_tools))
    return Fingerprint(target, _digest(parts), has_tools)


def fingerprint_of_embedding(target: str, requests: Iterable[HttpRequest]) -> Fingerprint:
    """Return the fingerprint of texts to embed, in as many requests as it takes."""
    parts = [part for request in requests for part in _asked(request)]
    return Fingerprint(target, _digest(["embeddings", target, *parts]))


def _asked(request: HttpRequest) -> Iterator[str | bytes]:
    yield request.method
    yield request.url
    for name, value in sorted(request.headers):
        if name not in _NOT_ASKED:
            yield f"{name}: {value}"
    yield request.content


def _notes(adjustments: Iterable[Adjustment]) -> Iterator[str]:
    for note in adjustments:
        yield f"{note.kind}\n{note.field}\n{note.reason}\n{note.fact}"


def _own_secrets(call: Call) -> Iterator[str]:
    """Give the call's own secret headers: who brings another key may be somebody else to the vendor."""
    for name, value in call.headers:
        yield f"{name}: {value if isinstance(value, str) else value.reveal()}"


def _digest(parts: Iterable[str | bytes]) -> bytes:
    """Hash parts, each with its length, so that no two lists of parts are one."""
    hashed = sha256(f"chatport {__version__}\n".encode())
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.digest()
