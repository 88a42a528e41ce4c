"""What clients make of bytes, cuts and silences as they come from a real socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import pytest

import chatport

from .adapter import BACKENDS, Runner, open_runner
from .raw_server import Connection, RawServer, chunked, free_port, head

STREAM = head(transfer_encoding="chunked")


def sse(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return sse({"id": "r1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


ROLE = delta(role="assistant", content="")
STOP = delta("stop")
DONE = b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {"id": "r1", "model": "m", "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}
).encode()


def text(words: str) -> bytes:
    return delta(content=words)


def answering(*pieces: bytes) -> Callable[[Connection], None]:
    """Return a script that answers every request of its connection with these bytes, and stays open."""

    def script(connection: Connection) -> None:
        while connection.request():
            for piece in pieces:
                connection.send(piece)

    return script


def once(*pieces: bytes, end: Callable[[Connection], None] | None = None) -> Callable[[Connection], None]:
    """Return a script that answers one request, and then closes, or ends as told."""

    def script(connection: Connection) -> None:
        connection.request()
        for piece in pieces:
            connection.send(piece)
        if end is not None:
            end(connection)

    return script


GOOD = once(STREAM, chunked(ROLE, text("hel"), text("lo"), STOP, DONE))
WARM = once(head(connection="close"), ROLE, text("hello"), STOP, DONE)
"""For a first call: it builds the HTTP client, which can take longer than a small timer on a busy machine."""

Open = Callable[..., Runner]
LIMIT = 0.2

CLIENTS: dict[str, tuple[Any, Any]] = {
    "ours": (None, None),
    "ours over httpx": (lambda: "httpx", lambda: "httpx"),
    "httpx": (lambda: httpx.AsyncClient(verify=False), lambda: httpx.Client(verify=False)),
    "httpx2": (lambda: httpx2.AsyncClient(verify=False), lambda: httpx2.Client(verify=False)),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def opened(backend: str, stack: contextlib.ExitStack) -> Open:
    """Open a client for a base URL, with small timers and quick retries unless told otherwise."""

    def open_client(base_url: str, *, of: str = "ours", attempts: int = 1, **tables: Any) -> Runner:
        config = {
            "providers": {"raw": {"kind": "compatible", "base_url": base_url, "api_key": "sk-raw-key"}},
            "model": "raw:m",
            "retry": {"attempts": attempts, "first_seconds": 0.001, "longest_seconds": 0.001},
            **tables,
        }
        asynchronous, synchronous = CLIENTS[of]
        return stack.enter_context(open_runner(backend, config, asynchronous=asynchronous, synchronous=synchronous))

    return open_client


@pytest.fixture
def serve(stack: contextlib.ExitStack) -> Callable[..., RawServer]:
    """Start a server that plays scripts; it stops after the client has closed."""
    outer = stack.enter_context(contextlib.ExitStack())
    return lambda *scripts: outer.enter_context(RawServer(*scripts))


Serve = Callable[..., RawServer]


@pytest.fixture(params=CLIENTS)
def client_of(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- no connection


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_connection(opened: Open, client_of: str, streamed: bool) -> None:
    with free_port() as port:
        runner = opened(f"http://127.0.0.1:{port}/v1", of=client_of, attempts=3)
        with pytest.raises(chatport.TransportError) as caught:
            (runner.stream if streamed else runner.chat)("hello")
    error = caught.value
    assert (error.code, error.status, error.provider) == ("connect", None, "raw")
    assert len(error.attempts) == 3
    assert f"No connection to 127.0.0.1:{port}: " in str(error)
    assert "sk-raw-key" not in repr(error) + str(error)


def test_a_name_that_does_not_exist(opened: Open, client_of: str) -> None:
    runner = opened("https://chatport.invalid/v1", of=client_of)
    with pytest.raises(chatport.TransportError) as caught:
        runner.chat("hello")
    assert caught.value.code == "connect"
    assert "No connection to chatport.invalid:443: the host name cannot be resolved (" in str(caught.value)


def test_a_server_without_tls(opened: Open, serve: Serve, client_of: str) -> None:
    server = serve(lambda connection: connection.send(b"HTTP/1.1 400 Not TLS\r\n\r\n"))
    runner = opened(server.base_url.replace("http:", "https:"), of=client_of, attempts=3)
    with pytest.raises(chatport.TransportError) as caught:
        runner.chat("hello")
    assert (caught.value.code, caught.value.retryable) == ("tls", False)
    assert f"No secure connection to 127.0.0.1:{server.port}: " in str(caught.value)
    assert len(caught.value.attempts) == 1


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """Hold a port whose queue is full: a connection there is neither taken nor refused."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the queue is full")
@pytest.mark.parametrize(
    ("timers", "fired"),
    [
        ({"connect": LIMIT}, "connect"),
        ({"connect": 20, "silence": LIMIT}, "silence"),
        ({"connect": 0, "total": LIMIT}, "total"),
    ],
)
def test_a_server_that_takes_no_connections(opened: Open, client_of: str, timers: dict[str, float], fired: str) -> None:
    with deaf_port() as port:
        runner = opened(f"http://127.0.0.1:{port}/v1", of=client_of, attempts=3, timeouts=timers)
        began = time.monotonic()
        with pytest.raises(chatport.DeadlineError) as caught:
            runner.stream("hello")
    assert caught.value.timer == fired
    assert len(caught.value.attempts) == 1, "a route that gave no byte is not tried again"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("family", [httpx, httpx2])
