"""The transports that the configuration can name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anyio
import pytest

from chatport import AsyncClient, Client, ConfigurationError
from chatport.testing import Emulator

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


def test_sockets_of_our_own_load_no_http_library() -> None:
    code = """
import sys
from chatport import Client
from chatport.testing import Emulator
with Emulator("compatible") as emulator, Client(config=emulator.config(transport="sockets")) as client:
    assert client.chat("say: here", model="compatible:emulated-model").text == "here"
print("httpx" in sys.modules, "httpcore" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
