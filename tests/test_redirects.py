"""Neither key nor prompt leaves for anywhere but the vendor: redirects, proxies, image addresses, user input."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
from click.testing import CliRunner

import chatport
from chatport.cli import group
from chatport.testing import Emulator

from .behaviour.adapter import BACKENDS, Runner, open_runner
from .behaviour.raw_server import Connection, RawServer, head

KEY = "sk-stays-with-its-vendor"
PROMPT = "a prompt that stays with its vendor"
REPLY = json.dumps({"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()

CLIENTS: dict[str, tuple[Any, Any]] = {
    "ours": (None, None),
    "httpx": (
        lambda: httpx.AsyncClient(verify=False, follow_redirects=True),
        lambda: httpx.Client(verify=False, follow_redirects=True),
    ),
    "httpx2": (
        lambda: httpx2.AsyncClient(verify=False, follow_redirects=True),
        lambda: httpx2.Client(verify=False, follow_redirects=True),
    ),
}
"""Our own client, and the user's, made to follow redirects."""


def answering(data: bytes) -> Callable[[Connection], None]:
    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(data)

    return script


GOOD = answering(head(content_type="application/json", content_length=len(REPLY)) + REPLY)


def configured(base_url: str) -> dict[str, Any]:
    provider = {"kind": "compatible", "base_url": base_url, "api_key": KEY}
    return {"providers": {"x": provider}, "model": "x:m", "retry": {"attempts": 3, "first_seconds": 0.001}}


@contextlib.contextmanager
def opened(backend: str, of: str, base_url: str) -> Iterator[Runner]:
    asynchronous, synchronous = CLIENTS[of]
    with open_runner(backend, configured(base_url), asynchronous=asynchronous, synchronous=synchronous) as runner:
        yield runner


# --- redirects


def redirecting(redirects: Sequence[tuple[int, str]]) -> Callable[[Connection], None]:
    """Return a script that gives each redirect twice: to a plain call, and to a streamed one."""
    answers = iter([head(status, location=place, content_length=0) for status, place in redirects for _ in range(2)])

    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(next(answers))

    return script


