"""Another configuration in the place of one that is served: what changes at once, what goes on, what is refused."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

import chatport
from chatport.errors import MisuseError
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.keys import hash_of

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