def test_a_full_pool_of_the_users_own_ends_by_a_timer(backend: str, serve: Serve, family: Any) -> None:
    server = serve(once(STREAM, chunked(ROLE, text("hel"), last=False), end=Connection.hang))
    limits = family.Limits(max_connections=1)
    config = {"providers": {"raw": {"kind": "compatible", "base_url": server.base_url}}, "model": "raw:m"}

    if backend == "sync":
        given = family.Client(verify=False, limits=limits)
        with given, chatport.Client(config, transport=given) as client, client.stream("hello") as stream:
            next(stream)
            with pytest.raises(chatport.DeadlineError) as caught:
                client.chat("hello", timeout={"silence": LIMIT})
        assert caught.value.timer == "silence"
        return

    async def run() -> None:
        given = family.AsyncClient(verify=False, limits=limits)
        async with given, chatport.AsyncClient(config, transport=given) as client, client.stream("hello") as stream:
            await anext(stream)
            with pytest.raises(chatport.DeadlineError) as caught:
                await client.chat("hello", timeout={"silence": LIMIT})
            assert caught.value.timer == "silence"

    anyio.run(run, backend=backend)


@pytest.mark.parametrize(
    "host",
    ["a" * 64 + ".example", "a..example", "[::1", "127.0.0.1:99999", "exa mple", "127.0.0.1:x", "xn--zzzz", "ß" * 64],
)
def test_a_strange_host_is_one_of_our_errors(opened: Open, client_of: str, host: str) -> None:
    with pytest.raises(chatport.ChatportError):
        opened(f"https://{host}/v1", of=client_of, timeouts={"total": 5}).chat("hello")


# --- two lengths


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_with_chunks_and_a_length_is_read_and_its_connection_is_not_used_again(
    opened: Open, serve: Serve, client_of: str, streamed: bool
) -> None:
    """RFC 9112, 6.3."""

    def both(connection: Connection) -> None:
        while connection.request():
            connection.send(head(transfer_encoding="chunked", content_length=5))
            connection.send(chunked(ROLE, text("hel"), text("lo"), STOP, DONE))

    server = serve(both)
    runner = opened(server.base_url, of=client_of)
    for _ in range(2):
        reply = (runner.stream if streamed else runner.chat)("hello")
        assert reply.text == "hello"
    assert (len(server.requests), server.connections) == (2, 2)


# --- cuts


