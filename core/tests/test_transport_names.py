"""The transports that the configuration can name."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import anyio
import httpx
import pytest

from chatport import AsyncClient, Client, ConfigurationError
from chatport.testing import Emulator
from chatport.transport.httpx_own import no_cookies

MODEL = "compatible:emulated-model"


@pytest.mark.parametrize("name", [None, "httpx", "sockets"])
@pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
def test_each_name_answers(way: str, name: str | None) -> None:
    with Emulator("compatible") as emulator:
        config: dict[str, Any] = emulator.config(**({} if name is None else {"transport": name}))
        if way == "sync":
            with Client(config=config) as client:
                assert client.chat("say: here", model=MODEL).text == "here"
            return

        async def main() -> str:
            async with AsyncClient(config=config) as client:
                return (await client.chat("say: here", model=MODEL)).text

        assert anyio.run(main, backend=way) == "here"


def test_an_unknown_name_is_refused() -> None:
    client = Client(config=Emulator("compatible").config(transport="pigeon"))
    with pytest.raises(ConfigurationError, match=r"'pigeon' is not one that Client can use"):
        client.chat("hello", model=MODEL)


PROGRAM = """
import sys
from chatport import Client
from chatport.testing import Emulator
from chatport.transport.httpx_own import no_cookies
with Emulator("compatible") as emulator, Client(config=emulator.config(%s)) as client:
    assert client.chat("say: here", model="compatible:emulated-model").text == "here"
print("httpx" in sys.modules)
"""


@pytest.mark.parametrize(
    ("named", "environment", "is_loaded"),
    [
        ("", {}, False),
        ("transport='sockets'", {}, False),
        ("transport='httpx'", {}, True),
        ("", {"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}, True),
    ],
    ids=["by default", "by name", "httpx", "a proxy in the environment"],
)
def test_which_transport_loads_httpx(named: str, environment: dict[str, str], is_loaded: bool) -> None:
    """Sockets of our own are the default, and need no HTTP library; a proxy is httpx's business."""
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    run = [sys.executable, "-c", PROGRAM % named]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={**bare, **environment})
    assert done.stdout.split() == [str(is_loaded)]


def test_a_client_of_our_own_keeps_no_cookie() -> None:
    """Not even in memory, and it does not read one: the standard library's reader is costly for a hostile one."""
    jar = no_cookies()
    client = httpx.Client(
        cookies=jar, transport=httpx.MockTransport(lambda request: httpx.Response(200, headers=COOKIE))
    )
    with client:
        client.send(client.build_request("GET", "https://llm.example/"))
        assert client.cookies.jar is jar
        assert list(jar) == []


COOKIE = {"set-cookie": "a=b; path=/"}
