"""What the tests of the admin port share: the port of a gateway for a team, asked without a socket."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
import httpx
import pytest

from chatport.testing import Emulator
from chatport_gateway.admin.app import Admin
from chatport_gateway.admin.routes import Route
from chatport_gateway.admin.settings import AdminSettings

from ..team.conftest import World, opened

TOKEN = "-".join(["admin"] * 7)


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


class AdminWorld:
    """A gateway for a team with its admin port."""

    def __init__(self, world: World, settings: AdminSettings) -> None:
        self.world = world
        self.admin = Admin(world.gateway, settings)
        self.parts: dict[str, str] = {}

    def client(self, token: str | None = TOKEN, **headers: str) -> httpx.AsyncClient:
        """Return a client of the admin port."""
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        transport = httpx.ASGITransport(self.admin)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4001", headers=headers)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask once, with the token."""
        async with self.client() as client:
            return await client.request(method, path, **options)

    async def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of an answer that is not an error."""
        answer = await self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        """Return the JSON of an answer that is not an error."""
        answer = await self.ask("POST", path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@attrs.frozen
class Raw:
    """An answer, as it went out."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask_raw(
    one: AdminWorld, method: str, path: str, *, query: bytes = b"", body: bytes = b"", kind: str = "application/json"
) -> Raw:
    """Ask with the token, by what no client would send: the path is as it stands on the wire."""
    sent: list[Any] = []
    raw = path.encode("utf-8", "surrogatepass")
    headers = [
        (b"host", b"localhost"),
        (b"authorization", f"Bearer {TOKEN}".encode()),
        (b"content-type", kind.encode()),
    ]
    scope = {"type": "http", "method": method, "path": unquote(path), "raw_path": raw, "query_string": query}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await one.admin({**scope, "headers": headers}, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Raw(sent[0]["status"], told, sent[1]["body"])


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens a gateway with its admin port until the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_one(
            emulator: Emulator | None = None, *, settings: dict[str, Any] | None = None, **tables: Any
        ) -> AdminWorld:
            world = await stack.enter_async_context(opened(tmp_path / "team", emulator, **tables))
            return AdminWorld(world, AdminSettings(sha256(TOKEN.encode()).digest(), **(settings or {})))

        yield open_one


def path_of(route: Route, **parts: str) -> str:
    """Return a path that leads to a route."""
    return re.sub(r"\{([a-z_]+)\}", lambda match: parts[match[1]], route.path)


async def populate(one: AdminWorld, project: str = "web") -> dict[str, str]:
    """Make a project, a key and some calls; return what the paths of routes need, by name."""
    made_project = await one.post("/api/v1/projects", name=project, limits={"usd_month": 100})
    limits = {"usd_day": 5, "requests_per_minute": 60, "tokens_per_minute": 90000, "concurrency": 4}
    made = await one.post("/api/v1/keys", name="ci", project_id=made_project["id"], limits=limits, models=["*"])
    for text in ("say: one", "say: two", "say: three"):
        assert (await one.world.ask(made["secret"], text)).status_code == 200
    assert (await one.world.ask(made["secret"], model="nobody")).status_code == 404
    await one.world.team.records.flush()
    id = made["key"]["id"]
    return {"key_id": id, "project_id": made_project["id"], "holder": f"key:{id}", "secret": made["secret"]}


BODIES: dict[str, dict[str, Any]] = {
    "create_key": {"name": "another", "models": ["chat-*"], "providers": ["compatible"], "expires_seconds": 60},
    "rotate_key": {"keep_old_seconds": 60},
    "revoke_key": {},
    "create_project": {"name": "another", "limits": {"usd_day": 0.5}},
    "close_project": {},
    "set_limits": {"usd_total": 2, "concurrency": 1},
}
"""A body for each route that takes one: whoever adds such a route adds one here."""
