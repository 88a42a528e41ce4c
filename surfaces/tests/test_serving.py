"""From request to answer, whatever the surface: on asyncio, on trio and without a loop, a third party's surface too."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest

import chatport
import chatport_surfaces.installed as installed
from chatport import ChatportError, Event, Reply, TextDelta
from chatport.helpers import InstalledPlugin
from chatport.testing import Emulator, faults
from chatport_surfaces import (
    Answer,
    Asked,
    AsyncSurfaces,
    ClientRequest,
    Surface,
    SurfaceContext,
    Surfaces,
    Writer,
)
from chatport_surfaces.installed import Table, installed_surfaces

from .conftest import SURFACES

on_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Plain(Writer):
    """Writes an answer as its bare text."""

    def write(self, events: Sequence[Event]) -> bytes:
        return "".join(event.text for event in events if isinstance(event, TextDelta)).encode()

    def fail(self, error: ChatportError) -> bytes:
        return f"\n!! {type(error).__name__}".encode()

    def whole(self, reply: Reply) -> Answer:
        return Answer(200, reply.text.encode(), (("content-type", "text/plain"),))


class PlainSurface(Surface):
    """A third party's: the body is the prompt, the answer is the text."""

    name = "plain"
    routes = (("POST", "/ask"), ("POST", "/tell/*"))

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        return Asked("chat", "main", [request.body.decode()], stream=request.path != "/ask")

    def writer(self, asked: Asked, context: SurfaceContext) -> Writer:
        return Plain()

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        return Answer(418, str(error).encode())


def config(emulator: Emulator, **tables: Any) -> Any:
    return {**emulator.config(), "aliases": {"main": ["deepseek:deepseek-flash"]}, **tables}


def run(backend: str, work: Callable[[AsyncSurfaces], Awaitable[Any]], emulator: Emulator, **tables: Any) -> Any:
    async def main() -> Any:
        async with chatport.AsyncClient(config(emulator, **tables), transport=emulator) as client:
            return await work(AsyncSurfaces(client, [PlainSurface(), *SURFACES]))

    return anyio.run(main, backend=backend)


async def content(answer: Any) -> bytes:
    if isinstance(answer, Answer):
        return answer.body
    try:
        return b"".join([piece async for piece in answer])
    finally:
        await answer.aclose()


def post(path: str, body: Any) -> ClientRequest:
    return ClientRequest("POST", path, body=body if isinstance(body, bytes) else json.dumps(body).encode())


@on_backends
@pytest.mark.parametrize("path", ["/ask", "/tell/me"])
def test_a_third_partys_surface(backend: str, path: str) -> None:
    async def work(surfaces: AsyncSurfaces) -> Any:
        answer = await surfaces.answer(post(path, b"say: one two three"))
        return answer.status, await content(answer), dict(answer.headers)

    status, body, headers = run(backend, work, Emulator("deepseek"))
    assert (status, body) == (200, b"one two three")
    assert headers["x-chatport-target"] == "deepseek:deepseek-flash"


@on_backends
def test_a_fallback_before_the_first_content_is_not_seen(backend: str) -> None:
    emulator = Emulator("deepseek", faults=[faults.status(503), faults.cut(after_events=1), None])
    tables = {"retry": {"attempts": 3, "first_seconds": 0.001, "longest_seconds": 0.001}}

    async def work(surfaces: AsyncSurfaces) -> Any:
        answer = await surfaces.answer(post("/tell/me", b"say: one two three"))
        return answer.status, await content(answer)

    assert run(backend, work, emulator, **tables) == (200, b"one two three")
    assert len(emulator.requests) == 3


@on_backends
def test_an_error_before_the_first_content_has_its_own_status(backend: str) -> None:
    async def work(surfaces: AsyncSurfaces) -> Any:
        return await surfaces.answer(post("/tell/me", b"error: 400"))

    answer = run(backend, work, Emulator("deepseek"))
    assert answer.status == 418


@on_backends
def test_an_error_after_it_ends_the_stream(backend: str) -> None:
    emulator = Emulator("deepseek", faults=[faults.cut(after_events=14)])

    async def work(surfaces: AsyncSurfaces) -> Any:
        answer = await surfaces.answer(post("/tell/me", b"say: one two three"))
        body = await content(answer)
        return body, answer.error  # type: ignore[union-attr]  # it is a stream

    body, error = run(backend, work, emulator, retry={"attempts": 1})
    assert body.endswith(b"\n!! StreamInterruptedError")
    assert isinstance(error, chatport.StreamInterruptedError)
    assert error.partial is not None
    assert body.startswith(error.partial.text.encode())


@on_backends
def test_closing_a_stream_twice_and_before_its_first_piece(backend: str) -> None:
    async def work(surfaces: AsyncSurfaces) -> Any:
        answer: Any = await surfaces.answer(post("/tell/me", b"say: one two three"))
        await answer.aclose()
        await answer.aclose()
        return [piece async for piece in answer]

    assert run(backend, work, Emulator("deepseek")) == []


