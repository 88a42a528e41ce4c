"""Where the headers of a call go, and where an error says that it happened, with two servers behind one name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatport import Client, OverloadedError, TransportError
from chatport.testing import Emulator, faults

from .behaviour.raw_server import free_port


@pytest.fixture
def servers() -> Iterator[tuple[Emulator, Emulator]]:
    """Give a server that always fails, and one that answers."""
    with (
        Emulator("compatible", faults=lambda number, request: faults.status(503)) as down,
        Emulator("compatible") as up,
    ):
        yield down, up


def client_of(*servers: Emulator, **further: object) -> Client:
    tables = {
        name: {"kind": "compatible", "base_url": server.base_url, "api_key": "k"}
        for name, server in zip(("first", "second"), servers, strict=False)
    }
    aliases = {"main": [f"{name}:emulated-model" for name in tables]}
    return Client({"providers": tables, "aliases": aliases, "retry": {"attempts": 1}, **further})


def test_the_headers_of_a_call_go_to_the_provider_that_is_named_first_and_to_no_other(
    servers: tuple[Emulator, Emulator],
) -> None:
    down, up = servers
    with client_of(down, up) as client:
        reply = client.chat("hello", model="main", headers={"x-mine": "a secret"})
    assert reply.attempts[-1].target == "second:emulated-model"
    assert [request.headers.get("x-mine") for request in down.requests] == ["a secret"]
    assert [request.headers.get("x-mine") for request in up.requests] == [None]
    assert [(told.kind, told.field) for told in reply.warnings] == [("dropped", "headers")]


def test_an_error_names_the_provider_and_the_model_where_it_happened(servers: tuple[Emulator, Emulator]) -> None:
    with client_of(servers[0]) as client, pytest.raises(OverloadedError) as refused:
        client.chat("hello", model="first:emulated-model")
    assert (refused.value.provider, refused.value.model) == ("first", "emulated-model")


def test_a_server_that_cannot_be_reached_is_named_with_the_model() -> None:
    with free_port() as port:
        table = {"kind": "compatible", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k"}
        client = Client({"providers": {"acme": table}, "retry": {"attempts": 1}})
        with client, pytest.raises(TransportError) as caught:
            client.chat("hello", model="acme:some-model")
    assert (caught.value.provider, caught.value.model) == ("acme", "some-model")
