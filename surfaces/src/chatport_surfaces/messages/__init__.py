"""Anthropic's Messages protocol, spoken to clients. Numbers such as AN-S2 are facts of the vendor's fact sheet.

Files: `request.py` reads a request with `turns.py`, `answers.py`, `parts.py` and `tools.py`; `reply.py` writes a whole
answer, `stream.py` one that is translated in pieces, `passed.py` one whose pieces came in this protocol; `opaque.py`
seals what a vendor wants back; `endings.py` has counts and reasons, `errors.py` errors.
"""

from __future__ import annotations

from chatport import ChatportError

from ..surface import Answer, Asked, ClientRequest, Surface, SurfaceContext, Writer
from .errors import error_answer
from .request import read_request
from .writer import MessagesWriter

__all__ = ["MessagesSurface", "surface"]

_COUNT = "/v1/messages/count_tokens"


class MessagesSurface(Surface):
    """`POST /v1/messages`, and `POST /v1/messages/count_tokens`, whose answer is an estimate."""

    name = "messages"
    protocol = "messages"
    routes = (("POST", "/v1/messages"), ("POST", _COUNT))

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return what a client asks for. Raises BadRequestError that names the place of what cannot be meant."""
        return read_request(request, context, counts=request.path.rstrip("/").endswith(_COUNT))

    def writer(self, asked: Asked, context: SurfaceContext) -> Writer:
        """Return what writes the answer of a call."""
        return MessagesWriter(asked, context)

    def counted(self, tokens: int, asked: Asked, context: SurfaceContext) -> Answer:
        """Return an estimate. The protocol has no word for one, so a header of our own says it."""
        headers = (("request-id", context.new_id("req_")), ("x-chatport-estimate", "true"))
        return Answer.of_json({"input_tokens": tokens}, headers=headers)

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error as the whole answer."""
        return error_answer(error, context)


surface = MessagesSurface()