def test_without_a_loop() -> None:
    emulator = Emulator("deepseek")
    with chatport.Client(config(emulator), transport=emulator) as client:
        surfaces = Surfaces(client, [PlainSurface()])
        answer: Any = surfaces.answer(post("/tell/me", b"say: one two three"))
        assert b"".join(answer) == b"one two three"
        answer.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/v2/other", 404, "POST /v2/other is not there"),
        ("GET", "/v1/chat/completions", 405, "is taken with POST only"),
        ("GET", "/tell", 404, "is not there"),
    ],
)
def test_what_no_surface_takes(method: str, path: str, status: int, words: str) -> None:
    emulator = Emulator("deepseek")
    with chatport.Client(config(emulator), transport=emulator) as client:
        answer = Surfaces(client, [PlainSurface(), *SURFACES]).answer(ClientRequest(method, path))
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert words in json.loads(answer.body)["error"]["message"]


def test_two_surfaces_for_one_path_are_a_mistake() -> None:
    class Other(PlainSurface):
        pass

    with pytest.raises(chatport.ConfigurationError, match="Two surfaces take POST /ask"):
        Table([PlainSurface(), Other()])


def test_installed_surfaces_and_one_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken one is told, and takes nothing else down."""
    targets = {"chat": "chatport_surfaces.chat:surface", "gone": "no_such_module:surface", "odd": "json:dumps"}
    plugins = {name: InstalledPlugin(name, target, "acme", "1") for name, target in targets.items()}
    monkeypatch.setattr(installed, "installed", lambda group: plugins if group == "chatport.surfaces" else {})
    found, problems = installed_surfaces()
    assert [surface.name for surface in found] == ["chat"]
    assert ["gone" in problem or "odd" in problem for problem in problems] == [True, True]


def test_more_warnings_than_a_header_holds_are_counted() -> None:
    emulator = Emulator("anthropic")
    own = {f"own_key_{number:03}_{'x' * 60}": 1 for number in range(120)}
    message = {"role": "user", "content": "say: a", **own}
    with chatport.Client(emulator.config(), transport=emulator) as client:
        asked = {"model": "anthropic:claude-sonnet-5", "messages": [message]}
        answer = Surfaces(client, SURFACES).answer(post("/v1/chat/completions", asked))
    header = dict(answer.headers)["x-chatport-warnings"]
    assert len(header) <= 4000
    told = json.loads(header)
    assert told[-1] == f"{len(own) - len(told) + 1} more"


# --- models, embeddings


def ask(surfaces: Surfaces, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    content = b"" if body is None else json.dumps(body).encode()
    answer = surfaces.answer(ClientRequest(method, path, body=content))
    assert isinstance(answer, Answer)
    return answer.status, json.loads(answer.body)


def test_the_models_are_the_aliases_and_what_they_lead_to() -> None:
    emulator = Emulator("deepseek")
    with chatport.Client(config(emulator), transport=emulator) as client:
        surfaces = Surfaces(client, SURFACES)
        status, listed = ask(surfaces, "GET", "/v1/models")
        assert status == 200
        assert [model["id"] for model in listed["data"]] == ["main", "deepseek:deepseek-flash"]
        assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "main", "deepseek:deepseek-flash")
        model = ask(surfaces, "GET", "/v1/models/main")[1]
        assert model == listed["data"][0]
        assert (model["object"], model["type"], model["display_name"]) == ("model", "model", "main")
        assert (model["created_at"], model["owned_by"]) == ("1970-01-01T00:00:00Z", "chatport")
        assert ask(surfaces, "GET", "/v1/models/nain")[0] == 404
    assert not emulator.requests


def test_embeddings_as_numbers_and_as_bytes() -> None:
    emulator = Emulator("openai")
    tables = {"aliases": {"main": ["openai:text-embedding-3-small"]}}
    with chatport.Client({**emulator.config(), **tables}, transport=emulator) as client:
        surfaces = Surfaces(client, SURFACES)
        asked = {"model": "main", "input": ["a", "b"]}
        _, numbers = ask(surfaces, "POST", "/v1/embeddings", asked)
        _, packed = ask(surfaces, "POST", "/v1/embeddings", {**asked, "encoding_format": "base64"})
        wrongs: list[Any] = [{"input": [[1, 2]]}, {"input": 3}, {"encoding_format": "hex"}, {"input": []}]
        refused = [ask(surfaces, "POST", "/v1/embeddings", {**asked, **wrong}) for wrong in wrongs]
    assert [status for status, _ in refused] == [400, 400, 400, 400]
    assert [entry["index"] for entry in numbers["data"]] == [0, 1]
    for plain, text in zip(numbers["data"], packed["data"], strict=True):
        raw = b64decode(text["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(plain["embedding"], rel=1e-6)
    assert numbers["usage"]["prompt_tokens"] > 0
