"""Another configuration in the place of one that is served: what changes at once, what goes on, what is refused."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from typing import Any

import anyio
import httpx
import pytest
import structlog

import chatport
from chatport.errors import MisuseError
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.keys import hash_of
from chatport_gateway.reloading import Reloads

pytestmark = pytest.mark.anyio

TARGET = "compatible:emulated-model"
KEY, OTHER = "a-key-of-some-length", "another-one-of-ours"
ASKED = {"model": "main", "messages": [{"role": "user", "content": "say: one two three"}]}


def client_of(emulator: Emulator, **tables: Any) -> chatport.AsyncClient:
    config = {**emulator.config(), "aliases": {"main": [TARGET]}, **tables}
    return chatport.AsyncClient(config, transport=emulator)


async def post(gateway: Gateway, path: str = "/v1/chat/completions", key: str = "none", **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(gateway)
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
        return await client.post(path, json=body if path.endswith("responses") else {**ASKED, **body})


class Held:
    """A stream whose client reads the first piece, and the rest when it is let."""

    def __init__(self, gateway: Gateway) -> None:
        self.data = b""
        self.has_begun, self.may_go_on = anyio.Event(), anyio.Event()
        self._gateway = gateway

    async def run(self) -> None:
        body = [json.dumps({**ASKED, "stream": True}).encode()]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}

        async def receive() -> Any:
            if body:
                return {"type": "http.request", "body": body.pop()}
            return await anyio.sleep_forever()

        async def send(message: Any) -> None:
            self.data += message.get("body", b"")
            if self.data:
                self.has_begun.set()
                await self.may_go_on.wait()

        await self._gateway(scope, receive, send)


async def test_a_call_ends_with_the_client_that_it_began_with_which_is_closed_then() -> None:
    with Emulator("compatible") as emulator:
        config = {**emulator.config(), "aliases": {"main": [TARGET]}}
        gateway = Gateway(config)
        old, held = gateway.setup, Held(gateway)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(held.run)
            await held.has_begun.wait()
            assert await gateway.reload({**config, "aliases": {"other": [TARGET]}}) == ()
            assert (await post(gateway, model="other")).status_code == 200
            assert (await post(gateway)).status_code == 404
            assert (await old.client.chat("say: open still", model=TARGET)).text == "open still"
            held.may_go_on.set()
        assert held.data.endswith(b"data: [DONE]\n\n")
        with pytest.raises(MisuseError):
            await old.client.chat("say: hi", model=TARGET)
        await gateway.aclose()


async def test_a_client_that_was_given_stays_open() -> None:
    emulator = Emulator("compatible")
    async with client_of(emulator) as one, client_of(emulator, aliases={"two": [TARGET]}) as two:
        gateway = Gateway(client=one)
        await gateway.reload(client=two)
        assert (await post(gateway, model="two")).status_code == 200
        assert (await one.chat("say: hi", model="main")).text == "hi"


async def test_keys_change_at_once() -> None:
    emulator = Emulator("compatible")
    async with client_of(emulator) as client:
        gateway = Gateway(client=client, settings=GatewaySettings(key_hashes=(hash_of(KEY),)))
        assert (await post(gateway, key=KEY)).status_code == 200
        await gateway.reload(client=client, settings=GatewaySettings(key_hashes=(hash_of(OTHER),)))
        assert (await post(gateway, key=KEY)).status_code == 401
        assert (await post(gateway, key=OTHER)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_one_that_asks_for_a_key_is_never_opened(host: str) -> None:
    """Wherever it listens: something in front may reach it there. That the file names another host changes nothing."""
    emulator = Emulator("compatible")
    async with client_of(emulator) as client:
        gateway = Gateway(client=client, settings=GatewaySettings(host=host, key_hashes=(hash_of(KEY),)))
        with pytest.raises(chatport.ConfigurationError, match="names no key any more"):
            await gateway.reload(client=client, settings=GatewaySettings(host="127.0.0.1"))
        assert (await post(gateway)).status_code == 401


async def test_one_that_others_reach_without_a_key_is_not_changed() -> None:
    """Whoever serves it in another application, and so never asked whether it may listen there, is told now."""
    emulator = Emulator("compatible")
    async with client_of(emulator) as client:
        gateway = Gateway(client=client, settings=GatewaySettings(host="0.0.0.0"))
        with pytest.raises(chatport.ConfigurationError, match=r"^\[gateway\] host is 0\.0\.0\.0, and no key is set\.$"):
            await gateway.reload(client=client, settings=GatewaySettings(host="127.0.0.1"))
        assert (
            await gateway.reload(client=client, settings=GatewaySettings(host="0.0.0.0", key_hashes=(hash_of(KEY),)))
            == ()
        )


async def test_a_model_that_is_unusable_now_keeps_the_one_before() -> None:
    """The usual one as much as one that has a name."""
    emulator = Emulator("compatible")
    async with client_of(emulator) as one, client_of(emulator, model="nobody") as two:
        gateway = Gateway(client=one)
        with pytest.raises(chatport.ConfigurationError, match=r"^nobody: .*nobody"):
            await gateway.reload(client=two)
        assert gateway.client is one


async def test_what_cannot_change_stays_and_is_said() -> None:
    emulator = Emulator("compatible")
    async with client_of(emulator) as client:
        gateway = Gateway(client=client, settings=GatewaySettings(port=4001))
        server = make_server(gateway)
        kept = await gateway.reload(client=client, settings=GatewaySettings(host="0.0.0.0", port=1, body_bytes=10))
        assert kept == ("[gateway] host", "[gateway] port")
        assert (gateway.settings.host, gateway.settings.port) == ("127.0.0.1", 4001)
        assert (await post(gateway)).status_code == 413
        assert server.config.port == 4001


async def test_a_cache_that_is_wanted_later_waits_for_a_start_and_is_said_each_time() -> None:
    emulator = Emulator("compatible")
    async with (
        client_of(emulator) as client,
        chatport.AsyncClient(emulator.config(cache={}), transport=emulator) as new,
    ):
        gateway = Gateway(client=client)
        for _ in range(2):
            assert await gateway.reload(client=new) == ("[cache]",)
        assert gateway.cache is None
        assert await gateway.reload(client=client) == ()


async def test_a_target_that_was_unusable_before_keeps_nothing_from_changing() -> None:
    emulator = Emulator("compatible")
    broken = {"main": [TARGET], "broken": ["nobody:m"]}
    async with client_of(emulator, aliases=broken) as one, client_of(emulator, aliases={**broken, "b": TARGET}) as two:
        gateway = Gateway(client=one)
        await gateway.reload(client=two)
        assert (await post(gateway, model="b")).status_code == 200
        async with client_of(emulator, aliases={**broken, "worse": ["nobody-else:m"]}) as three:
            with pytest.raises(chatport.ConfigurationError, match="nobody-else"):
                await gateway.reload(client=three)
        assert gateway.client is two


async def test_answers_are_kept_for_those_whose_key_is_kept() -> None:
    emulator = Emulator("compatible")
    async with client_of(emulator) as one, client_of(emulator) as two:
        hashes = hash_of(KEY), hash_of(OTHER)
        gateway = Gateway(client=one, settings=GatewaySettings(key_hashes=hashes, store="memory"))
        first = {
            key: (await post(gateway, "/v1/responses", key, model="main", input="say: a")).json()["id"]
            for key in (KEY, OTHER)
        }
        await gateway.reload(client=two, settings=GatewaySettings(key_hashes=hashes[:1], store="memory"))
        again = {"model": "main", "input": "say: b"}
        assert (await post(gateway, "/v1/responses", KEY, previous_response_id=first[KEY], **again)).status_code == 200
        await gateway.reload(client=one, settings=GatewaySettings(key_hashes=hashes, store="memory"))
        assert (
            await post(gateway, "/v1/responses", OTHER, previous_response_id=first[OTHER], **again)
        ).status_code == 400
        await gateway.reload(client=two, settings=GatewaySettings(key_hashes=hashes, store="memory", store_answers=1))
        assert (await post(gateway, "/v1/responses", KEY, previous_response_id=first[KEY], **again)).status_code == 400


async def test_a_budget_stays_spent() -> None:
    emulator = Emulator("compatible")
    async with (
        client_of(emulator, budget={"tokens": 1000}) as one,
        client_of(emulator, budget={"tokens": 1}) as two,
    ):
        gateway = Gateway(client=one)
        assert (await post(gateway, max_tokens=10)).status_code == 200
        await gateway.reload(client=two)
        assert (await post(gateway, max_tokens=10)).status_code == 429
        assert two.totals.calls == 1


async def test_a_gateway_that_stops_takes_nothing_up() -> None:
    gateway = Gateway({"aliases": {"main": [TARGET]}, "providers": {"compatible": {"base_url": "http://127.0.0.1:9"}}})
    await gateway.aclose()
    with pytest.raises(chatport.ConfigurationError, match="stopping"):
        await gateway.reload({})


# --- by a signal


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # as on a server
async def test_a_signal_has_the_configuration_read_again() -> None:
    """One that comes before the start is not lost. What is wrong is said, and nothing of what a plugin's words hold."""
    emulator = Emulator("compatible")
    async with client_of(emulator) as client:
        gateway = Gateway(client=client)
        settled: list[Any] = []
        answers: list[Any] = [
            (load({"aliases": {"main": [TARGET]}}), GatewaySettings(body_bytes=11, port=1)),
            chatport.ConfigurationError("It is wrong."),
            ZeroDivisionError("canary"),
            (load({"aliases": {"other": [TARGET]}}), GatewaySettings(body_bytes=12)),
        ]

        def read() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        reloads = Reloads(gateway, read)
        reloads.settle = lambda: settled.append(gateway.settings.body_bytes)
        before = signal.getsignal(signal.SIGHUP)
        with structlog.testing.capture_logs() as logs:
            gateway.log = structlog.get_logger()
            with reloads.listening():
                signal.raise_signal(signal.SIGHUP)
                async with reloads.at_work():
                    await anyio.lowlevel.checkpoint()
                    assert len(answers) == 4
                    reloads.started()
                    for left in (3, 2, 1, 0):
                        with anyio.fail_after(10):
                            while len(answers) > left or len(logs) < 5 - left:  # noqa: ASYNC110  # it has no event
                                await anyio.sleep(0.001)
                        if left:
                            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == before
        await gateway.aclose()
    told = [(line["log_level"], line["event"], line.get("error"), line.get("settings")) for line in logs]
    assert told[:2] == [("info", "reloaded", None, None), ("warning", "restart_needed", None, ["[gateway] port"])]
    assert told[2] == ("error", "reload_refused", "It is wrong.", None)
    assert told[3][1] == "reload_refused"
    assert re.fullmatch(r"ZeroDivisionError at test_reloading\.py:\d+", str(told[3][2]))
    assert [event for _, event, _, _ in told[4:]] == ["reloaded"]
    assert settled == [11, 12]
    assert gateway.settings.port == 4000


