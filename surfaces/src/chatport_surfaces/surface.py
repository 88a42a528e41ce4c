"""What a surface is: a protocol that is spoken to a client. The dual of a dialect, and pure like one.

A surface reads a client's request into a call, and writes a reply, events or an error as bytes of its protocol. It does
no I/O, holds nothing between two requests, and knows no vendor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs

from chatport import ChatportError, Event, ModelInfo, Native, Reply
from chatport.helpers import jsoncodec

from .sealing import Seal

__all__ = ["Answer", "Asked", "ClientRequest", "Surface", "SurfaceContext", "Writer"]


@attrs.frozen
class ClientRequest:
    """A client's request as it came, its body decompressed. Header names are in lower case, `path` has no query."""

    method: str
    path: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)  # a key is among them
    query: str = attrs.field(default="", repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Asked:
    """What a client asks for, in Chatport's words.

    `kind` says what is to be done: `chat` a call, `embed` texts, `models` the list of them, `tokens` an estimate of how
    many the input of a call has, `answered` nothing more, since the reading itself gave the `answer`. `model` is an
    alias or a target. `messages` and `options` are those of `Client.chat` (texts, dimensions and extra of
    `Client.embed`). `native` is what the client has said in the words of its protocol alone. `names` maps names of
    tools, as the vendor gets them, to the client's own. `body` is the request as decoded, for what the answer has to
    repeat.
    """

    kind: Literal["chat", "embed", "models", "tokens", "answered"]
    model: str = ""
    messages: Sequence[Any] = attrs.field(default=(), repr=False)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    stream: bool = False
    native: Native | None = attrs.field(default=None, repr=False)
    names: Mapping[str, Any] = attrs.field(factory=dict)
    body: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    answer: Answer | None = attrs.field(default=None, repr=False)


@attrs.frozen
class SurfaceContext:
    """What a surface may depend on besides the request.

    `seal` closes what a vendor wants back into text that a client can carry. `unix_seconds` is the time now. `new_id`
    gives an id that begins with a prefix and is no other's. `providers` gives the names of the providers that a model's
    name may go to, in order, and an empty tuple for a name that means none.
    """

    seal: Seal
    unix_seconds: Callable[[], int]
    new_id: Callable[[str], str]
    providers: Callable[[str], Sequence[str]]


@attrs.frozen
class Answer:
    """A whole HTTP answer: `body` is its content, `headers` are without its length."""

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)

    @classmethod
    def of_json(cls, value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Return an answer of a JSON value."""
        return cls(status, jsoncodec.encode(value), (("content-type", "application/json"), *headers))


class Writer(ABC):
    """Writes the answer of one call: in pieces (`begin`, `write` until the end, or `fail`), or as a whole (`whole`)."""

    def follow(self, so_far: Callable[[], Reply]) -> None:  # noqa: B027  # most need no more than the events
        """Hear, before a stream begins, how to look at what has come of the answer so far, at any time."""

    def begin(self, partial: Reply) -> tuple[tuple[str, str], ...]:
        """Hear who answers, before the first events of a stream, and return further headers of its answer.

        `partial` is what has come until then: `provider`, `model`, `protocol` and `request_id` stay as they are.
        """
        return ()

    @abstractmethod
    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for the events that one read has brought; the first call also begins the stream.

        The last events of a stream are among them, `Finished` too: it is the only end of a stream that is whole.
        """

    @abstractmethod
    def fail(self, error: ChatportError) -> bytes:
        """Return the bytes that end a stream in which an answer broke off: an error, and never an ending."""

    @abstractmethod
    def whole(self, reply: Reply) -> Answer:
        """Return a whole answer."""


class Surface(ABC):
    """A protocol spoken to clients.

    `name` is what configuration and entry points call it, `protocol` the vendors' protocol that is the same one, empty
    where there is none. `routes` are method and path of the requests it takes, where a path may end in `*`.
    """

    name: ClassVar[str]
    protocol: ClassVar[str] = ""
    routes: ClassVar[tuple[tuple[str, str], ...]]

    @abstractmethod
    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return what a client asks for. Raises BadRequestError for what cannot be meant."""

    @abstractmethod
    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error as the whole answer."""

    def writer(self, asked: Asked, context: SurfaceContext) -> Writer:
        """Return what writes the answer of a call."""
        raise NotImplementedError(f"The surface {self.name} has no calls.")

    def embedded(self, vectors: Any, asked: Asked, context: SurfaceContext) -> Answer:
        """Return vectors (`chatport.Embeddings`) as the answer."""
        raise NotImplementedError(f"The surface {self.name} has no embeddings.")

    def listed(self, models: Sequence[ModelInfo], asked: Asked, context: SurfaceContext) -> Answer:
        """Return the models that a client may name as the answer."""
        raise NotImplementedError(f"The surface {self.name} has no list of models.")

    def counted(self, tokens: int, asked: Asked, context: SurfaceContext) -> Answer:
        """Return an estimate of the tokens of a call's input as the answer."""
        raise NotImplementedError(f"The surface {self.name} counts no tokens.")