@pytest.mark.parametrize("of", CLIENTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_redirect_to_another_origin_takes_nothing_there(backend: str, of: str) -> None:
    """Each status that redirects, to another port, another host name and as a bare `//host`: nobody connects there."""
    with RawServer(GOOD) as elsewhere:
        path = f"127.0.0.1:{elsewhere.port}/v1/chat/completions"
        places = [f"http://{path}", f"http://localhost:{elsewhere.port}/", f"//{path}", f"HTTP://user@{path}?a=b#c"]
        redirects = [(status, place) for status in (301, 302, 303, 307, 308) for place in places]
        with RawServer(redirecting(redirects)) as server, opened(backend, of, server.base_url) as runner:
            for status, _ in redirects:
                for ask in (runner.chat, runner.stream):
                    with pytest.raises(chatport.TransportError, match="set base_url to the right address") as caught:
                        ask(PROMPT)
                    assert caught.value.status == status
                    assert not caught.value.retryable
            assert len(server.requests) == 2 * len(redirects), "a redirect is not tried again"
            assert all(KEY.encode() in request and PROMPT.encode() in request for request in server.requests)
        assert elsewhere.connections == 0


@pytest.mark.parametrize("of", CLIENTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_redirect_inside_the_origin_is_refused_too(backend: str, of: str) -> None:
    """With a text that says where to: no chat API needs redirects, and the second request might not be the first."""
    redirects = [(307, place) for place in ("/v1/moved", "moved", "?again", "#here", "")]
    with RawServer(redirecting(redirects)) as server, opened(backend, of, server.base_url) as runner:
        for _, place in redirects:
            for ask in (runner.chat, runner.stream):
                with pytest.raises(chatport.TransportError, match="The server redirects") as caught:
                    ask(PROMPT)
                assert repr(place) in str(caught.value)
        assert len(server.requests) == 2 * len(redirects)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("of", CLIENTS)
def test_the_list_of_models_and_embeddings_follow_no_redirect(backend: str, of: str) -> None:
    with (
        RawServer(GOOD) as elsewhere,
        RawServer(answering(head(302, location=elsewhere.base_url, content_length=0))) as server,
        opened(backend, of, server.base_url) as runner,
    ):
        with pytest.raises(chatport.TransportError, match="redirects"):
            runner.models("x")
        with pytest.raises(chatport.TransportError, match="redirects"):
            runner.embed(PROMPT, model="x:m")
        assert elsewhere.connections == 0


# --- proxies


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("of", CLIENTS)
def test_a_proxy_sees_neither_key_nor_prompt_of_an_https_call(
    backend: str, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a CONNECT with the host and nothing else; when it refuses, that is an error and not a way around it."""

    def refuse(connection: Connection) -> None:
        while connection.request():
            connection.send(head(403, content_length=0))

    with RawServer(refuse) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with (
            opened(backend, of, "https://llm.acme.example/v1") as runner,
            pytest.raises(chatport.TransportError),
        ):
            runner.chat(PROMPT)
        assert proxy.requests
        for request in proxy.requests:
            assert request.startswith(b"CONNECT llm.acme.example:443 ")
            assert KEY.encode() not in request
            assert PROMPT.encode() not in request
            assert b"authorization" not in request.lower()


def test_plain_http_with_a_key_is_refused_before_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(GOOD) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        with (
            opened("sync", "ours", "http://llm.acme.example/v1") as runner,
            pytest.raises(chatport.ConfigurationError, match="over plain http"),
        ):
            runner.chat(PROMPT)
        assert proxy.connections == 0


# --- what is in a message is not fetched


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_address_of_an_image_is_passed_on_and_not_fetched(backend: str) -> None:
    """One request, to the vendor; the server that the image lies on is not asked, nor looked up."""
    looked_up: list[Any] = []
    lookup = socket.getaddrinfo

    def watched(host: Any, *rest: Any, **more: Any) -> Any:
        looked_up.append(host)
        return lookup(host, *rest, **more)

    with (
        pytest.MonkeyPatch.context() as patch,
        RawServer(GOOD) as images,
        RawServer(GOOD) as server,
        opened(backend, "ours", server.base_url) as runner,
    ):
        patch.setattr(socket, "getaddrinfo", watched)
        addresses = [f"http://127.0.0.1:{images.port}/cat.png", "https://images.example/cat.png"]
        parts = [{"type": "image_url", "image_url": {"url": address}} for address in addresses]
        assert runner.chat([{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}]).text == "hello"
        assert images.connections == 0
        assert len(server.requests) == 1
        assert all(address.encode() in server.requests[0] for address in addresses)
    assert "images.example" not in looked_up


@pytest.mark.parametrize("address", ["/etc/passwd", "javascript:1"])
def test_an_image_that_has_no_address_is_refused(address: str) -> None:
    client = chatport.Client({"providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9"}}})
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}
    with pytest.raises(chatport.BadRequestError, match=r"needs an http\(s\) or data URL"):
        client.chat([message], model="x:m")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://h/cat.png", "gopher://h", "ms://f-1"])
def test_an_address_of_another_scheme_is_the_vendors_to_read(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent as it is written (vendors have schemes of their own); no file of this machine is opened for it."""
    import builtins

    opened: list[str] = []
    real = builtins.open

    def watching(file: Any, *rest: Any, **options: Any) -> Any:
        opened.append(str(file))
        return real(file, *rest, **options)

    monkeypatch.setattr(builtins, "open", watching)
    client = chatport.Client({"providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9"}}})
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}
    sent = client.explain([message], model="x:m")
    assert sent.body["messages"][0]["content"][0]["image_url"]["url"] == address
    assert "/etc/passwd" not in opened


# --- input that is nested without end


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


def deep_schema(levels: int) -> Any:
    value: Any = {"type": "string"}
    for _ in range(levels):
        value = {"type": "object", "properties": {"a": value}}
    return value


def call(name: str, **function: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, **function}}


