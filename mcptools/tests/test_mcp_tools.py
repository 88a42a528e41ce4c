"""Tools of MCP servers in the tool loop: a server of the official SDK, over stdio and HTTP, and an older one."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from core.tests.runs import MODEL, Scripted

import chatport
from chatport import ConfigurationError, ImagePart, Secret, ToolError
from chatport.errors import MisuseError
from chatport_mcp import McpServer, McpTool, McpTools, mcp_tools
from chatport_mcp.transports import LastWords

from .old_server import Old
from .playing import BACKENDS, OLD, SERVER, inside, is_alive, outcomes, play, serving
from .server import PNG


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def http() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and "mcp" in thread.name]
    assert left == []


def of_sdk(way: str, http: str, **more: Any) -> McpTools:
    return mcp_tools(url=http, **more) if way == "http" else mcp_tools(command=SERVER, **more)


# --- what the model gets


@pytest.mark.parametrize(
    ("backend", "way"),
    [("asyncio", "stdio"), ("sync", "stdio"), ("asyncio", "http"), ("trio", "http"), ("sync", "http")],
)
def test_a_run_uses_the_tools_of_a_server(backend: str, way: str, http: str) -> None:
    calls = [
        ("add", {"a": 1, "b": 2}), ("math_mul_2_38033696", {"a": 2, "b": 3}), ("fail", {"words": "Not now.\nLater."}),
        ("add", {"a": "x", "b": 2}), ("everything", {}),
    ]  # fmt: skip
    tools = of_sdk(way, http)
    run, model = play(backend, tools, [calls])
    assert outcomes(run)[:3] == [
        ("ok", "3"), ("ok", '{\n  "product": 6\n}'), ("error", "Error executing tool fail: Not now.\nLater."),
    ]  # fmt: skip
    assert outcomes(run)[3][0] == "invalid"
    everything = run.steps[0].results[4]
    assert everything.content == "A text.\n[file:///tmp/log: log, the log]\nA note.\nThe end."
    assert [type(part).__name__ for part in everything.parts] == [
        "TextPart", "ImagePart", "AudioPart", "TextPart", "TextPart", "TextPart",
    ]  # fmt: skip
    assert everything.parts[1] == ImagePart.from_bytes(PNG)
    sent = model.requests[-1].json()["messages"][-1]["content"]
    assert sent[1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()},
    }
    described = {tool["function"]["name"]: tool["function"] for tool in model.requests[0].json()["tools"]}
    assert described["add"]["description"] == "Add two numbers."
    assert described["add"]["parameters"]["required"] == ["a", "b"]
    assert tools.instructions == "Add before you multiply."
    assert tools.about("add") == McpTool("", "add", "Addition", is_read_only=True)
    assert tools.about("math_mul_2_38033696") == McpTool("", "math.mul/2")
    assert tools.about("nobody") is None


def test_calls_of_one_answer_are_made_at_the_same_time(backend: str, http: str) -> None:
    calls = [("meet", {"where": backend, "people": 3})] * 3
    run, _ = play(backend, mcp_tools(url=http), [calls], threads=backend == "sync")
    assert outcomes(run) == [("ok", "met")] * 3


@pytest.mark.parametrize(
    ("backend", "way"), [("trio", "sdk"), ("asyncio", "sdk"), ("asyncio", "old"), ("trio", "old"), ("sync", "old")]
)
def test_tools_that_a_server_offers_later_are_in_the_next_request(backend: str, way: str) -> None:
    if way == "sdk":
        run, model = play(backend, mcp_tools(command=SERVER), [[("grow", {})], [("grown", {})]])
    else:
        run, model = play(backend, mcp_tools(command=OLD), [[("refuse", {})], [("late", {})]])
    first, second = (len(request.json()["tools"]) for request in model.requests[:2])
    assert second == first + 1
    assert run.steps[1].results[0].outcome == ("ok" if way == "sdk" else "error")


def test_servers_of_the_older_protocol_are_understood(backend: str) -> None:
    calls = [("echo", {"text": "hi"}), ("bare", {}), ("refuse", {})]
    tools = mcp_tools(command=OLD)
    run, _ = play(backend, tools, [calls])
    assert outcomes(run) == [
        ("ok", "hi"), ("ok", '{"a":1}'),
        ("error", "The MCP server 'python' refuses the call of refuse: Method not found."),
    ]  # fmt: skip
    assert [tool.name for tool in tools] == ["echo", "pid", "hang", "leave", "bare", "refuse", "late"]  # of four pages
    assert tools[1].description == "Number of the process"
    assert tools.instructions == ""


def test_tools_that_cannot_be_read_again_stay_as_they_were(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """The server has said that they are others, and has none of those that are wanted."""
    tools = mcp_tools(command=[*OLD, "closing"], only=["echo", "refuse"])
    steps: Any = [[("refuse", {})], [("echo", {"text": "on"})]]
    run, model = play(backend, tools, steps)
    assert outcomes(run) == [("error", "The MCP server 'python' refuses the call of refuse: Method not found.")]
    assert outcomes(run, 1) == [("ok", "on")]
    assert [len(request.json()["tools"]) for request in model.requests] == [2, 2, 2]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# --- several servers


def test_tools_of_several_servers_have_names_of_their_own(backend: str, http: str) -> None:
    tools = mcp_tools({"one": OLD, "sum of all": {"type": "http", "url": http, "only": ["add", "math.*"]}})

    def own() -> str:
        """A tool of the program's own."""
        return "mine"

    calls: Any = [
        ("one__echo", {"text": "hi"}),
        ("sum_of_all__add_fbfc5998", {"a": 1, "b": 1}),
        ("own", {}),
        ("echo", {}),
    ]
    run, _ = play(backend, tools, [calls], beside=[own])
    assert [kind for kind, _ in outcomes(run)] == ["ok", "ok", "ok", "unknown"], outcomes(run)
    assert tools.about("sum_of_all__add_fbfc5998") == McpTool("sum of all", "add", "Addition", is_read_only=True)
    assert len([tool for tool in tools if tool.name.startswith("sum")]) == 2
    assert tools.instructions == "sum of all:\nAdd before you multiply."


