"""Who gets in at the admin port, and what becomes of what is sent to it in bad faith."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st
from structlog.testing import capture_logs

from chatport import ConfigurationError, load_config
from chatport_gateway.admin import app as admin_app
from chatport_gateway.admin.app import ROUTES
from chatport_gateway.admin.guard import has_token
from chatport_gateway.admin.pages import PAGE_HEADERS
from chatport_gateway.admin.routes import Route
from chatport_gateway.admin.settings import AdminSettings, read_admin

from .conftest import BODIES, TOKEN, AdminWorld, ask_raw, path_of, populate

pytestmark = pytest.mark.anyio
Open = Callable[..., Awaitable[AdminWorld]]
TEAM: dict[str, Any] = {"team": {}}


# --- the token


async def _credentials(one: AdminWorld) -> dict[str, dict[str, str]]:
    """Return headers that do not open the admin port, by what they are."""
    store = one.world.team.store
    project = await store.create_project("elsewhere", actor="test")
    key = await one.world.key("alive")
    other = await one.world.key("other", project_id=project.id)
    expired = await one.world.key("expired", expires=datetime.now(UTC) - timedelta(seconds=1))
    revoked = await one.world.key("revoked")
    await store.revoke_key(revoked.key.id, actor="test")
    bearer = {
        "a wrong token": "x" * len(TOKEN),
        "half of the token": TOKEN[:-1],
        "more than the token": f"{TOKEN}x",
        "a model key": key.secret,
        "another project's key": other.secret,
        "an expired key": expired.secret,
        "a revoked key": revoked.secret,
        "the hash of the token": sha256(TOKEN.encode()).hexdigest(),
        "an empty one": "",
    }
    basic = base64.b64encode(f"admin:{TOKEN}".encode()).decode()
    return {
        "nothing": {},
        **{what: {"authorization": f"Bearer {token}"} for what, token in bearer.items()},
        "the token as x-api-key": {"x-api-key": TOKEN},
        "the token as a cookie": {"cookie": f"token={TOKEN}"},
        "the token as basic": {"authorization": f"Basic {basic}"},
        "the token alone": {"authorization": TOKEN},
    }


async def test_nothing_but_the_token_opens_a_route(admin: Open) -> None:
    """Each route of the table, so a new one is here as soon as it is there. That the token does: see `test_api`."""
    one = await admin()
    parts, credentials = await populate(one), await _credentials(one)
    for route in ROUTES.all:
        await _check_closed(one, route, parts, credentials)


async def _check_closed(
    one: AdminWorld, route: Route, parts: dict[str, str], credentials: Mapping[str, dict[str, str]]
) -> None:
    body = BODIES[route.name] if route.body is not None else None
    before = len(await one.world.team.store.audit())
    for what, headers in credentials.items():
        async with one.client(None, **headers) as client:
            answer = await client.request(route.method, path_of(route, **parts), json=body)
        assert answer.status_code == 401, what
        assert answer.json()["error"]["code"] == "token"
        assert answer.headers["www-authenticate"] == "Bearer"
    async with one.client(None) as client:
        in_query = await client.request(route.method, f"{path_of(route, **parts)}?token={TOKEN}", json=body)
    assert in_query.status_code == 401
    assert len(await one.world.team.store.audit()) == before


async def test_the_description_and_unknown_paths_are_for_the_token_too(admin: Open) -> None:
    one = await admin()
    async with one.client(None) as client:
        for path in ("/api/v1/openapi.json", "/api/v1/nothing", "/metrics", "/v1/models"):
            assert (await client.get(path)).status_code == 401
        assert (await client.get("/")).status_code == 200  # the page has nothing in it, and asks for the token


async def test_the_token_calls_no_model(admin: Open) -> None:
    one = await admin()
    for header in ({"authorization": f"Bearer {TOKEN}"}, {"x-api-key": TOKEN}):
        transport = httpx.ASGITransport(one.world.gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=header) as client:
            body = {"model": "main", "messages": [{"role": "user", "content": "say: hi"}]}
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 401
            assert (await client.get("/v1/models")).status_code == 401
    paths = ("/v1/chat/completions", "/v1/models", "/v1/responses", "/v1/messages")
    assert {(await one.ask("POST", path, json={})).status_code for path in paths} == {404}


async def test_a_key_that_is_the_token_by_its_hash_opens_nothing(admin: Open) -> None:
    """Who gives the hash of a model key as `token_hash` has made a mistake, and not two doors of one key."""
    one = await admin()
    made = await one.world.key("both")
    one.admin.settings = AdminSettings(sha256(made.secret.encode()).digest())
    async with one.client(made.secret) as client:
        assert (await client.get("/api/v1/overview")).status_code == 401


def test_the_token_is_compared_in_a_time_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `hmac.compare_digest`, over hashes of one length, for every token that is brought."""
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return bool(real(one, other))

    monkeypatch.setattr(hmac, "compare_digest", compare)
    its = AdminSettings(sha256(TOKEN.encode()).digest())
    for sent in ("", "x", TOKEN[:5], TOKEN):
        assert has_token(its, {"authorization": f"Bearer {sent}"}) is (sent == TOKEN)
    assert compared == [(32, 32)] * 4


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "needs a token"),
        ({"token_env": "A", "token_hash": "sha256:" + "0" * 64}, "needs a token"),
        ({"token": "x" * 40}, "does not stand in the file"),
        ({"token_env": "SHORT"}, "at least 32"),
        ({"token_env": "MODEL"}, "a key of the gateway"),
        ({"token_env": "SPACES"}, "without spaces"),
        ({"token_env": "NOBODY"}, "not set"),
        ({"token_hash": "abc"}, "sha256:"),
        ({"token_env": "GOOD", "port": 70000}, "port"),
        ({"token_env": "GOOD", "port": True}, "port"),
        ({"token_env": "GOOD", "colour": "red"}, "colour"),
        ({"token_env": "GOOD", "hosts": "x"}, "hosts"),
        ({"token_env": "GOOD", "host": ""}, r"^\[admin\] host is a text, not ''\.$"),
        ({"token_env": "GOOD", "host": 5}, r"^\[admin\] host is a text, not 5\.$"),
        ({"token_env": 7}, r"^\[admin\] token_env is a text, not 7\.$"),
    ],
)
def test_a_table_that_cannot_be_meant(table: dict[str, Any], words: str) -> None:
    variables = {"SHORT": "x" * 31, "MODEL": "cpk_" + "a" * 60, "SPACES": "a b " * 10, "GOOD": "g" * 32}
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_admin(load_config({"admin": table, **TEAM}), variables)
    assert not any(value in str(caught.value) for value in variables.values())


