"""`request`: what is no call of a model, such as a file, with the attempts, errors and key of a call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChatportError,
    Client,
    PolicyError,
    Provider,
    ServerError,
    TransportError,
)
from chatport.testing import EmulatedRequest, Emulator, Fault, faults

ACME = Provider(
    name="acme",
    title="Acme",
    base_url="https://llm.acme.example/v1",
    emulator="chatport.testing.batches:BatchesEmulator",
)
QUICK = {"retry": {"first_seconds": 0.001, "longest_seconds": 0.002}}
Ask = Callable[..., Any]


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(ACME)


@pytest.fixture(params=["asyncio", "trio", "sync"])
def ask(request: pytest.FixtureRequest, emulator: Emulator) -> Ask:
    """Give a function that makes one request by a client of its own."""

    def options(config: Any) -> dict[str, Any]:
        return {"config": {**emulator.config(**QUICK), **config}, "providers": [ACME], "transport": emulator}

    async def ask_async(*arguments: Any, config: Any, **how: Any) -> Any:
        async with AsyncClient(**options(config)) as client:
            return await client.request(*arguments, **how)

    def ask_it(*arguments: Any, config: Any = {}, **how: Any) -> Any:  # noqa: B006  # it is only read
        if request.param == "sync":
            with Client(**options(config)) as client:
                return client.request(*arguments, **how)
        return anyio.run(partial(ask_async, *arguments, config=config, **how), backend=request.param)

    return ask_it


def _upload(ask: Ask, content: bytes = b'{"a": 1}\n') -> Any:
    form = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    form += b'content-disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n' + content + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return ask("acme", "POST", "/files", content=form, headers=headers)


def test_a_file_goes_up_comes_down_and_is_deleted_with_the_providers_key(emulator: Emulator, ask: Ask) -> None:
    file = _upload(ask, b'{"a": 1}\n' * 2000)
    pieces: list[bytes] = []
    path = f"/files/{file['id']}/content"
    assert ask("acme", "GET", path, into=lambda: pieces.append) is None
    assert b"".join(pieces) == b'{"a": 1}\n' * 2000
    assert len(pieces) > 1
    assert ask("acme", "DELETE", f"/files/{file['id']}")["deleted"] is True
    assert [(r.method, r.path) for r in emulator.requests] == [
        ("POST", "/v1/files"), ("GET", f"/v1{path}"), ("DELETE", f"/v1/files/{file['id']}"),
    ]  # fmt: skip
    assert {r.headers["authorization"] for r in emulator.requests} == {"Bearer emulated-key"}


def test_what_has_come_of_an_answer_that_broke_off_is_begun_anew(emulator: Emulator, ask: Ask) -> None:
    file = _upload(ask, b"0123456789" * 2000)
    emulator.misbehave([faults.cut(at_byte=5000, how="reset"), None])
    begun: list[list[bytes]] = []

    def begin() -> Callable[[bytes], object]:
        begun.append([])
        return begun[-1].append

    ask("acme", "GET", f"/files/{file['id']}/content", into=begin)
    assert len(begun) == 2
    assert b"".join(begun[1]) == b"0123456789" * 2000


@pytest.mark.parametrize(("repeats", "requests"), [(True, 3), (False, 1)])
def test_what_may_not_be_repeated_is_sent_once(emulator: Emulator, ask: Ask, repeats: bool, requests: int) -> None:
    emulator.misbehave([faults.status(500)], repeat=True)
    with pytest.raises(ServerError):
        ask("acme", "POST", "/batches", body={"input_file_id": "f"}, repeats=repeats)
    assert len(emulator.requests) == requests
    assert emulator.requests[0].json() == {"input_file_id": "f"}


def test_a_lost_answer_to_what_may_not_be_repeated_is_an_error(emulator: Emulator, ask: Ask) -> None:
    emulator.misbehave([faults.reset_before_head()])
    with pytest.raises(TransportError):
        ask("acme", "GET", "/batches", repeats=False)
    assert len(emulator.requests) == 1


def test_errors_are_those_of_calls_and_keep_the_vendors_words(emulator: Emulator, ask: Ask) -> None:
    with pytest.raises(ChatportError, match="No batch found with id 'x'") as told:
        ask("acme", "GET", "/batches/x")
    assert (told.value.status, told.value.provider) == (404, "acme")
    emulator.vendor.api_key = "another"
    with pytest.raises(AuthenticationError):
        ask("acme", "GET", "/batches", config={"providers": {"acme": {"api_key": "wrong"}}})


@pytest.mark.parametrize("path", ["batches", "https://elsewhere.example/batches", "/../batches", "//a/../../b", 7])
def test_no_path_leads_away_from_the_base_url(emulator: Emulator, ask: Ask, path: Any) -> None:
    with pytest.raises(BadRequestError):
        ask("acme", "GET", path)
    assert not emulator.requests


def test_a_body_and_content_are_not_sent_together(ask: Ask) -> None:
    with pytest.raises(BadRequestError, match="either body"):
        ask("acme", "POST", "/batches", body={}, content=b"x")


def test_the_policy_holds(emulator: Emulator, ask: Ask) -> None:
    with pytest.raises(PolicyError):
        ask("acme", "GET", "/batches", config={"policy": {"allow_providers": ["other"]}})
    with pytest.raises(PolicyError):
        ask("acme", "GET", "/batches", model="m", config={"policy": {"deny_models": ["acme:m"]}})
    assert not emulator.requests


def test_an_observer_hears_of_it_and_never_of_the_key(emulator: Emulator) -> None:
    heard: list[tuple[str, Any]] = []
    options: dict[str, Any] = {"config": emulator.config(**QUICK), "providers": [ACME], "transport": emulator}
    with Client(observers=[lambda event, fields: heard.append((event, fields))], **options) as client:
        client.request("acme", "GET", "/batches")
        assert client.totals.calls == 0, "it is no call of a model"
    assert [event for event, _ in heard] == ["call_started", "attempt_started", "call_finished"]
    assert heard[0][1]["operation"] == "plain"
    assert "emulated-key" not in repr(heard)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_observer_hears_of_one_that_is_cancelled(backend: str, emulator: Emulator) -> None:
    heard: list[tuple[str, Any]] = []
    options: dict[str, Any] = {"config": emulator.config(**QUICK), "providers": [ACME], "transport": emulator}

    async def main() -> None:
        observers = [lambda event, fields: heard.append((event, fields))]
        async with AsyncClient(observers=observers, **options) as client:
            with anyio.CancelScope() as scope:
                emulator.misbehave(lambda number, request: scope.cancel())
                await client.request("acme", "GET", "/batches")
            assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert [event for event, _ in heard] == ["call_started", "attempt_started", "call_cancelled"]
    assert heard[-1][1]["attempts"] == 1
    assert len(emulator.requests) == 1


def test_an_answer_that_is_no_json_is_told(emulator: Emulator, ask: Ask) -> None:
    def page(number: int, request: EmulatedRequest) -> Fault:
        return faults.html_page()

    emulator.misbehave(page)
    with pytest.raises(ChatportError):
        ask("acme", "GET", "/batches")
