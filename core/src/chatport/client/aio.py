"""The asynchronous client and its driver, on asyncio and trio alike.

`sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

# sync only: from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Never, Self, TypeVar, Unpack, cast, overload

from ..decoding.redaction import run_without_key
from ..engine.commands import (
    Beside,
    Block,
    Close,
    Deliver,
    Machine,
    Pause,
    Read,
    Send,
    TimerExpired,
    TransportFailure,
    Wait,
)
from ..engine.timers import not_ready_in_time
from ..errors import ChatportError, ConfigurationError, MisuseError
from ..events import Event
from ..inputs.messages import MessagesInput
from ..inputs.options import EMBED_OPTIONS, read_timeout, unknown_option
from ..plugins.guarding import guarded
from ..setup.shaping import plain_wire
from ..setup.targets import split_target
from ..transport import AsyncExchange, AsyncTransport
from ..types import ModelInfo, Reply
from .base import is_httpx
from .series import AsyncSeries
from .waiting import pause_async, run_beside_async, run_blocking_async, sleep_async

if TYPE_CHECKING:
    from ..basics.secret import Secret
    from ..call import Native
    from ..engine.plain import Into
    from ..inputs.options import Effort, UntypedOptions
    from ..inputs.tools import ToolInput
    from .embeddings import Embeddings
    from .explain import Explanation
    from .fingerprint import Fingerprint

    # async only: begin
    from .hedging import AsyncDriver

    # async only: end
    from .streamed import AsyncReplyStream

__all__ = ["LEFT", "AsyncClient", "reply_of"]


T = TypeVar("T")

LEFT = "This stream was left before its end: its block was left, or it was closed, while it was still read."


def _over() -> Generator[Any, Any, Reply]:
    """Return a machine that has ended without a reply."""
    ended: Generator[Any, Any, Any] = (None for _ in ())
    next(ended, None)
    return ended


_OVER = _over()


class _Driver:
    """Does what a machine asks for. Holds at most one exchange, and always gives it back."""

    def __init__(
        self, machine: Machine, transport: AsyncTransport, check_open: Callable[[], None] | None = None
    ) -> None:
        """`check_open` raises MisuseError where the client was closed before the call has sent anything."""
        self._machine = machine
        self._run: Generator[Any, Any, Reply] = machine.run()
        self._sleep = machine.clock.sleep
        self._transport = transport
        self._check_open = check_open
        self._exchange: AsyncExchange | None = None
        self.reply: Reply | None = None

    async def advance(self) -> list[Event] | None:
        """Run the machine until it hands events over; return them, or None when the reply is complete.

        Raises MisuseError where the call was abandoned meanwhile, by another task or thread.
        """
        answer: Any = None
        thrown: Exception | None = None
        while True:
            try:
                command = self._run.send(answer) if thrown is None else self._run.throw(thrown)
            except StopIteration as stop:
                if stop.value is None:
                    raise MisuseError(LEFT) from None
                self.reply = stop.value
                return None
            except (TransportFailure, TimerExpired):  # the machine would have taken it
                raise MisuseError(LEFT) from None
            # sync only: except ValueError:
            # sync only:     if self._run is not _OVER:
            # sync only:         raise
            # sync only:     raise MisuseError(LEFT) from None  # another thread is just closing it
            except BaseException:
                answer = None  # a vendor may have echoed the key in it, and a traceback may show locals
                raise
            answer = thrown = None
            try:
                match command:
                    case Read(seconds=seconds):
                        exchange = self._exchange
                        if exchange is None:
                            raise MisuseError(LEFT)
                        answer = await exchange.read(seconds)
                    case Deliver(events=events):
                        return events
                    case Send():
                        if self._check_open is not None:
                            self._check_open()
                            self._check_open = None  # a call that has begun goes on to its end
                        self._exchange = await self._transport.send(
                            command.request, command.connect_seconds, command.head_seconds
                        )
                        answer = self._exchange.head
                    case Close(is_sound=is_sound):
                        distrust = None if is_sound else getattr(self._exchange, "distrust", None)  # not all have it
                        if distrust is not None:
                            distrust()
                        await self.aclose()
                    case Wait(seconds=seconds):
                        if self._sleep is not None:
                            self._sleep(seconds)
                            seconds = 0.0  # a call can be cancelled here all the same
                        await sleep_async(seconds)
                    case Pause(arm=arm, seconds=seconds):
                        await pause_async(arm, seconds, self._sleep)
                    case Beside(machine=machine):
                        # async only: begin
                        run_beside_async(partial(reply_of, _Driver(machine, self._transport)))
                        # async only: end
                        # sync only: run_beside(partial(reply_of, _Driver(machine, self._transport)), self._sleep)
                    case Block():
                        answer = await run_blocking_async(
                            command.name, command.function, command.seconds, command.ahead
                        )
            except (TransportFailure, TimerExpired, ChatportError) as failure:
                thrown = failure

    def partial(self) -> Reply:
        """Return what has been received so far."""
        return self._machine.partial()

    async def aclose(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()

    async def abandon(self) -> None:
        """Stop wherever the machine is. Safe to call twice, and beside `advance`, which then raises MisuseError."""
        run, self._run = self._run, _OVER
        try:
            # async only: begin
            run.close()
            # async only: end
            # sync only: with suppress(ValueError):  # another thread is in it: it ends when that lets go of it
            # sync only:     run.close()
        finally:
            if self._exchange is not None:
                await self.aclose()

    # async only: begin
    def be_quiet(self, quiet: bool = True) -> None:
        """Say nothing of the end: it is not the end of the call, which goes on elsewhere."""
        self._machine.is_quiet = quiet

    # async only: end


async def reply_of(driver: AsyncDriver) -> Reply:
    """Run a call to its end, whatever becomes of it, and return the reply."""
    try:
        while await driver.advance() is not None:
            pass
    finally:
        await driver.abandon()
    assert driver.reply is not None
    return driver.reply


class AsyncClient(AsyncSeries):
    """Chat with any configured vendor, on asyncio or trio.

    `config` is a Config, a path or a dict (default: environment and files). `plugins` are extra hook objects,
    each with a `provider` attribute. `providers` are `Provider` values that no package registers; they go before
    installed ones of the same name. `transport` is an `httpx.AsyncClient` (or httpx2), or anything that meets
    `chatport.transport.AsyncTransport`. Use it as `async with`, or call `aclose()`.
    """

    _opened: AsyncTransport | None = None

    def _transport(self) -> AsyncTransport:
        opened = self._opened
        if opened is None:
            with self._opening:
                self._check_open()
                opened = self._opened
                if opened is None:
                    opened = self._opened = self._open_transport()
        return opened

    def _open_transport(self) -> AsyncTransport:
        given = self._given_transport
        # async only: begin
        given = getattr(given, "asynchronous", lambda: given)()  # an emulator serves both kinds of client
        # async only: end
        if not (given is None or given in ("httpx", "sockets") or hasattr(given, "aclose")):
            raise ConfigurationError(f"transport: {given!r} is not one that AsyncClient can use.")
        if given is None or given == "sockets":
            from ..transport.sockets import open_async_transport

            return open_async_transport()
        if given == "httpx" or is_httpx(given):
            from ..transport.httpx_async import HttpxAsyncTransport

            return HttpxAsyncTransport(None if given == "httpx" else given)
        return cast(AsyncTransport, given)

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client and its connections. An HTTP client that was passed in stays open.

        Calls under way, here or in other threads, go on to their end, and their connections are closed then. A call
        that is made later is a MisuseError, and so is a stream that was made before and not yet read. Safe to call
        twice.
        """
        with self._opening:
            self._is_closed = True
            opened, self._opened = self._opened, None
        if opened is not None and opened is not self._given_transport:
            await opened.aclose()

    def _driver(self, messages: MessagesInput, stream: bool, options: Mapping[str, Any]) -> AsyncDriver:
        """Return what runs a call: one driver, or two where a slow try gets a second one beside it."""
        transport = self._transport()
        check_open = self._check_open if stream else None  # a stream may be read at any later time
        machine = self._machine(messages, stream, stream, options)
        # async only: begin
        after_seconds = self._shared.hedging.after_seconds
        if after_seconds is not None and self._may_hedge(options):

            def second() -> _Driver | None:
                other = self._second_try(machine)
                return None if other is None else _Driver(other, transport)

            from .hedging import HedgedDriver

            first = _Driver(machine, transport, check_open)
            return HedgedDriver(first, second, after_seconds, lambda: machine.trace)
        # async only: end
        return _Driver(machine, transport, check_open)

    @overload
    async def chat(
        self, messages: MessagesInput, *, output: type[T], retry_invalid: int = 0, **options: Unpack[UntypedOptions]
    ) -> Reply[T]: ...

    @overload
    async def chat(
        self, messages: MessagesInput, *, output: Any = None, retry_invalid: int = 0, **options: Unpack[UntypedOptions]
    ) -> Reply: ...

    async def chat(
        self,
        messages: MessagesInput,
        *,
        model: str | None = None,
        tools: Sequence[ToolInput] | None = None,
        tool_choice: Any = None,
        output: Any = None,
        reasoning: Effort | int | bool | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        timeout: float | Mapping[str, float] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        native: Native | None = None,
        on_unsupported: Literal["warn", "raise"] | None = None,
        retry_invalid: int = 0,
        **unknown: Never,
    ) -> Reply:
        """Return the whole answer. Raises ChatportError, see `chatport.errors`. All options may be left out.

        `model` is "provider:model" or an alias. `reasoning` is none, minimal, low, medium, high, xhigh or max, a number
        of tokens, or False. `output` is a type or a JSON Schema, of which `Reply.parsed` gives the value; where the
        answer is none, it is asked for again up to `retry_invalid` times, with what is wrong. `timeout` is in seconds,
        `extra` the vendor's own body fields. More on each is in `chatport.ChatOptions`.
        """
        options: dict[str, Any] = {
            "model": model,
            "tools": tools,
            "tool_choice": tool_choice,
            "output": output,
            "reasoning": reasoning,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": stop,
            "seed": seed,
            "timeout": timeout,
            "extra": extra,
            "headers": headers,
            "native": native,
            "on_unsupported": on_unsupported,
        }
        if unknown:
            options.update(unknown)  # which are refused with the nearest that there is
        if not retry_invalid:
            return await reply_of(self._driver(messages, False, options))
        from .reasking import as_one, check_retry_invalid, problem_of, with_problem

        check_retry_invalid(retry_invalid, options)
        replies = [await reply_of(self._driver(messages, False, options))]
        while len(replies) <= retry_invalid and (problem := problem_of(replies[-1])) is not None:
            messages = with_problem(messages, replies[-1], problem)
            replies.append(await reply_of(self._driver(messages, False, options)))
        return as_one(replies)

    @overload  # both are as one, but hide `unknown`, into which a type checker lets no `**options` of one's own
    def stream(
        self, messages: MessagesInput, *, output: type[Any], **options: Unpack[UntypedOptions]
    ) -> AsyncReplyStream: ...

    @overload
    def stream(
        self, messages: MessagesInput, *, output: Any = None, **options: Unpack[UntypedOptions]
    ) -> AsyncReplyStream: ...

    def stream(
        self,
        messages: MessagesInput,
        *,
        model: str | None = None,
        tools: Sequence[ToolInput] | None = None,
        tool_choice: Any = None,
        output: Any = None,
        reasoning: Effort | int | bool | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        timeout: float | Mapping[str, float] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        native: Native | None = None,
        on_unsupported: Literal["warn", "raise"] | None = None,
        **unknown: Never,
    ) -> AsyncReplyStream:
        """Return the answer as a stream of events, to be used as `async with`.

        Options as for `chat`: `reasoning` is none, minimal, low, medium, high, xhigh or max, a number of tokens, or
        False. `ReplyStream.partial_parsed` is what there is so far of `output`.
        """
        options: dict[str, Any] = {
            "model": model,
            "tools": tools,
            "tool_choice": tool_choice,
            "output": output,
            "reasoning": reasoning,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": stop,
            "seed": seed,
            "timeout": timeout,
            "extra": extra,
            "headers": headers,
            "native": native,
            "on_unsupported": on_unsupported,
        }
        if unknown:
            options.update(unknown)  # which are refused with the nearest that there is
        from .streamed import AsyncReplyStream

        return AsyncReplyStream(self._driver(messages, True, options))

    async def models(self, provider: str) -> list[ModelInfo]:
        """Return the models that a provider lists."""
        self._check_open()
        await self._ready(provider, {})
        target, wire = self._models_target(provider)
        reply = await self._fetch(target, wire)
        vendor = self._vendors.provider(provider)
        context = vendor.context("*")

        def read() -> list[ModelInfo]:
            return list(guarded(context, "parse_models", vendor.plan.parse_models, reply.raw, context) or ())

        return run_without_key(vendor.secrets, read)

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str,
        dimensions: int | None = None,
        extra: Mapping[str, Any] | None = None,
        timeout: Any = None,
        **unknown: Never,
    ) -> Embeddings:
        """Return an embedding vector for each text, of `dimensions` coordinates where the model leaves the choice.

        More texts than the vendor takes at once go in several requests, one after the other. Raises MalformedReplyError
        where there is not a vector for each text.
        """
        if unknown:
            raise unknown_option("embed", unknown, EMBED_OPTIONS)
        self._check_open()
        await self._ready(split_target(self._routes.targets(model)[0][0].target)[0], read_timeout(timeout))
        target, wires = self._embed_requests(texts, model, dimensions, extra)
        from .embeddings import count_of, joined, read_embeddings

        began = self._shared.clock.monotonic()
        parts: list[Embeddings] = []
        secrets = self._vendors.provider(split_target(target)[0]).secrets
        for wire in wires:
            reply = await self._fetch(target, wire, self._time_left(target, timeout, began) if parts else timeout)
            asked = count_of(wire.body["input"])
            parts.append(run_without_key(secrets, partial(read_embeddings, reply, asked, dimensions)))
        return run_without_key(secrets, partial(joined, parts))

    async def fingerprint(
        self, messages: MessagesInput, *, answered: str | None = None, **options: Any
    ) -> Fingerprint | None:
        """Return what a call is known by, options as for `chat`: the same for one that is streamed. Nothing is sent.

        It is that of the target that is asked first, or of the one that has `answered`; None if it is none of the
        call's. Raises before anything would be sent, as the call does.
        """
        from .fingerprint import fingerprint_of_route

        for target, call, timeouts, merged in self._as_it_goes_to(messages, options, every=answered is not None):
            await self._ready(split_target(target)[0], timeouts)
            route = self._routes.route(call, target, timeouts=timeouts, options=merged)
            if answered is None or route.context.target == answered:
                return fingerprint_of_route(route, call)
        return None

    async def embed_fingerprint(
        self,
        texts: str | Sequence[str],
        *,
        model: str,
        dimensions: int | None = None,
        extra: Mapping[str, Any] | None = None,
        timeout: Any = None,
    ) -> Fingerprint:
        """Return what texts to embed are known by, with the options of `embed`. Nothing is sent."""
        from .fingerprint import fingerprint_of_embedding

        provider = split_target(self._routes.targets(model)[0][0].target)[0]
        await self._ready(provider, read_timeout(timeout))
        target, wires = self._embed_requests(texts, model, dimensions, extra)
        return fingerprint_of_embedding(
            target, [self._routes.raw_route(provider, target, wire, {}).request for wire in wires]
        )

    async def request(
        self,
        provider: str,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        model: str = "*",
        into: Into | None = None,
        repeats: bool = True,
        timeout: float | Mapping[str, float] | None = None,
    ) -> Any:
        """Ask a provider for something that is no call of a model, such as a file or a batch; return the answer's JSON.

        `path` is below the base URL and begins with a slash; the provider's key goes with it, there and nowhere else.
        `body` is sent as JSON, `content` as it is, with its own `content-type` among `headers`. `into` is called when
        an answer begins, again if that attempt fails, and gives the function that takes its pieces: then None is
        returned. `repeats` False: it is sent once, since nobody knows what a second one would do. `model` is for the
        policy. Raises ChatportError as a call does.
        """
        self._check_open()
        await self._ready(provider, read_timeout(timeout))
        wire, sent = plain_wire(method, path, body, content, headers)
        machine = self._plain_request(provider, wire, sent, into, repeats, model=model, timeout=timeout)
        await self._run(machine)
        return machine.data

    async def _ready(self, provider: str, timers: Mapping[str, float]) -> None:
        while not self._vendors.is_ready(provider):
            seconds = self._vendors.total_seconds(provider, timers)
            try:
                await run_blocking_async(
                    (self._vendors, provider),
                    lambda: self._vendors.provider(provider),
                    seconds,
                    self._vendors.ahead(provider),
                )
            except TimerExpired:
                raise not_ready_in_time(provider, seconds) from None

    async def _fetch(self, target: str, wire: Any, timeout: Any = None) -> Reply:
        return await self._run(self._request_machine(target, wire, timeout))

    async def _run(self, machine: Machine) -> Reply:
        return await reply_of(_Driver(machine, self._transport()))

    def explain(self, messages: MessagesInput, *, changes: bool = True, **options: Any) -> Explanation:
        """Return the request that `chat` (or, with `stream=True`, `stream`) would send. Nothing is sent.

        Without `changes` it does not say which plugin made what of it, which takes most of the time.
        """
        return self._explain(messages, options, changes)