def test_what_a_table_says_is_taken() -> None:
    """Names of hosts in lower case, as they are compared."""
    table = {"token_env": "GOOD", "host": "0.0.0.0", "port": 65535, "hosts": ["Admin.Example", "b.example"]}
    digest = sha256(b"g" * 32).digest()
    for said, expected in (
        (table, AdminSettings(digest, "0.0.0.0", 65535, ("admin.example", "b.example"))),
        ({"token_env": "GOOD"}, AdminSettings(digest, "127.0.0.1", 4001, ())),
    ):
        assert read_admin(load_config({"admin": said, **TEAM}), {"GOOD": "g" * 32}) == expected


def test_it_needs_a_team() -> None:
    with pytest.raises(ConfigurationError, match=r"\[team\]"):
        read_admin(load_config({"admin": {"token_env": "GOOD"}}), {"GOOD": "g" * 32})
    assert read_admin(load_config(TEAM), {}) is None
    assert "ggg" not in repr(read_admin(load_config({"admin": {"token_env": "GOOD"}, **TEAM}), {"GOOD": "g" * 32}))


# --- pages of others, and names that lead here


HOSTS: list[tuple[dict[str, Any], str, int]] = [
    ({}, "127.0.0.1:4001", 200),
    ({}, "localhost:4001", 200),
    ({}, "[::1]:4001", 200),
    ({}, "LOCALHOST", 200),
    ({}, "evil.example", 421),
    ({}, "127.0.0.1.evil.example", 421),
    ({}, "localhost.evil.example:4001", 421),
    ({}, "10.1.2.3", 421),
    ({}, "localhost:4001@evil.example", 421),
    ({}, "", 421),
    ({}, "localhost:", 421),
    ({}, "localhost:4001x", 421),
    ({}, "[::1]", 200),
    ({}, "[::1", 421),
    ({}, "[::1]4001", 421),
    ({}, "[]", 421),
    ({"hosts": ("admin.example",)}, "admin.example", 200),
    ({"hosts": ("admin.example",)}, "other.example", 421),
    ({"host": "0.0.0.0"}, "10.1.2.3:4001", 200),
    ({"host": "0.0.0.0"}, "evil.example", 421),
    ({"host": "localhost"}, "127.0.0.1:4001", 200),
    ({"host": "localhost"}, "10.1.2.3:4001", 421),
    ({"host": "Admin.Example"}, "admin.example", 200),
    ({"host": "admin.example"}, "10.1.2.3:4001", 200),
]
"""Settings, the name that is asked for, and what comes of it."""


