"""A connection to one server, and the one task that opens it, closes it, and opens it again when it was lost.

The rules: scopes of the SDK are entered and left in that task (`supervise`), whoever calls a tool and wherever. A lost
connection is opened again by the next call, not by itself: a server that dies at once is not started in a circle. A
call that was under way when its connection was lost is not made again, since it may have done its work; one that
cannot have reached the server is. What goes wrong is raised as a ToolError, which the tool loop tells the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskStatus
from mcp import Client, MCPError, types
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, REQUEST_TIMEOUT
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from chatport import (
    AuthenticationError,
    ChatportError,
    ConfigurationError,
    PermissionDeniedError,
    ToolError,
    TransportError,
)

from .results import told
from .servers import McpServer
from .transports import LastWords, Status, streams_of

__all__ = ["Connection"]

_CLOSED = "Connection closed"
"""What the SDK says where the whole connection has ended, and not the answer to one call alone."""
_MOST_PAGES = 1000
_SECONDS_FOR_YES = 5.0
"""How long a server may take to say that it will tell of changes, before it is used without."""
_SECONDS_FOR_CAUSE = 5.0
"""How long a call that lost its connection waits to hear why: a server that ends is given some seconds by the SDK."""


class _Attempt:
    """One opening of a connection, until it is lost. `client` is there while it may be used."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.error: Exception | None = None
        self.settled = anyio.Event()
        self.lost = anyio.Event()
        self.over = anyio.Event()
        self.words = LastWords()
        self.status = Status()
        self.is_stale = False
        """Whether the server has said that its tools are others now, and they were not read yet."""


