"""What is sent to the model port in bad faith: keys of others, addresses to be fetched, what is to become a header."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st
from structlog.testing import capture_logs

from chatport.testing import Emulator
from chatport.testing.faults import cut, echo_key, rate_limited, status
from chatport_gateway import GatewaySettings
from chatport_surfaces.installed import installed_surfaces

from ..asking import PROTOCOLS, Protocol
from ..conftest import VENDORS
from .conftest import World

pytestmark = pytest.mark.anyio
Open = Callable[..., Awaitable[World]]

ROUTES = sorted({(method, path.replace("*", "some")) for one in installed_surfaces()[0] for method, path in one.routes})
"""Of all installed protocols, from themselves: one that is added is in the table below."""


# --- whose key


async def _keys(one: World) -> dict[str, dict[str, str]]:
    """Return headers that open nothing, by what they are."""
    store = one.team.store
    project = await store.create_project("closed", actor="test")
    closed = await one.key("closed", project_id=project.id)
    await store.close_project(project.id, actor="test")
    expired = await one.key("expired", expires=datetime.now(UTC) - timedelta(seconds=1))
    revoked, rotated = await one.key("revoked"), await one.key("rotated")
    await store.revoke_key(revoked.key.id, actor="test")
    await store.rotate_key(rotated.key.id, actor="test")
    good = await one.key("good")
    bearer = {
        "a wrong one": "cpk_" + "0" * 10 + "_" + "A" * 43,
        "another's beginning": good.secret[:14],
        "one letter more": good.secret + "A",
        "the last letter wrong": good.secret[:-1] + ("A" if good.secret[-1] != "A" else "B"),
        "its hash": sha256(good.secret.encode()).hexdigest(),
        "a closed project's": closed.secret,
        "expired": expired.secret,
        "revoked": revoked.secret,
        "rotated away": rotated.secret,
        "a vendor's": "sk-proj-0123456789abcdef",
        "the gateway's own": "the-key-of-the-gateway-table",
        "an admin token": "admin-token-of-more-than-32-characters",
        "SQL": "' OR '1'='1",
        "empty": "",
    }
    return {
        "nothing": {},
        **{what: {"authorization": f"Bearer {key}"} for what, key in bearer.items()},
        "as basic": {"authorization": f"Basic {good.secret}"},
        "as a cookie": {"cookie": f"key={good.secret}"},
        "two, of which the first counts": {"x-api-key": "wrong", "authorization": f"Bearer {good.secret}"},
    }


async def test_no_route_opens_without_a_key_that_is_alive(world: Open) -> None:
    one = await world()
    credentials = await _keys(one)
    good = await one.key("alive")
    for method, path in ROUTES:
        for what, headers in credentials.items():
            async with one.client("") as client:
                client.headers.pop("authorization")
                answer = await client.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 401, (method, path, what)
            assert answer.headers["x-should-retry"] == "false"
            assert good.secret not in answer.text
        async with one.client(good) as client:
            assert (await client.request(method, path, content=b"{}")).status_code != 401, (method, path)
    assert one.emulator.requests == []


async def test_one_project_does_not_see_the_answers_of_another(world: Open) -> None:
    """Nor a key those of another one of its project. A key that was renewed is the same key."""
    one = await world()
    await one.gateway.reload(client=one.gateway.client, settings=GatewaySettings(store="memory"))
    web = await one.team.store.create_project("web", actor="test")
    shop = await one.team.store.create_project("shop", actor="test")
    mine, beside, other = [
        await one.key(name, project_id=project.id) for name, project in (("a", web), ("b", web), ("c", shop))
    ]
    async with one.client(mine) as client:
        made = (await client.post("/v1/responses", json={"model": "main", "input": "say: mine"})).json()["id"]
        assert (await client.get(f"/v1/responses/{made}")).status_code == 200
    for key in (beside, other):
        async with one.client(key) as client:
            assert (await client.get(f"/v1/responses/{made}")).status_code == 404
            assert (await client.delete(f"/v1/responses/{made}")).status_code == 404
            goes_on = {"model": "main", "input": "say: more", "previous_response_id": made}
            assert (await client.post("/v1/responses", json=goes_on)).status_code in (400, 404)
    renewed = await one.team.store.rotate_key(mine.key.id, actor="test")
    async with one.client(renewed) as client:
        assert (await client.get(f"/v1/responses/{made}")).status_code == 200


# --- addresses that we are to fetch


class Trap:
    """A port that nobody has a reason to ask: who does is counted."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._is_over = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._is_over:
            try:
                self._socket.accept()[0].close()
            except TimeoutError:
                continue
            self.visits += 1

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


