"""Headers of a call, keys in a query or in another header, and plain http by leave: what a server really gets."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import chatport
from chatport import Secret

from .adapter import BACKENDS, Runner, open_runner
from .raw_server import Connection, RawServer, chunked, head

KEY = "sk-" + "the-key-of-the-provider"
QUERY = "q7-" + "a-secret/of+a query"
TENANT = "t9-" + "a-secret-of-a-tenant"
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
WAYS: dict[str, tuple[Any, Any]] = {
    "ours": (None, None),
    "ours over httpx": (lambda: "httpx", lambda: "httpx"),
    "httpx": (lambda: httpx.AsyncClient(verify=False), lambda: httpx.Client(verify=False)),
}


def good(connection: Connection) -> None:
    while connection.request():
        connection.send(head(transfer_encoding="chunked") + chunked(PIECE, FINISH))


def failing(connection: Connection) -> None:
    """Write all that was asked into a 503, and into the fields that are told."""
    while request := connection.request():
        top = request.partition(b"\r\n\r\n")[0].decode()
        body = json.dumps({"error": {"message": top, "code": top[:150], "path": top}}).encode()
        name = top.partition("\r\n")[0].replace(" ", "%20")
        connection.send(head(503, content_type="application/json", content_length=len(body), x_request_id=name) + body)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Open = Callable[..., Runner]


@pytest.fixture
def opened(backend: str, way: str) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def open_client(base_url: str, **table: Any) -> Runner:
            settings = {"kind": "compatible", "base_url": base_url, "api_key": KEY, **table}
            settings = {name: value for name, value in settings.items() if value is not None}
            config = {"providers": {"x": settings}, "model": "x:m", "retry": {"attempts": 1}}
            asynchronous, synchronous = WAYS[way]
            runner = open_runner(backend, config, asynchronous=asynchronous, synchronous=synchronous)
            return stack.enter_context(runner)

        yield open_client


def sent(server: RawServer, number: int = -1) -> tuple[str, list[tuple[str, str]]]:
    """Return the target of a request, and its headers."""
    lines = server.requests[number].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:]]
    return lines[0].split(" ")[1], [(name.lower(), value) for name, _, value in pairs]


def values(server: RawServer, name: str) -> list[str]:
    return [value for found, value in sent(server)[1] if found == name]


# --- a provider's query and header


def test_azures_shape(opened: Open) -> None:
    """`api-key` in place of a bearer, and `api-version` in the query of every address."""
    with RawServer(good) as server:
        runner = opened(
            server.base_url, auth={"header": "api-key", "scheme": ""}, query={"api-version": "2024-10-21-preview"}
        )
        assert runner.chat("hello").text == "word "
        assert runner.stream("hello").text == "word "
        target, headers = sent(server)
        assert target == "/v1/chat/completions?api-version=2024-10-21-preview"
        assert ("api-key", KEY) in headers
        assert "authorization" not in dict(headers)
        shown = runner.explain("hello")
        assert shown.url.endswith("?api-version=2024-10-21-preview"), "a version is no key"
        assert shown.headers["api-key"] == "***"
        assert KEY not in str(shown)


def test_a_key_in_the_query(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_QUERY_OF_A_TEST", QUERY)
    with RawServer(good) as server:
        query = {"key": {"env": "A_QUERY_OF_A_TEST"}, "v": "1"}
        runner = opened(server.base_url, api_key=None, query=query)
        assert runner.chat("hello").text == "word "
        target, headers = sent(server)
        assert target == "/v1/chat/completions?v=1&key=q7-a-secret%2Fof%2Ba+query"
        assert "authorization" not in dict(headers)
        shown = runner.explain("hello")
        assert shown.url.endswith("/chat/completions?v=1&key=***")
        assert QUERY not in str(shown)


def everything(error: BaseException) -> str:
    """All that a traceback, a log or a pickle can show of an error, but for what this file's own frames hold."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    found = [str(frame.locals) for frame in trace.stack if frame.filename != __file__]
    current: BaseException | None = error
    while current is not None:
        found += [str(current), repr(current), repr(vars(current)), repr(current.args)]
        current = current.__cause__ or current.__context__
    return "".join([*found, *traceback.format_exception(error), pickle.dumps(error).decode("latin-1")])