def test_a_file_of_servers_is_read_as_it_is(backend: str) -> None:
    entry = {"command": OLD[0], "args": OLD[1:], "env": {}, "type": "stdio"}
    run, _ = play(backend, mcp_tools({"mcpServers": {"old": entry}}), [[("old__echo", {"text": "hi"})]])
    assert outcomes(run) == [("ok", "hi")]


def test_more_tools_beside_them_are_joined_as_they_are_at_the_moment() -> None:
    def own() -> str:
        return ""

    tools = McpTools([McpServer(["x"])])
    both: Any = [own] + tools + [own]  # noqa: RUF005  # which would be a list, and no more than that
    assert (list(both), len(both), both[0]) == ([own, own], 2, own)
    tools._tools["a"] = (chatport.Tool("a"), McpTool("", "a"))
    assert [getattr(tool, "name", None) for tool in both] == [None, "a", None]
    assert list(tools + tools) == [chatport.Tool("a")] * 2
    more: Any = [own] + both  # noqa: RUF005
    tools._tools["b"] = (chatport.Tool("b"), McpTool("", "b"))
    assert [getattr(tool, "name", None) for tool in more] == [None, None, "a", "b", None]
    assert [getattr(tool, "name", None) for tool in more[2:4]] == ["a", "b"]


# --- servers that fail


@pytest.mark.parametrize(("backend", "way"), [("trio", "sdk"), ("asyncio", "old"), ("trio", "old"), ("sync", "old")])
def test_a_server_that_dies_in_a_call_is_started_again_by_the_next(backend: str, way: str) -> None:
    if way == "sdk":
        steps: Any = [[("die", {"words": "out of ink"})], [("add", {"a": 1, "b": 1})]]
        run, _ = play(backend, mcp_tools(command=SERVER), steps)
        words = "was lost while it ran die; its last words: out of ink. Whether die was done is not known."
        assert outcomes(run, 1) == [("ok", "2")]
    else:
        run, _ = play(backend, mcp_tools(command=OLD), [[("leave", {})], [("echo", {"text": "again"})]])
        words = "was lost while it ran leave. Whether leave was done is not known."
        assert outcomes(run, 1) == [("ok", "again")]
    assert outcomes(run) == [("error", f"The MCP server 'python' {words}")]
    assert run.text == "done"


def test_a_server_that_died_between_two_calls_is_not_noticed(backend: str) -> None:
    def do(call: Any) -> tuple[int, int]:
        first = int(call("pid"))
        os.kill(first, 9)
        time.sleep(0.2)  # until the end of its output has come
        return first, int(call("pid"))

    first, second = inside(backend, mcp_tools(command=OLD), do)
    assert first != second
    assert not is_alive(first)
    assert not is_alive(second)  # the block was left


