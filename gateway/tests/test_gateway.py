"""The gateway over real connections: who may ask, how much is taken, what is told, and what becomes of who leaves."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import structlog
import zstandard

import chatport
from chatport.testing import Emulator, faults
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.keys import KeyRing, hash_of

from .conftest import Served

KEY = "a-key-of-some-length"
ASKED = {"model": "main", "messages": [{"role": "user", "content": "say: one two three"}]}
Serve = Callable[..., Served]


def post(served: Served, path: str = "/v1/chat/completions", **options: Any) -> httpx.Response:
    return httpx.post(f"{served.url}{path}", **{"json": ASKED, **options})


def test_a_call_and_its_headers(serve: Serve) -> None:
    reply = post(serve())
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] == "one two three"
    assert reply.headers["x-chatport-target"] == "deepseek:deepseek-flash"
    assert reply.headers["x-request-id"].startswith("req_")
    assert "server" not in reply.headers
    assert "access-control-allow-origin" not in reply.headers


def test_a_stream_comes_in_pieces(serve: Serve) -> None:
    with httpx.stream("POST", f"{serve().url}/v1/chat/completions", json={**ASKED, "stream": True}) as reply:
        data = b"".join(reply.iter_raw())
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(("given", "kept"), [("mine-1", True), ("x" * 200, False), ("a\x80b", False)])
def test_a_request_id_is_kept_if_it_can_be(serve: Serve, *, given: str, kept: bool) -> None:
    reply = post(serve(), headers=[(b"x-request-id", given.encode("latin-1"))])
    assert (reply.headers["x-request-id"] == given) is kept


# --- who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": "Basic " + KEY}, 401),
        ({"x-api-key": "", "authorization": "Bearer"}, 401),
    ],
)
def test_a_key_guards_it(serve: Serve, headers: dict[str, str], status: int) -> None:
    served = serve(settings=GatewaySettings(port=0, key_hashes=(hash_of("another-one-of-ours"), hash_of(KEY))))
    reply = post(served, headers=headers)
    assert reply.status_code == status
    if status == 401:
        assert reply.json()["error"]["code"] == "invalid_api_key"
        assert reply.headers["x-should-retry"] == "false"
        assert not served.emulator.requests
    assert httpx.get(f"{served.url}/health").status_code == 200
    assert httpx.get(f"{served.url}/v1/models", headers=headers).status_code == status


def test_a_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", KEY)
    config = {"gateway": {"key_env": "OURS", "host": "0.0.0.0"}, "aliases": {"a": "compatible:m"}}
    gateway = Gateway(config)
    assert gateway.keys.which({"x-api-key": KEY})
    assert gateway.keys.which({"x-api-key": "wrong"}) is None
    assert KEY not in repr(gateway.keys)
    make_server(gateway)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_without_a_key_others_cannot_reach_it(host: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match="no key is set"):
        make_server(Gateway({"gateway": {"host": host}}))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_can(host: str) -> None:
    make_server(Gateway({"gateway": {"host": host}}))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"key": "sk-in-the-open"}, "does not stand in the file"),
        ({"prot": 1}, "no 'prot'"),
        ({"port": "4000"}, "port is a number"),
        ({"port": -1}, "port is a number"),
        ({"key_hashes": "sha256:x"}, "list of texts"),
        ({"key_hashes": ["md5:x"]}, "64 hex digits"),
        ({"key_env": "NOT_SET_ANYWHERE"}, "which is not set"),
        ({"host": ""}, "host is a text"),
        ({"seal_key_env": "NOT_SET_ANYWHERE"}, "which is not set"),
    ],
)
def test_a_table_that_cannot_be_meant(table: Any, words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words) as raised:
        Gateway({"gateway": table})
    assert "sk-in-the-open" not in str(raised.value)


def test_a_ring_without_keys_knows_none() -> None:
    """Of an empty key, too."""
    ring = KeyRing(())
    assert not ring
    assert ring.which({"x-api-key": KEY}) is None
    assert ring.which({}) is None
    assert repr(ring) == "<chatport_gateway.KeyRing of 0>"


# --- how much is taken


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip, zstd", lambda body: zstandard.ZstdCompressor().compress(gzip.compress(body))),
    ],
)
def test_packed_requests(serve: Serve, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    reply = post(serve(), json=None, content=pack(json.dumps(ASKED).encode()), headers={"content-encoding": encoding})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(b"{}" * 99, mtime=0)[:-9], 400),
        ("zstd", b"no zstd", 400),
        ("br", b"{}", 415),
        ("gzip", gzip.compress(b" " * 20_000, mtime=0), 413),
        ("zstd", zstandard.ZstdCompressor().compress(b" " * 20_000), 413),
        ("identity", b" " * 20_000, 413),
    ],
)
def test_what_is_not_taken(serve: Serve, encoding: str, content: bytes, status: int) -> None:
    served = serve(settings=GatewaySettings(port=0, body_bytes=10_000))
    reply = post(served, json=None, content=content, headers={"content-encoding": encoding})
    assert reply.status_code == status
    assert reply.json()["error"]["message"]
    assert not served.emulator.requests


def test_a_body_without_a_length_is_bounded_too(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, body_bytes=10_000))
    reply = post(served, json=None, content=iter([b" " * 6000, b" " * 6000]))
    assert reply.status_code == 413


def connect(served: Served) -> socket.socket:
    parts = urlsplit(served.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def test_a_head_that_trickles_is_closed(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, header_seconds=0.2))
    for start in (b"", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"):
        with connect(served) as slow:
            slow.sendall(start)
            assert slow.recv(1000) == b""


def test_a_second_head_that_trickles_is_closed_too(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, header_seconds=0.2))
    with connect(served) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /he")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        assert slow.recv(1000) == b""


def test_a_body_that_does_not_come_is_refused(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, body_seconds=0.2))
    with connect(served) as slow:
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


# --- what is told


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("GET", "/"), ("GET", "/health"), ("GET", "/ready")])
def test_whether_it_lives(serve: Serve, method: str, path: str) -> None:
    assert httpx.request(method, f"{serve().url}{path}").status_code == 200


def test_pages_of_named_origins_only(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, allow_origins=("https://a.example",)))
    for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
        reply = post(served, headers={"origin": origin})
        assert reply.headers.get("access-control-allow-origin") == allowed
        before = httpx.options(f"{served.url}/v1/chat/completions", headers={"origin": origin})
        assert (before.status_code == 204) is (allowed is not None)


def test_the_log_has_counts_and_no_content(serve: Serve) -> None:
    with structlog.testing.capture_logs() as logged:
        served = serve(settings=GatewaySettings(port=0, key_hashes=(hash_of(KEY),)))
        served.gateway.log = structlog.get_logger()
        asked = {"model": "main", "messages": [{"role": "user", "content": "say: a secret thing"}]}
        post(served, json=asked, headers={"x-api-key": KEY, "x-request-id": "mine"})
        served.stop()
    line = next(entry for entry in logged if entry["event"] == "request")
    assert (line["status"], line["surface"], line["model"]) == (200, "chat", "main")
    assert (line["target"], line["request_id"], line["attempts"]) == ("deepseek:deepseek-flash", "mine", 1)
    assert line["output_tokens"] > 0
    assert line["cost"] > 0
    assert "secret" not in str(logged)
    assert KEY not in str(logged)


def test_a_mistake_of_ours_is_an_error_of_the_protocol(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("sk-secret")

    monkeypatch.setattr(served.gateway.surfaces, "answer", broken)
    reply = post(served)
    assert reply.status_code == 500
    assert reply.json()["error"]["message"] == "The gateway has failed (ZeroDivisionError)."


# --- who leaves, and how it ends


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_vendor(serve: Serve, *, stream: bool) -> None:
    ends: list[tuple[str, float]] = []
    emulator = Emulator("deepseek", faults=[faults.stall(after_events=4)])
    watch = [lambda name, fields: ends.append((name, time.monotonic()))]
    served = serve(emulator=emulator, observers=watch, on_a_port=True)
    with connect(served) as leaving:
        body = json.dumps({**ASKED, "stream": stream}).encode()
        leaving.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: bool(emulator.requests))
        time.sleep(0.05)
        left = time.monotonic()
    until(lambda: any(name == "call_cancelled" for name, _ in ends))
    assert next(at for name, at in ends if name == "call_cancelled") - left < 1


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_streams_end_before_it_does_and_nothing_new_begins(serve: Serve) -> None:
    served = serve(emulator=Emulator("deepseek", pace_seconds=0.05), on_a_port=True)
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json={**ASKED, "stream": True}) as reply:
        pieces = reply.iter_raw()
        first = next(pieces)
        served.server.handle_exit(2, None)
        rest = b"".join(pieces)
    assert (first + rest).endswith(b"data: [DONE]\n\n")
    served.stop()
    with pytest.raises(httpx.ConnectError):
        post(served)


@pytest.mark.parametrize("after_events", [0, 1, 5, 12, 13])
def test_a_cut_behind_it_is_an_error_in_front(serve: Serve, after_events: int) -> None:
    served = serve(emulator=Emulator("deepseek", faults=[faults.cut(after_events=after_events)]), retry={"attempts": 1})
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json={**ASKED, "stream": True}) as reply:
        data = b"".join(reply.iter_raw())
    assert b"[DONE]" not in data
    assert b'"error"' in data
    assert reply.status_code in (200, 502)


def test_it_can_be_mounted() -> None:
    """In another application, whose lifespan does not reach it."""
    emulator = Emulator("deepseek")
    gateway = Gateway(
        client=chatport.AsyncClient({**emulator.config(), "model": "deepseek:deepseek-flash"}, transport=emulator)
    )

    async def main() -> httpx.Response:
        async def outer(scope: Any, receive: Any, send: Any) -> None:
            await gateway({**scope, "root_path": "/llm"}, receive, send)

        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:
            return await client.post("/llm/v1/chat/completions", json={"messages": ASKED["messages"]})

    assert anyio.run(main).json()["choices"][0]["message"]["content"] == "one two three"


# --- as a server and other applications meet it


async def asgi(gateway: Gateway, *messages: Any, **scope: Any) -> list[Any]:
    """Return what is sent to a server that says this."""
    coming, sent = list(messages), list[Any]()

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    return sent


def test_a_server_is_told_whether_it_has_begun_and_ended(tmp_path: Path) -> None:
    """What cannot be opened is said to it; a connection of another kind is closed."""
    (tmp_path / "file").write_text("x")
    start, stop = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}

    async def main() -> None:
        broken = Gateway({"cache": {"store": str(tmp_path / "file" / "cache.db")}})
        [told] = await asgi(broken, start, type="lifespan")
        assert told["type"] == "lifespan.startup.failed"
        assert told["message"].startswith(f"[cache] store: {tmp_path / 'file' / 'cache.db'} cannot be used: ")
        await broken.aclose()
        gateway = Gateway({})
        assert gateway.tenants.common is gateway.surfaces
        assert await asgi(gateway, type="websocket") == [{"type": "websocket.close", "code": 1003}]
        told = await asgi(gateway, start, stop, type="lifespan")
        assert [message["type"] for message in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert gateway.is_stopping

    anyio.run(main)


def test_a_gateway_that_stops_is_not_ready_and_lives() -> None:
    gateway = Gateway({})

    async def main() -> list[tuple[int, Any]]:
        await gateway.aclose()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://here") as client:
            answers = [await client.get(path) for path in ("/ready", "/health", "/")]
        return [(answer.status_code, answer.json()) for answer in answers]

    alive = {"status": "ok", "problems": []}
    assert anyio.run(main) == [(503, {"status": "stopping"}), (200, alive), (200, alive)]


def test_a_team_is_opened_by_the_first_request_and_not_after_the_end(tmp_path: Path) -> None:
    """Mounted, there is no other moment. Who comes too late is told to try again, in the words of what was asked."""
    emulator = Emulator("deepseek")
    tables = {"model": "deepseek:deepseek-flash", "team": {"folder": str(tmp_path / "team")}}
    gateway = Gateway(client=chatport.AsyncClient({**emulator.config(), **tables}, transport=emulator))

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://here") as client:
            assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 401
            assert gateway.team is not None
            elsewhere = await client.get("/nowhere")
            assert (elsewhere.status_code, elsewhere.headers["x-should-retry"]) == (401, "false")
            key = await gateway.team.store.create_key("ci", actor="test")
            headers = {"x-api-key": key.secret}
            assert (await client.get("/v1/models", headers=headers)).status_code == 200
            await gateway.aclose()
            late = [await client.get(path, headers=headers) for path in ("/v1/models", "/nowhere")]
            assert "team" not in {name for name, value in vars(gateway).items() if value is not None}
        for answer in late:
            assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "true")
            assert answer.json()["error"]["message"].startswith("The gateway is stopping.")

    anyio.run(main)


@pytest.mark.parametrize(
    ("module", "table", "words"),
    [
        (
            "chatport_gateway.team.settings",
            {"team": {}},
            r"^\[team\] needs .*settings is missing.*gateway\[team\]",
        ),
        ("chatport_gateway.metrics.metrics", {"metrics": {}}, r"^\[metrics\] needs .* is missing.*gateway\[metrics\]"),
        ("chatport.otel", {"gateway": {"telemetry": True}}, r"^\[gateway\] telemetry needs Open.*gateway\[otel\]"),
        ("coredis", {"pacing": {"store": "redis://x"}}, r"^\[pacing\] store needs a client .*core\[redis\]"),
    ],
)
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, table: dict[str, Any], words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(chatport.ConfigurationError, match=words):
        Gateway(table)