@pytest.mark.parametrize("streamed", [False, True])
def test_nothing_that_is_told_shows_a_secret_which_a_server_echoes(
    opened: Open, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RawServer(failing) as server:
        runner = opened(server.base_url, query={"sig": QUERY})
        with pytest.raises(chatport.OverloadedError) as caught:
            (runner.stream if streamed else runner.chat)("hello", headers={"x-tenant": Secret(TENANT)})
        target, headers = sent(server)
    assert target.endswith("?sig=q7-a-secret%2Fof%2Ba+query")
    assert ("x-tenant", TENANT) in headers
    for told in (everything(caught.value), caplog.text):
        for secret in (KEY, TENANT, QUERY, "a-secret%2Fof", "of+a query", "a-secret"):
            assert secret not in told


# --- the headers of a call


def test_the_headers_of_a_call_go_out_in_the_place_of_others(opened: Open) -> None:
    with RawServer(good) as server:
        runner = opened(server.base_url, headers={"X-Team": "search", "x-kept": "1"})
        given = {"x-team": "chat", "User-Agent": "mine/1", "Anthropic-Beta": "a, b", "x-empty": ""}
        for call in (runner.chat, runner.stream):
            call("hello", headers=given)
            headers = dict(sent(server)[1])
            assert (headers["x-team"], headers["x-kept"]) == ("chat", "1")
            assert (headers["user-agent"], headers["anthropic-beta"], headers["x-empty"]) == ("mine/1", "a, b", "")
            assert values(server, "x-team") == ["chat"]
            assert values(server, "authorization") == [f"Bearer {KEY}"]
        shown = runner.explain("hello", headers={**given, "x-tenant": Secret(TENANT), "X-Api-Key": TENANT})
        assert shown.headers["x-team"] == "chat"
        assert shown.headers["x-tenant"] == shown.headers["x-api-key"] == "***"
        assert TENANT not in str(shown)
        runner.chat("hello")
        assert values(server, "x-team") == ["search"], "only of that call"


def test_the_header_of_the_key_only_where_it_is_meant(opened: Open) -> None:
    with RawServer(good) as server:
        runner = opened(server.base_url)
        with pytest.raises(chatport.BadRequestError, match=r"chatport\.Secret") as caught:
            runner.chat("hello", headers={"x-a": "b", "x-authorisation": "c"} | {"authorization": ""})
        assert not server.requests
        assert KEY not in str(caught.value)
        runner.chat("hello", headers={"Authorization": Secret(f"Bearer {TENANT}")})
        assert values(server, "authorization") == [f"Bearer {TENANT}"]
        keyless = opened(server.base_url, api_key=None)
        keyless.chat("hello", headers={"authorization": f"Bearer {TENANT}"})
        assert values(server, "authorization") == [f"Bearer {TENANT}"]
        assert keyless.explain("hello", headers={"authorization": TENANT}).headers["authorization"] == "***"


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\ny: b"},
        {"x": "a\nb"},
        {"x": "a\0"},
        {"x": " a"},
        {"x": "ä"},
        {"x\r\ny": "a"},
        {"": "a"},
        {"x y": "a"},
        {5: "a"},
        {"x": 5},
        {"x": None},
        {"x": Secret("a\r\nb: c")},
        {"Host": "evil.example"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"Connection": "close"},
        {"accept-encoding": "br"},
        ["x", "a"],
        "x: a",
    ],
)
def test_what_no_header_of_a_call_may_be(headers: Any) -> None:
    with RawServer(good) as server:
        table = {"kind": "compatible", "base_url": server.base_url}
        with chatport.Client({"providers": {"x": table}, "model": "x:m"}) as client:
            with pytest.raises(chatport.BadRequestError, match="headers"):
                client.chat("hello", headers=headers)
            with pytest.raises(chatport.BadRequestError, match="headers"):
                client.stream("hello", headers=headers)
        assert not server.requests


