"""A stream cut at every byte, by a clean end and by a reset, as a caller sees it on each of the three ways."""

from __future__ import annotations

from typing import Any, Literal

import anyio
import pytest

import chatport
from chatport.testing import Emulator, faults

from .world import on_backends

TEXT = "alpha beta"
MODEL = "compatible:emulated-model"


def cut_at_every_byte(how: Literal["clean", "reset"]) -> Emulator:
    return Emulator("compatible", faults=lambda number, request: faults.cut(at_byte=number - 1, how=how))


def length() -> int:
    """Return the bytes of the whole stream."""
    emulator = Emulator("compatible")
    body = {"model": "emulated-model", "stream": True, "stream_options": {"include_usage": True}}
    answer = emulator.vendor.chat({**body, "messages": [{"role": "user", "content": f"say: {TEXT}"}]})
    return len(answer.body)


def outcome(seen: list[str], reply: chatport.Reply | None, error: chatport.ChatportError | None) -> str:
    """Return what came of a call; raise AssertionError for what must not be."""
    text = "".join(seen)
    if error is None:
        assert reply is not None
        assert (reply.text, text, reply.finish_reason) == (TEXT, TEXT, "stop")
        return "whole"
    assert TEXT.startswith(text)
    assert isinstance(error, chatport.StreamInterruptedError | chatport.TransportError | chatport.MalformedReplyError)
    assert error.partial is not None or not text
    if error.partial is not None:
        assert isinstance(error, chatport.StreamInterruptedError)
        assert error.partial.text == text
    return type(error).__name__


@on_backends
@pytest.mark.parametrize("how", ["clean", "reset"])
def test_a_cut_is_a_whole_answer_or_an_error_with_its_beginning(backend: str, how: Literal["clean", "reset"]) -> None:
    emulator = cut_at_every_byte(how)
    config = emulator.config(retry={"attempts": 1})
    places = range(length())
    assert len(places) > 500

    def ask() -> list[str]:
        found = []
        with chatport.Client(config=config, transport=emulator) as client:
            for _ in places:
                seen: list[str] = []
                error = reply = None
                try:
                    with client.stream(f"say: {TEXT}", model=MODEL) as stream:
                        seen.extend(event.text for event in stream if isinstance(event, chatport.TextDelta))
                    reply = stream.reply
                except chatport.ChatportError as problem:
                    error = problem
                found.append(outcome(seen, reply, error))
        return found

    async def ask_async() -> list[str]:
        found = []
        async with chatport.AsyncClient(config=config, transport=emulator) as client:
            for _ in places:
                seen: list[str] = []
                error = reply = None
                try:
                    async with client.stream(f"say: {TEXT}", model=MODEL) as stream:
                        async for event in stream:
                            if isinstance(event, chatport.TextDelta):
                                seen.append(event.text)
                    reply = stream.reply
                except chatport.ChatportError as problem:
                    error = problem
                found.append(outcome(seen, reply, error))
        return found

    found: list[Any] = ask() if backend == "sync" else anyio.run(ask_async, backend=backend)
    assert "StreamInterruptedError" in found
    assert len(emulator.requests) == len(places)
    assert found == sorted(found, key=lambda one: one == "whole"), "once it can be told to be whole, it stays so"
