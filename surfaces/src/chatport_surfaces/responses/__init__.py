"""OpenAI's Responses protocol, spoken to clients: `POST /v1/responses`, and what is kept where a store is given."""

from __future__ import annotations

from chatport import ChatportError

from ..surface import Answer, Asked, ClientRequest, Surface, SurfaceContext, Writer
from .errors import error_answer
from .kept import kept_answer
from .request import read_request
from .store import MemoryStore, Stored
from .writer import ResponsesWriter

__all__ = ["MemoryStore", "ResponsesSurface", "Stored", "surface"]


class ResponsesSurface(Surface):
    """The protocol of the facts `RS-…`. Without a `store` nothing is kept, and every request brings all that was said.

    With one, answers are kept unless a request says `store: false`, `previous_response_id` goes on from them, and they
    can be asked for and deleted. Whoever knows an id gets what is kept under it: give each tenant a store of its own.
    """

    name = "responses"
    protocol = "responses"
    routes = (
        ("POST", "/v1/responses"),
        ("POST", "/v1/responses/input_tokens"),
        ("GET", "/v1/responses/*"),
        ("DELETE", "/v1/responses/*"),
    )

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return what is asked for. Raises BadRequestError for what cannot be meant, or needs a store."""
        if request.method != "POST":
            return Asked("answered", answer=kept_answer(request, self.store))
        return read_request(request, context, self.store)

    def writer(self, asked: Asked, context: SurfaceContext) -> Writer:
        """Return what writes the answer, and keeps it where it is to be kept."""
        return ResponsesWriter(asked, context, self.store)

    def counted(self, tokens: int, asked: Asked, context: SurfaceContext) -> Answer:
        """Return an estimate of the tokens of the input."""
        return Answer.of_json({"object": "response.input_tokens", "input_tokens": tokens})

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error as the whole answer."""
        return error_answer(error)


surface = ResponsesSurface()