def test_a_reset_before_the_head(opened: Open, serve: Serve, client_of: str) -> None:
    runner = opened(serve(once(end=Connection.reset)).base_url, of=client_of)
    for ask in (runner.chat, runner.stream):
        with pytest.raises(chatport.TransportError) as caught:
            ask("hello")
        assert caught.value.status is None


def test_a_close_before_the_head_is_tried_again(opened: Open, serve: Serve, client_of: str) -> None:
    server = serve(once(), once(b"HTTP/1.1 200"), GOOD)
    reply = opened(server.base_url, of=client_of, attempts=3).stream("hello").reply
    assert reply is not None
    assert [attempt.outcome for attempt in reply.attempts] == ["TransportError", "TransportError", "ok"]


@pytest.mark.parametrize(
    ("pieces", "end"),
    [
        ([STREAM, chunked(ROLE, text("hel"), last=False)], Connection.reset),
        ([STREAM, chunked(ROLE, text("hel"), last=False)], None),
        ([STREAM, chunked(ROLE, text("hel"))], None),
        ([STREAM, chunked(ROLE, text("hel"), last=False), b"40\r\ndata: {"], None),
        ([STREAM, chunked(ROLE, text("hel"), last=False), b"zz\r\nnonsense\r\n"], None),
        ([STREAM, chunked(ROLE, text("hel"), STOP, last=False)], None),
        ([STREAM, chunked(ROLE, text("hel"), STOP, last=False)], Connection.reset),
        ([head(content_length=1000), ROLE + text("hel")], None),
        ([head(content_length=1000), ROLE + text("hel") + STOP], None),
        ([head(connection="close"), ROLE + text("hel")], None),
    ],
    ids=[
        "reset", "close", "clean end without a finish", "inside a chunk", "broken framing", "no last chunk",
        "reset after the finish", "short length", "short length after the finish", "close-delimited",
    ],
)  # fmt: skip
def test_a_stream_cut_after_content(
    opened: Open, serve: Serve, client_of: str, pieces: list[bytes], end: Callable[[Connection], None] | None
) -> None:
    server = serve(once(*pieces, end=end), GOOD)
    seen: list[str] = []

    def watch(stream: Any, event: chatport.Event) -> None:
        if isinstance(event, chatport.TextDelta):
            seen.append(event.text)

    with pytest.raises(chatport.StreamInterruptedError) as caught:
        opened(server.base_url, of=client_of, attempts=3).stream("hello", watch=watch)
    error = caught.value
    assert error.partial is not None
    assert error.partial.text == "hel"
    if end is None:  # a reset may overtake the bytes before it
        assert seen == ["hel"]
    assert len(server.requests) == 1, "committed means committed"


@pytest.mark.parametrize(
    "pieces",
    [[STREAM], [STREAM, chunked(ROLE, last=False)], [STREAM, chunked(ROLE)], [head(content_length=99), ROLE]],
    ids=["after the head", "after the role", "clean end", "short length"],
)
def test_a_stream_cut_before_content_is_tried_again(opened: Open, serve: Serve, pieces: list[bytes]) -> None:
    server = serve(once(*pieces), GOOD)
    streamed = opened(server.base_url, attempts=2).stream("hello")
    assert streamed.text == "hello"
    assert streamed.reply is not None
    assert [a.outcome == "ok" for a in streamed.reply.attempts] == [False, True]