def _picture(protocol: str, url: str) -> dict[str, Any]:
    """Return a request with a picture that stands at an address, in the words of a protocol."""
    match protocol:
        case "chat":
            part = {"type": "image_url", "image_url": {"url": url}}
            return {"model": "main", "messages": [{"role": "user", "content": [part]}]}
        case "responses":
            part = {"type": "input_image", "image_url": url}
            return {"model": "main", "input": [{"role": "user", "content": [part]}]}
        case _:
            part = {"type": "image", "source": {"type": "url", "url": url}}
            return {"model": "main", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize("vendor", ["compatible", "anthropic", "openai"])
async def test_no_picture_is_fetched_and_no_file_is_read(world: Open, trap: Trap, tmp_path: Path, vendor: str) -> None:
    """An address goes on to the vendor as it is, or is refused; what stands there is nothing of ours."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG canary-of-a-file")
    model = f"{vendor}:{VENDORS.get(vendor, 'emulated-model')}"
    one = await world(Emulator(vendor), models={model: {"prices": [{"match": "*", "input": 1.0, "output": 1.0}]}})
    key = await one.key("ci")
    urls = [
        f"{trap.address}/latest/meta-data/iam", f"file://{secret}", str(secret), f"../{secret.name}", f"FILE://{secret}",
        f"{trap.address.replace('http', 'ftp')}/x", f"gopher://{trap.address[7:]}/x", "http://169.254.169.254/latest/",
        f"http://user:pass@{trap.address[7:]}/", f"jar:{trap.address}!/x", "data:text/html,<script>",
    ]  # fmt: skip
    for url in urls:
        for protocol in PROTOCOLS:
            async with one.client(key) as client:
                answer = await client.post(protocol.path, json={**_picture(protocol.name, url), "model": model})
            assert answer.status_code in (200, 400, 422), (url, protocol.name, answer.text)
            assert "canary-of-a-file" not in answer.text
    assert trap.visits == 0
    sent = b"".join(request.content for request in one.emulator.requests)
    assert b"canary-of-a-file" not in sent
    assert b"Y2FuYXJ5LW9mLWEtZmlsZ" not in sent  # nor as base64


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.name)
async def test_no_client_says_whom_we_ask(world: Open, trap: Trap, protocol: Protocol) -> None:
    """Neither in a field, nor in a header, nor by the name of a model."""
    one = await world()
    key = await one.key("ci")
    names = ("base_url", "api_base", "api_key", "proxy", "endpoint", "url", "extra_headers", "timeout", "provider")
    for name in names:
        body = {**protocol.body("say: hi", stream=False), name: trap.address}
        async with one.client(key) as client:
            answer = await client.post(protocol.path, json=body)
        assert answer.status_code in (200, 400), name
    headers = {"x-base-url": trap.address, "openai-base-url": trap.address, "x-forwarded-host": trap.address[7:]}
    async with one.client(key) as client:
        headers |= {"forwarded": f"host={trap.address[7:]}", "host": trap.address[7:], "x-original-url": "/api/v1/keys"}
        answer = await client.post(protocol.path, json=protocol.body("say: hi", stream=False), headers=headers)
    assert answer.status_code == 200
    for model in (trap.address, f"compatible:{trap.address}", f"custom:{trap.address}/x", f"openai@{trap.address}:m"):
        async with one.client(key) as client:
            answer = await client.post(protocol.path, json={**protocol.body("say: hi", stream=False), "model": model})
        assert answer.status_code in (200, 400, 401, 403, 404), (model, answer.text)
    assert trap.visits == 0
    assert all(request.headers.get("authorization") != f"Bearer {trap.address}" for request in one.emulator.requests)


# --- headers and lines that are not


HOSTILE = "main\r\nset-cookie: a=b\r\n\r\n<script>\x1b[2J\u2028\u202e{event} %s ${jndi:ldap://x}"


async def test_what_a_client_writes_becomes_no_header_and_no_line(
    world: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await world()
    key = await one.key("ci")
    one.gateway.log = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
    )
    bodies = [
        {"model": HOSTILE, "messages": [{"role": "user", "content": "hi"}]},
        {"model": "main", "messages": [{"role": "user", "content": "say: hi"}], "user": HOSTILE, HOSTILE: HOSTILE},
        {"model": "main", "messages": [{"role": "user", "content": "say: hi"}], "temperature": HOSTILE},
    ]
    for body in bodies:
        for headers in ({}, {"x-request-id": "a b\tc"}, {"x-request-id": "x" * 5000}, {"user-agent": "\x7f<script>"}):
            async with one.client(key) as client:
                answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert "set-cookie" not in answer.headers
            assert len(answer.headers["x-request-id"]) <= 128
            for name, value in answer.headers.items():
                assert name.isascii()
                assert value.isprintable(), (name, value)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 4 * len(bodies)
    assert {json.loads(line)["event"] for line in lines} == {"request"}
    rows = await one.rows()
    assert all(row["model"].isprintable() for row in rows)


# --- what never comes to light


async def test_no_key_and_no_prompt_comes_to_light(world: Open, tmp_path: Path) -> None:
    """Of a vendor that tells it in its errors, of the gateway, of clients: in no answer, log, database or journal."""
    vendor, prompt = "sk-" + "canary" * 6, "say: the-canary-of-a-prompt"
    emulator = Emulator(
        "compatible", faults=[echo_key(), None, cut(after_events=2), status(500), rate_limited(1.0)] * 3
    )
    provider = {**emulator.config()["providers"]["compatible"], "api_key": vendor}
    with capture_logs() as logged:
        one = await world(emulator, retry={"attempts": 1}, breaker={"failures": 99}, providers={"compatible": provider})
        one.gateway.log = structlog.get_logger("canary")
        key = await one.key("ci")
        told = []
        for protocol in PROTOCOLS:
            for stream in (False, True, True, False, False):
                async with one.client(key) as client:
                    answer = await client.post(protocol.path, json=protocol.body(prompt, stream=stream))
                told.append(answer.text + str(answer.headers))
            async with one.client(key.secret[:-1] + "!") as client:
                told.append((await client.post(protocol.path, json=protocol.body(prompt, stream=False))).text)
        files = _all_bytes(tmp_path)
        rows = await one.rows()
        files += _all_bytes(tmp_path)
    assert any(request.headers["authorization"] == f"Bearer {vendor}" for request in emulator.requests)
    assert len(rows) == 15
    assert {row["outcome"] for row in rows} >= {"ok", "failed"}
    for canary in (vendor, key.secret, key.secret[15:]):
        assert not [text for text in told if canary in text]
        assert canary.encode() not in files
        assert canary not in str(logged)
    assert b"canary-of-a-prompt" not in files
    assert "canary-of-a-prompt" not in str(logged)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


PATHS = """
    /v1/../admin /v1/%2e%2e/%2e%2e/etc/passwd //v1/models /v1//models /v1/models/../../x /v1/models%00 /v1/models;a=b
    /api/v1/keys /api/v1/openapi.json /page.js /%2fv1/models /v1/models/%0d%0aset-cookie /v1/models/..%5c..%5cx
""".split()  # noqa: SIM905  # as they stand on the wire


async def test_tricks_with_paths_are_no_way_in(world: Open) -> None:
    one = await world()
    key = await one.key("ci")
    for path in PATHS:
        async with one.client("") as client:
            client.headers.pop("authorization")
            assert (await client.get(path)).status_code == 401, path
        async with one.client(key) as client:
            answer = await client.get(path)
        assert answer.status_code in (404, 405), path
        assert "set-cookie" not in answer.headers
        assert "root:" not in answer.text


# --- at random


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["model", "messages", "input", "max_tokens", "tools", "stream", "tool_choice", "response_format", "system", "stop",
     "text", "dimensions", "encoding_format", "previous_response_id", "thinking", "metadata", "reasoning"]
)  # fmt: skip
_bodies = st.dictionaries(_fields, _anything, max_size=5).map(
    lambda body: json.dumps({"model": "main", **body}).encode()
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(route=st.sampled_from(ROUTES), body=_bodies | st.binary(max_size=40))
async def test_nothing_that_is_sent_makes_it_fail(fuzzed: World, route: tuple[str, str], body: bytes) -> None:
    """Every route of every protocol: an answer or an honest error, and never a mistake of ours, a trace or a key."""
    method, path = route
    with capture_logs() as logged:
        async with fuzzed.client(fuzzed.fuzzer) as client:  # type: ignore[attr-defined]
            answer = await client.request(method, path, content=body)
    assert "failed" not in [entry["event"] for entry in logged]
    assert answer.status_code < 500 or b"has failed" not in answer.content
    assert b"Traceback" not in answer.content
    assert fuzzed.fuzzer.encode() not in answer.content  # type: ignore[attr-defined]


@pytest.fixture
async def fuzzed(world: Open) -> World:
    """Return a gateway, and a key of it."""
    one = await world()
    one.fuzzer = (await one.key("fuzzer")).secret  # type: ignore[attr-defined]
    one.gateway.log = structlog.get_logger("fuzzed")
    return one
