"""What may block for ever is under a timer and holds nobody else: names, keys from anywhere, searches."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import pytest

import chatport
from chatport.provider import Auth, Discovery, Provider
from chatport.setup import vendors
from chatport.transport import names

from .adapter import BACKENDS, Runner, open_runner
from .raw_server import Connection, RawServer, head

ANSWER = b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'
PLAIN = head(content_type="application/json", content_length=len(ANSWER)) + ANSWER
ONCE = {"attempts": 1}


def answering(connection: Connection) -> None:
    while connection.request():
        connection.send(PLAIN)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Resolver:
    """Stands for a system's resolver: names that end in `.stuck` hang until the test is over, the rest is here."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        self.asked.append(str(host))
        if str(host).endswith(".stuck"):
            self.over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver was stuck")
        here = "127.0.0.1" if str(host).endswith(".example") else host
        return self._real(here, port, *rest, **more)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(names, "_ROOM", type(names._ROOM)("look-ups of host names", stuck_after_seconds=0.05))
    yield resolver
    resolver.over.set()


def config(server: RawServer, *hosts: str, **timeouts: float) -> dict[str, Any]:
    """Return a configuration with a provider for each host."""
    providers = {
        host: {"kind": "compatible", "base_url": f"http://{host}:{server.port}/v1", "api_key": None} for host in hosts
    }
    return {"providers": providers, "retry": ONCE, "timeouts": timeouts}


def test_a_name_that_is_never_found_ends_with_the_connect_timer(backend: str, resolver: Resolver) -> None:
    with (
        RawServer(answering) as server,
        open_runner(backend, config(server, "a.stuck", connect=0.1)) as runner,
        pytest.raises(chatport.DeadlineError) as caught,
    ):
        runner.chat("hello", model="a.stuck:m")
    assert caught.value.timer == "connect"


def test_a_name_that_is_never_found_ends_with_the_total_timer_if_that_is_due_first(
    backend: str, resolver: Resolver
) -> None:
    with (
        RawServer(answering) as server,
        open_runner(backend, config(server, "a.stuck", connect=30, total=0.1)) as runner,
        pytest.raises(chatport.DeadlineError) as caught,
    ):
        runner.chat("hello", model="a.stuck:m")
    assert caught.value.timer == "total"


def test_names_that_hang_leave_a_few_threads_and_hold_no_other_name(backend: str, resolver: Resolver) -> None:
    before = threading.active_count()
    with (
        RawServer(answering) as server,
        open_runner(backend, config(server, "a.stuck", "good.example", connect=0.06)) as runner,
    ):
        errors = [failure(runner, "a.stuck:m") for _ in range(6)]
        assert [type(error) for error in errors[:4]] == [chatport.DeadlineError] * 4
        assert {type(error) for error in errors[4:]} == {chatport.TransportError}
        assert "4 look-ups of host names of this one are under way and do not end" in str(errors[-1])
        assert resolver.asked.count("a.stuck") == 4
        assert runner.chat("hello", model="good.example:m", timeout={"connect": 5}).text == "hello"
        assert threading.active_count() <= before + 4 + len(server.threads) + 2  # the server's, and a loop's


def failure(runner: Runner, model: str) -> chatport.ChatportError:
    with pytest.raises(chatport.ChatportError) as caught:
        runner.chat("hello", model=model)
    return caught.value


def test_connections_that_begin_together_look_a_name_up_once(backend: str, resolver: Resolver) -> None:
    gate = threading.Event()
    real = resolver._real

    def slow(host: Any, *rest: Any, **more: Any) -> Any:
        gate.wait(5)
        return real(host, *rest, **more)

    resolver._real = slow
    names._ROOM._stuck_after = 60
    threading.Timer(0.3, gate.set).start()
    with RawServer(answering) as server, open_runner(backend, config(server, "good.example")) as runner:
        replies = runner.together(["hello"] * 10, model="good.example:m")
    assert [reply.text for reply in replies] == ["hello"] * 10
    assert resolver.asked.count("good.example") == 1


def test_a_program_whose_own_threads_are_all_taken_still_gets_its_answers(resolver: Resolver) -> None:
    """asyncio's executor and anyio's threads are the program's: we neither fill them nor wait for them."""
    over = threading.Event()

    async def main(settings: Any) -> list[str]:
        loop = asyncio.get_running_loop()
        taken = [loop.run_in_executor(None, over.wait, 30) for _ in range(64)]
        async with anyio.create_task_group() as group:
            for _ in range(64):
                group.start_soon(anyio.to_thread.run_sync, over.wait, 30)
            await anyio.sleep(0.05)
            async with chatport.AsyncClient(settings) as client:
                replies = [await client.chat("hello", model=model, timeout=10) for model in ("keyed:m", "named:m")]
            over.set()
        await asyncio.gather(*taken)
        return [reply.text for reply in replies]

    with RawServer(answering) as server:
        command = {"command": python("print('sk-1')")}
        providers = {
            "keyed": {"kind": "compatible", "base_url": server.base_url, "api_key": command},
            "named": {"kind": "compatible", "base_url": f"http://good.example:{server.port}/v1"},
        }
        assert asyncio.run(main({"providers": providers})) == ["hello", "hello"]