class Connection:
    """One server. `tools` are those that it has now, as the SDK's values; `on_tools` is called when they change."""

    def __init__(self, server: McpServer, on_tools: Callable[[], None]) -> None:
        self.server = server
        self.tools: tuple[types.Tool, ...] = ()
        self.instructions = ""
        self._on_tools = on_tools
        self._attempt = _Attempt()
        self._wanted = anyio.Event()
        self._is_closing = False
        self._listing = anyio.Lock()

    async def opened(self) -> None:
        """Wait until it is open. Raises ChatportError if that fails."""
        attempt = self._attempt
        await attempt.settled.wait()
        if attempt.error is not None:
            raise self._as_ours(attempt.error, attempt)

    def close(self) -> None:
        """Have it closed, by the task that owns it."""
        self._is_closing = True
        self._attempt.lost.set()
        self._wanted.set()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Return what the server's tool gives. Raises ToolError with words for the model."""
        for is_again in (False, True):
            attempt = await self._open_attempt()
            assert attempt.client is not None
            try:
                result = await attempt.client.call_tool(name, arguments, self.server.call_seconds)
            except MCPError as error:
                if is_again or not await self._was_not_reached(error, attempt):
                    await self._renew(attempt)
                    raise self._words_for(error, name, attempt) from error
            else:
                await self._renew(attempt)
                return told(result)
        raise AssertionError("the second try returns or raises")

    # --- the task that owns it

    async def supervise(self) -> None:
        """Open it; when it was lost and is wanted, open it again. Ends when it is closed; raises nothing."""
        while not self._is_closing:
            attempt = self._attempt
            try:
                await self._live(attempt)
            except Exception as error:
                attempt.error = _first(error)
            attempt.client = None
            attempt.lost.set()
            attempt.settled.set()
            attempt.over.set()
            if self._attempt is attempt and not self._is_closing:
                self._wanted = anyio.Event()
                await self._wanted.wait()

    async def _live(self, attempt: _Attempt) -> None:
        server = self.server
        with anyio.fail_after(server.connect_seconds) as opening:
            streams = streams_of(server, attempt.words, attempt.status, attempt.lost.set)
            client = Client(streams, cache=None, message_handler=lambda message: self._heard(message, attempt))
            async with client, anyio.create_task_group() as group:
                self.instructions = client.instructions or ""
                if _tells_of_changes(client):
                    with anyio.move_on_after(_SECONDS_FOR_YES):
                        await group.start(self._listen, client, attempt)
                await self._list(client)  # after it is listened to: no change is missed in between
                opening.deadline = math.inf
                attempt.client = client
                attempt.settled.set()
                await attempt.lost.wait()
                group.cancel_scope.cancel()

    async def _open_attempt(self) -> _Attempt:
        """Return an attempt that is open, a new one if the last was lost. Raises ToolError."""
        if not self._is_closing and (self._attempt.lost.is_set() or self._attempt.over.is_set()):
            self._attempt = _Attempt()
            self._wanted.set()
        attempt = self._attempt
        if not self._is_closing:
            await attempt.settled.wait()
        if attempt.client is None or self._is_closing:
            why = "its connection is closed" if attempt.error is None else self._why(attempt.error, attempt)
            raise ToolError(f"{self.server.title} cannot be reached: {why}.")
        return attempt

    # --- the tools

    async def _list(self, client: Client) -> None:
        """Read the tools, all pages. Raises MCPError, and ConfigurationError for wishes that none of them fits."""
        found: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        self.tools = self._wanted_of(found)
        self._on_tools()

    def _wanted_of(self, found: list[types.Tool]) -> tuple[types.Tool, ...]:
        wishes = self.server.only
        if wishes is None:
            return tuple(found)
        for wish in wishes:
            if not any(fnmatchcase(tool.name, wish) for tool in found):
                names = ", ".join(tool.name for tool in found) or "none"
                raise ConfigurationError(f"{self.server.title} has no tool {wish!r}. It has: {names}.")
        return tuple([tool for tool in found if any(fnmatchcase(tool.name, wish) for wish in wishes)])

    async def _heard(self, message: Any, attempt: _Attempt) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            attempt.is_stale = True
            await self._renew(attempt)

    async def _listen(self, client: Client, attempt: _Attempt, *, task_status: TaskStatus[None]) -> None:
        """Hear of changes as newer servers tell them. One that stops telling them goes on serving calls."""
        try:
            async with client.listen(tools_list_changed=True) as changes:
                task_status.started()
                async for _ in changes:
                    attempt.is_stale = True
                    await self._renew(attempt)
        except (MCPError, SubscriptionLost, TimeoutError):
            with suppress(RuntimeError):  # it has begun before
                task_status.started()

    async def _renew(self, attempt: _Attempt) -> None:
        """Read the tools again if the server has said that they are others. What cannot be read stays as it was."""
        await anyio.lowlevel.checkpoint()  # what came before the result of a call is heard first
        async with self._listing:
            if attempt.is_stale and attempt.client is not None:
                attempt.is_stale = False
                try:
                    await self._list(attempt.client)
                except (MCPError, ConfigurationError, ValueError):
                    return

    # --- what went wrong

    async def _was_not_reached(self, error: MCPError, attempt: _Attempt) -> bool:
        """Whether a call can be made again: nothing of it was done. Its connection is given up then."""
        if error.code == INVALID_REQUEST and attempt.status.code == 404:
            attempt.lost.set()  # a session that the server has forgotten
            return True
        if error.code != CONNECTION_CLOSED or error.message != _CLOSED:
            return False
        attempt.lost.set()
        with anyio.move_on_after(_SECONDS_FOR_CAUSE):
            await attempt.over.wait()
        return isinstance(attempt.error, httpx2.ConnectError | httpx2.ConnectTimeout)

    def _words_for(self, error: MCPError, name: str, attempt: _Attempt) -> ToolError:
        title = self.server.title
        if error.code == REQUEST_TIMEOUT:
            seconds = self.server.call_seconds
            return ToolError(
                f"{title} did not answer within {seconds:g} s (call_seconds). {name} may still be at work."
            )
        if error.code == CONNECTION_CLOSED:
            cause = error.message if error.message != _CLOSED else self._why(attempt.error, attempt)
            why = f" ({cause})" if cause else _said(attempt)
            return ToolError(f"{title} was lost while it ran {name}{why}. Whether {name} was done is not known.")
        return ToolError(f"{title} refuses the call of {name}: {error.message}{_http(attempt)}.")

    def _as_ours(self, error: Exception, attempt: _Attempt) -> ChatportError:
        """Return the error for who opens the connection."""
        if isinstance(error, ChatportError):
            return error
        words = f"{self.server.title} cannot be reached: {self._why(error, attempt)}."
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return ConfigurationError(words)
        kinds: dict[int | None, type[ChatportError]] = {401: AuthenticationError, 403: PermissionDeniedError}
        return kinds.get(attempt.status.code, TransportError)(words, status=attempt.status.code)

    def _why(self, error: Exception | None, attempt: _Attempt) -> str:
        if error is None:
            return ""
        if isinstance(error, TimeoutError):
            return f"it was not ready within {self.server.connect_seconds:g} s (connect_seconds){_said(attempt)}"
        if isinstance(error, OSError) and self.server.command:
            return f"{self.server.words[0]} cannot be started: {error.strerror or error}"
        if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
            return f"it ended before it was ready{_said(attempt)}"
        if isinstance(error, MCPError):
            return f"{error.message}{_http(attempt)}{_said(attempt)}"
        if isinstance(error, ChatportError):
            return error.message.rstrip(".")
        return f"{type(error).__name__}: {error}".rstrip(": ")


def _tells_of_changes(client: Client) -> bool:
    tools = client.server_capabilities.tools
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS and tools is not None and bool(tools.list_changed)


def _first(error: Exception) -> Exception:
    """Return the first cause in a group of errors: task groups of the SDK wrap what they raise."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _said(attempt: _Attempt) -> str:
    words = str(attempt.words)
    return f"; its last words: {words}" if words else ""


def _http(attempt: _Attempt) -> str:
    return f" (HTTP {attempt.status.code})" if attempt.status.code not in (None, 200, 202) else ""
