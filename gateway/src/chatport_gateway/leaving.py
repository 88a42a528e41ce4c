"""Work for a client as long as it is there: when it leaves, the work is cancelled, and with it what the vendor does."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import anyio

__all__ = ["ClientLeft", "while_there", "within"]

Receive = Callable[[], Awaitable[Any]]
T = TypeVar("T")

_WATCH_AFTER_SECONDS = 0.01
"""A watch is a task, and a task for each request costs a tenth of it: short work is over before anybody is missed."""


class ClientLeft(Exception):
    """The client has gone."""


async def while_there(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    """Return what some work gives. Raises ClientLeft, with the work cancelled, when the client leaves first.

    A bound of asyncio's own costs a fifth of a cancel scope of anyio.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio, below a server of its kind
        return await _watched_at_once(receive, work)
    watches: list[asyncio.Task[None]] = []
    bound = asyncio.timeout(None)

    def leave() -> None:
        bound.reschedule(loop.time())

    try:
        async with bound:
            late = loop.call_later(
                _WATCH_AFTER_SECONDS, lambda: watches.append(loop.create_task(_watch(receive, leave)))
            )
            try:
                return await work()
            finally:
                late.cancel()
                for task in watches:
                    task.cancel()
    except TimeoutError:
        if not bound.expired():  # one of the work's
            raise
        raise ClientLeft from None


async def within(seconds: float, receive: Receive) -> Any:
    """Return what comes next. Raises TimeoutError when nothing comes in so many seconds (0: unbounded).

    As a rule it is there already: then there is nothing to wait for, and no timer is made.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # trio, where nothing may be begun outside of the scope that bounds it
        with anyio.fail_after(seconds or None):
            return await receive()
    coming = receive().__await__()
    try:
        awaited = next(coming)
    except StopIteration as there:
        return there.value
    async with asyncio.timeout(seconds or None):
        return await _rest(coming, awaited)


@types.coroutine
def _rest(coming: Generator[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Go on with what was begun and waits for something now."""
    while True:
        try:
            try:
                given = yield awaited
            except BaseException as error:
                awaited = coming.throw(error)
            else:
                awaited = coming.send(given)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def _watched_at_once(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    done: list[T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, receive, tasks.cancel_scope.cancel)
        done.append(await work())
        tasks.cancel_scope.cancel()
    if not done:
        raise ClientLeft
    return done[0]


async def _watch(receive: Receive, leave: Callable[[], None]) -> None:
    """Say when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    leave()
