"""One face for both clients: a behaviour is written once, and proved on asyncio, on trio and without a loop."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

import chatport
from chatport.transport.sockets import open_async_transport, open_transport
from chatport.types import ModelInfo

__all__ = ["BACKENDS", "AsyncRunner", "Runner", "Streamed", "SyncRunner", "open_runner"]

BACKENDS = ("asyncio", "trio", "sync")

T = TypeVar("T")
Watch = Callable[[Any, chatport.Event], None]


@attrs.frozen
class Streamed:
    """What came out of a stream block; `reply` is None if the block was left before the end."""

    events: list[chatport.Event]
    reply: chatport.Reply | None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, chatport.TextDelta))


class Interrupted(BaseException):
    """Stands for Ctrl-C, which is the only cancellation that synchronous code knows."""


class Runner(ABC):
    """One open client. Each method is one use of it, from beginning to end."""

    backend: str

    @abstractmethod
    def chat(self, messages: Any, **options: Any) -> chatport.Reply: ...

    @abstractmethod
    def stream(self, messages: Any, *, watch: Watch | None = None, **options: Any) -> Streamed:
        """Read a stream to its end in a block. `watch(stream, event)` runs inside, as the user's own code."""

    @abstractmethod
    def leave(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        """Leave a stream with `break` after so many events."""

    @abstractmethod
    def cancel(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        """Cancel a stream after so many events, while it waits for the next one."""

    @abstractmethod
    def models(self, provider: str) -> list[ModelInfo]: ...

    @abstractmethod
    def embed(self, texts: str | Sequence[str], *, model: str) -> chatport.Embeddings: ...

    @abstractmethod
    def explain(self, messages: Any, **options: Any) -> chatport.Explanation: ...

    @abstractmethod
    def together(self, many: Sequence[str], **options: Any) -> list[chatport.Reply]:
        """Make several calls at the same time, half of them as streams; the replies are in the order of the calls."""


class AsyncRunner(Runner):
    """An AsyncClient on a loop of its own, in another thread."""

    def __init__(self, backend: str, client: chatport.AsyncClient, portal: BlockingPortal) -> None:
        self.backend = backend
        self.client = client
        self.portal = portal

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function on the client's loop."""
        return self.portal.call(function)

    def chat(self, messages: Any, **options: Any) -> chatport.Reply:
        return self.call(lambda: self.client.chat(messages, **options))

    def stream(self, messages: Any, *, watch: Watch | None = None, **options: Any) -> Streamed:
        async def run() -> Streamed:
            events: list[chatport.Event] = []
            async with self.client.stream(messages, **options) as stream:
                async for event in stream:
                    events.append(event)
                    if watch is not None:
                        watch(stream, event)
            return Streamed(events, stream.reply)

        return self.call(run)

    def leave(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        async def run() -> Streamed:
            events: list[chatport.Event] = []
            async with self.client.stream(messages, **options) as stream:
                async for event in stream:
                    events.append(event)
                    if len(events) == after:
                        break
            return Streamed(events, None)

        return self.call(run)

    def cancel(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        async def run() -> Streamed:
            events: list[chatport.Event] = []
            with anyio.CancelScope() as scope:
                async with self.client.stream(messages, **options) as stream:
                    async for event in stream:
                        if not scope.cancel_called:
                            events.append(event)
                        if len(events) == after:
                            scope.cancel()
            assert scope.cancelled_caught
            return Streamed(events, None)

        return self.call(run)

    def models(self, provider: str) -> list[ModelInfo]:
        return self.call(lambda: self.client.models(provider))

    def embed(self, texts: str | Sequence[str], *, model: str) -> chatport.Embeddings:
        return self.call(lambda: self.client.embed(texts, model=model))

    def explain(self, messages: Any, **options: Any) -> chatport.Explanation:
        return self.client.explain(messages, **options)

    def together(self, many: Sequence[str], **options: Any) -> list[chatport.Reply]:
        async def run() -> list[chatport.Reply]:
            replies: dict[int, chatport.Reply] = {}

            async def one(number: int, message: str) -> None:
                if number % 2:
                    async with self.client.stream(message, **options) as stream:
                        async for _ in stream:
                            pass
                    replies[number] = stream.reply
                else:
                    replies[number] = await self.client.chat(message, **options)

            async with anyio.create_task_group() as group:
                for number, message in enumerate(many):
                    group.start_soon(one, number, message)
            return [replies[number] for number in range(len(many))]

        return self.call(run)


class SyncRunner(Runner):
    """A Client, used from this thread."""

    backend = "sync"

    def __init__(self, client: chatport.Client) -> None:
        self.client = client

    def chat(self, messages: Any, **options: Any) -> chatport.Reply:
        return self.client.chat(messages, **options)

    def stream(self, messages: Any, *, watch: Watch | None = None, **options: Any) -> Streamed:
        events: list[chatport.Event] = []
        with self.client.stream(messages, **options) as stream:
            for event in stream:
                events.append(event)
                if watch is not None:
                    watch(stream, event)
        return Streamed(events, stream.reply)

    def leave(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        events: list[chatport.Event] = []
        with self.client.stream(messages, **options) as stream:
            for event in stream:
                events.append(event)
                if len(events) == after:
                    break
        return Streamed(events, None)

    def cancel(self, messages: Any, *, after: int, **options: Any) -> Streamed:
        events: list[chatport.Event] = []
        with contextlib.suppress(Interrupted), self.client.stream(messages, **options) as stream:
            for event in stream:
                events.append(event)
                if len(events) == after:
                    raise Interrupted
        return Streamed(events, None)

    def models(self, provider: str) -> list[ModelInfo]:
        return self.client.models(provider)

    def embed(self, texts: str | Sequence[str], *, model: str) -> chatport.Embeddings:
        return self.client.embed(texts, model=model)

    def explain(self, messages: Any, **options: Any) -> chatport.Explanation:
        return self.client.explain(messages, **options)

    def together(self, many: Sequence[str], **options: Any) -> list[chatport.Reply]:
        def one(numbered: tuple[int, str]) -> chatport.Reply:
            number, message = numbered
            if number % 2:
                with self.client.stream(message, **options) as stream:
                    for _ in stream:
                        pass
                return stream.reply
            return self.client.chat(message, **options)

        with ThreadPoolExecutor(len(many)) as threads:
            return list(threads.map(one, enumerate(many)))


@contextlib.contextmanager
def open_runner(
    backend: str,
    config: Any,
    *,
    asynchronous: Callable[[], Any] | None = None,
    synchronous: Any = None,
    plugins: Any = (),
) -> Iterator[Runner]:
    """Open a client on a backend, and close it (and an HTTP client made for it) in the end.

    `asynchronous` and `synchronous` make the transport for either kind of client; None stands for our own sockets.
    """
    if backend == "sync":
        if synchronous is None:
            with (
                contextlib.closing(open_transport()) as own,
                chatport.Client(config, transport=own, plugins=plugins) as c,
            ):
                yield SyncRunner(c)
            return
        transport = synchronous()
        with chatport.Client(config, transport=transport, plugins=plugins) as sync_client:
            yield SyncRunner(sync_client)
        _close_given(transport)
        return

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[chatport.AsyncClient]:
        if asynchronous is None:
            async with (
                contextlib.aclosing(open_async_transport()) as own,
                chatport.AsyncClient(config, transport=own, plugins=plugins) as client,
            ):
                yield client
            return
        transport = asynchronous()
        async with chatport.AsyncClient(config, transport=transport, plugins=plugins) as client:
            yield client
        await _aclose_given(transport)

    with start_blocking_portal(backend) as portal, portal.wrap_async_context_manager(opened()) as client:
        yield AsyncRunner(backend, client, portal)


def _close_given(transport: Any) -> None:
    if hasattr(transport, "is_closed"):
        assert not transport.is_closed, "a client that was passed in stays its owner's to close"
        transport.close()


async def _aclose_given(transport: Any) -> None:
    if hasattr(transport, "is_closed"):
        assert not transport.is_closed, "a client that was passed in stays its owner's to close"
        await transport.aclose()