async def test_it_is_asked_by_the_names_that_it_has(admin: Open) -> None:
    """Else a page whose name leads to this machine would be of the same origin (DNS rebinding)."""
    one = await admin()
    digest = one.admin.settings.digest
    for its, host, status in HOSTS:
        one.admin.settings = AdminSettings(digest, **its)
        async with one.client(host=host) as client:
            assert (await client.get("/api/v1/overview")).status_code == status, host
            assert (await client.get("/")).status_code == status, host


async def test_a_request_names_one_host(admin: Open) -> None:
    """Neither none nor two: something in front of it may have looked at the other one."""
    one = await admin()
    for names, status in (([], 421), (["localhost"], 200), (["localhost", "localhost"], 421)):
        sent = await asgi(one, headers=[(b"host", name.encode()) for name in names])
        assert sent[0]["status"] == status, names
        if status == 421:
            assert json.loads(sent[1]["body"])["error"]["code"] == "host"


async def asgi(one: AdminWorld, *messages: Any, **scope: Any) -> list[Any]:
    """Return what is sent to a request that is as no client would make it."""
    coming, sent = list(messages), []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await one.admin({"type": "http", "method": "GET", "path": "/", "headers": [], **scope}, receive, send)
    return sent


async def test_it_speaks_no_other_protocol(admin: Open) -> None:
    one = await admin()
    assert await asgi(one, type="websocket") == [{"type": "websocket.close", "code": 1003}]
    assert await asgi(one, type="lifespan") == []