DEEP: dict[str, Callable[[int], dict[str, Any]]] = {
    "extra": lambda levels: {"messages": "hi", "extra": {"x": deep(levels)}},
    "a message's own field": lambda levels: {"messages": [{"role": "user", "content": "hi", "x": deep(levels)}]},
    "a content part's own field": lambda levels: {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "x": deep(levels)}]}]
    },
    "content": lambda levels: {"messages": [{"role": "user", "content": deep(levels)}]},
    "a content part": lambda levels: {"messages": [{"role": "user", "content": [deep(levels)]}]},
    "messages": lambda levels: {"messages": [deep(levels)]},
    "the arguments of a call": lambda levels: {
        "messages": ["hi", {"role": "assistant", "tool_calls": [call("f", arguments=deep(levels))]}]
    },
    "a tool's schema": lambda levels: {"messages": "hi", "tools": [call("f", parameters=deep_schema(levels))]},
    "a tool": lambda levels: {"messages": "hi", "tools": [deep(levels)]},
    "output": lambda levels: {"messages": "hi", "output": deep_schema(levels)},
    "tool_choice": lambda levels: {"messages": "hi", "tools": [call("f")], "tool_choice": deep(levels)},
    "timeout": lambda levels: {"messages": "hi", "timeout": {"total": deep(levels)}},
    "stop": lambda levels: {"messages": "hi", "stop": [deep(levels)]},
}


@contextlib.contextmanager
def taking_apart(value: Any) -> Iterator[None]:
    """Take a deep value apart from the outside in afterwards: freeing it in one go is Python's own recursion."""
    yield
    kept = [value]
    while kept:
        item = kept.pop()
        if isinstance(item, dict):
            kept.extend(item.values())
            item.clear()
        elif isinstance(item, list):
            kept.extend(item)
            item.clear()


@pytest.mark.parametrize("levels", [900, 5_000, 100_000])  # the first two are within what some Pythons recurse into
@pytest.mark.parametrize("name", DEEP)
def test_deep_input_is_refused_in_our_words(name: str, levels: int) -> None:
    """Too many levels, in any place of a call: our error, no RecursionError, no crash, nothing sent."""
    nowhere = SimpleNamespace(close=lambda: None)  # asking it to send would fail
    with chatport.Client(configured("http://127.0.0.1:9"), transport=nowhere) as client:
        arguments = DEEP[name](levels)
        with taking_apart(arguments):
            with pytest.raises((chatport.BadRequestError, chatport.ConfigurationError)) as caught:
                client.chat(**arguments)
            assert len(str(caught.value)) < 2000
            caught.value.with_traceback(None)


# --- names that are not what they look like


HOSTILE = "m\x1b[2J\x1b]0;title\x07\nERROR: pay here\r\x9b31m\u202egnp.exe\x00"


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "-m", f"compatible:{HOSTILE}", "error: 404"],
        ["chat", "-m", f"{HOSTILE}:m", "hi"],
        ["chat", "-m", HOSTILE, "hi"],
        ["models", HOSTILE],
        ["explain", "-m", f"{HOSTILE}:m", "hi"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]) + f" {len(arguments[2])}" if len(arguments) > 2 else arguments[0],
)
def test_the_command_line_shows_no_control_characters_of_a_name(
    arguments: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name from elsewhere cannot move the cursor, colour the terminal, begin a line or turn the writing around."""
    monkeypatch.chdir(tmp_path)
    with Emulator("compatible") as emulator:
        (tmp_path / "chatport.toml").write_text(
            f'[providers.compatible]\nkind = "compatible"\nbase_url = "{emulator.base_url}"\napi_key = "k"\n'
        )
        result = CliRunner().invoke(group, arguments, env={"CHATPORT_CONFIG": "chatport.toml"})
    assert result.exit_code not in (0, None), result.output
    shown = result.output + result.stderr
    bad = [character for character in shown if character in "\x1b\x07\x00\r\x9b\u202e"]
    assert not bad
    assert not [line for line in shown.splitlines() if line.startswith("ERROR: pay")]
