"""Work for a client as long as it is there: when it leaves, the work is cancelled, and with it what the vendor does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

__all__ = ["ClientLeft", "while_there"]

Receive = Callable[[], Awaitable[Any]]
T = TypeVar("T")

_WATCH_AFTER_SECONDS = 0.01
"""A watch is a task, and a task for each request costs a tenth of it: short work is over before anybody is missed."""


class ClientLeft(Exception):
    """The client has gone."""


async def while_there(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    """Return what some work gives. Raises ClientLeft, with the work cancelled, when the client leaves first."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio, below a server of its kind
        return await _watched_at_once(receive, work)
    watches: list[asyncio.Task[None]] = []
    with anyio.CancelScope() as scope:
        late = loop.call_later(_WATCH_AFTER_SECONDS, lambda: watches.append(loop.create_task(_watch(receive, scope))))
        try:
            return await work()
        finally:
            late.cancel()
            for task in watches:
                task.cancel()
    raise ClientLeft


async def _watched_at_once(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    done: list[T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, receive, tasks.cancel_scope)
        done.append(await work())
        tasks.cancel_scope.cancel()
    if not done:
        raise ClientLeft
    return done[0]


async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel a scope when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
