"""Chat completions, spoken to clients: `POST /v1/chat/completions`."""

from __future__ import annotations

from chatport import ChatportError

from ..surface import Answer, Asked, ClientRequest, Surface, SurfaceContext
from .errors import error_answer
from .request import read
from .writer import ChatWriter

__all__ = ["ChatSurface", "surface"]


class ChatSurface(Surface):
    """OpenAI's first protocol, in which most clients speak. Fields that we do not know go to the vendor as they are."""

    name = "chat"
    protocol = "chat"
    routes = (("POST", "/v1/chat/completions"), ("POST", "/chat/completions"))

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return the call that a client asks for."""
        return read(request, context)

    def writer(self, asked: Asked, context: SurfaceContext) -> ChatWriter:
        """Return what writes its answer."""
        return ChatWriter(asked, context)

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error as the whole answer."""
        return error_answer(error)


surface = ChatSurface()
