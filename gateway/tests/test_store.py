"""Going on from an answer through the gateway: where a store is set, and from one's own answers only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings
from chatport_gateway.keys import hash_of

from .conftest import VENDORS, Served

KEYS = ("the-key-of-anne-0001", "the-key-of-bert-0002")
Serve = Callable[..., Served]


def keeping(serve: Serve, vendor: str = "deepseek", **settings: Any) -> Served:
    """Serve with a store, for two keys."""
    hashes = tuple(hash_of(key) for key in KEYS)
    return serve(vendor, settings=GatewaySettings(port=0, key_hashes=hashes, store="memory", **settings))


def sdk(served: Served, key: str = KEYS[0]) -> Any:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_official_sdk_goes_on_from_an_answer(serve: Serve, vendor: str, *, stream: bool) -> None:
    served = keeping(serve, vendor)
    with sdk(served) as client:
        if stream:
            with client.responses.stream(model="main", input="say: one") as events:
                first = events.get_final_response()
        else:
            first = client.responses.create(model="main", input="say: one")
        second = client.responses.create(model="main", input="say: two", previous_response_id=first.id)
        assert second.output_text == "two"
        assert "say: one" in json.dumps(served.emulator.requests[-1].json())
        assert client.responses.retrieve(first.id).output_text == "one"
        assert [item.content[0].text for item in client.responses.input_items.list(first.id)] == ["say: one"]
        client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)


def test_each_key_sees_its_own_only(serve: Serve) -> None:
    """By none of the ways in which an answer can be named."""
    served = keeping(serve)
    with sdk(served) as anne, sdk(served, KEYS[1]) as bert:
        first = anne.responses.create(model="main", input="say: a secret")
        asked: list[Callable[[], Any]] = [
            lambda: bert.responses.create(model="main", input="say: x", previous_response_id=first.id),
            lambda: bert.responses.retrieve(first.id),
            lambda: bert.responses.input_items.list(first.id),
            lambda: bert.responses.delete(first.id),
            lambda: bert.responses.create(
                model="main", input=[{"type": "item_reference", "id": item} for item in [first.output[-1].id]]
            ),
        ]
        before = len(served.emulator.requests)
        for ask in asked:
            with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as raised:
                ask()
            assert "secret" not in str(raised.value)
        assert len(served.emulator.requests) == before
        assert anne.responses.retrieve(first.id).output_text == "a secret"


def test_without_keys_all_are_one(serve: Serve) -> None:
    served = serve(settings=GatewaySettings(port=0, store="memory"))
    with sdk(served, "any") as one, sdk(served, "other") as other:
        first = one.responses.create(model="main", input="say: one")
        assert other.responses.retrieve(first.id).output_text == "one"


def test_it_holds_so_many_of_each_key(serve: Serve) -> None:
    served = keeping(serve, store_answers=2)
    with sdk(served) as anne, sdk(served, KEYS[1]) as bert:
        other = bert.responses.create(model="main", input="say: mine")
        kept = [anne.responses.create(model="main", input=f"say: {number}").id for number in range(3)]
        with pytest.raises(openai.NotFoundError):
            anne.responses.retrieve(kept[0])
        assert anne.responses.retrieve(kept[2]).output_text == "2"
        assert bert.responses.retrieve(other.id).output_text == "mine"


def test_of_too_many_keys_of_a_team_the_first_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one that a person made; what others kept stays."""
    monkeypatch.setattr("chatport_gateway.tenants._MOST_KEYS", 2)
    emulator = Emulator("deepseek")
    aliases = {"main": ["deepseek:deepseek-flash"]}
    config = emulator.config(aliases=aliases, team={"folder": str(tmp_path)}, gateway={"store": "memory"})

    async def main() -> None:
        gateway = Gateway(client=chatport.AsyncClient(config, transport=emulator))
        await gateway.open()
        assert gateway.team is not None
        keys = [await gateway.team.store.create_key(name, actor="test") for name in "abc"]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://here") as client:

            async def ask(number: int, **more: Any) -> httpx.Response:
                headers = {"x-api-key": keys[number].secret}
                return await client.post("/v1/responses", headers=headers, json={"model": "main", "input": "a", **more})

            first = [(await ask(number)).json()["id"] for number in range(3)]
            assert len(gateway.tenants._of_keys) == 2
            again = [(await ask(n, previous_response_id=first[n])).status_code for n in (2, 1, 0)]
            assert again == [200, 200, 400]
            assert len(gateway.tenants._of_keys) == 2
        await gateway.aclose()

    anyio.run(main)


def test_without_a_store_it_is_said_what_to_do(serve: Serve) -> None:
    served = serve()
    with sdk(served) as client:
        with pytest.raises(openai.BadRequestError, match="send the whole conversation") as raised:
            client.responses.create(model="main", input="say: two", previous_response_id="resp_1")
        assert raised.value.code == "previous_response_not_found"
    assert not served.emulator.requests
    assert httpx.get(f"{served.url}/v1/responses/resp_1").status_code == 404


@pytest.mark.parametrize(("table", "words"), [({"store": "disk"}, "one of memory"), ({"store_bytes": -1}, "number")])
def test_a_store_that_there_is_not(table: Any, words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words):
        Gateway({"gateway": table})
