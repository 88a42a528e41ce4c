"""Find the servers that run on this machine (or on hosts that are named), and tell which they are.

Synchronous, and nothing but the standard library. Every request is a GET without body and without key, no redirect
is followed, and no proxy is used. A port is a hint where to look, never proof (D1); a status alone proves nothing
either, since one of the servers answers 200 to everything (D5): the bodies and headers of `SIGNS` decide.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import attrs

from chatport import ConfigurationError, Discovery

__all__ = [
    "PORTS", "SIGNS", "Sign", "base_url_of", "best_first", "discover", "discover_for", "find_all",
    "identify",
]  # fmt: skip

PORTS = (11434, 1234, 8080, 8000, 30000)
"""The usual ports, in order of preference (D1)."""

_HOSTS = ("127.0.0.1",)
_SECONDS = 1.0
_PATIENCE = 5
"""How many times as long a server has in all as for one piece of an answer, and all of them as one."""
_MOST_AT_ONCE = 32
_MOST_BYTES = 4 * 1024 * 1024


def discover(hosts: Sequence[str] = _HOSTS, timeout_seconds: float = _SECONDS) -> Discovery | None:
    """Return the first server that offers a chat model, else the first server, None if none answers."""
    return next(iter(best_first(find_all(hosts, timeout_seconds))), None)


def best_first(servers: Iterable[Discovery]) -> list[Discovery]:
    """Return the servers in their order, but those without a chat model last."""
    return sorted(servers, key=lambda server: not server.models)


def find_all(hosts: Sequence[str] = _HOSTS, timeout_seconds: float = _SECONDS) -> list[Discovery]:
    """Return every server that answers, in order of hosts and ports. All are asked at the same time.

    Ends after 25 times `timeout_seconds` at the latest, with those that were found by then.
    """
    addresses = list(dict.fromkeys(address for host in hosts for address in _addresses(host)))
    left = deque(addresses)
    found: dict[tuple[str, int], Discovery] = {}

    def ask() -> None:
        with suppress(IndexError):  # none is left
            while True:
                address = left.popleft()
                with suppress(Exception):  # whatever answers there: if it cannot be read, it is none of these servers
                    server = identify(*address, timeout_seconds)
                    if server is not None:
                        found[address] = server

    # Not an executor, whose threads keep the program from ending while one of them looks up a name.
    threads = [
        threading.Thread(target=ask, name="chatport-detect", daemon=True)
        for _ in range(min(len(addresses), _MOST_AT_ONCE))
    ]
    deadline = time.monotonic() + timeout_seconds * _PATIENCE * _PATIENCE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    left.clear()
    return [found[address] for address in addresses if address in found]


def discover_for(settings: Mapping[str, Any]) -> list[Discovery]:
    """Return the servers for the provider `local`, best first: on the hosts it is told, else on this machine."""
    hosts = settings.get("hosts")
    if hosts:
        return best_first(find_all(_named(hosts)))
    named = str(settings.get("ollama_host") or "").strip()  # OL-B1
    return best_first(find_all((*filter(None, [named]), *_HOSTS)))


def _named(hosts: Any) -> Sequence[str]:
    named = [hosts] if isinstance(hosts, str) else hosts
    if not isinstance(named, list | tuple) or not all(isinstance(host, str) for host in named):
        raise ConfigurationError('hosts is a text or a list of texts: "host", "host:port" or addresses.')
    return named


_SHOWN = re.compile(r"(?:https?://)?[^/?#@:]{1,80}(?::[0-9]{0,9})?")
"""A host and a port, and nothing that may be a key."""


def base_url_of(host: str, port: int) -> str:
    """Return the base URL that `host`, `host:port` or a URL means, as `$OLLAMA_HOST` has it (OL-B1)."""
    scheme = "https" if host.startswith("https://") else "http"
    name, given = _split(host)
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{shown}:{given or (443 if scheme == 'https' else port)}/v1"


def _split(host: str) -> tuple[str, int | None]:
    """Return name and port; an address to listen on is no address to call, so it becomes this machine's."""
    try:
        parts = urlsplit(host if "//" in host else f"//{host}")
        name, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError:
        shown = repr(host) if _SHOWN.fullmatch(host) else "What is given"
        del host  # it may hold a key, and a traceback may show locals
        raise ConfigurationError(f"{shown} is no host, host:port or address.") from None
    return {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(name, name), port


def _addresses(host: str) -> Iterable[tuple[str, int]]:
    """Give the addresses that `host`, `host:port` or a URL means; without a port, the usual ones."""
    name, given = _split(host)
    for port in (given,) if given else PORTS:
        yield name, port


# What a server says.


@attrs.frozen(slots=False)  # a slot could not hold what `data` remembers
class _Page:
    """An answer; status 0 if there was none. Header names are lower case."""

    status: int = 0
    version: int = 11
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""

    @cached_property
    def data(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter: nested without end
            return None

    @property
    def members(self) -> Mapping[str, Any]:
        """The object that was answered, empty if it was something else."""
        return self.data if isinstance(self.data, dict) else {}

    def entries(self, key: str = "data") -> list[Mapping[str, Any]]:
        """Return the objects of the list under a key."""
        listed = self.members.get(key)
        return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


class _Socket(socket.socket):
    """A connected socket that gives no more than so many bytes, and none after a deadline, however slowly they come."""

    def __init__(self, connected: socket.socket, seconds: float, deadline: float) -> None:
        super().__init__(connected.family, connected.type, connected.proto, connected.detach())
        self._seconds, self._deadline = seconds, deadline
        self._left = _MOST_BYTES

    def recv_into(self, *given: Any) -> int:
        """Read as a socket does; it is what files made of a socket call."""
        seconds = min(self._seconds, self._deadline - time.monotonic())
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError
        self.settimeout(seconds)
        count = super().recv_into(*given)
        self._left -= count
        return count


class _Server:
    """One address; each of its pages is fetched when first asked for, and once. All of that has a time to end in."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        self._host, self._port, self._seconds = host, port, timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds * _PATIENCE
        self._pages: dict[str, _Page] = {}

    @property
    def base_url(self) -> str:
        shown = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{shown}:{self._port}/v1"

    def listens(self) -> bool:
        """Whether anything accepts connections there."""
        try:
            with socket.create_connection((self._host, self._port), self._seconds):
                return True
        except (OSError, ValueError, OverflowError):  # the latter two: a name or a port that cannot be
            return False

    def page(self, path: str) -> _Page:
        if path not in self._pages:
            self._pages[path] = self._fetch(path)
        return self._pages[path]

    def _fetch(self, path: str) -> _Page:
        if time.monotonic() >= self._deadline:
            return _Page()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        try:
            connection.connect()
            connection.sock = _Socket(connection.sock, self._seconds, self._deadline)
            connection.request("GET", path, headers={"accept": "application/json, text/plain"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return _Page(answer.status, answer.version, headers, answer.read(_MOST_BYTES))
        except (OSError, ValueError, http.client.HTTPException):
            return _Page()
        finally:
            connection.close()


# How to tell them apart.

_Test = Callable[[_Page], bool]


@attrs.frozen
class Sign:
    """What gives a server away: if `test` holds for what it answers at `path`, it is this provider's."""

    provider: str
    path: str
    test: _Test
    fact: str
    settings: Mapping[str, str] = attrs.field(factory=dict)


def _header(name: str, start: str) -> _Test:
    return lambda page: page.headers.get(name, "").startswith(start)


def _owned_by(owner: str) -> _Test:
    return lambda page: any(entry.get("owned_by") == owner for entry in page.entries())


def _every_entry_has(*keys: str) -> _Test:
    return lambda page: bool(page.entries()) and all(set(keys) <= set(entry) for entry in page.entries())


def _has(*keys: str) -> _Test:
    return lambda page: page.status == 200 and set(keys) <= set(page.members)


def _lists_models(page: _Page) -> bool:
    return page.status == 200 and isinstance(page.members.get("data"), list)


def _is_mlx(page: _Page) -> bool:
    """Python's plain server with a model list: HTTP/1.0, and no owner."""
    plain = page.version == 10 and page.headers.get("server", "").startswith("BaseHTTP/")
    return plain and _lists_models(page) and not any("owned_by" in entry for entry in page.entries())


def _title(page: _Page) -> str:
    info = page.members.get("info")
    return str(info.get("title")) if isinstance(info, dict) else ""


def _is_transformers(page: _Page) -> bool:
    """A nameless FastAPI application with these routes; its list of models may be empty."""
    paths = page.members.get("paths")
    wanted = {"/v1/chat/completions", "/v1/models", "/health"}
    return _title(page) == "FastAPI" and isinstance(paths, dict) and wanted <= paths.keys()


_MODELS = "/v1/models"
_LLAMA_CPP_PYTHON = {"server": "llama-cpp-python"}

SIGNS: tuple[Sign, ...] = (
    # The model list first: it is wanted anyway, and most servers give themselves away there.
    Sign("llamacpp", _MODELS, _header("server", "llama.cpp"), "D2"),
    Sign("llamacpp", _MODELS, _owned_by("llamacpp"), "D3"),
    Sign("vllm", _MODELS, _owned_by("vllm"), "D3"),
    Sign("local", _MODELS, _owned_by("me"), "D3", _LLAMA_CPP_PYTHON),
    Sign("mistralrs", _MODELS, _every_entry_has("status"), "D2"),
    Sign("mlx", _MODELS, _is_mlx, "D2"),
    Sign("ollama", "/", lambda page: page.body.strip() == b"Ollama is running", "D2"),
    Sign("lmstudio", "/api/v0/models", _every_entry_has("state", "compatibility_type"), "D2"),
    Sign("lmstudio", "/api/v0/models", lambda page: b"Unexpected endpoint" in page.body, "D5"),
    Sign("vllm", "/version", _has("version"), "D2"),
    Sign("lmstudio", "/version", lambda page: b"Unexpected endpoint" in page.body, "D5"),
    Sign("mistralrs", "/api-doc/openapi.json", _has("openapi"), "D2"),
    Sign("local", "/openapi.json", lambda page: "llama.cpp" in _title(page), "D2", _LLAMA_CPP_PYTHON),
    Sign("transformers", "/openapi.json", _is_transformers, "D2"),
    Sign("llamacpp", "/props", _has("total_slots", "build_info"), "D2"),  # behind a proxy that changes headers
    # Whatever else lists models as OpenAI does.
    Sign("local", _MODELS, _lists_models, "D5"),
)


def identify(host: str, port: int, timeout_seconds: float = _SECONDS) -> Discovery | None:
    """Return what answers at an address, None if nothing does or it is no model server."""
    server = _Server(host, port, timeout_seconds)
    if not server.listens() or not server.page(_MODELS).status:
        return None
    for sign in SIGNS:
        if sign.test(server.page(sign.path)):
            return Discovery(sign.provider, server.base_url, _chat_models(sign.provider, server), sign.settings)
    return None


# Which of its models to use.

_NOT_FOR_CHAT = re.compile(r"embed|rerank|minilm|(^|[/_-])(bge|e5|gte)[-_]|whisper|(^|[/_-])tts", re.IGNORECASE)


def _ids(entries: Iterable[Mapping[str, Any]], key: str = "id") -> list[str]:
    """Return the names of models, without what is no name."""
    return [item[key] for item in entries if isinstance(item.get(key), str) and item[key]]


def _chat_models(provider: str, server: _Server) -> tuple[str, ...]:
    """Return the models that can chat, those in memory first: loading one may take minutes (OL-Q1, LM-Q1)."""
    names = _ids(server.page(_MODELS).entries())
    loaded: set[str] = set()
    if provider == "ollama":  # OL-M1
        loaded = set(_ids(server.page("/api/ps").entries("models"), "name"))
    elif provider == "lmstudio":  # LM-M2
        details = server.page("/api/v0/models").entries()
        loaded = set(_ids(item for item in details if item.get("state") == "loaded"))
        no_chat = set(_ids(item for item in details if item.get("type") == "embeddings"))
        names = [name for name in names if name not in no_chat]
    elif provider == "mistralrs":  # MR-M1
        loaded = set(_ids(item for item in server.page(_MODELS).entries() if item.get("status") == "loaded"))
    chat = [name for name in names if not _NOT_FOR_CHAT.search(name)]
    return tuple(sorted(chat, key=lambda name: name not in loaded))
