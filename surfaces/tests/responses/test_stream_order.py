"""Whatever the order of events, what is written is a stream of the protocol, and says all of them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

import chatport
from chatport import (
    AttemptFailed,
    Citation,
    CitationAdded,
    Finished,
    Media,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnded,
    Usage,
    UsageReported,
)
from chatport_surfaces import Asked, Seal, SurfaceContext
from chatport_surfaces.responses import ResponsesSurface
from chatport_surfaces.responses.tools import Named

from .asking import events_of
from .validator import check

TEXTS = st.text(st.sampled_from('ab \n"\\é😀'), max_size=4)
CALLS = st.integers(0, 3)
NAMES = ("look", "see", "ns__look", "patch")
EVENTS = st.one_of(
    st.builds(TextDelta, TEXTS, st.sampled_from((0, 0, 0, 1))),
    st.builds(ReasoningDelta, TEXTS),
    st.builds(RefusalDelta, TEXTS),
    st.builds(lambda n, text: ToolCallDelta(n, f"c{n}", NAMES[n], text), CALLS, TEXTS),
    st.builds(lambda n: n, CALLS),  # stands for the end of a call, whose arguments are those of its pieces
    st.builds(lambda n: CitationAdded(Citation(f"https://a.example/{n}", span=(n, n + 1))), CALLS),
    st.just(MediaAdded(Media("image", "image/png", data="AAAA"))),
    st.just(UsageReported(Usage(1, 2))),
)


def context() -> SurfaceContext:
    numbers = iter(range(1000))
    return SurfaceContext(
        Seal(b"x" * 16), lambda: 1_795_000_000, lambda prefix: f"{prefix}{next(numbers)}", lambda _: ()
    )


def events_and_reply(drawn: list[Any], finish: Any) -> tuple[list[Any], Reply]:
    """Return what an engine would give: no piece after the end of its call, and a reply of all of it."""
    events: list[Any] = []
    pieces: dict[int, str] = {}
    ended: set[int] = set()
    for event in drawn:
        if isinstance(event, int):
            if event in pieces and event not in ended:
                ended.add(event)
                pieces[event] += "" if pieces[event].strip() else "{}"
                events.append(ToolCallEnded(event, f"c{event}", NAMES[event], pieces[event]))
            continue
        if isinstance(event, ToolCallDelta):
            if event.index in ended:
                continue
            pieces[event.index] = pieces.get(event.index, "") + event.arguments
        events.append(event)

    def text(kind: Any) -> str:
        return "".join(event.text for event in events if type(event) is kind and event.choice == 0)

    calls = tuple([ToolCall(f"c{n}", NAMES[n], pieces[n], n in ended) for n in sorted(pieces)])
    reply = Reply(
        text(TextDelta), text(ReasoningDelta) or None, calls, finish, refusal=text(RefusalDelta) or None,
        usage=Usage(1, 2), provider="acme", opaque={"k": "v"},
    )  # fmt: skip
    return events, reply


def asked(summary: str | None) -> Asked:
    names = {"ns__look": Named("look", "ns"), "patch": Named("patch", None, True)}
    return Asked("chat", names=names, body={"model": "m", "input": [], "reasoning": {"summary": summary}})


def written(events: list[Any], cuts: list[int], summary: str | None) -> list[Any]:
    writer = ResponsesSurface().writer(asked(summary), context())
    bounds = [0, *sorted({min(cut, len(events)) for cut in cuts}), len(events)]
    batches = [events[first:last] for first, last in pairwise(bounds)]
    return events_of(b"".join(writer.write(batch) for batch in batches if batch))


@given(
    st.lists(EVENTS, max_size=14),
    st.sampled_from(("stop", "tool_calls", "length", "content_filter", "other")),
    st.lists(st.integers(0, 14), max_size=3),
    st.sampled_from((None, "auto")),
)
def test_every_order_of_events_is_a_stream(drawn: list[Any], finish: Any, cuts: list[int], summary: Any) -> None:
    events, reply = events_and_reply(drawn, finish)
    told = written([*events, Finished(reply)], cuts, summary)
    response = check(told)
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    assert "".join(part.get("text", "") for part in parts) == reply.text
    assert "".join(part.get("refusal", "") for part in parts) == (reply.refusal or "")
    thoughts = [item for item in response["output"] if item["type"] == "reasoning"]
    assert "".join(p["text"] for item in thoughts for p in (*item["summary"], *item.get("content", ()))) == (
        reply.reasoning or ""
    )
    check_calls(response["output"], reply)
    sources = [event.citation.url or "" for event in events if isinstance(event, CitationAdded)]
    if any(part["type"] == "output_text" for part in parts):
        found = [note["url"] for part in parts for note in part.get("annotations", ())]
        assert sorted(found) == sorted(filter(None, sources))


def check_calls(output: list[Any], reply: Reply) -> None:
    calls = {item["call_id"]: item for item in output if item["type"] in ("function_call", "custom_tool_call")}
    assert calls.keys() == {call.id for call in reply.tool_calls}
    for call in reply.tool_calls:
        item = calls[call.id]
        assert item["status"] == ("completed" if call.complete else "incomplete")
        if call.name == "patch":
            assert item["type"] == "custom_tool_call"
        else:
            assert item["arguments"] == call.arguments
        assert item.get("namespace") == ("ns" if call.name == "ns__look" else None)


def test_a_source_that_comes_when_its_text_is_over_is_seen_in_the_whole_answer_alone() -> None:
    early = CitationAdded(Citation("https://a.example/early"))
    late = CitationAdded(Citation("https://a.example/late", "Late", (1, 3)))
    events = [early, TextDelta("abcd"), ReasoningDelta("hm"), late]
    told = written([*events, Finished(Reply("abcd", "hm"))], [], None)
    (part,) = next(item for item in check(told)["output"] if item["type"] == "message")["content"]
    assert [(note["url"], note["title"], note["start_index"], note["end_index"]) for note in part["annotations"]] == [
        ("https://a.example/early", "https://a.example/early", 0, 0),
        ("https://a.example/late", "Late", 1, 3),
    ]
    added = [event["annotation"]["url"] for event in told if event["type"].endswith("annotation.added")]
    assert added == ["https://a.example/early"]


def test_only_a_picture_with_its_bytes_has_a_place() -> None:
    media = [
        Media("image", "image/png", data="AAAA"),
        Media("image", "image/png", url="https://a.example/b.png"),
        Media("video", "video/mp4", data="BBBB"),
    ]
    reply = Reply("a", media=tuple(media))
    told = written([TextDelta("a"), *map(MediaAdded, media), MediaAdded(media[0], 1), Finished(reply)], [], None)
    whole = ResponsesSurface().writer(asked(None), context()).whole(reply)
    for output in (check(told)["output"], json.loads(whole.body)["output"]):
        pictures = [item for item in output if item["type"] != "message"]
        assert [(item["type"], item["status"], item["result"]) for item in pictures] == [
            ("image_generation_call", "completed", "AAAA")
        ]


@pytest.mark.parametrize(
    ("usage", "counts"), [(Usage(), None), (Usage(3), (3, 0, 3)), (Usage(output_tokens=2), (0, 2, 2))]
)
def test_counts_that_nobody_has_told_are_null(usage: Usage, counts: Any) -> None:
    told = written([TextDelta("a"), Finished(Reply("a", usage=usage))], [], None)[-1]["response"]["usage"]
    names = ("input_tokens", "output_tokens", "total_tokens")
    assert (told and tuple(told[name] for name in names)) == counts


def test_an_attempt_that_failed_is_not_told() -> None:
    writer = ResponsesSurface().writer(asked(None), context())
    failed = AttemptFailed("acme:m", chatport.ServerError("It was busy."), 0.5)
    assert writer.write([failed]) == b""
    events = events_of(writer.write([failed, TextDelta("a"), Finished(Reply("a"))]))
    assert check(events)["output"][0]["content"][0]["text"] == "a"


@given(st.lists(EVENTS, max_size=10), st.sampled_from((None, "auto")))
def test_an_answer_that_breaks_off_ends_as_failed(drawn: list[Any], summary: Any) -> None:
    events, _ = events_and_reply(drawn, "stop")
    writer = ResponsesSurface().writer(asked(summary), context())
    data = (writer.write(events) if events else b"") + writer.fail(chatport.StreamInterruptedError("It broke off."))
    told = events_of(data)
    response = check(told)
    assert response["status"] == "failed"
    assert response["error"] == {
        "code": "server_error",
        "message": str(chatport.StreamInterruptedError("It broke off.")),
    }
    assert told[-2]["error"]["code"] == "server_error"


@given(st.lists(EVENTS, max_size=14), st.sampled_from((None, "auto")))
def test_the_official_accumulator_gets_the_same_answer(drawn: list[Any], summary: Any) -> None:
    openai = pytest.importorskip("openai")
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import ResponseStreamEvent

    events, reply = events_and_reply(drawn, "stop")
    told = written([*events, Finished(reply)], [], summary)
    state = ResponseStreamState(input_tools=openai.NOT_GIVEN, text_format=openai.NOT_GIVEN)
    for event in told:
        state.handle_event(openai._models.construct_type(type_=ResponseStreamEvent, value=event))
    final = state._completed_response
    assert final is not None
    assert json.loads(final.to_json())["output"] is not None
    assert final.output_text == reply.text