def test_a_server_that_hangs_is_left_to_itself(backend: str) -> None:
    calls: Any = [("slow__hang", {}), ("slow__echo", {"text": "hi"})]
    run, _ = play(backend, mcp_tools(command=OLD, name="slow", call_seconds=0.1), [calls])
    words = "The MCP server 'slow' did not answer within 0.1 s (call_seconds). hang may still be at work."
    assert outcomes(run) == [("error", words), ("ok", "hi")]


@pytest.mark.parametrize(("loop", "way"), [("asyncio", "stdio"), ("trio", "http")])
def test_leaving_a_run_tells_the_server(loop: str, way: str, http: str, tmp_path: Path) -> None:
    path = tmp_path / "how"

    async def main() -> None:
        model = Scripted([[("wait", {"path": str(path)})]])
        emulator = model.emulator()
        async with (
            of_sdk(way, http) as tools,
            chatport.AsyncClient(emulator.config(), transport=emulator) as client,
        ):
            async with client.run_stream("go", model=MODEL, tools=tools) as stream:
                with anyio.move_on_after(20) as patience:
                    async for event in stream:
                        if isinstance(event, chatport.ToolStarted):
                            break
                async with anyio.create_task_group() as group:
                    group.start_soon(anext, aiter(stream))
                    while not path.exists() or path.read_text() != "begun":  # noqa: ASYNC110
                        await anyio.sleep(0.01)
                    group.cancel_scope.cancel()
            with anyio.fail_after(20):
                while path.read_text() != "cancelled":  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            assert not patience.cancelled_caught

    anyio.run(main, backend=loop)


@pytest.mark.parametrize(
    ("tools", "kind", "words"),
    [
        (
            lambda: mcp_tools(command=[*OLD, "broken"], name="b", env={"TOKEN": Secret("s3cret-key")}),
            chatport.TransportError,
            r"The MCP server 'b' cannot be reached: it ended .*; its last words: no module named \*\*\*\.",
        ),
        (
            lambda: mcp_tools(command=[*OLD, "mute"], connect_seconds=0.2),
            chatport.TransportError,
            r"it was not ready within 0.2 s \(connect_seconds\)",
        ),
        (
            lambda: mcp_tools(command=["no-such-program-anywhere"]),
            ConfigurationError,
            r"no-such-program-anywhere cannot be started: No such file or directory",
        ),
        (
            lambda: mcp_tools(url="http://127.0.0.1:9/mcp?key=s3cret-key"),
            chatport.TransportError,
            r"The MCP server at 127.0.0.1 cannot be reached: ConnectError: ",
        ),
        (
            lambda: mcp_tools(command=OLD, only=["echo", "ehco"]),
            ConfigurationError,
            r"has no tool 'ehco'. It has: echo, pid, hang, leave, bare, refuse\.",
        ),
        (
            lambda: mcp_tools({"a": OLD, "b": [*OLD, "broken"]}),
            chatport.TransportError,
            r"The MCP server 'b' cannot be reached",
        ),
    ],
)
def test_a_server_that_cannot_be_reached_is_an_error_that_says_why(
    backend: str, tools: Any, kind: Any, words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        inside(backend, tools(), lambda call: None)
    assert "s3cret" not in str(caught.value)


def test_a_server_over_http_may_go_and_come(backend: str) -> None:
    with Old() as old:
        port = old.server_address[1]
        servers = [old]

        def do(call: Any) -> list[str]:
            said = [call("echo", text="1")]
            servers.pop().__exit__()
            with pytest.raises(ToolError, match=r"The MCP server at 127\.0\.0\.1 cannot be reached: ConnectError"):
                call("echo", text="2")
            servers.append(Old(port))
            return [*said, call("echo", text="3")]

        try:
            assert inside(backend, mcp_tools(url=old.url), do) == ["1", "3"]
        finally:
            servers.pop().__exit__()


def test_a_session_that_the_server_has_forgotten_is_begun_anew(backend: str) -> None:
    with Old() as old:

        def do(call: Any) -> list[str]:
            said = [call("echo", text="1")]
            old.forget()
            return [*said, call("echo", text="2")]

        assert inside(backend, mcp_tools(url=old.url), do) == ["1", "2"]
        assert [method for method, _ in old.seen].count("initialize") == 2


def test_a_server_over_http_that_breaks_off_is_not_asked_again(backend: str) -> None:
    with Old() as old:

        def do(call: Any) -> str:
            with pytest.raises(ToolError, match=r"was lost while it ran leave .*Whether leave was done is not known"):
                call("leave")
            return str(call("echo", text="on"))

        assert inside(backend, mcp_tools(url=old.url), do) == "on"
        calls = [headers for method, headers in old.seen if method == "tools/call"]
        assert len(calls) == 2


# --- keys


def test_a_server_gets_no_more_of_the_environment_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "not-for-servers")
    monkeypatch.setenv("TOKEN_OF_SERVER", "for-this-one")
    env = {"TOKEN": {"env": "TOKEN_OF_SERVER"}, "PLAIN": "text"}
    run, _ = play("asyncio", mcp_tools(command=SERVER, env=env), [[("environment", {})]])
    told = outcomes(run)[0][1]
    assert "for-this-one" in told
    assert '"PLAIN": "text"' in told
    assert "not-for-servers" not in told
    assert "TOKEN_OF_SERVER" not in told


