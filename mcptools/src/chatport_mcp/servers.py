"""How an MCP server is reached, as a caller says it: a command, an address, or an entry of an `mcpServers` file.

Nothing here knows the SDK. What is wrong is said before any process is started and any byte is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import attrs

from chatport import ConfigurationError
from chatport.helpers import SecretSource, near_miss

__all__ = ["McpServer", "ServerInput", "read_servers"]

_KINDS = {"stdio": "command", "http": "url", "streamable-http": "url", "streamable_http": "url"}
_OLD_NAMES = {"serverUrl": "url"}


@attrs.frozen(repr=False)
class McpServer:
    """One server: a `command` that is started and spoken to over its stdin and stdout, or the `url` of a running one.

    `env` is added to the few variables that a server gets of this process (the SDK's list: `PATH`, `HOME` and the
    like). Values of `env` and `headers`, and `bearer`, may be a text, a `chatport.Secret` or a reference such as
    `{"env": "ACME_TOKEN"}`; none of them is shown anywhere. `bearer` is sent as `Authorization: Bearer …`. `auth` is an
    authentication of httpx2, such as the SDK's OAuth. `only` are patterns of the names of the tools that are wanted.
    `connect_seconds` is how long the start may take, `call_seconds` a call of a tool. `name` stands before the names
    of its tools.
    """

    command: Sequence[str] = ()
    url: str | None = None
    name: str = attrs.field(default="", kw_only=True)
    args: Sequence[str] = attrs.field(default=(), kw_only=True)
    env: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    cwd: str | PurePath | None = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    bearer: Any = attrs.field(default=None, kw_only=True)
    auth: Any = attrs.field(default=None, kw_only=True)
    only: Sequence[str] | None = attrs.field(default=None, kw_only=True)
    connect_seconds: float = attrs.field(default=60.0, kw_only=True)
    call_seconds: float = attrs.field(default=300.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigurationError("The name of an MCP server is a text.")
        if bool(self.command) == (self.url is not None):
            raise ConfigurationError(f"{self.title} has a command or a url, one of the two.")
        self._check_texts()
        for field in ("connect_seconds", "call_seconds"):
            seconds = getattr(self, field)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
                raise ConfigurationError(f"{self.title}: {field} is a number of seconds above 0, not {seconds!r}.")
        self.secrets()

    def _check_texts(self) -> None:
        for field in ("args", "only") if isinstance(self.command, str) else ("command", "args", "only"):
            value = getattr(self, field)
            if value is not None and not (isinstance(value, list | tuple) and all(isinstance(w, str) for w in value)):
                raise ConfigurationError(f"{self.title}: {field} is a list of texts.")
        if isinstance(self.command, str) and " " in self.command.strip() and not self.args:
            raise ConfigurationError(
                f'{self.title}: command is a list of words, ["uvx", "some-server"]: no shell reads it.'
            )
        if self.url is not None and not _is_address(self.url):
            raise ConfigurationError(f"{self.title}: url is an address that begins with http:// or https://.")
        if self.url is not None and (self.headers or self.bearer is not None) and not _is_safe(self.url):
            raise ConfigurationError(
                f"{self.title}: its headers may hold a key, and plain http is for this machine only."
            )
        for field, belongs in (("env", "command"), ("headers", "url")):
            given = getattr(self, field)
            if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
                raise ConfigurationError(f"{self.title}: {field} is a dict of texts.")
            if given and not getattr(self, belongs):
                raise ConfigurationError(f"{self.title}: {field} is for a server with a {belongs}.")

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return ((self.command,) if isinstance(self.command, str) else tuple(self.command)) + tuple(self.args)

    @property
    def title(self) -> str:
        """What it is called in messages: by its name, else its program or host. Arguments may hold keys."""
        if self.name:
            return f"The MCP server {self.name!r}"
        if self.url is not None:
            return f"The MCP server at {_host(self.url) or '?'}"
        program: Any = self.command if isinstance(self.command, str) else next(iter(self.command), None)
        return f"The MCP server {PurePath(program).name!r}" if isinstance(program, str) else "An MCP server"

    def secrets(self) -> dict[str, SecretSource]:
        """Return where `env` or `headers` come from. Raises ConfigurationError for what is no such thing."""
        kind = "env" if self.url is None else "headers"
        found = {name: SecretSource(v, self.title, f"{kind}.{name}") for name, v in getattr(self, kind).items()}
        if self.bearer is not None:
            if self.url is None:
                raise ConfigurationError(f"{self.title}: bearer is for a server with a url.")
            found["authorization"] = SecretSource(self.bearer, self.title, "bearer")
        return found

    def __repr__(self) -> str:
        return f"<{self.title.partition(' ')[2]}>"


def _is_address(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://")) and _host(url) is not None


def _is_safe(url: str) -> bool:
    host = _host(url) or ""
    return url.startswith("https://") or host in ("localhost", "::1") or host.startswith("127.")


def _host(url: Any) -> str | None:
    try:
        return urlsplit(url).hostname or None
    except (ValueError, AttributeError, TypeError):  # a wrong port, a wrong bracket, no text at all
        return None


ServerInput: TypeAlias = "McpServer | str | Sequence[str] | Mapping[str, Any]"


def read_servers(servers: Mapping[str, ServerInput]) -> tuple[McpServer, ...]:
    """Return the servers of a dict of names, also of one as MCP clients keep it in a file, under `mcpServers`."""
    if not isinstance(servers, Mapping):
        raise ConfigurationError("The servers are a dict of names, each with a command, a url, or an McpServer.")
    inner = servers.get("mcpServers")
    if isinstance(inner, Mapping) and len(servers) == 1:
        servers = inner
    if not servers:
        raise ConfigurationError("There is no MCP server.")
    return tuple([_server(name, given) for name, given in servers.items()])


def _server(name: Any, given: ServerInput) -> McpServer:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("Each MCP server has a name, which is a text.")
    if isinstance(given, McpServer):
        return attrs.evolve(given, name=name)
    if isinstance(given, str):
        return McpServer(url=given, name=name)
    if isinstance(given, Mapping):
        return _entry(name, given)
    if isinstance(given, Sequence):
        return McpServer(given, name=name)
    raise ConfigurationError(f"The MCP server {name!r} is a command, a url, a dict or an McpServer.")


def _entry(name: str, given: Mapping[str, Any]) -> McpServer:
    """Return the server of an entry as MCP clients keep it: `command`, `args`, `env`, or `type`, `url`, `headers`."""
    fields = {_OLD_NAMES.get(key, key): value for key, value in given.items()}
    kind = fields.pop("type", fields.pop("transport", None))
    if kind is not None and kind not in _KINDS:
        more = " It is the older way over HTTP: ask for the server's streamable HTTP address." if kind == "sse" else ""
        raise ConfigurationError(f"The MCP server {name!r}: type is stdio or http, not {kind!r}.{more}")
    known = {field.name for field in attrs.fields(McpServer)} - {"name"}
    for key in fields:
        if key not in known:
            raise ConfigurationError(f"The MCP server {name!r}: there is no {key!r}.{near_miss(key, known)}")
    return McpServer(**fields, name=name)
