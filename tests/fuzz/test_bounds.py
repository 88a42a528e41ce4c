"""Whatever the size of an answer, giving up on it is quick, and takes little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport import MalformedReplyError, ToolCall, TransportError

from ..behaviour.raw_server import Connection, RawServer
from .bounded import CASES
from .exchange import Exchange
from .properties import PROVIDERS, check

MOST_SECONDS = 2.0  # of processor time; a second on a machine of its own


def measured(*names: str) -> dict[str, list[Any]]:
    """Return the row of each case, of all if none is named."""
    script = Path(__file__).with_name("bounded.py")
    ran = subprocess.run([sys.executable, script, *names], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return {row[0]: row for row in map(json.loads, ran.stdout.splitlines())}


@pytest.mark.timeout(310)
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_an_answer_without_measure_costs_little() -> None:
    rows = measured()
    assert rows.keys() == CASES.keys()
    slow = [name for name, _, _, seconds, _ in rows.values() if seconds > MOST_SECONDS]
    if slow:  # once more: processes beside it take a processor's caches, and its time with them
        rows |= measured(*slow)
    wrong = [
        (name, problem, words, seconds, kibibytes)
        for name, problem, words, seconds, kibibytes in rows.values()
        if problem != CASES[name].due or seconds > MOST_SECONDS or kibibytes > CASES[name].mebibytes * 1024
    ]
    assert not wrong
    assert all("nested too deeply" in rows[name][2] for name in ("deep JSON in a chunk", "deep JSON in a body"))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_arguments_are_an_error_of_ours(opening: str) -> None:
    with pytest.raises(MalformedReplyError, match="nested too deeply"):
        ToolCall("c", "f", opening * 100_000).parsed()


def endless_header(connection: Connection) -> None:
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nx-endless: ")
    for _ in range(4_000):
        connection.send(b"a" * 65_536)


def endless_headers(connection: Connection) -> None:
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        connection.send(b"".join(b"x-%d-%d: a\r\n" % (number, line) for line in range(1_000)))


@pytest.mark.parametrize("script", [endless_header, endless_headers])
def test_an_endless_header_is_a_transport_error(script: Callable[[Connection], None]) -> None:
    longer = pytest.raises(TransportError, match="header is longer")
    with RawServer(script) as server, chatport.Client(config_of(server)) as client, longer:
        client.chat("hello", model="raw:m")


@pytest.mark.parametrize("script", [endless_header, endless_headers])
async def test_an_endless_header_is_a_transport_error_async(script: Callable[[Connection], None]) -> None:
    with RawServer(script) as server:
        async with chatport.AsyncClient(config_of(server)) as client:
            with pytest.raises(TransportError, match="header is longer"):
                await client.chat("hello", model="raw:m")


def config_of(server: RawServer) -> dict[str, object]:
    return {
        "providers": {"raw": {"kind": "compatible", "base_url": server.base_url, "api_key": "k"}},
        "retry": {"attempts": 1},
        "timeouts": {"total": 20},
    }


SLOW_WORDS = (
    "could not finish the message because max_tokens ",
    "try again in 1",
    "model ",
    "context length ",
    "<head",
    "<",
    " ",
    "\n",
)


HINTS = ("retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-reset", "date", "x-ratelimit-limit")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["9" * 100_000, "1.1h" * 25_000, " " * 100_000, "1m" * 50_000 + "x", "Mon, " * 20_000])
@pytest.mark.parametrize("name", HINTS)
def test_a_long_header_is_read_in_no_time(name: str, text: str) -> None:
    for provider in PROVIDERS:
        assert check(provider, Exchange("whole", b'{"error":{"code":"rate_limit_exceeded"}}', 429, {name: text}))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("word", SLOW_WORDS)
def test_a_long_error_is_read_in_no_time(word: str) -> None:
    """The patterns that read errors take no time with the square of the length."""
    text = word * (200_000 // len(word))
    for provider in PROVIDERS:
        for body in (json.dumps({"error": {"message": text}}).encode(), text.encode()):
            assert check(provider, Exchange("whole", body, 400))
