"""The gateway as an ASGI application, on its own or mounted in another: a request in, its answer out, and no more.

What a request means is the surfaces' part, how it is answered the client's. Here are the key, the bounds, the client
that leaves, and the log.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from os import urandom
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChatportError,
    Config,
    OverloadedError,
    load_config,
)
from chatport_surfaces import Answer, AsyncStreamedAnswer, AsyncSurfaces, ClientRequest, Surface

from .access import log_access
from .bodies import Refused, read_body
from .caching import cache_of, calls_of, marked
from .keys import KeyRing
from .leaving import ClientLeft, while_there
from .metrics import metrics_of
from .sending import send_stream, send_whole
from .settings import GatewaySettings
from .setup import Setup
from .tenants import Tenants
from .tracing import traced
from .watching import LEFT, Visit, Watcher

if TYPE_CHECKING:
    from .beside import Beside
    from .team.team import Team

__all__ = ["Gateway"]

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

REQUEST_ID = "x-request-id"
_OPEN_PATHS = ("/", "/health", "/ready")
_LONGEST_ID = 128
_PREFLIGHT = (
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "*"),
    ("access-control-max-age", "600"),
)


class Gateway:
    """Any client, any vendor. `config` is what `AsyncClient` takes; or give a `client` of your own, which stays open.

    `settings` are those of the `[gateway]` table unless given, `surfaces` the installed ones. Mounted in another
    application, whose lifespan does not reach here, it opens its client with the first request.
    """

    def __init__(
        self,
        config: Any = None,
        *,
        client: AsyncClient | None = None,
        settings: GatewaySettings | None = None,
        surfaces: Sequence[Surface] | None = None,
    ) -> None:
        loaded: Config = client.config if client is not None else load_config(config)
        self.setup = Setup.of(loaded, client, settings, surfaces)
        """What requests are served with from now on; see `reload`."""
        self.is_stopping = False
        self.log = structlog.get_logger("chatport.gateway")
        self.watchers: list[Watcher] = []
        """Who hears of each request, see `Watcher`."""
        self.metrics = metrics_of(self, loaded)
        self.cache = cache_of(loaded, self.log)
        """Answers that are given again; None without a `[cache]` table."""
        self.team: Team | None = None
        """Keys, limits and records of a team, once they are open; None without a `[team]` table."""
        self.admin: Beside | None = None
        """The admin port, once a server was made that serves it too; None without an `[admin]` table."""
        self._opening = anyio.Lock() if self.setup.team is not None else None
        self._reloading = anyio.Lock()

    @property
    def settings(self) -> GatewaySettings:
        """The settings that hold now."""
        return self.setup.settings

    @property
    def keys(self) -> KeyRing:
        """The keys that are taken now; those of a team are in its store."""
        return self.setup.keys

    @property
    def client(self) -> AsyncClient:
        """The client that calls are made with now."""
        return self.setup.client

    @property
    def tenants(self) -> Tenants:
        """What each key sees now."""
        return self.setup.tenants

    @property
    def surfaces(self) -> AsyncSurfaces:
        """The surfaces that requests come to now."""
        return self.setup.tenants.common

    @property
    def besides(self) -> list[Beside]:
        """What is served on addresses of their own."""
        return [*([] if self.metrics is None else [self.metrics.beside]), *filter(None, [self.admin])]

    async def open(self) -> None:
        """Open what `[team]`, `[metrics]` and `[cache]` name; the first request opens the team and the cache too.

        Raises ConfigurationError for what cannot be opened.
        """
        if self.metrics is not None:
            self.metrics.start()
        if self.cache is not None:
            await self.cache.open()
        await self._open_team()

    async def _open_team(self) -> None:
        if self._opening is None or self.setup.team is None or self.is_stopping:
            return
        from .team.team import Team

        async with self._opening:
            if self.team is None:
                self.team = await Team.open(self.setup.team, self.log)

    async def reload(
        self, config: Any = None, *, client: AsyncClient | None = None, settings: GatewaySettings | None = None
    ) -> tuple[str, ...]:
        """Serve another configuration from now on, with the arguments of making a gateway; the surfaces stay.

        Requests under way end with the client that they began with, which is closed after the last of them. Returns the
        settings that hold only for a process that starts anew: they stay as they are. Raises ConfigurationError, and
        nothing has changed, for what is wrong, for a target that is unusable now and was not before, and for a gateway
        that asks for a key and would do so no more.
        """
        from .reloading import reload

        loaded: Config = client.config if client is not None else load_config(config)
        async with self._reloading:
            return await reload(self, lambda now: Setup.of(loaded, client, settings, now.given_surfaces, now))

    @property
    def is_guarded(self) -> bool:
        """Whether a key is asked for."""
        return self.setup.is_guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the server's own start and end."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def aclose(self) -> None:
        """Close the client, unless it was given. Calls under way go on to their end."""
        self.is_stopping = True
        if self.metrics is not None:
            await self.metrics.stop()
        if self.cache is not None:
            await self.cache.aclose()
        if self.team is not None:
            await self.team.aclose()
            self.team = None
        await self.setup.aclose()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except ChatportError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    # --- one request

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        setup = self.setup
        setup.users += 1
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        request_id = _request_id(headers)
        visit = Visit(setup, scope["method"], path, request_id)
        for watcher in self.watchers:
            watcher.begun(visit)
        more = ((REQUEST_ID, request_id), *self._cors(headers))
        status = LEFT
        try:
            answer = await self._answer(scope["method"], path, scope, headers, receive, visit)
            if isinstance(answer, Answer):
                status = answer.status
                self._ended(visit, status)
                await send_whole(send, answer, more, has_body=scope["method"] != "HEAD")
            else:
                self._begins(visit)
                await send_stream(send, receive, answer, more, lambda: self._ended(visit, answer.status))
                status = answer.status
        except ClientLeft:
            pass
        except anyio.get_cancelled_exc_class():
            if not self.is_stopping:  # else the time for streams to end was over, and there is nothing to add
                raise
        finally:
            self._ended(visit, status)
            seconds = time.monotonic() - visit.began
            log_access(self.log, scope["method"], path, status, seconds, request_id, visit.record)
            if setup.done():
                with anyio.CancelScope(shield=True):
                    await setup.aclose()

    def _begins(self, visit: Visit) -> None:
        """Note that the first piece of a stream is there."""
        visit.first_at = time.monotonic()
        if visit.meter is not None:
            visit.meter.first_at = visit.first_at
        for watcher in self.watchers:
            watcher.first(visit)

    def _ended(self, visit: Visit, status: int) -> None:
        """Note what a request has used, before the last of its answer goes out. The second time does nothing."""
        if visit.is_over:
            return
        visit.is_over = True
        for watcher in self.watchers:
            watcher.ended(visit, status)
        if visit.meter is not None and self.team is not None:
            self.team.end(visit.meter, status)

    async def _answer(
        self, method: str, path: str, scope: Scope, headers: Mapping[str, str], receive: Receive, visit: Visit
    ) -> Answer | AsyncStreamedAnswer:
        setup = visit.setup
        surface = visit.surface = setup.tenants.common.table.find(method, path)
        if surface is None and path in _OPEN_PATHS and method in ("GET", "HEAD"):
            return self._state(path)
        if method == "OPTIONS" and self._cors(headers):
            return Answer(204, b"", _PREFLIGHT)
        key: bytes | None = None
        if self._opening is not None:
            try:
                await self._identify(headers, visit)
            except ChatportError as error:
                return self._refusal(surface, error)
        elif setup.keys and (key := setup.keys.which(headers)) is None:
            return self._refusal(surface, AuthenticationError("The key of this gateway is missing or wrong."))
        try:
            body = await read_body(
                receive, headers, most_bytes=setup.settings.body_bytes, seconds=setup.settings.body_seconds
            )
        except Refused as refused:
            return self._refusal(surface, BadRequestError(refused.reason), refused.status)
        query = scope.get("query_string", b"").decode("latin-1")
        request = ClientRequest(method, path, headers, query, body)
        with traced(headers):
            return await while_there(receive, partial(self._answered, key, surface, request, visit))

    async def _identify(self, headers: Mapping[str, str], visit: Visit) -> None:
        """Find out whose key a request brings. Raises AuthenticationError, OverloadedError."""
        if self.team is None:
            await self._open_team()
        if self.team is None:
            raise OverloadedError("The gateway is stopping.", retryable=True, retry_after_seconds=1.0)
        member = await self.team.member(headers)
        visit.record = visit.meter = self.team.meter(member, visit.request_id)

    async def _answered(
        self, key: bytes | None, surface: Surface | None, request: ClientRequest, visit: Visit
    ) -> Answer | AsyncStreamedAnswer:
        meter = visit.meter
        try:
            calls = None if self.cache is None else await calls_of(self.cache, key, request, visit)
            if meter is None:
                answer = await visit.setup.tenants.of(key).answer(request, record=visit.record, calls=calls)
            else:
                with meter:
                    surfaces = visit.setup.tenants.of_key(meter.member.key.id)
                    answer = await surfaces.answer(request, record=meter, guard=meter, calls=calls)
            return answer if calls is None else marked(answer, calls, visit)
        except Exception as problem:  # a mistake of ours: the client is to be told something in its own protocol
            self.log.exception("failed", path=request.path)
            visit.record.error = ChatportError(f"The gateway has failed ({type(problem).__name__}).")
            return self._refusal(surface, visit.record.error)

    def _state(self, path: str) -> Answer:
        """Return whether it lives, and whether it takes requests."""
        if path == "/ready" and self.is_stopping:
            return Answer.of_json({"status": "stopping"}, 503)
        return Answer.of_json({"status": "ok", "problems": list(self.surfaces.problems)})

    def _refusal(self, surface: Surface | None, error: ChatportError, status: int | None = None) -> Answer:
        """Return an error in the words of the protocol that was spoken, or in plain ones."""
        if surface is None:
            body = {"type": "error", "error": {"type": "invalid_request_error", "message": error.message}}
            is_ours = isinstance(error, OverloadedError)
            answer = Answer.of_json(body, 503 if is_ours else 401, (("x-should-retry", str(is_ours).lower()),))
        else:
            answer = surface.error(error, self.surfaces.context)
        return answer if status is None else Answer(status, answer.body, answer.headers)

    def _cors(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the headers that let a page's script read the answer; none unless its origin is named."""
        origin = headers.get("origin")
        if origin is None or origin not in self.settings.allow_origins:
            return ()
        return (("access-control-allow-origin", origin), ("vary", "origin"))


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get(REQUEST_ID, "")
    is_fit = 0 < len(given) <= _LONGEST_ID and given.isascii() and given.isprintable()
    return given if is_fit else f"req_{urandom(16).hex()}"