def test_a_value_that_is_refused_is_shown_nowhere() -> None:
    table = {"kind": "compatible", "base_url": "http://127.0.0.1:1/v1"}
    with chatport.Client({"providers": {"x": table}, "model": "x:m"}) as client:
        with pytest.raises(chatport.BadRequestError) as caught:
            client.chat("hello", headers={"x-a": TENANT + "\n"})
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        told = [frame for frame in frames if frame.filename.endswith("headers.py")]
        assert told
        assert TENANT not in str([frame.locals for frame in told]) + str(caught.value)


def refusing(connection: Connection) -> None:
    body = b'{"error": {"message": "down"}}'
    while connection.request():
        connection.send(head(503, content_type="application/json", content_length=len(body)) + body)


def test_the_headers_of_a_call_go_to_the_provider_that_it_names_first_and_to_no_other() -> None:
    """As keys do: whoever is asked in its place gets none of them, and the reply says so."""
    with RawServer(refusing) as first, RawServer(good) as second:
        config = {
            "providers": {
                "x": {"kind": "compatible", "base_url": first.base_url},
                "y": {"kind": "compatible", "base_url": second.base_url},
            },
            "aliases": {"both": ["x:a", "x:b", "y:c"]},
            "retry": {"attempts": 1},
        }
        with chatport.Client(config) as client:
            given: dict[str, str | Secret] = {"x-team": "chat", "x-tenant": Secret(TENANT)}
            reply = client.chat("hello", model="both", headers=given)
            assert reply.text == "word "
            assert [note.kind for note in reply.warnings if note.field == "headers"] == ["dropped"]
            with pytest.raises(chatport.ChatportError, match="headers of a call"):
                client.chat("hello", model="both", headers=given, on_unsupported="raise")
            shown = client.explain("hello", model="both", headers=given)
            assert (shown.target, shown.headers["x-team"]) == ("x:a", "chat")
        for number in (0, 1):
            assert ("x-team", "chat") in sent(first, number)[1]
        assert not {"x-team", "x-tenant"} & dict(sent(second)[1]).keys()


# --- plain http


def in_a_network(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a server a name that is not this machine's, as Docker gives a container one."""
    import socket

    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host in ("vllm-box", b"vllm-box") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return f"http://vllm-box:{server.port}/v1"


@pytest.mark.parametrize("secret", ["key", "query", "header"])
def test_a_key_goes_over_plain_http_to_another_machine_only_by_leave(
    opened: Open, way: str, backend: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(good) as server:
        base_url = in_a_network(server, monkeypatch)
        table = {"api_key": KEY if secret == "key" else None, "query": {"key": QUERY} if secret == "query" else None}
        options = {"headers": {"x-tenant": Secret(TENANT)}} if secret == "header" else {}
        with pytest.raises(chatport.ConfigurationError, match="allow_plain_http = true beside the base_url"):
            opened(base_url, **table).chat("hello", **options)
        assert not server.requests
        reply = opened(base_url, **table, allow_plain_http=True).chat("hello", **options)
        assert reply.text == "word "
        assert len(server.requests) == 1


@pytest.mark.parametrize("backend", ["sync", "asyncio"])
def test_even_then_no_proxy_gets_to_see_it(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(good) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        table = {"kind": "compatible", "base_url": "http://vllm-box:8000/v1", "api_key": KEY, "allow_plain_http": True}
        with (
            open_runner(backend, {"providers": {"x": table}, "model": "x:m"}) as runner,
            pytest.raises(chatport.ConfigurationError, match=r"\$http_proxy.*NO_PROXY"),
        ):
            runner.chat("hello")
        assert not proxy.requests
