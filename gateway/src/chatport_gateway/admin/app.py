"""The admin port as an ASGI application: who asks, what is asked, and an answer that tells no more than it should."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import attrs
import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from chatport import ConfigurationError, OverloadedError

from ..app import Gateway, Receive, Scope, Send
from ..bodies import Refused, read_body
from ..leaving import ClientLeft
from ..team.desk import BadName
from ..team.store import NotThere, Taken
from . import changes, now, reading
from .guard import has_token, is_meant, is_own_page
from .office import Office
from .openapi import describe
from .pages import HEADERS, PAGE_HEADERS, file_at
from .routes import BadRequest, Given, Route, Routes
from .settings import AdminSettings
from .told import Problem, ProblemDetails

__all__ = ["ROUTES", "Admin"]

ROUTES = Routes((*now.ROUTES, *reading.ROUTES, *changes.ROUTES))
DESCRIPTION = "/api/v1/openapi.json"

_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 10.0
_LONGEST_QUERY = 2048
_json = msgspec.json.Encoder()


@attrs.frozen
class Answered:
    """An answer: its status, what it says, and headers of its own."""

    status: int
    content: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"), *HEADERS)


class _Refusal(Exception):
    """An answer that is an error, with what a program and what a person is told."""

    def __init__(self, status: int, code: str, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Admin:
    """The admin port of a gateway, whose parts it uses; it opens none and closes none."""

    def __init__(self, gateway: Gateway, settings: AdminSettings) -> None:
        self.gateway = gateway
        self.settings = settings
        self.log = structlog.get_logger("chatport.gateway.admin")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        began, method = time.monotonic(), scope["method"]
        status = 499
        try:
            answer = await self._answer(scope, receive)
            status = answer.status
            await _send(send, answer, has_body=method != "HEAD")
        except ClientLeft:
            pass
        finally:
            seconds = round(time.monotonic() - began, 6)
            self.log.info("admin", method=method[:16], path=_known(scope["path"]), status=status, seconds=seconds)

    async def _answer(self, scope: Scope, receive: Receive) -> Answered:
        try:
            return await self._found(scope, receive)
        except _Refusal as refusal:
            return _problem(refusal)
        except (BadRequest, BadName) as error:
            return _problem(_Refusal(400, "bad_request", str(error)))
        except NotThere as error:
            return _problem(_Refusal(404, "not_found", str(error.args[0])))
        except Taken as error:
            return _problem(_Refusal(409, "taken", str(error)))
        except Refused as refused:
            return _problem(_Refusal(refused.status, "body", refused.reason))
        except (OverloadedError, ConfigurationError) as error:
            return _problem(_Refusal(503, "not_ready", error.message, ("retry-after", "1")))
        except (SQLAlchemyError, OSError) as error:  # a driver's own words may hold an address
            self.log.error("store_down", error=type(error).__name__)
            return _problem(_Refusal(503, "store_down", "The database cannot be asked now.", ("retry-after", "1")))
        except ClientLeft:
            raise
        except Exception as error:
            self.log.exception("admin_failed", path=_known(scope["path"]))
            return _problem(_Refusal(500, "failed", f"The admin port has failed ({type(error).__name__})."))

    async def _found(self, scope: Scope, receive: Receive) -> Answered:
        """Return the answer of whoever serves a path. Files are for everybody, all else is for the token."""
        headers, hosts = _headers(scope)
        if not is_meant(self.settings, hosts):
            raise _Refusal(421, "host", "This port is not known by that name: [admin] hosts lists those it is.")
        method, path = scope["method"], scope["path"]
        if b"%" in scope.get("raw_path", b""):  # no path here has one: whoever writes one has something in mind
            path = ""
        file = file_at(path)
        if file is not None:
            if method not in ("GET", "HEAD"):
                raise _not_allowed(("GET", "HEAD"))
            return Answered(200, file.content, (("content-type", file.kind), *PAGE_HEADERS))
        if not is_own_page(headers):
            raise _Refusal(403, "origin", "This is not for pages of other origins.")
        if not has_token(self.settings, headers):
            raise _Refusal(401, "token", "The admin token is missing or wrong.", ("www-authenticate", "Bearer"))
        if path == DESCRIPTION:
            if method != "GET":
                raise _not_allowed(("GET",))
            return Answered(200, _json.encode(describe(ROUTES)))
        found = ROUTES.find(method, path)
        if found is None:
            raise _Refusal(404, "not_found", "There is nothing at this path.")
        if found.route is None:
            raise _not_allowed(found.methods)
        return await self._served(found.route, found.path, scope, headers, receive)

    async def _served(
        self, route: Route, parts: dict[str, str], scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> Answered:
        query = _query(route, scope.get("query_string", b""))
        body = await read_body(receive, headers, most_bytes=_BODY_BYTES, seconds=_BODY_SECONDS)
        given = Given(parts, query, _body(route, headers, body))
        if self.gateway.team is None:
            await self.gateway.open()
        answer = await route.handler(Office(self.gateway), given)
        return Answered(route.status, _json.encode(answer))


def _headers(scope: Scope) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    hosts = []
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = text
        if key == "host":
            hosts.append(text)
    return headers, hosts


def _query(route: Route, raw: bytes) -> Any:
    if len(raw) > _LONGEST_QUERY:
        raise BadRequest("The query is too long.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict", max_num_fields=20
        )
        given = dict(pairs)
        if len(given) != len(pairs):
            raise BadRequest("A name is twice in the query.")
        return _checked(msgspec.convert(given, type=route.query, strict=False))
    except msgspec.ValidationError as error:
        raise BadRequest(f"The query: {error}.") from None
    except (ValueError, UnicodeError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest("The query is no list of NAME=VALUE.") from None


def _checked(query: Any) -> Any:
    for value in msgspec.structs.asdict(query).values():
        if isinstance(value, str) and not value.isprintable():
            raise BadRequest("The query has control characters.")
    return query


def _body(route: Route, headers: Mapping[str, str], body: bytes) -> Any:
    if route.body is None:
        if body:
            raise BadRequest("This takes no body.")
        return None
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refusal(415, "content_type", "The body is JSON: content-type: application/json.")
    try:
        return msgspec.json.decode(body, type=route.body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body: {error}.") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRequest("The body is not JSON.") from None


def _not_allowed(methods: Sequence[str]) -> _Refusal:
    allowed = ", ".join(methods)
    return _Refusal(405, "method", f"This path has {allowed}.", ("allow", allowed))


def _problem(refusal: _Refusal) -> Answered:
    problem = Problem(error=ProblemDetails(code=refusal.code, message=refusal.message))
    headers = (("content-type", "application/json"), *HEADERS, *refusal.headers)
    return Answered(refusal.status, _json.encode(problem), headers)


def _known(path: str) -> str:
    """Return a path as the log has it: as it stands in the table, since a person may have pasted a key into it."""
    if path == DESCRIPTION or file_at(path) is not None:
        return path
    return next((route.path for route in ROUTES.all if route.pattern.fullmatch(path)), "unknown")


async def _send(send: Send, answer: Answered, *, has_body: bool) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.content)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content if has_body else b""})