def test_a_name_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = """
import asyncio, socket, sys, time
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: time.sleep(60) if host == "a.stuck" else real(host, *a, **k)
import chatport
config = {"providers": {"x": {"kind": "compatible", "base_url": "http://a.stuck/v1"}}, "retry": {"attempts": 1}}
async def main():
    async with chatport.AsyncClient(config) as client:
        await client.chat("hello", model="x:m", timeout={"connect": 0.1})
try:
    asyncio.run(main())
except chatport.DeadlineError as error:
    print(error.timer)
try:
    chatport.Client(config).chat("hello", model="x:m", timeout={"connect": 0.1})
except chatport.DeadlineError as error:
    print(error.timer)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=True)
    assert done.stdout.split() == ["connect", "connect"]


# --- keys


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def keyed(api_key: Any, base_url: str = "http://127.0.0.1:9/v1", **timeouts: float) -> dict[str, Any]:
    return {
        "providers": {"x": {"kind": "compatible", "base_url": base_url, "api_key": api_key}},
        "retry": ONCE,
        "timeouts": timeouts,
        "model": "x:m",
    }


def test_a_key_command_that_does_not_end_is_under_the_total_timer(backend: str) -> None:
    began = time.monotonic()
    command = {"command": python("import time; time.sleep(20)")}
    words = r"x was not ready within 0\.3 s\. Its key was being read"
    with (
        open_runner(backend, keyed(command, total=0.3)) as runner,
        pytest.raises(chatport.DeadlineError, match=words) as caught,
    ):
        runner.chat("hello")
    assert (caught.value.timer, caught.value.provider) == ("total", "x")
    assert time.monotonic() - began < 15, "the command's own 30 seconds were not waited for"


@pytest.mark.parametrize("ask", ["models", "embed", "stream"])
def test_every_kind_of_call_ends_while_its_key_is_read(backend: str, ask: str) -> None:
    calls: dict[str, Callable[[Runner], Any]] = {
        "models": lambda runner: runner.models("x"),
        "embed": lambda runner: runner.embed("a text", model="x:m"),
        "stream": lambda runner: runner.stream("hello"),
    }
    with (
        open_runner(backend, keyed({"command": python("import time; time.sleep(20)")}, total=0.2)) as runner,
        pytest.raises(chatport.DeadlineError, match="was not ready within"),
    ):
        calls[ask](runner)


def test_a_keyring_that_does_not_answer_is_under_the_total_timer(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over, keyring = threading.Event(), ModuleType("keyring")
    setattr(keyring, "get_password", lambda service, user: over.wait(30))  # noqa: B010  # a module has no such field
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    with (
        open_runner(backend, keyed({"keyring": "acme", "user": "me"}, total=0.2)) as runner,
        pytest.raises(chatport.DeadlineError, match="was not ready within"),
    ):
        runner.chat("hello")
    over.set()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system with named pipes")
def test_a_key_file_that_is_a_pipe_is_refused_at_once(backend: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with (
        open_runner(backend, keyed({"file": str(tmp_path / "key")})) as runner,
        pytest.raises(chatport.ConfigurationError, match="it is a folder, a pipe or a device, not a file"),
    ):
        runner.chat("hello", timeout=20)


def test_calls_that_begin_together_wait_for_one_key_and_each_has_its_own_error(backend: str, tmp_path: Path) -> None:
    program = f"import os, time; open({str(tmp_path / 'runs')!r}, 'a').write('x'); time.sleep(0.3); raise SystemExit(3)"
    with open_runner(backend, keyed({"command": python(program)})) as runner:
        with pytest.raises(BaseException) as caught:  # noqa: PT011  # a group on an event loop
            runner.together(["hello"] * 6)
        errors = flat(caught.value)
    assert all(isinstance(error, chatport.ConfigurationError) for error in errors)
    assert len(set(map(id, errors))) == len(errors)
    assert (tmp_path / "runs").stat().st_size == 1


def flat(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [each for inner in error.exceptions for each in flat(inner)]
    return [error]


# --- the search for servers


@pytest.mark.parametrize("kind", ["asyncio", "trio", "sync"])
def test_a_search_that_hangs_is_under_the_total_timer(kind: str) -> None:
    over = threading.Event()
    provider = Provider("found", "Found", "", auth=Auth(required=False), discover=lambda settings: waited(over))
    with pytest.raises(chatport.DeadlineError, match="found was not ready within"):
        one_chat(kind, provider, total=0.2)
    over.set()


@pytest.mark.parametrize("kind", ["asyncio", "trio", "sync"])
def test_a_search_that_fails_is_a_plugin_that_is_broken(kind: str) -> None:
    def discover(settings: Any) -> list[Discovery]:
        raise RecursionError("maximum recursion depth exceeded")

    provider = Provider("found", "Found", "", auth=Auth(required=False), discover=discover)
    with pytest.raises(chatport.PluginError, match="search for a server of Found failed: RecursionError"):
        one_chat(kind, provider)


def test_a_search_that_hangs_ends_also_where_no_timer_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(vendors, "SEARCH_SECONDS", 0.1)
    provider = Provider("found", "Found", "", auth=Auth(required=False), discover=lambda settings: waited(over))
    client = chatport.Client({}, providers=[provider])
    with pytest.raises(chatport.PluginError, match=r"did not end within 0\.1 s"):
        client.explain("hello", model="found:m")
    over.set()


def waited(over: threading.Event) -> list[Discovery]:
    over.wait(30)
    return []


def one_chat(kind: str, provider: Provider, **timeouts: float) -> chatport.Reply:
    settings = {"timeouts": timeouts}
    if kind == "sync":
        with chatport.Client(settings, providers=[provider]) as client:
            return client.chat("hello", model="found:m")

    async def main() -> chatport.Reply:
        async with chatport.AsyncClient(settings, providers=[provider]) as client:
            return await client.chat("hello", model="found:m")

    return anyio.run(main, backend=kind)
