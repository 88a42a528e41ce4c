"""The tools of MCP servers as a sequence that is what the servers have at the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import anyio
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from chatport import ConfigurationError, Tool
from chatport.helpers import errors, wire_name

from .servers import McpServer, ServerInput, read_servers

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["McpTool", "McpTools", "mcp_tools"]


@attrs.frozen
class McpTool:
    """What a server says of one of its tools: `name` is its own, `server` the name that you gave the server.

    What it does is what the server claims, None where it claims nothing: do not let a server that you do not trust
    decide with it what is run unasked.
    """

    server: str
    name: str
    title: str = ""
    is_read_only: bool | None = None
    is_destructive: bool | None = None
    is_idempotent: bool | None = None
    is_open_world: bool | None = None


def mcp_tools(
    servers: Mapping[str, ServerInput] | None = None,
    *,
    command: Sequence[str] = (),
    url: str | None = None,
    name: str = "",
    env: Mapping[str, Any] | None = None,
    cwd: Any = None,
    headers: Mapping[str, Any] | None = None,
    bearer: Any = None,
    auth: Any = None,
    only: Sequence[str] | None = None,
    connect_seconds: float = 60.0,
    call_seconds: float = 300.0,
) -> McpTools:
    """Return the tools of MCP servers, to be opened by `async with` or `with`.

    `servers` is a dict of names, each with a url, a command, an `McpServer`, or an entry of an `mcpServers` file; the
    content of such a file will do as well. One server is given by `command` or `url` and other fields of `McpServer`.
    The tools of a server with a name are called `name__tool`. Raises ConfigurationError for what cannot be meant.
    """
    if servers is not None:
        if command or url is not None or name or env or headers or bearer is not None or only is not None:
            raise ConfigurationError("Give a dict of servers, or one server by its command or url, not both.")
        return McpTools(read_servers(servers))
    one = McpServer(
        command, url, name=name, env=env or {}, cwd=cwd, headers=headers or {}, bearer=bearer, auth=auth, only=only,
        connect_seconds=connect_seconds, call_seconds=call_seconds,
    )  # fmt: skip
    return McpTools((one,))


class McpTools(Sequence[Tool]):
    """The tools of one or several MCP servers, those of the moment: a run reads them again before each answer.

    Opened by `async with`, their functions are asynchronous, for an `AsyncClient`, on asyncio and trio. Opened by
    `with`, they are plain: the connections live in a thread of their own. `tools + [function]` has more beside them,
    and is what they are at the moment, too. Leaving the block ends connections, and processes that were started.
    """

    def __init__(self, servers: Sequence[McpServer]) -> None:
        self._servers = tuple(servers)
        self._connections: list[Connection] = []
        self._tools: dict[str, tuple[Tool, McpTool]] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._portal: BlockingPortal | None = None
        self._thread = ExitStack()

    # --- what they are

    @overload
    def __getitem__(self, at: int) -> Tool: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Tool]: ...
    def __getitem__(self, at: int | slice) -> Tool | Sequence[Tool]:
        return [tool for tool, _ in self._tools.values()][at]

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter([tool for tool, _ in self._tools.values()])

    def __add__(self, more: Iterable[Any]) -> _Joined:
        return _Joined([self, list(more) if not isinstance(more, McpTools | _Joined) else more])

    def __radd__(self, more: Iterable[Any]) -> _Joined:
        return _Joined([list(more), self])

    @property
    def instructions(self) -> str:
        """What the servers say on how to use them, for a system message if you trust them; else an empty text."""
        said = [(connection.server.name, connection.instructions.strip()) for connection in self._connections]
        return "\n\n".join(f"{name}:\n{text}" if name else text for name, text in said if text)

    def about(self, name: str) -> McpTool | None:
        """Return which server's tool a `Tool` or a call means by its name; None for a name that none of them has."""
        found = self._tools.get(name)
        return None if found is None else found[1]

    def __repr__(self) -> str:
        return f"<McpTools of {', '.join(map(repr, self._servers))}: {len(self)} tools>"

    # --- opening and closing

    async def __aenter__(self) -> Self:
        from .connection import Connection  # with the SDK, which takes its time to load

        if self._group is not None:
            raise errors.MisuseError("These MCP tools have been opened before: call mcp_tools again.")
        self._group = group = anyio.create_task_group()
        self._connections = [Connection(server, self._gather) for server in self._servers]
        await group.__aenter__()
        try:
            for connection in self._connections:
                group.start_soon(connection.supervise)
            for connection in self._connections:
                await connection.opened()
        except BaseException as error:
            group.cancel_scope.cancel()
            await self._leave(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._leave(kind, error, trace)

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None
        for connection in self._connections:
            connection.close()
        # An error of the block is not the group's: it would come out of it wrapped.
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._group.__aexit__(kind, error, trace)
        await self._group.__aexit__(None, None, None)
        return None

    def __enter__(self) -> Self:
        if self._group is not None or self._portal is not None:
            raise errors.MisuseError("These MCP tools have been opened before: call mcp_tools again.")
        with ExitStack() as thread:
            self._portal = thread.enter_context(start_blocking_portal(name="chatport-mcp"))
            opened: AbstractContextManager[Any] = self._portal.wrap_async_context_manager(self)
            thread.enter_context(opened)
            self._thread = thread.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    # --- from the servers' tools to ours

    def _gather(self) -> None:
        """Name the tools of all servers. Called in another thread, maybe: who reads them has the old or the new."""
        found: dict[str, tuple[Tool, McpTool]] = {}
        for connection in self._connections:
            server = connection.server.name
            for tool in connection.tools:
                name = wire_name(f"{server}__{tool.name}" if server else tool.name)
                hints = tool.annotations
                about = McpTool(
                    server,
                    tool.name,
                    tool.title or (hints.title if hints else None) or "",
                    hints.read_only_hint if hints else None,
                    hints.destructive_hint if hints else None,
                    hints.idempotent_hint if hints else None,
                    hints.open_world_hint if hints else None,
                )
                function = self._function(connection, tool.name)
                found.setdefault(
                    name, (Tool(name, tool.description or about.title, tool.input_schema, None, function), about)
                )
        self._tools = found

    def _function(self, connection: Connection, name: str) -> Callable[..., Any]:
        async def call(**arguments: Any) -> Any:
            return await connection.call(name, arguments)

        portal = self._portal
        if portal is None:
            return call

        def call_there(**arguments: Any) -> Any:
            future = portal.start_task_soon(connection.call, name, arguments)
            try:
                return future.result()
            finally:
                future.cancel()  # where Ctrl-C ends the wait; nothing where it is done

        return call_there


class _Joined(Sequence[Any]):
    """Several sequences of tools as one, each what it is at the moment."""

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self._parts = parts

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return [item for part in self._parts for item in part][at]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __add__(self, more: Iterable[Any]) -> _Joined:
        return _Joined([*self._parts, more if isinstance(more, McpTools | _Joined) else list(more)])

    def __radd__(self, more: Iterable[Any]) -> _Joined:
        return _Joined([list(more), *self._parts])
