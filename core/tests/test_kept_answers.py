"""Answers as bytes: what is read again is what was written, and bytes of any other kind are refused."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

import chatport
from chatport.decoding.kept import _EVENTS
from chatport.helpers import KeptAnswer
from chatport.testing import Emulator

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
counts = st.none() | st.integers(0, 10**9)
usages = st.builds(chatport.Usage, counts, counts, counts)
places = st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99))
citations = st.builds(chatport.Citation, url=texts, title=st.none() | texts, span=places)
media = st.builds(chatport.Media, kind=st.sampled_from(["image", "audio", "file"]), data=texts)
few = st.integers(0, 3)
events = st.one_of(
    st.builds(chatport.TextDelta, texts, few),
    st.builds(chatport.ReasoningDelta, texts, few),
    st.builds(chatport.RefusalDelta, texts, few),
    st.builds(chatport.ToolCallDelta, few, texts, texts, texts, few),
    st.builds(chatport.ToolCallEnded, few, texts, texts, texts, few),
    st.builds(chatport.AudioDelta, texts, texts, st.none() | texts, few),
    st.tuples(media, few).map(lambda pair: chatport.MediaAdded(*pair)),
    st.tuples(citations, few).map(lambda pair: chatport.CitationAdded(*pair)),
    st.builds(chatport.ServerStep, texts, texts, texts, st.none() | objects, few),
    usages.map(chatport.UsageReported),
    st.builds(chatport.ChunkSeen, texts, st.binary(max_size=20), texts),
)
replies: st.SearchStrategy[chatport.Reply] = st.builds(
    chatport.Reply,
    text=texts,
    reasoning=st.none() | texts,
    tool_calls=st.lists(st.builds(chatport.ToolCall, texts, texts, texts), max_size=2).map(tuple),
    finish_reason=st.sampled_from(["stop", "tool_calls"]),
    usage=usages,
    opaque=objects,
    raw=objects,
    citations=st.lists(citations, max_size=2).map(tuple),
    warnings=st.lists(st.builds(chatport.Adjustment, st.just("dropped"), texts, texts), max_size=2).map(tuple),
)
reads = st.lists(st.lists(events, min_size=1, max_size=4).map(tuple), max_size=4).map(tuple)


@given(reply=replies, reads=reads)
def test_what_is_written_is_read_again(reply: chatport.Reply, reads: Any) -> None:
    kept = KeptAnswer.from_bytes(KeptAnswer(reply, reads).to_bytes())
    assert kept.reply == reply
    assert kept.reply.raw == reply.raw
    assert kept.reads == reads


@given(reply=replies, reads=reads)
def test_a_stream_of_it_is_what_it_was(reply: chatport.Reply, reads: Any) -> None:
    """Read by read, with what has come until then, and the reply at its end."""
    given = list(KeptAnswer(reply, reads).stream())
    assert given[-1] == ((chatport.Finished(reply),), reply)
    if reads:
        assert tuple(tuple(events) for events, _ in given[:-1]) == reads
    so_far = [partial.text for _, partial in given[:-1]]
    assert all(after.startswith(before) for before, after in pairwise(so_far))


def test_a_plain_answer_says_as_a_stream_what_it_says() -> None:
    call = chatport.ToolCall("c1", "look_up", '{"a": 1}')
    reply = chatport.Reply("text", reasoning="thought", tool_calls=(call,), finish_reason="tool_calls")
    (events, partial), (last, _) = KeptAnswer(reply).stream()
    assert list(events) == [
        chatport.ReasoningDelta("thought"),
        chatport.TextDelta("text"),
        chatport.ToolCallDelta(0, "c1", "look_up", '{"a": 1}'),
        chatport.ToolCallEnded(0, "c1", "look_up", '{"a": 1}'),
    ]
    assert (partial.text, partial.reasoning) == ("text", "thought")
    assert list(last) == [chatport.Finished(reply)]
    assert [events for events, _ in KeptAnswer(chatport.Reply()).stream()] == [(chatport.Finished(chatport.Reply()),)]


def test_refusals_and_media_of_every_choice_are_said_too() -> None:
    """In the order in which a vendor would have said them, each with the number of its choice."""
    picture, page = chatport.Media("image", url="https://x.example/a.png"), chatport.Citation("https://x.example")
    other = chatport.Alternative(text="second", refusal="not this", media=(picture,), citations=(page,))
    (events, partial), _ = KeptAnswer(chatport.Reply(refusal="no", alternatives=(other,))).stream()
    assert list(events) == [
        chatport.RefusalDelta("no"),
        chatport.TextDelta("second", 1),
        chatport.RefusalDelta("not this", 1),
        chatport.CitationAdded(page, 1),
        chatport.MediaAdded(picture, 1),
    ]
    assert partial.refusal == "no"
    assert (partial.alternatives[0].refusal, partial.alternatives[0].media) == ("not this", (picture,))


def test_an_event_with_more_values_than_there_are_is_refused() -> None:
    """It was written by a later version: what it says cannot be guessed."""
    kept = KeptAnswer(chatport.Reply("text"), ((chatport.TextDelta("text"),),)).to_bytes()
    assert KeptAnswer.from_bytes(kept).reads == ((chatport.TextDelta("text"),),)
    fields = b"\x93\x00\xa4text\x00"  # three values: the event's number, text and choice
    later = kept.replace(fields, b"\x94\x00\xa4text\x00\xa3new")
    assert later != kept
    with pytest.raises(ValueError, match=r"no kept answer \(ValueError\)"):
        KeptAnswer.from_bytes(later)


def test_every_event_that_callers_get_is_kept() -> None:
    """But for the two that are of one call alone."""
    decoders = ("ReplyStarted", "LogprobsReported", "OpaqueReported", "CitationReported", "FinishReported")
    of_callers = {
        kind.__name__ for kind in chatport.Event.__args__ if kind.__name__ not in (*decoders, "ErrorReported")
    }
    assert {kind.__name__ for kind in _EVENTS} == of_callers - {"AttemptFailed", "Finished"}


@given(data=st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no kept answer"):
        KeptAnswer.from_bytes(data)


@given(at=st.integers(0, 400), byte=st.integers(0, 255))
def test_bytes_that_were_changed_are_refused_or_an_answer(at: int, byte: int) -> None:
    """Nothing else is raised, whatever a disk has made of them."""
    reads = ((chatport.TextDelta("text"), chatport.ChunkSeen("x", b"{}")), (chatport.UsageReported(chatport.Usage(1)),))
    data = bytearray(KeptAnswer(chatport.Reply("text", finish_reason="stop", raw={"a": [1]}), reads).to_bytes())
    data[at % len(data)] = byte
    with suppress(ValueError):
        assert isinstance(KeptAnswer.from_bytes(bytes(data)), KeptAnswer)


# --- what a call is known by

MODEL = "compatible:emulated-model"


def fingerprint(messages: Any = "hi", config: Any = None, **options: Any) -> chatport.Fingerprint:
    emulator = Emulator("compatible")
    with chatport.Client(config or emulator.config(), transport=emulator) as client:
        found = client.fingerprint(messages, **{"model": MODEL, **options})
        assert not emulator.requests
    assert found is not None
    return found


def test_the_same_request_has_the_same_fingerprint() -> None:
    """In another client, however it is written, and whichever key goes with it."""
    first = fingerprint()
    assert first.target == MODEL
    assert len(first.digest) == 32
    assert fingerprint([{"role": "user", "content": "hi"}]) == first
    table = Emulator("compatible").config()["providers"]["compatible"]
    assert fingerprint(config={"providers": {"compatible": {**table, "api_key": "another-key-of-ours"}}}) == first
    assert fingerprint(timeout=5) == first


@pytest.mark.parametrize(
    "options",
    [
        {"messages": "ho"},
        {"temperature": 0.5},
        {"seed": 0},
        {"extra": {"a": 1}},
        {"headers": {"x-of-mine": "1"}},
        {"headers": {"x-of-mine": chatport.Secret("1")}},
        {"native": chatport.Native("chat", {})},
        {"native": chatport.Native("messages", {"a": 1})},
        {"model": "compatible:another"},
        {"config": {"providers": {"compatible": {"base_url": "http://127.0.0.1:10/v1", "api_key": "k"}}}},
    ],
)
def test_another_request_has_another_one(options: Any) -> None:
    assert fingerprint(**options).digest != fingerprint().digest


def test_a_secret_of_the_call_counts_and_is_nowhere_to_be_read() -> None:
    one, two = (fingerprint(headers={"x-of-mine": chatport.Secret(text)}) for text in ("first-secret", "second-secret"))
    assert one != two
    assert "secret" not in repr(one)


def test_the_one_who_has_answered_is_asked_for() -> None:
    config = Emulator("compatible").config(aliases={"main": [MODEL, "compatible:second"]})
    second = fingerprint(config=config, model="main", answered="compatible:second")
    assert second == fingerprint(config=config, model="compatible:second")
    with chatport.Client(config) as client:
        assert client.fingerprint("hi", model="main", answered="compatible:third") is None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_is_known_on_a_loop(backend: str) -> None:
    config = Emulator("compatible").config(aliases={"main": [MODEL, "compatible:second"]})

    async def main(answered: str | None) -> Any:
        async with chatport.AsyncClient(config) as client:
            return await client.fingerprint("hi", model="main", answered=answered)

    for answered, target in ((None, MODEL), (MODEL, MODEL), ("compatible:second", "compatible:second")):
        assert anyio.run(main, answered, backend=backend) == fingerprint(config=config, model=target)
    assert anyio.run(main, "compatible:third", backend=backend) is None


def test_what_the_vendor_does_by_itself_is_told() -> None:
    emulator = Emulator("openai")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        search = client.fingerprint("hi", model="openai:gpt-6-sol", tools=[{"type": "web_search"}])
        assert search is not None
        assert search.has_server_tools


def test_texts_to_embed_have_one_too() -> None:
    emulator = Emulator("openai")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        model = "openai:text-embedding-3-small"
        found = [
            client.embed_fingerprint(["a", "b"], model=model),
            client.embed_fingerprint(["a", "b"], model=model, timeout=3),
            client.embed_fingerprint(["ab"], model=model),
            client.embed_fingerprint(["a", "b"], model=model, dimensions=64),
            client.embed_fingerprint(["a", "b"], model="openai:text-embedding-3-large"),
        ]
        assert found[0] == found[1]
        assert len({one.digest for one in found}) == 4
        assert not emulator.requests


@pytest.mark.anyio
async def test_the_asynchronous_client_knows_it_by_the_same() -> None:
    async with chatport.AsyncClient(Emulator("compatible").config()) as client:
        assert await client.fingerprint("hi", model=MODEL) == fingerprint()
