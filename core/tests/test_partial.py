"""What a stream had, at any time: `stream.partial`."""

from __future__ import annotations

import gc
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import chatport
from chatport import Finished, Reply, TextDelta, ToolCallDelta, UsageReported
from chatport.testing import Emulator, faults

MODEL = "compatible:emulated-model"
WORDS = "one two three four five six"


def said(seen: str, part: Reply) -> None:
    assert part.text.startswith(seen)
    assert WORDS.startswith(part.text)
    assert part.finish_reason == "error"
    assert (part.provider, part.model) == ("compatible", "emulated-model")


def client_of(emulator: Emulator, **more: Any) -> chatport.Client:
    return chatport.Client(emulator.config(**more), transport=emulator)


def test_after_break_and_after_leaving() -> None:
    emulator = Emulator("compatible")
    with client_of(emulator) as client:
        with client.stream(f"say: {WORDS}", model=MODEL) as stream:
            assert stream.partial.text == ""
            seen = ""
            for event in stream:
                if isinstance(event, TextDelta):
                    seen += event.text
                    said(seen, stream.partial)
                    if len(seen) > 7:
                        break
            said(seen, stream.partial)
        said(seen, stream.partial)
        assert [attempt.outcome for attempt in stream.partial.attempts] == ["cancelled"]
        with pytest.raises(chatport.errors.MisuseError):
            _ = stream.reply


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_without_blocking(backend: str) -> None:
    emulator = Emulator("compatible")

    async def main() -> None:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            seen = ""
            async with client.stream(f"say: {WORDS}", model=MODEL) as stream:
                async for event in stream:
                    if isinstance(event, TextDelta):
                        seen += event.text
                        break
            said(seen, stream.partial)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_after_a_cancellation(backend: str) -> None:
    emulator = Emulator("compatible")

    async def main() -> None:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            streams = []
            with anyio.CancelScope() as scope:
                async with client.stream(f"say: {WORDS}", model=MODEL) as stream:
                    streams.append(stream)
                    async for event in stream:
                        if isinstance(event, TextDelta):
                            scope.cancel()
                            await anyio.lowlevel.checkpoint()
            assert scope.cancelled_caught
            said("one", streams[0].partial)

    anyio.run(main, backend=backend)


def test_after_an_error_it_is_what_the_error_has() -> None:
    emulator = Emulator("compatible", faults=[faults.cut(after_events=4)])
    with client_of(emulator, retry={"attempts": 1}) as client:
        stream = client.stream(f"say: {WORDS}", model=MODEL)
        with stream, pytest.raises(chatport.StreamInterruptedError) as caught:
            list(stream)
        assert caught.value.partial is not None
        assert stream.partial.text == caught.value.partial.text
        said("one", stream.partial)


def test_at_the_end_it_is_the_reply() -> None:
    emulator = Emulator("compatible")
    with client_of(emulator) as client, client.stream(f"say: {WORDS}", model=MODEL) as stream:
        events = list(stream)
        assert isinstance(events[-1], Finished)
        assert stream.partial is stream.reply is events[-1].reply


def test_before_anything_was_sent_it_is_empty() -> None:
    emulator = Emulator("compatible")
    with client_of(emulator) as client:
        stream = client.stream("say: hi", model=MODEL)
        part = stream.partial
        assert (part.text, part.provider, part.model, part.attempts) == ("", "compatible", "emulated-model", ())
        assert emulator.requests == []
        del stream
        gc.collect()


def test_a_call_that_was_being_written_is_not_complete() -> None:
    emulator = Emulator("compatible")
    tool = chatport.Tool("look", "Look.")
    with client_of(emulator) as client:
        with client.stream('call: look {"at": "the sea"}', model=MODEL, tools=[tool]) as stream:
            for event in stream:
                if isinstance(event, ToolCallDelta) and event.arguments:
                    break
        assert [(call.name, call.complete) for call in stream.partial.tool_calls] == [("look", False)]


def test_the_counts_that_are_known_by_then_and_what_they_cost() -> None:
    """A vendor that tells its input first: the one of Messages."""
    pytest.importorskip("chatport_anthropic")
    emulator = Emulator("anthropic")
    with client_of(emulator) as client:
        with client.stream(f"say: {WORDS}", model="anthropic:claude-haiku-4-5") as stream:
            counted = 0
            for event in stream:
                counted += isinstance(event, UsageReported)
                if isinstance(event, TextDelta):
                    break
        assert counted
        assert stream.partial.usage.input_tokens
        assert stream.partial.cost is not None


def test_of_two_tries_it_is_that_of_the_one_that_goes_on() -> None:
    emulator = Emulator("compatible")
    config = {**emulator.config(), "hedge": {"after_seconds": 30}}

    async def main() -> None:
        async with chatport.AsyncClient(config, transport=emulator) as client:
            async with client.stream(f"say: {WORDS}", model=MODEL) as stream:
                async for event in stream:
                    if isinstance(event, TextDelta):
                        break
            said("one", stream.partial)

    anyio.run(main)
