"""A decoder sees the request that it answers: some vendors repeat a prefix of it."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import anyio
import attrs
import pytest

from chatport import (
    AsyncClient,
    Chunk,
    Client,
    Context,
    Event,
    MalformedReplyError,
    Provider,
    StreamState,
    TextDelta,
    WireRequest,
    hookimpl,
)
from chatport.plugins.registry import build_plan
from chatport.testing import Emulator, Script, VendorEmulator, decode_events, replay

PREFIX = "Dear Sir"


class Hooks:
    """The vendor takes `prefix`, and its answer begins with it."""

    @hookimpl(wrapper=True)
    def decode_chunk(
        self, chunk: Chunk, state: StreamState, context: Context, request: WireRequest
    ) -> Generator[None, Sequence[Event], Sequence[Event]]:
        events = yield
        left: str = state.scratch.setdefault("left", request.body.get("prefix", ""))
        cut: list[Event] = []
        for event in events:
            if left and isinstance(event, TextDelta):
                size = min(len(left), len(event.text))
                left, event = left[size:], TextDelta(event.text[size:], event.choice)
            cut.append(event)
        state.scratch["left"] = left
        return [event for event in cut if not (isinstance(event, TextDelta) and not event.text)]

    @hookimpl(wrapper=True)
    def decode_reply(self, request: WireRequest) -> Generator[None, Sequence[Event], Sequence[Event]]:
        prefix = request.body.get("prefix", "")
        return [
            TextDelta(event.text.removeprefix(prefix)) if isinstance(event, TextDelta) else event for event in (yield)
        ]


class Repeats(VendorEmulator):
    name = "echo"
    models = ("echo-1",)

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        return attrs.evolve(script, text=body.get("prefix", "") + script.text)


PROVIDER = Provider("echo", "Echo", "https://echo.example/v1", hooks=(Hooks(),), emulator=f"{__name__}:Repeats")
OPTIONS: Any = {"model": "echo:echo-1", "extra": {"prefix": PREFIX}}


def world() -> tuple[Emulator, dict[str, Any]]:
    emulator = Emulator(PROVIDER)
    return emulator, {"config": emulator.config(), "transport": emulator, "providers": [PROVIDER]}


def test_the_sync_client_gives_the_decoders_the_request() -> None:
    emulator, arguments = world()
    client = Client(**arguments)
    assert client.chat("say: , hello", **OPTIONS).text == ", hello"
    assert emulator.requests[-1].json()["prefix"] == PREFIX
    with client.stream("say: , hello", **OPTIONS) as stream:
        list(stream)
    assert stream.reply.text == ", hello"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_too(backend: str) -> None:
    async def main() -> None:
        client = AsyncClient(**world()[1])
        assert (await client.chat("say: , hello", **OPTIONS)).text == ", hello"
        async with client.stream("say: , hello", **OPTIONS) as stream:
            assert [event async for event in stream]
        assert stream.reply.text == ", hello"

    anyio.run(main, backend=backend)


def test_recorded_bytes_can_be_decoded_with_the_request_they_answer() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "Dear Sir, hello"}, "finish_reason": "stop"}]}
    sent = {"prefix": PREFIX}
    assert replay(PROVIDER, body=json.dumps(whole), stream=False, request=sent).text == ", hello"
    assert replay(PROVIDER, body=json.dumps(whole), stream=False).text == "Dear Sir, hello"
    pieces = ["De", "ar Sir, he", "llo"]
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    events = decode_events(PROVIDER, body=body, request=sent)
    assert [event.text for event in events if isinstance(event, TextDelta)] == [", he", "llo"]


def test_nothing_stands_between_the_plan_and_the_standard_decoders() -> None:
    """Each chunk goes through it."""
    from chatport.standard import reply, stream

    plan = build_plan(Provider("p", "P", "https://p.example/v1"))
    assert plan.decode_chunk is stream.decode_chunk
    assert plan.decode_reply is reply.decode_reply


@pytest.mark.parametrize("raw", [b"[DONE]", b" [DONE] ", b"", b" "])
def test_the_data_of_what_carries_none_is_an_empty_object(raw: bytes) -> None:
    assert Chunk(raw).data == {}


@pytest.mark.parametrize("raw", [b"[DONE", b"DONE", b'{"a": ', b"[DONE]{}"])
def test_the_data_of_anything_else_that_is_not_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        Chunk(raw).data  # noqa: B018  # it is what raises


def test_a_hook_may_look_into_every_chunk() -> None:
    """The end marker has no choices, and needs no special case."""
    seen: list[Any] = []

    class Looks:
        provider = "compatible"

        @hookimpl(wrapper=True)
        def decode_chunk(self, chunk: Chunk) -> Any:
            seen.append(chunk.data.get("choices") or ())
            return (yield)

    emulator = Emulator("compatible")
    client = Client(emulator.config(), transport=emulator, plugins=[Looks()])
    with client.stream("say: one two", model="compatible:emulated-model") as stream:
        list(stream)
    assert stream.reply.text == "one two"
    assert seen[-1] == ()
