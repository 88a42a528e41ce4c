"""What a client makes of several calls: runs of tools and maps over items, on asyncio and trio alike.

`series_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from ..inputs.messages import MessagesInput
from .base import BaseClient

Item = TypeVar("Item")
T = TypeVar("T")

if TYPE_CHECKING:
    from pathlib import Path

    from ..inputs.options import CommonOptions, UntypedOptions
    from ..inputs.tools import ToolInput
    from ..runs.approval import Approve
    from ..types.maps import MapProgress
    from ..types.runs import Run

    # async only: begin
    from .hedging import AsyncDriver

    # async only: end
    from .mapping import AsyncMapStream
    from .running import AsyncRunStream
    # sync only: from .sync import _Driver

# async only: begin
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable

# async only: end
__all__ = ["AsyncSeries"]


class AsyncSeries(BaseClient):
    """The calls that are made of calls: each step of theirs is one of the client's own."""

    if TYPE_CHECKING:

        def _driver(self, messages: MessagesInput, stream: bool, options: Mapping[str, Any]) -> AsyncDriver: ...

    async def run(
        self,
        messages: MessagesInput | Run,
        *,
        tools: Sequence[ToolInput] = (),
        max_steps: int = 20,
        max_seconds: float | None = None,
        approve: Approve | None = None,
        threads: bool = False,
        output: Any = None,
        **options: Unpack[CommonOptions],
    ) -> Run:
        """Ask, run the tools that the model calls, and ask again, until it calls none; return the whole of it.

        Calls of one answer run at the same time where they can: asynchronous tools do, plain ones in worker threads
        with `threads=True`. What goes wrong in a tool, or with its arguments, is told to the model in words.
        `approve` is given each call before it is run, and returns True, False or an `Approval`, awaited if need be.
        Other options as for `chat`: `model`, `tool_choice`, `reasoning` (none, minimal, low, medium, high, xhigh or
        max, a number of tokens, or False), `temperature`, `top_p`, `max_tokens`, `stop`, `seed`, `timeout`, `extra`,
        `headers`, `native`, `on_unsupported`. Raises RunLimitError when the model was asked `max_steps` times, or after
        `max_seconds`, and ChatportError as `chat` does, both with all there is in their `run`.
        """
        async with self.run_stream(
            messages,
            tools=tools,
            max_steps=max_steps,
            max_seconds=max_seconds,
            approve=approve,
            threads=threads,
            output=output,
            **options,
        ) as stream:
            return await stream.without_events()

    def run_stream(
        self,
        messages: MessagesInput | Run,
        *,
        tools: Sequence[ToolInput] = (),
        max_steps: int = 20,
        max_seconds: float | None = None,
        approve: Approve | None = None,
        threads: bool = False,
        output: Any = None,
        **options: Unpack[CommonOptions],
    ) -> AsyncRunStream:
        """Return a run as a stream of the events of all its answers and tools, to be used as `async with`.

        Options as for `run`: `tools`, `max_steps`, `max_seconds`, `approve`, `threads`, `output`, `model`,
        `tool_choice`, `reasoning` (none, minimal, low, medium, high, xhigh or max, a number of tokens, or False),
        `temperature`, `top_p`, `max_tokens`, `stop`, `seed`, `timeout`, `extra`, `headers`, `native`, `on_unsupported`.
        """
        from .running import AsyncRunStream

        loop, plan = self._run_loop(
            messages,
            {**options, "output": output},
            tools=tools,
            max_steps=max_steps,
            max_seconds=max_seconds,
            approve=approve,
            threads=threads,
        )
        return AsyncRunStream(self, loop, plan)

    @overload
    def map(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        messages: Callable[[Item], MessagesInput | Awaitable[MessagesInput]] | None = None,
        *,
        output: type[T],
        retry_invalid: int = 0,
        concurrency: int = 8,
        ordered: bool = True,
        on_error: Literal["keep", "raise"] = "keep",
        key: Callable[[Item], str | int] | None = None,
        resume: str | Path | None = None,
        progress: Callable[[MapProgress], Any] | None = None,
        max_usd: float | None = None,
        max_seconds: float | None = None,
        window: int | None = None,
        **options: Unpack[UntypedOptions],
    ) -> AsyncMapStream[T]: ...

    @overload
    def map(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        messages: Callable[[Item], MessagesInput | Awaitable[MessagesInput]] | None = None,
        *,
        output: Any = None,
        retry_invalid: int = 0,
        concurrency: int = 8,
        ordered: bool = True,
        on_error: Literal["keep", "raise"] = "keep",
        key: Callable[[Item], str | int] | None = None,
        resume: str | Path | None = None,
        progress: Callable[[MapProgress], Any] | None = None,
        max_usd: float | None = None,
        max_seconds: float | None = None,
        window: int | None = None,
        **options: Unpack[UntypedOptions],
    ) -> AsyncMapStream[Any]: ...

    def map(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        messages: Callable[[Item], MessagesInput | Awaitable[MessagesInput]] | None = None,
        *,
        output: Any = None,
        retry_invalid: int = 0,
        concurrency: int = 8,
        ordered: bool = True,
        on_error: Literal["keep", "raise"] = "keep",
        key: Callable[[Item], str | int] | None = None,
        resume: str | Path | None = None,
        progress: Callable[[MapProgress], Any] | None = None,
        max_usd: float | None = None,
        max_seconds: float | None = None,
        window: int | None = None,
        **options: Unpack[UntypedOptions],
    ) -> AsyncMapStream[Any]:
        """Return the answers to many items, `concurrency` calls at the same time, to be used as `async with`.

        `messages` is a function from an item to what is asked about it; without one the items are that themselves. Each
        result has its `index`, `item`, and `reply` or `error`: an error of one item does not end the map, unless
        `on_error` is "raise". Results come in the order of the items, or with `ordered=False` as they are there.
        Items are read as they are needed: at most `window` (4 times `concurrency`) are read and not handed over.

        `resume` is a file to which each answer is written, and from which those that are there already are taken; `key`
        names an item in it, where its place may change. `progress` is told how far it is. `max_usd` and `max_seconds`
        end the map early, with MapLimitError. `output`, `retry_invalid` and other options as for `chat`. Raises
        BadRequestError and ConfigurationError for what cannot be meant, and while it is read what no item can get
        round: a wrong key, no credit, a model that does not exist.
        """
        from .mapping import AsyncMapStream

        plan = self._map_plan(
            {**options, "output": output},
            messages=messages,
            key=key,
            concurrency=concurrency,
            window=window,
            ordered=ordered,
            on_error=on_error,
            retry_invalid=retry_invalid,
            max_usd=max_usd,
            max_seconds=max_seconds,
            resume=resume,
            progress=progress,
        )
        return AsyncMapStream(self, plan, items)