def load(tables: Any) -> chatport.Config:
    return chatport.load_config({**Emulator("compatible").config(), **tables})


def test_where_there_is_no_such_signal_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    entered = []
    with Reloads(Gateway({}), lambda: (chatport.load_config({}), GatewaySettings())).listening():
        entered.append(1)
    assert entered == [1]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals")
@pytest.mark.parametrize(("terminals", "is_end"), [([True, False], True), ([True, True], False), ([False], False)])
def test_the_signal_says_that_the_terminal_has_gone_if_there_was_one(
    monkeypatch: pytest.MonkeyPatch, terminals: list[bool], is_end: bool
) -> None:
    there = iter(terminals)

    def opened(path: str, mode: str) -> Any:
        assert (path, mode) == ("/dev/tty", "rb")
        if not next(there):
            raise OSError("no terminal")
        return contextlib.nullcontext()

    left: list[int] = []
    reloads = Reloads(Gateway({}), lambda: (chatport.load_config({}), GatewaySettings()))
    reloads.leave = lambda number, frame: left.append(number)
    monkeypatch.setattr("builtins.open", opened)
    with reloads.listening():
        signal.raise_signal(signal.SIGHUP)
    monkeypatch.undo()
    assert left == ([signal.SIGHUP] if is_end else [])
    assert reloads._wanted.is_set() is not is_end
    assert list(there) == []