FIRST_LIGHT = """
import asyncio, sys, chatport

async def main():
    config = {"providers": {"raw": {"kind": "compatible", "base_url": sys.argv[1]}}, "model": "raw:m"}
    async with chatport.AsyncClient(config) as client:
        async with client.stream("hello") as stream:
            async for event in stream:
                pass
        assert stream.reply.text == "hello"

asyncio.run(main())
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_a_whole_stream_loads_no_library_that_it_does_not_need(serve: Serve) -> None:
    """A program that is started for one answer pays for its imports more than for anything else."""
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    run = [sys.executable, "-c", FIRST_LIGHT, serve(GOOD).base_url]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=bare)
    loaded = set(done.stdout.split())
    assert not loaded & {"httpx", "httpcore", "httpx2", "h11", "anyio", "trio", "structlog", "click", "rich", "urllib3"}


def test_a_connection_on_which_an_answer_was_cut_is_not_used_again(opened: Open, serve: Serve) -> None:
    server = serve(once(STREAM, chunked(ROLE), end=Connection.hang), GOOD)  # well ended as HTTP, and kept open
    assert opened(server.base_url, attempts=2).stream("hello").text == "hello"
    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [head(content_type="application/json", content_length=len(WHOLE) + 5), WHOLE],
        [head(content_type="application/json", content_length=len(WHOLE)), WHOLE[:-10]],
        [head(content_type="application/json", transfer_encoding="chunked"), chunked(WHOLE, last=False)],
    ],
    ids=["whole JSON, short length", "cut JSON", "no last chunk"],
)
def test_a_plain_reply_must_be_whole_as_http_too(
    opened: Open, serve: Serve, client_of: str, pieces: list[bytes]
) -> None:
    runner = opened(serve(once(*pieces)).base_url, of=client_of)
    with pytest.raises(chatport.TransportError):
        runner.chat("hello")


def test_http_1_0_ends_with_the_connection(opened: Open, serve: Serve, client_of: str) -> None:
    old = b"HTTP/1.0 200 OK\r\ncontent-type: %b\r\n\r\n"
    plain, stream = old % b"application/json", old % b"text/event-stream"
    server = serve(once(plain, WHOLE), once(stream, ROLE, text("hello"), STOP, DONE), once(stream, text("hello"), STOP))
    runner = opened(server.base_url, of=client_of)
    assert runner.chat("hello").text == "hello"
    assert runner.stream("hello").text == "hello"
    assert runner.stream("hello").text == "hello"
    assert server.connections == 3


@pytest.mark.parametrize("end", [None, Connection.reset], ids=["close", "reset"])
def test_a_connection_that_ends_early_after_done_is_no_error(
    opened: Open, serve: Serve, client_of: str, end: Callable[[Connection], None] | None
) -> None:
    script = once(STREAM, chunked(ROLE, text("hello"), STOP, DONE, last=False), end=end)
    runner = opened(serve(script).base_url, of=client_of)
    if end is None:
        assert runner.stream("hello").text == "hello"
        return
    with contextlib.suppress(chatport.StreamInterruptedError, chatport.TransportError):
        assert runner.stream("hello").text == "hello"  # unless the reset overtook the bytes


def test_a_connection_that_stays_open_after_done_does_not_hold_the_reply_back(
    opened: Open, serve: Serve, client_of: str
) -> None:
    server = serve(once(STREAM, chunked(ROLE, text("hello"), STOP, DONE, last=False), end=Connection.hang))
    runner = opened(server.base_url, of=client_of)
    began = time.monotonic()
    assert runner.stream("hello").text == "hello"
    assert time.monotonic() - began < 5


def test_nonsense_in_place_of_http(opened: Open, serve: Serve, client_of: str) -> None:
    for nonsense in (b"SSH-2.0-OpenSSH\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"):
        runner = opened(serve(once(nonsense)).base_url, of=client_of)
        with pytest.raises(chatport.TransportError):
            runner.chat("hello")


# --- silences


@pytest.mark.parametrize(
    ("before", "timers", "fired"),
    [
        ([], {"silence": LIMIT}, "silence"),
        ([], {"first_event": LIMIT}, "first_event"),
        ([], {"total": LIMIT}, "total"),
        ([STREAM], {"silence": LIMIT}, "silence"),
        ([STREAM], {"first_event": LIMIT}, "first_event"),
        ([STREAM, chunked(ROLE, last=False)], {"first_event": LIMIT}, "first_event"),
        ([STREAM, chunked(ROLE, text("hel"), last=False)], {"silence": LIMIT}, "silence"),
        ([STREAM, chunked(ROLE, text("hel"), last=False)], {"between_events": LIMIT}, "between_events"),
        ([STREAM, chunked(ROLE, text("hel"), last=False)], {"total": LIMIT}, "total"),
    ],
    ids=[
        "before the head: silence", "before the head: first event", "before the head: total",
        "before an event: silence", "before an event: first event", "after the role: first event",
        "mid-stream: silence", "mid-stream: between events", "mid-stream: total",
    ],
)  # fmt: skip
def test_silence_ends_by_the_timer_that_is_due(
    opened: Open, serve: Serve, before: list[bytes], timers: dict[str, float], fired: str
) -> None:
    off = {"silence": 0, "first_event": 0, "between_events": 0, "total": 0}
    runner = opened(serve(WARM, once(*before, end=Connection.hang)).base_url)
    runner.stream("hello")
    began = time.monotonic()
    with pytest.raises(chatport.DeadlineError) as caught:
        runner.stream("hello", timeout={**off, **timers})
    took = time.monotonic() - began
    assert (caught.value.timer, caught.value.seconds) == (fired, LIMIT)
    assert LIMIT * 0.9 <= took < LIMIT + 2
    if any(b"hel" in piece for piece in before):
        assert caught.value.partial is not None
        assert caught.value.partial.text == "hel"


@pytest.mark.parametrize("committed", [False, True])
def test_heartbeats_alone_hold_no_stream_open(opened: Open, serve: Serve, committed: bool) -> None:
    def beating(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, *([text("hel")] if committed else []), last=False))
        for _ in range(1000):
            connection.send(chunked(b": still here\n\n", last=False))
            time.sleep(0.02)

    timers = {"silence": 5, "first_event": LIMIT, "between_events": LIMIT}
    runner = opened(serve(WARM, beating).base_url)
    runner.stream("hello")
    with pytest.raises(chatport.DeadlineError) as caught:
        runner.stream("hello", timeout=timers)
    assert caught.value.timer == ("between_events" if committed else "first_event")


def test_the_total_ends_a_plain_reply_that_trickles(opened: Open, serve: Serve) -> None:
    def trickling(connection: Connection) -> None:
        connection.request()
        connection.send(head(content_type="application/json", content_length=10_000))
        for _ in range(1000):
            connection.send(b" ")
            time.sleep(0.02)

    runner = opened(serve(WARM, trickling).base_url)
    runner.stream("hello")
    with pytest.raises(chatport.DeadlineError) as caught:
        runner.chat("hello", timeout=LIMIT)
    assert caught.value.timer == "total"


def test_the_timers_hold_with_a_client_of_the_users_own(
    opened: Open, serve: Serve, backend: str, client_of: str
) -> None:
    """A read may take longer than the head, whose timer was shorter; and it ends when its own timer is due."""
    resume = threading.Event()

    def pausing(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hel"), last=False))
        resume.wait(5)
        connection.send(chunked(text("lo"), last=False))
        connection.hang()

    def watch(stream: Any, event: chatport.Event) -> None:
        threading.Timer(0.5, resume.set).start()

    runner = opened(serve(WARM, pausing).base_url, of=client_of)
    runner.stream("hello")
    began = time.monotonic()
    with pytest.raises(chatport.DeadlineError) as caught:
        runner.stream("hello", watch=watch, timeout={"first_event": 0.4, "between_events": 0.8})
    assert caught.value.partial is not None
    assert (caught.value.partial.text, caught.value.timer) == ("hello", "between_events")
    late = 1.0 if backend == "sync" and not client_of.startswith("ours") else 0.0
    assert 1.2 < time.monotonic() - began < 2.9 + late


def test_the_callers_own_pause_is_not_silence(opened: Open, serve: Serve) -> None:
    gone_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hel"), last=False))
        gone_on.wait(10)
        connection.send(chunked(text("lo"), STOP, DONE))

    def watch(stream: Any, event: chatport.Event) -> None:
        if isinstance(event, chatport.TextDelta) and event.text == "hel":
            time.sleep(1.0)
            gone_on.set()

    runner = opened(serve(WARM, script).base_url)
    runner.stream("hello")
    timers = {"silence": 0.6, "between_events": 0.6}
    assert runner.stream("hello", watch=watch, timeout=timers).text == "hello"


# --- shapes


def test_one_byte_at_a_time(opened: Open, serve: Serve, client_of: str) -> None:
    data = STREAM + chunked(ROLE, text("héllo 🙂"), STOP, DONE)
    server = serve(once(*(data[n : n + 1] for n in range(len(data)))))
    assert opened(server.base_url, of=client_of).stream("hello").text == "héllo 🙂"


def test_a_line_without_end_is_stopped_at_the_limit(opened: Open, serve: Serve) -> None:
    def endless(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(text("hel"), b"data: ", last=False))
        while True:
            connection.send(chunked(b"x" * 10_000, last=False))

    runner = opened(serve(endless).base_url, limits={"event_bytes": 200_000})
    with pytest.raises(chatport.MalformedReplyError, match=r"limits\.event_bytes") as caught:
        runner.stream("hello")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "hel"


def test_a_body_without_end_is_stopped_at_the_limit(opened: Open, serve: Serve) -> None:
    def endless(connection: Connection) -> None:
        connection.request()
        connection.send(head(content_type="application/json", transfer_encoding="chunked") + chunked(b"[", last=False))
        while True:
            connection.send(chunked(b"1," * 5_000, last=False))

    runner = opened(serve(endless).base_url, limits={"body_bytes": 200_000})
    with pytest.raises(chatport.MalformedReplyError, match=r"limits\.body_bytes"):
        runner.chat("hello")


def test_a_large_event_within_the_limit_comes_through(opened: Open, serve: Serve) -> None:
    words = "word " * 400_000
    runner = opened(serve(once(STREAM, chunked(text(words), STOP, DONE))).base_url)
    assert runner.stream("hello").text == words


def test_blank_lines_while_a_plain_request_waits(opened: Open, serve: Serve) -> None:
    json_head = head(content_type="application/json", transfer_encoding="chunked")
    runner = opened(serve(once(json_head, *[chunked(b"\n", last=False)] * 5, chunked(WHOLE))).base_url)
    assert runner.chat("hello").text == "hello"


def test_of_two_retry_after_headers_the_longer_wait_counts(opened: Open, serve: Serve, client_of: str) -> None:
    twice = head(429, content_type="application/json", content_length=2, retry_after="1\r\nRetry-After: 120") + b"{}"
    server = serve(answering(twice))
    with pytest.raises(chatport.RateLimitError) as caught:
        opened(server.base_url, of=client_of, attempts=3).chat("hello")
    assert caught.value.retry_after_seconds == 120
    assert len(server.requests) == 1


# --- where bytes may go


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(opened: Open, serve: Serve, status: int) -> None:
    elsewhere = serve(answering(STREAM, chunked(text("stolen"), STOP, DONE)))
    target = f"{elsewhere.base_url}/chat/completions"
    server = serve(once(head(status, location=target, content_length=0)))
    runner = opened(server.base_url, attempts=3)
    for ask in (runner.chat, runner.stream):
        with pytest.raises(chatport.TransportError, match="redirects") as caught:
            ask("hello")
        assert caught.value.status == status
    assert elsewhere.connections == 0
    assert len(server.requests) == 2


def test_a_redirect_leads_nowhere_with_a_client_that_would_follow(backend: str, serve: Serve) -> None:
    elsewhere = serve(answering(STREAM, chunked(text("stolen"), STOP, DONE)))
    server = serve(once(head(307, location=elsewhere.base_url, content_length=0)))
    config = {"providers": {"raw": {"kind": "compatible", "base_url": server.base_url}}, "model": "raw:m"}
    with (
        open_runner(
            backend,
            config,
            asynchronous=lambda: httpx.AsyncClient(follow_redirects=True),
            synchronous=lambda: httpx.Client(follow_redirects=True),
        ) as runner,
        pytest.raises(chatport.TransportError, match="redirects"),
    ):
        runner.chat("hello")
    assert elsewhere.connections == 0


@pytest.mark.parametrize("of", CLIENTS)
def test_cookies_are_not_kept(opened: Open, serve: Serve, of: str) -> None:
    """A client that was passed in may keep them, as its owner set it up: our requests carry none all the same."""
    plain = head(content_type="application/json", content_length=len(WHOLE), set_cookie="a=b") + WHOLE
    server = serve(answering(plain))
    runner = opened(server.base_url, of=of)
    runner.chat("hello")
    runner.chat("hello")
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


# --- keep-alive


def test_a_connection_is_used_again_after_done(opened: Open, serve: Serve, client_of: str) -> None:
    server = serve(answering(STREAM, chunked(ROLE, text("hel"), last=False), chunked(text("lo"), STOP, DONE)))
    runner = opened(server.base_url, of=client_of)
    for _ in range(4):
        assert runner.stream("hello").text == "hello"
    assert (server.connections, len(server.requests)) == (1, 4)


def test_a_connection_is_used_again_after_plain_replies_and_errors(opened: Open, serve: Serve, client_of: str) -> None:
    error = b'{"error": {"message": "no"}}'

    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(head(content_type="application/json", content_length=len(WHOLE)) + WHOLE)
            connection.request()
            connection.send(head(400, content_type="application/json", content_length=len(error)) + error)

    server = serve(script)
    runner = opened(server.base_url, of=client_of)
    for _ in range(3):
        assert runner.chat("hello").text == "hello"
        with pytest.raises(chatport.BadRequestError):
            runner.chat("hello")
    assert server.connections == 1


def test_a_stream_that_was_left_costs_its_connection(opened: Open, serve: Serve) -> None:
    left = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hel"), last=False))
        connection.until_left()
        left.set()

    server = serve(script, GOOD)
    runner = opened(server.base_url)
    assert runner.leave("hello", after=1).text == "hel"
    assert left.wait(5), "the vendor stops only if its connection is closed"
    assert runner.stream("hello").text == "hello"


def test_a_cancelled_stream_stops_the_vendor(opened: Open, serve: Serve) -> None:
    left = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hel"), last=False))
        connection.until_left()
        left.set()

    runner = opened(serve(script, GOOD).base_url)
    assert runner.cancel("hello", after=1).text == "hel"
    assert left.wait(5)
    assert runner.stream("hello").text == "hello"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_idle_connection_that_the_server_has_closed_is_no_error(
    opened: Open, serve: Serve, client_of: str, how: str
) -> None:
    closing, closed = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hello"), STOP, DONE))
        closing.wait(5)
        if how == "reset":
            connection.reset()

    def closes(connection: Connection) -> None:
        try:
            script(connection)
        finally:
            closed.set()

    server = serve(closes, GOOD)
    runner = opened(server.base_url, of=client_of)
    assert runner.stream("hello").text == "hello"
    closing.set()
    assert closed.wait(5)
    time.sleep(0.05)  # the socket is closed just after the script
    reply = runner.stream("hello").reply
    assert reply is not None
    assert reply.text == "hello"
    assert len(reply.attempts) == 1


def test_an_idle_connection_closed_just_as_it_is_used_is_tried_again(
    opened: Open, serve: Serve, client_of: str
) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(ROLE, text("hello"), STOP, DONE))
        connection.request()  # and closes, without a word

    server = serve(script, GOOD)
    runner = opened(server.base_url, of=client_of, attempts=2)
    assert runner.stream("hello").text == "hello"
    reply = runner.stream("hello").reply
    assert reply is not None
    assert [attempt.outcome for attempt in reply.attempts] == ["TransportError", "ok"]


# --- no file descriptors left


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let the process open no file descriptor.

    None is taken that another thread's end could give back: the limit is put below all that may be given.
    """
    resource = pytest.importorskip("resource", reason="a system with limits on descriptors")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    standard_streams = 3  # which stay open
    resource.setrlimit(resource.RLIMIT_NOFILE, (standard_streams, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("of", ["ours", "ours over httpx", "httpx2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_process_without_file_descriptors_is_told_so_at_once(opened: Open, serve: Serve, of: str, host: str) -> None:
    """One attempt, no fault of the vendor's, and all is well as soon as there are some again."""
    server = serve(once(head(content_type="application/json", content_length=len(WHOLE), connection="close"), WHOLE))
    runner = opened(server.base_url.replace("127.0.0.1", host), of=of, attempts=3)
    assert runner.chat("hello").text == "hello"
    with no_descriptors(), pytest.raises(chatport.TransportError, match="too many files or sockets open") as caught:
        runner.chat("hello")
    assert (caught.value.code, caught.value.retryable) == ("no_descriptors", False)
    assert len(caught.value.attempts) == 1
    assert runner.chat("hello").text == "hello"
    assert server.connections == 2


# --- answers before the request is read


TOO_LARGE = json.dumps({"error": {"message": "this is too large for us", "type": "invalid_request_error"}}).encode()
REFUSED = head(413, content_type="application/json", content_length=len(TOO_LARGE)) + TOO_LARGE
LARGE = "a" * (8 * 1024 * 1024)
"""More than the sockets of both sides hold while one of them is not read."""


def begun(connection: Connection) -> None:
    """Read no more of a request than its head and a little."""
    connection._sock.recv(4096)


def early_and_gone(connection: Connection) -> None:
    begun(connection)
    connection.send(REFUSED)  # and the connection is closed with bytes unread, which resets it


def early_and_deaf(connection: Connection) -> None:
    begun(connection)
    connection.send(REFUSED)
    connection.hang()


def early_in_pieces(connection: Connection) -> None:
    begun(connection)
    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    for at in range(0, len(REFUSED), 40):
        connection.send(REFUSED[at : at + 40])
        time.sleep(0.001)
    connection.hang()


def early_and_lingering(connection: Connection) -> None:
    begun(connection)
    connection.send(REFUSED)
    connection._sock.shutdown(socket.SHUT_WR)
    connection.until_left()


@pytest.mark.parametrize("script", [early_and_gone, early_and_deaf, early_in_pieces, early_and_lingering])
def test_an_answer_before_the_request_is_read_is_the_answer(
    opened: Open, serve: Serve, script: Callable[[Connection], None]
) -> None:
    server = serve(script)
    runner = opened(server.base_url, timeouts={"total": 30})
    with pytest.raises(chatport.BadRequestError, match="this is too large for us") as caught:
        runner.chat(LARGE)
    assert caught.value.status == 413


@pytest.mark.parametrize("of", ["ours over httpx", "httpx", "httpx2"])
@pytest.mark.parametrize("script", [early_and_gone, early_and_lingering])
def test_an_early_answer_over_httpx_counts_where_the_server_closes(
    backend: str, opened: Open, serve: Serve, script: Callable[[Connection], None], of: str
) -> None:
    """httpx reads nothing while it writes: a server that neither reads on nor closes is waited for until a timer."""
    if backend == "asyncio" and script is early_and_gone:
        pytest.skip("anyio on asyncio drops what was not taken yet when a reset follows it; sockets of our own do not")
    runner = opened(serve(script).base_url, of=of, timeouts={"total": 30})
    with pytest.raises(chatport.BadRequestError) as caught:
        runner.chat(LARGE)
    assert caught.value.status == 413


def test_a_server_that_is_slow_to_read_gets_all_of_a_large_request(opened: Open, serve: Serve) -> None:
    """An interim answer meanwhile is none."""

    def slow(connection: Connection) -> None:
        begun(connection)
        connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        time.sleep(0.2)
        got = 4096  # at most that was read, and what surrounds the text is less than another
        while got < len(LARGE):
            got += len(connection._sock.recv(1024 * 1024)) or len(LARGE)
        connection.send(head(content_type="application/json", content_length=len(WHOLE)) + WHOLE)
        connection.until_left()

    assert opened(serve(slow).base_url).chat(LARGE).text == "hello"