PAGES: list[tuple[dict[str, str], int]] = [
    ({"origin": "http://127.0.0.1:4001"}, 200),
    ({"origin": "http://127.0.0.1:4000"}, 403),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "file://127.0.0.1:4001"}, 403),
    ({"sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "none"}, 200),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
]
"""What a browser says of the page that asks, and what comes of it."""


async def test_pages_of_others_are_refused(admin: Open) -> None:
    one = await admin()
    for headers, status in PAGES:
        async with one.client(**headers) as client:
            answer = await client.get("/api/v1/overview")
        assert answer.status_code == status, headers
        assert "access-control-allow-origin" not in answer.headers


async def test_no_page_may_ask_beforehand(admin: Open) -> None:
    one = await admin()
    async with one.client(None, origin="http://evil.example", **{"access-control-request-method": "POST"}) as client:
        answer = await client.options("/api/v1/keys")
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_headers_of_all_that_goes_out(admin: Open) -> None:
    one = await admin()
    paths = ("/", "/page.js", "/page.css", "/icon.svg", "/api/v1/overview", "/api/v1/nothing", "/api/v1/usage?by=x")
    for path in paths:
        headers = (await one.ask("GET", path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "set-cookie" not in headers
        assert "server" not in headers
    assert "http" not in dict(PAGE_HEADERS)["content-security-policy"]


# --- paths, bodies


TRICKS = """
    /api/v1/keys/ /api/v1//keys /api/v1/../v1/keys /api/v1/%2e%2e/v1/keys /api/v1/keys%2f /api/v1/keys%00 /api/v1/KEYS
    /api/v2/keys /../../etc/passwd /static/page.js /page.js/ /page%2ejs /..%2fapp.py /api/v1/keys/.. //page.js
    /api/v1/limits/key:../gateway /%61pi/v1/keys /api/v1/keys/a;b /api/v1/limits/gateway%0a /api/v1/keys\\x /.
""".split()  # noqa: SIM905  # as they stand on the wire


async def test_tricks_with_paths_lead_nowhere(admin: Open) -> None:
    one = await admin()
    for path in TRICKS:
        answer = await ask_raw(one, "GET", path)
        assert answer.status == 404, path
        assert json.loads(answer.body)["error"]["code"] == "not_found"


async def test_other_methods_are_refused(admin: Open) -> None:
    one = await admin()
    for method in ("DELETE", "PATCH", "TRACE", "CONNECT", "HEAD", "OPTIONS", "FOO", "get", ""):
        for path in sorted({path_of(route, key_id="a", project_id="a", holder="gateway") for route in ROUTES.all}):
            answer = await ask_raw(one, method, path)
            assert answer.status == 405, (method, path)
            assert answer.headers["allow"]
    posted = await ask_raw(one, "POST", "/")
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")
    for method in ("POST", "HEAD"):
        answer = await ask_raw(one, method, "/api/v1/openapi.json")
        assert (answer.status, answer.headers["allow"]) == (405, "GET")


async def test_bodies_are_bounded_and_of_json(admin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await admin()
    large = json.dumps({"name": "x" * 70_000}).encode()
    as_json = {"content-type": "application/json"}
    assert (await one.ask("POST", "/api/v1/keys", content=large, headers=as_json)).status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await one.ask("POST", "/api/v1/keys", content=b'{"name": "a"}', headers={"content-type": kind})
        assert answer.status_code == 415
    for content in (
        b"",
        b"{",
        b"\xff\xfe",
        b'{"name": "a"} {}',
        b'{"name": NaN}',
        b"[" * 60_000,
        b'{"name": "\\ud800"}',
    ):
        answer = await one.ask("POST", "/api/v1/keys", content=content, headers=as_json)
        assert answer.status_code == 400, content[:20]
    packed = {**as_json, "content-encoding": "gzip"}
    assert (await one.ask("POST", "/api/v1/keys", content=b"not packed", headers=packed)).status_code == 400
    assert (await one.ask("GET", "/api/v1/keys?" + "a" * 3000)).status_code == 400
    monkeypatch.setattr(admin_app, "_BODY_SECONDS", 0.05)

    came: list[Any] = []

    async def receive() -> Any:
        if came:
            await anyio.sleep_forever()
        came.append(1)
        return {"type": "http.request", "body": b"{", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/keys", "query_string": b"", "headers": headers}
    await one.admin(scope, receive, send)
    assert sent[0]["status"] == 408


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_sent_nothing(admin: Open) -> None:
    one = await admin()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/keys", "query_string": b"", "headers": headers}
    with capture_logs() as logged:
        await one.admin(scope, receive, send)
    assert not sent
    assert [(entry["event"], entry["status"]) for entry in logged] == [("admin", 499)]


async def test_a_store_that_is_gone_is_said_without_its_address(admin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await admin()

    def gone(*_: Any, **__: Any) -> Any:
        raise OSError("cannot reach postgresql://user:canary-password@db.internal:5432")

    monkeypatch.setattr(type(one.world.team.store.engine), "connect", gone)
    with capture_logs() as logged:
        answer = await one.ask("GET", "/api/v1/keys")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "canary" not in answer.text + str(logged)


async def test_a_mistake_of_ours_tells_no_more_than_its_kind(admin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await admin()

    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("canary-of-a-mistake in /secret/file.py")

    monkeypatch.setattr(type(one.world.team.store), "keys", broken)
    with capture_logs() as logged:
        answer = await one.ask("GET", "/api/v1/keys")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "canary" not in answer.text
    assert any(entry["event"] == "admin_failed" for entry in logged)


# --- what never comes out


async def test_no_answer_and_no_line_of_the_log_has_a_key(admin: Open) -> None:
    """Of all keys that there are: not as text, not as hash, neither to the token nor in the log."""
    one = await admin()
    with capture_logs() as logged:
        parts = await populate(one)
        secrets = [parts["secret"]]
        for name in ("more", "and more"):
            secrets.append((await one.post("/api/v1/keys", name=name))["secret"])
        secrets.append((await one.post(f"/api/v1/keys/{parts['key_id']}/rotate", keep_old_seconds=60))["secret"])
        texts = []
        for route in ROUTES.all:
            if route.method == "GET":
                texts.append((await one.ask("GET", path_of(route, **parts))).text)
        await one.ask("GET", f"/api/v1/keys/{secrets[0]}")
        await one.ask("GET", f"/api/v1/{TOKEN}", params={"token": TOKEN})
    structlog.reset_defaults()
    digests = [sha256(secret.encode()).digest() for secret in secrets]
    forbidden = [*secrets, *[secret[15:] for secret in secrets], *[one.hex() for one in digests]]
    forbidden += [base64.b64encode(one).decode() for one in digests]
    for text in texts:
        assert not [one for one in forbidden if one in text]
    told = str(logged)
    assert not [one for one in [*forbidden, TOKEN] if one in told]
    assert "authorization" not in told.lower()


# --- at random

_texts = st.text(max_size=30) | st.sampled_from(
    ["gateway", "' OR 1=1 --", "\x00", "\ud800", "key:", "project:'; DROP TABLE keys", "../..", "9" * 30, "-1", "1e999"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(
    ["name", "limits", "models", "providers", "project_id", "expires_seconds", "keep_old_seconds", "usd_day",
     "usd_total", "concurrency", "requests_per_minute", "tokens_per_minute", "id", "digest", "secret"]
)  # fmt: skip
_queries = st.sampled_from(["since", "until", "by", "most", "before", "after", "outcome", "key_id", "project_id", "x"])


def _encodable(value: Any) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(ROUTES.all),
    part=_texts | st.sampled_from(["KEY", "PROJECT", "HOLDER"]),
    query=st.dictionaries(_queries, _texts | st.integers().map(str), max_size=3),
    body=st.dictionaries(_names, _values, max_size=4).map(_encodable)
    | _values.map(_encodable)
    | st.binary(max_size=40),
)
async def test_nothing_that_is_sent_makes_it_fail(
    fuzzed: AdminWorld, route: Route, part: str, query: Mapping[str, str], body: bytes
) -> None:
    """Never a 500, never a trace, never a secret: whatever stands in path, query and body."""
    known = fuzzed.parts
    part = {"KEY": known["key_id"], "PROJECT": known["project_id"], "HOLDER": known["holder"]}.get(part, part)
    path = path_of(route, **dict.fromkeys(route.parts, part))
    sent = urlencode({name: text.encode("utf-8", "surrogatepass") for name, text in query.items()}).encode()
    answer = await ask_raw(fuzzed, route.method, path, query=sent, body=body if route.body is not None else b"")
    assert answer.status in (200, 201, 400, 404, 405, 409), answer
    assert json.loads(answer.body)
    text = answer.body.decode()
    assert "Traceback" not in text
    assert known["secret"] not in text
    assert TOKEN not in text


@pytest.fixture
async def fuzzed(admin: Open) -> AdminWorld:
    """Return an admin port with something behind it."""
    one = await admin()
    one.parts = await populate(one)
    return one
