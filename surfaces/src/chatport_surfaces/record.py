"""What became of a request, for whoever keeps records."""

from __future__ import annotations

from chatport import ChatportError, Embeddings, Reply

from .surface import Asked, Surface

__all__ = ["Record"]


class Record:
    """What became of a request, for whoever keeps records: filled in while it is answered.

    `reply` is the whole one, or what has come of a stream, `vectors` are those of texts. `error` is the error that the
    client was told.
    """

    __slots__ = ("asked", "error", "reply", "surface", "vectors")

    def __init__(self) -> None:
        self.surface: Surface | None = None
        self.asked: Asked | None = None
        self.reply: Reply | None = None
        self.vectors: Embeddings | None = None
        self.error: ChatportError | None = None
