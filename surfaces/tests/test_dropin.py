"""HTTP clients for the official SDKs: their timeouts are ours, and what breaks is their error, told once."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import chatport
import chatport_surfaces
from chatport.testing import Emulator, Fault, VirtualClock, faults

from .talkers import BACKENDS, TALKERS, Talker, each, entered, run
from .test_sdks import SDK_MODULES, SDKS

on_backends = pytest.mark.parametrize("backend", BACKENDS)
in_protocols = pytest.mark.parametrize("talker", TALKERS.values(), ids=TALKERS)


class Slow:
    """An SDK in front of a vendor that misbehaves, in virtual time."""

    def __init__(self, talker: Talker, backend: str, fault: Fault, **tables: Any) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator("deepseek", faults=[fault], clock=self.clock)
        config = self.emulator.config(aliases={"main": ["deepseek:deepseek-flash"]}, retry={"attempts": 1}, **tables)
        options: Any = {"transport": self.emulator, "clock": self.clock.clock}
        make: Any = chatport.Client if backend == "sync" else chatport.AsyncClient
        http: Any = chatport_surfaces.http_client if backend == "sync" else chatport_surfaces.async_http_client
        self.client = make(config, **options)
        self.sdk = SDKS[talker.sdk][backend != "sync"](api_key="-", http_client=http(self.client), timeout=3.0)
        self.errors = SDK_MODULES[talker.sdk]

    @property
    def seconds(self) -> float:
        return self.clock.elapsed_seconds


@on_backends
@in_protocols
@pytest.mark.parametrize("stream", [False, True])
def test_the_sdks_timeout_is_how_long_nothing_may_come(backend: str, talker: Talker, *, stream: bool) -> None:
    """It says which timer fired, and the SDK does not ask again: there is one owner of retries."""

    async def work() -> None:
        slow = Slow(talker, backend, faults.stall("before_head"))
        async with entered(slow.client):
            with pytest.raises(slow.errors.InternalServerError, match="silence") as raised:
                await talker.ask(slow.sdk, [talker.user("say: x")], stream=stream)
        assert raised.value.status_code == 504
        assert raised.value.response.headers["x-should-retry"] == "false"
        assert slow.seconds == pytest.approx(3)
        assert len(slow.emulator.requests) == 1

    run(backend, work)


@on_backends
@in_protocols
def test_a_stream_that_stalls_is_an_error_too(backend: str, talker: Talker) -> None:
    async def work() -> None:
        slow = Slow(talker, backend, faults.stall(after_events=9))
        async with entered(slow.client):
            stream = await talker.open(slow.sdk, "say: " + "word " * 30)
            with pytest.raises(slow.errors.APIError, match="silence"):
                async for _ in each(stream):
                    pass
        assert slow.seconds == pytest.approx(3)

    run(backend, work)


@on_backends
@in_protocols
@pytest.mark.parametrize("fault", [faults.refuse_connection(), faults.reset_before_head()], ids=lambda one: one.name)
def test_a_vendor_that_is_not_there(backend: str, talker: Talker, fault: Fault) -> None:
    async def work() -> None:
        slow = Slow(talker, backend, fault)
        async with entered(slow.client):
            with pytest.raises(slow.errors.InternalServerError) as raised:
                await talker.ask(slow.sdk, [talker.user("say: x")])
        assert raised.value.status_code == 502
        assert len(slow.emulator.requests) == 1

    run(backend, work)


@pytest.mark.parametrize("family", chatport_surfaces.dropin.FAMILIES)
def test_closing_it_leaves_the_client_open(family: str) -> None:
    emulator = Emulator("deepseek")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        with chatport_surfaces.http_client(client, family=family) as http:
            assert http.get("/models").status_code == 200
        assert client.chat("say: on", model="deepseek:deepseek-flash").text == "on"


def test_a_family_that_there_is_not() -> None:
    emulator = Emulator("deepseek")
    with (
        chatport.Client(emulator.config(), transport=emulator) as client,
        pytest.raises(chatport.ConfigurationError, match="one of httpx2, httpx"),
    ):
        chatport_surfaces.http_client(client, family="requests")


@pytest.mark.parametrize(
    ("missing", "family", "words"),
    [
        (["httpx"], "httpx", "httpx is not installed; the SDKs bring one of httpx2, httpx."),
        (["httpx2"], "httpx2", "httpx2 is not installed; the SDKs bring one of httpx2, httpx."),
        (["httpx2", "httpx"], None, "httpx2 is not installed; the SDKs bring one of httpx2, httpx."),
    ],
)
def test_a_family_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], family: str | None, words: str
) -> None:
    with chatport.Client() as client:
        for name in missing:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(chatport.ConfigurationError) as raised:
            chatport_surfaces.http_client(client, family=family)
    assert words in str(raised.value)


def test_the_second_family_serves_where_the_first_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    httpx = pytest.importorskip("httpx")
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with chatport.Client() as client, chatport_surfaces.http_client(client) as http:
        assert isinstance(http, httpx.Client)
