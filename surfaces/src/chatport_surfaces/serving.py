"""From a client's request to its answer, with an asynchronous client behind: read, call, write.

`serving_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import urandom
from typing import Any, Protocol, Self

import attrs

from chatport import (
    AsyncClient,
    AsyncReplyStream,
    AttemptFailed,
    BadRequestError,
    ChatportError,
    ConfigurationError,
    Embeddings,
    Event,
    ModelInfo,
    ModelNotFoundError,
    Reply,
)

from .installed import Table, installed_surfaces
from .record import Record
from .sealing import Seal
from .surface import Answer, Asked, ClientRequest, Surface, SurfaceContext, Writer
from .told import headers_of

__all__ = ["AsyncCalls", "AsyncGuard", "AsyncStreamedAnswer", "AsyncSurfaces"]

_STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


class AsyncStreamedAnswer:
    """An answer in pieces: iterate it for their bytes, and close it in any case. Closing it early stops the vendor.

    `record` has what has come of it. `stream` is the client's own.
    """

    status = 200

    def __init__(
        self,
        stream: AsyncReplyStream,
        writer: Writer,
        first: Sequence[Event],
        headers: tuple[tuple[str, str], ...],
        record: Record,
    ) -> None:
        self.headers = headers
        self.record = record
        self.stream = stream
        self._writer = writer
        self._first: Sequence[Event] | None = first
        self._is_over = False

    @property
    def error(self) -> ChatportError | None:
        """The error in which it ended, of which the client was told; None as long as there is none."""
        return self.record.error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._is_over:
            data = await self._more()
            if data:
                return data
        raise StopAsyncIteration

    async def _more(self) -> bytes:
        first, self._first = self._first, None
        try:
            events = await self.stream.read() if first is None else first
            self._is_over = not events
            return self._writer.write(events) if events else b""
        except ChatportError as error:
            self.record.error, self._is_over = error, True
            return self._writer.fail(error)

    async def aclose(self) -> None:
        """Stop, wherever it is. Safe to call twice."""
        self._is_over = True
        self.record.reply = self.stream.partial
        await self.stream.__aexit__(None, None, None)


class AsyncGuard(ABC):
    """Who may ask for what: heard when a request is read, and before anything is done for it."""

    @abstractmethod
    async def admit(self, asked: Asked) -> None:
        """Let a request pass. Raises a ChatportError, of which the client is told in its own protocol."""

    def shows(self, name: str) -> bool:
        """Whether the list of models has a name."""
        return True


class AsyncCalls(Protocol):
    """Who makes the calls of a request in the place of the client: with its names, and its errors."""

    async def chat(self, messages: Any, **options: Any) -> Reply:
        """Return the whole answer."""

    def stream(self, messages: Any, **options: Any) -> AsyncReplyStream:
        """Return the answer as a stream, to be entered."""

    async def embed(self, texts: Any, **options: Any) -> Embeddings:
        """Return vectors."""


class AsyncSurfaces:
    """Answers requests of any surface by the calls of one client.

    `surfaces` are the installed ones unless others are given. `seal` closes what vendors want back, see `Seal`. The
    client stays the caller's: it is not closed here. `problems` says what is wrong with installed surfaces that cannot
    be used.
    """

    def __init__(
        self,
        client: AsyncClient,
        surfaces: Iterable[Surface] | None = None,
        *,
        seal: Seal | None = None,
        unix_seconds: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        found, self.problems = installed_surfaces() if surfaces is None else (tuple(surfaces), ())
        self.surfaces = found
        self.table = Table(found)
        self.context = SurfaceContext(seal or Seal(), lambda: int(unix_seconds()), _new_id, self._providers)

    async def answer(
        self,
        request: ClientRequest,
        *,
        timeout: Mapping[str, float] | None = None,
        record: Record | None = None,
        guard: AsyncGuard | None = None,
        calls: AsyncCalls | None = None,
    ) -> Answer | AsyncStreamedAnswer:
        """Return the answer to a request, errors included. A streamed one is to be closed.

        `timeout` are timers of a call by their names, in seconds, 0 for none. `record` is filled in. `guard` may refuse
        it. `calls` makes its calls in the client's place.
        """
        record = record or Record()
        surface = self.table.find(request.method, request.path)
        if surface is None:
            return _unknown_path(request, self.table.methods(request.path), self.problems)
        record.surface = surface
        try:
            asked = record.asked = surface.read(request, self.context)
            if timeout and asked.kind in ("chat", "embed"):
                asked = attrs.evolve(asked, options={"timeout": timeout, **asked.options})
            if guard is not None:
                await guard.admit(asked)
            return await self._asked(surface, asked, record, guard, calls or self.client)
        except ChatportError as error:
            record.error = error
            return surface.error(error, self.context)

    async def _asked(
        self, surface: Surface, asked: Asked, record: Record, guard: AsyncGuard | None, calls: AsyncCalls | AsyncClient
    ) -> Answer | AsyncStreamedAnswer:
        if asked.answer is not None:
            return asked.answer
        match asked.kind:
            case "models":
                models = self._models()
                shown = models if guard is None else [model for model in models if guard.shows(model.id)]
                return surface.listed(shown, asked, self.context)
            case "embed":
                model = self._known(asked.model)
                vectors = record.vectors = await calls.embed(list(asked.messages), model=model, **asked.options)
                return surface.embedded(vectors, asked, self.context)
            case "tokens":
                tokens = self.client.estimate_tokens(
                    list(asked.messages), model=self._known(asked.model), **asked.options
                )
                return surface.counted(tokens, asked, self.context)
        return await (self._stream if asked.stream else self._chat)(surface, asked, record, calls)

    async def _chat(self, surface: Surface, asked: Asked, record: Record, calls: AsyncCalls | AsyncClient) -> Answer:
        writer = surface.writer(asked, self.context)
        reply = record.reply = await calls.chat(list(asked.messages), **self._options(asked))
        answer = writer.whole(reply)
        return attrs.evolve(answer, headers=(*answer.headers, *headers_of(reply)))

    async def _stream(
        self, surface: Surface, asked: Asked, record: Record, calls: AsyncCalls | AsyncClient
    ) -> AsyncStreamedAnswer:
        """Begin a stream. Until there is content an error has its own status, and no byte was written."""
        writer = surface.writer(asked, self.context)
        stream = calls.stream(list(asked.messages), **self._options(asked))
        await stream.__aenter__()
        try:
            first = await stream.read()
            while first and all(type(event) is AttemptFailed for event in first):
                first = await stream.read()
            writer.follow(lambda: stream.partial)
            headers = (*_STREAM_HEADERS, *writer.begin(stream.partial))
        except BaseException:
            await stream.__aexit__(None, None, None)
            raise
        return AsyncStreamedAnswer(stream, writer, first, (*headers, *headers_of(stream.partial)), record)

    def _options(self, asked: Asked) -> dict[str, Any]:
        """Return what a call takes beside the messages. Raises as `_known` does."""
        return {"model": self._known(asked.model), "native": asked.native, **asked.options}

    def _known(self, model: str) -> str:
        """Return a model's name, or the usual one. Raises ModelNotFoundError, BadRequestError: the client is wrong."""
        if not model and not self.client.config.model:
            raise BadRequestError("The request names no model. GET /v1/models lists what there is.")
        try:
            target = self.client.targets(model or None)[0]
            if model == target:  # a client may write anything before the colon
                self.client.facts(target)
        except ConfigurationError as error:
            raise ModelNotFoundError(error.message, model=model) from error
        return model or self.client.config.model or ""

    def _providers(self, model: str) -> Sequence[str]:
        try:
            return tuple([target.partition(":")[0] for target in self.client.targets(model or None)])
        except ConfigurationError:
            return ()

    def _models(self) -> Sequence[ModelInfo]:
        """Return what a client may name: the aliases, and targets that they lead to."""
        aliases = self.client.config.aliases
        targets = dict.fromkeys(target for name in aliases for target in self.client.targets(name))
        usual = self.client.config.model
        names = dict.fromkeys([*aliases, *([usual] if usual else []), *targets])
        return [ModelInfo(name, owned_by="chatport") for name in names]


def _new_id(prefix: str) -> str:
    return prefix + urandom(16).hex()


def _unknown_path(request: ClientRequest, methods: Sequence[str], problems: Sequence[str]) -> Answer:
    """Return the answer to a path that no surface has, in a shape that every client can show."""
    status, words = (405, f"is taken with {', '.join(methods)} only") if methods else (404, "is not there")
    message = " ".join([f"{request.method} {request.path} {words}.", *problems])
    error = {"message": message, "type": "invalid_request_error", "code": None}
    return Answer.of_json({"type": "error", "error": error}, status, (("x-should-retry", "false"),))