def test_a_key_is_read_by_reference_and_shown_nowhere(
    backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OLD_TOKEN", "s3cret-key")
    caplog.set_level(logging.DEBUG)
    with Old(key="s3cret-key") as old:
        tools = mcp_tools(url=old.url, bearer={"env": "OLD_TOKEN"}, headers={"x-team": "blue"})
        run, _ = play(backend, tools, [[("echo", {"text": "hi"})]])
        assert outcomes(run) == [("ok", "hi")]
        assert all(h["authorization"] == "Bearer s3cret-key" and h["x-team"] == "blue" for _, h in old.seen)
        shown = f"{tools!r} {tools._servers!r} {run!r}"
        assert "s3cret" not in shown + caplog.text
        with pytest.raises(chatport.AuthenticationError, match=r"HTTP 401") as caught:
            inside(backend, mcp_tools(url=old.url, bearer="wr0ng-key"), lambda call: None)
        assert "wr0ng" not in str(caught.value) + caplog.text


def test_a_key_that_is_refused_is_read_once_more(backend: str) -> None:
    with Old(key="new-key") as old:
        keys = iter(["old-key", "new-key"])
        tools = mcp_tools(url=old.url, bearer=lambda: next(keys))
        assert inside(backend, tools, lambda call: call("echo", text="hi")) == "hi"


def test_a_key_that_is_not_there_is_said_before_anything_is_sent(backend: str) -> None:
    with Old() as old:
        tools = mcp_tools(url=old.url, bearer={"env": "NOT_SET_ANYWHERE"})
        with pytest.raises(ConfigurationError, match=r"MCP server at 127.0.0.1 is to come from \$NOT_SET_ANYWHERE"):
            inside(backend, tools, lambda call: None)
        assert old.seen == []


def test_a_key_that_is_gone_when_a_server_is_started_again_is_said(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_TOKEN", "s3cret-key")

    def do(call: Any) -> str:
        with pytest.raises(ToolError, match="was lost while it ran leave"):
            call("leave")
        monkeypatch.delenv("OLD_TOKEN")
        with pytest.raises(ToolError) as caught:
            call("echo", text="hi")
        return str(caught.value)

    said = inside(backend, mcp_tools(command=OLD, env={"TOKEN": {"env": "OLD_TOKEN"}}), do)
    assert said.startswith("The MCP server 'python' cannot be reached: ")
    assert "is to come from $OLD_TOKEN" in said
    assert said.endswith(".")
    assert not said.endswith("..")


class Login(httpx2.Auth):
    """An authentication that tries one key after the other, and counts how often it was ended."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.ends = 0

    def auth_flow(self, request: Any) -> Any:
        try:
            for key in self.keys:
                request.headers["authorization"] = f"Bearer {key}"
                response = yield request
                if response.status_code != 401:
                    return
        finally:
            self.ends += 1


def test_an_authentication_of_the_callers_own_makes_its_requests(backend: str) -> None:
    login = Login("old-key", "new-key", "never-sent")
    with Old(key="new-key") as old:
        tools = mcp_tools(url=old.url, auth=login, headers={"x-team": "blue"})
        assert inside(backend, tools, lambda call: call("echo", text="hi")) == "hi"
        keys = [headers["authorization"] for method, headers in old.seen if method == "tools/call"]
        assert keys == ["Bearer old-key", "Bearer new-key"]
        assert all(headers["x-team"] == "blue" for _, headers in old.seen)
        assert login.ends >= 3  # of each request at its end


def test_an_authentication_that_is_refused_is_said(backend: str) -> None:
    with Old(key="new-key") as old, pytest.raises(chatport.AuthenticationError, match=r"HTTP 401"):
        inside(backend, mcp_tools(url=old.url, auth=Login("old-key")), lambda call: None)
    assert {headers["authorization"] for _, headers in old.seen} == {"Bearer old-key"}


# --- in the program


def test_an_error_in_the_block_comes_out_of_it_as_it_is(backend: str) -> None:
    def fail(call: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        inside(backend, mcp_tools(command=OLD), fail)


def test_leaving_by_a_cancellation_ends_the_server() -> None:
    async def main() -> int:
        with anyio.move_on_after(20) as scope:
            async with mcp_tools(command=OLD) as tools:
                function = tools[1].function
                assert function is not None
                pid = int(await function())
                scope.cancel()
                await anyio.sleep_forever()
        return pid

    for loop in ("asyncio", "trio"):
        assert not is_alive(anyio.run(main, backend=loop))


def test_tools_are_opened_once_and_are_closed_after(backend: str) -> None:
    tools = mcp_tools(command=OLD)
    kept = inside(backend, tools, lambda call: tools[0])
    with pytest.raises(MisuseError, match="have been opened before"):
        inside(backend, tools, lambda call: None)
    if backend != "sync":
        with pytest.raises(ToolError, match="its connection is closed"):
            anyio.run(lambda: kept.function(text="x"), backend=backend)


def test_the_sdk_is_loaded_when_a_server_is_opened() -> None:
    code = "import sys, chatport_mcp; chatport_mcp.mcp_tools(command=['x']); print('mcp' in sys.modules, 'pydantic' in sys.modules)"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "has a command or a url, one of the two"),
        ({"command": ["x"], "url": "http://x"}, "has a command or a url"),
        ({"command": "uvx some-server"}, "command is a list of words"),
        ({"command": [1]}, "command is a list of texts"),
        ({"url": "example.com/mcp"}, "begins with http:// or https://"),
        ({"url": "http://x", "env": {"A": "b"}}, "env is for a server with a command"),
        ({"command": ["x"], "headers": {"a": "b"}}, "headers is for a server with a url"),
        ({"command": ["x"], "bearer": "key"}, "bearer is for a server with a url"),
        ({"url": "http://x.example/mcp", "bearer": "key"}, "plain http is for this machine only"),
        ({"url": "https://x", "headers": {"a": 3}}, r"headers\.a is a text, \{ env"),
        ({"command": ["x"], "env": ["A=b"]}, "env is a dict of texts"),
        ({"command": ["x"], "only": "echo"}, "only is a list of texts"),
        ({"command": ["x"], "name": 3}, "The name of an MCP server is a text."),
        ({"url": "http://[::1/mcp"}, "The MCP server at .: url is an address that begins with http:// or https://"),
        ({"url": "https://"}, "url is an address that begins with http:// or https://"),
        ({"url": 3}, "The MCP server at .: url is an address"),
        ({"servers": {"a": "a.example"}}, "The MCP server 'a': url is an address"),
        ({"command": ["x"], "call_seconds": 0}, "call_seconds is a number of seconds above 0, not 0"),
        ({"servers": {}}, "There is no MCP server"),
        ({"servers": ["x"]}, "The servers are a dict of names"),
        ({"servers": {"": ["x"]}}, "has a name"),
        ({"servers": {"a": 3}}, "'a' is a command, a url, a dict or an McpServer"),
        ({"servers": {"a": {"comand": "x"}}}, "there is no 'comand'. Did you mean 'command'?"),
        ({"servers": {"a": {"type": "sse", "url": "http://x"}}}, "the older way over HTTP"),
        ({"servers": {"a": ["x"]}, "only": ["y"]}, "not both"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        mcp_tools(**given)


def test_a_server_is_shown_without_what_may_be_a_key() -> None:
    servers: Any = {"a": ["x", "--key", "s3cret"], "b": McpServer(url="https://u:s3cret@b.example/mcp?k=s3cret")}
    assert repr(mcp_tools(servers)) == "<McpTools of <MCP server 'a'>, <MCP server 'b'>: 0 tools>"
    assert repr(McpServer(url="https://u:s3cret@b.example/mcp?k=s3cret")) == "<MCP server at b.example>"


def test_a_text_in_the_place_of_a_server_is_its_address() -> None:
    (server,) = mcp_tools({"a": "https://a.example/mcp"})._servers
    assert server == McpServer(url="https://a.example/mcp", name="a")


def test_of_last_words_only_the_end_is_kept() -> None:
    words = LastWords()
    for number in range(100):
        words.add(b"%04d" % number + b"x" * 1020 + b"\n")
    assert sum(map(len, words._pieces)) == 4 * 1025
    assert str(words).startswith("0097xx")
    words.add(b"y" * 5000)
    assert [len(piece) for piece in words._pieces] == [5000]
