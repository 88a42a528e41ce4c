"""The official SDKs on any vendor, in process: HTTP clients for them that answer by Chatport instead of the network.

    client = openai.OpenAI(api_key="-", http_client=chatport_surfaces.http_client(chatport.Client()))

There are two families of such clients, `httpx2` and `httpx`, with one interface. Neither is needed to be installed
before it is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from chatport import AsyncClient, Client, ConfigurationError

from .sealing import Seal
from .serving import AsyncSurfaces
from .serving_sync import Surfaces
from .surface import Answer, ClientRequest

__all__ = ["async_http_client", "http_client"]

FAMILIES = ("httpx2", "httpx")
_BASE_URL = "https://chatport.invalid/v1"  # each SDK has its own, and no request leaves the process
_TIMERS = {"connect": "connect", "read": "silence"}


def http_client(client: Client, *, family: str | None = None, seal: Seal | None = None) -> Any:
    """Return an HTTP client for the official SDKs, through which they speak every vendor that `client` knows.

    `family` is `httpx2` or `httpx`, the first that is installed unless said. `seal` closes what vendors want back; pass
    your own where conversations outlive the process. Closing the HTTP client leaves `client` open.
    """
    http = _family(family)
    return http.Client(transport=_sync_transport(http)(Surfaces(client, seal=seal)), base_url=_BASE_URL)


def async_http_client(client: AsyncClient, *, family: str | None = None, seal: Seal | None = None) -> Any:
    """Return an asynchronous HTTP client for the official SDKs, see `http_client`."""
    http = _family(family)
    return http.AsyncClient(transport=_async_transport(http)(AsyncSurfaces(client, seal=seal)), base_url=_BASE_URL)


def _family(name: str | None) -> Any:
    found = [family for family in FAMILIES if find_spec(family) is not None]
    if name is not None and name not in FAMILIES:
        raise ConfigurationError(f"family is one of {', '.join(FAMILIES)}, not {name!r}.")
    if not found or name not in (None, *found):
        raise ConfigurationError(
            f"{name or FAMILIES[0]} is not installed; the SDKs bring one of {', '.join(FAMILIES)}."
        )
    return import_module(name or found[0])


def _request(request: Any, body: bytes) -> ClientRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return ClientRequest(request.method, request.url.path, headers, request.url.query.decode("ascii"), body)


def _timeout(request: Any) -> Mapping[str, float]:
    """Return our timers for those of a request. None means that there is no limit, which is 0 here."""
    given = request.extensions.get("timeout") or {}
    return {ours: given[theirs] or 0.0 for theirs, ours in _TIMERS.items() if theirs in given}


@cache
def _sync_transport(http: Any) -> Any:
    """Return the transport for the clients of one family."""

    class Pieces(http.SyncByteStream):  # type: ignore[misc]  # it depends on what is installed
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.answer)

        def close(self) -> None:
            self.answer.close()

    class ChatportTransport(http.BaseTransport):  # type: ignore[misc]
        def __init__(self, surfaces: Surfaces) -> None:
            self.surfaces = surfaces

        def handle_request(self, request: Any) -> Any:
            answer = self.surfaces.answer(_request(request, request.read()), timeout=_timeout(request))
            content = {"content": answer.body} if isinstance(answer, Answer) else {"stream": Pieces(answer)}
            return http.Response(answer.status, headers=list(answer.headers), request=request, **content)

    return ChatportTransport


@cache
def _async_transport(http: Any) -> Any:
    """Return the asynchronous transport for the clients of one family."""

    class Pieces(http.AsyncByteStream):  # type: ignore[misc]  # it depends on what is installed
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self.answer)

        async def aclose(self) -> None:
            await self.answer.aclose()

    class ChatportTransport(http.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, surfaces: AsyncSurfaces) -> None:
            self.surfaces = surfaces

        async def handle_async_request(self, request: Any) -> Any:
            answer = await self.surfaces.answer(_request(request, await request.aread()), timeout=_timeout(request))
            content = {"content": answer.body} if isinstance(answer, Answer) else {"stream": Pieces(answer)}
            return http.Response(answer.status, headers=list(answer.headers), request=request, **content)

    return ChatportTransport
