"""The rarer pieces of an answer in chat completions, as a stream and as a whole, and the rarer fields of a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chatport import (
    AudioDelta,
    Citation,
    CitationAdded,
    Event,
    Finished,
    Media,
    MediaAdded,
    Reply,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnded,
)
from chatport_surfaces import Asked, ClientRequest, Seal, SurfaceContext
from chatport_surfaces.chat import surface

CONTEXT = SurfaceContext(Seal(b"a secret of the tests"), lambda: 7, lambda prefix: f"{prefix}new", lambda model: ())
PICTURE = Media("image", "image/webp", data="AAAA")


def streamed(*events: Event) -> list[Any]:
    """Return the chunks of an answer, without its end mark."""
    data = surface.writer(Asked("chat", "m"), CONTEXT).write(events)
    return [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line[6:7] == "{"]


def deltas(*events: Event) -> list[tuple[int, Any]]:
    """Return the choice and the delta of each chunk."""
    return [(choice["index"], choice["delta"]) for chunk in streamed(*events) for choice in chunk["choices"]]


def whole(reply: Reply) -> Any:
    """Return the whole answer."""
    return json.loads(surface.writer(Asked("chat", "m"), CONTEXT).whole(reply).body)


def read(**body: Any) -> Asked:
    given = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    return surface.read(ClientRequest("POST", "/v1/chat/completions", body=json.dumps(given).encode()), CONTEXT)


@pytest.mark.parametrize(
    ("event", "delta"),
    [
        (AudioDelta("QUJD", "hi", "audio_1"), {"audio": {"id": "audio_1", "data": "QUJD", "transcript": "hi"}}),
        (AudioDelta(transcript="ho"), {"audio": {"transcript": "ho"}}),
        (AudioDelta("QUJD"), {"audio": {"data": "QUJD"}}),
        (
            MediaAdded(PICTURE),
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}}]},
        ),
        (
            MediaAdded(Media("image", data="AAAA")),
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        ),
        (
            MediaAdded(Media("image", "image/png", url="https://a.example/b.png")),
            {"images": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]},
        ),
        (
            CitationAdded(Citation("https://a.example", "A", (2, 5))),
            {
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://a.example",
                            "title": "A",
                            "start_index": 2,
                            "end_index": 5,
                        },
                    }
                ]
            },
        ),
        (
            CitationAdded(Citation()),
            {
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "", "title": "", "start_index": 0, "end_index": 0},
                    }
                ]
            },
        ),
    ],
)
def test_sounds_pictures_and_sources_are_told_as_they_come(event: Event, delta: Any) -> None:
    assert deltas(TextDelta("a"), event)[1:] == [(0, delta)]


def test_they_are_told_of_every_choice() -> None:
    found = deltas(TextDelta("a"), AudioDelta("QUJD", choice=1), MediaAdded(PICTURE, 1), CitationAdded(Citation(), 2))
    assert [(index, sorted(delta)) for index, delta in found] == [
        (0, ["content", "role"]),
        (1, ["audio", "content", "role"]),
        (1, ["images"]),
        (2, ["annotations", "content", "role"]),
    ]


def test_what_is_no_picture_has_no_place_in_a_stream() -> None:
    assert deltas(TextDelta("a"), MediaAdded(Media("video", "video/mp4", data="AAAA")))[1:] == []


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([ToolCallEnded(0, "c", "f", '{"a":1}')], [("c", '{"a":1}')]),
        ([ToolCallDelta(0, "c", "f", '{"a"'), ToolCallEnded(0, "c", "f", '{"a":1}')], [("c", '{"a"'), (None, ":1}")]),
        ([ToolCallDelta(0, "c", "f", ""), ToolCallEnded(0, "c", "f", "{}")], [("c", ""), (None, "{}")]),
        ([ToolCallDelta(0, "c", "f", "{}"), ToolCallEnded(0, "c", "f", "{}")], [("c", "{}")]),
        ([ToolCallEnded(0, "c", "f", "")], [("c", "")]),
    ],
)
def test_the_end_of_a_call_tells_what_was_not_told_of_it(events: Sequence[Event], told: Any) -> None:
    calls = [delta["tool_calls"][0] for _, delta in deltas(*events)]
    assert [(call.get("id"), call["function"]["arguments"]) for call in calls] == told
    assert calls[0]["function"]["name"] == "f"


def test_a_whole_answer_has_pictures_and_its_voice() -> None:
    video = Media("video", "video/mp4", data="BBBB")
    audio = {"id": "audio_1", "data": "QUJD", "transcript": "hi"}
    message = whole(Reply("a", media=(PICTURE, video), audio=audio))["choices"][0]["message"]
    assert message["images"] == [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}}]
    assert message["audio"] == {"expires_at": 0, **audio}
    assert {"images", "audio"}.isdisjoint(whole(Reply("a"))["choices"][0]["message"])


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        (Reply("a"), "a"),
        (Reply(""), ""),
        (Reply("", tool_calls=(ToolCall("c", "f", "{}"),)), None),
        (Reply("a", tool_calls=(ToolCall("c", "f", "{}"),)), "a"),
        (Reply("", refusal="no"), None),
    ],
)
def test_an_answer_without_a_text_has_none_where_it_has_something_else(reply: Reply, content: str | None) -> None:
    assert whole(reply)["choices"][0]["message"]["content"] == content


def test_counts_that_the_vendor_has_not_told_are_null() -> None:
    assert whole(Reply("a"))["usage"] is None
    asked = Asked("chat", "m", body={"stream_options": {"include_usage": True}})
    written = surface.writer(asked, CONTEXT).write([TextDelta("a"), Finished(Reply("a"))]).decode()
    last = json.loads(written.split("\n\n")[-3].removeprefix("data: "))
    assert (last["choices"], last["usage"]) == ([], None)
    assert written.endswith("data: [DONE]\n\n")


def test_no_tools_at_all_are_not_carried_on() -> None:
    assert "tools" not in read(tools=[]).options
    assert read(tools=[{"type": "web_search"}]).options["tools"] == [{"type": "web_search"}]


@pytest.mark.parametrize("output", [{"type": "json_object"}, {"type": "text"}, "json", {"json_schema": "x"}])
def test_a_format_without_a_schema_goes_on_as_it_is(output: Any) -> None:
    options = read(response_format=output).options
    assert options == {"extra": {"response_format": output}}


@pytest.mark.parametrize("details", [[], [{"type": "reasoning.text", "text": "hm"}], ["x"], [{"data": "gAAAA"}]])
def test_details_of_another_maker_stay_in_their_message(details: Any) -> None:
    message = {"role": "assistant", "content": "a", "reasoning_details": details}
    assert read(messages=[message]).messages == [message]
