"""What of a reply its vendor wants back with the next request, sealed for the client to carry."""

from __future__ import annotations

from chatport import Reply

from .sealing import Seal, Sealed

__all__ = ["state_of"]


def state_of(reply: Reply, seal: Seal, *, with_reasoning: bool = False) -> str | None:
    """Return the sealed text, None where nothing is to be carried.

    `with_reasoning`: the protocol carries reasoning as text only, so that whose it was has to be carried beside it.
    """
    calls = {call.id: call.extra for call in reply.tool_calls if call.extra}
    if not reply.provider or not (reply.opaque or calls or (with_reasoning and reply.reasoning)):
        return None
    return seal.close(Sealed(reply.provider, reply.opaque, calls))
