"""What an answer holds beside text and calls: sources and media, in every shape of theirs, plain and streamed."""

# ruff: noqa: E501  # a shape is easier to compare in one line

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import (
    Citation,
    CitationAdded,
    CitationReported,
    Event,
    Finished,
    MalformedReplyError,
    Media,
    MediaAdded,
    Reply,
    StreamInterruptedError,
    TextDelta,
    UsageReported,
)
from chatport.decoding.citations import Citations
from chatport.decoding.collector import Collector
from chatport.testing import decode_events, replay

PNG = "iVBORw0KGgo="
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
URL, TITLE = "https://a.example/x", "A page"
TEXT = "Oslo is the capital."


def chunk(delta: Any, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    return {"id": "r", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **beside}


def sse(*chunks: Any) -> bytes:
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in chunks) + b"data: [DONE]\n\n"


def plain(message: dict[str, Any], **beside: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return replay("compatible", body=json.dumps({"id": "r", "choices": [choice], **beside}), stream=False)


def stream_of(message: dict[str, Any], **beside: Any) -> bytes:
    """Return a stream in which all that is no text comes in the middle of it, and what is beside in every chunk."""
    text = message.get("content")
    others = {name: value for name, value in message.items() if name != "content"}
    pieces = [{"content": text[:9]}, {"content": text[9:], **others}] if isinstance(text, str) else [message]
    deltas = [{"role": "assistant", "content": ""}, *pieces]
    return sse(*(chunk(delta, **beside) for delta in deltas), chunk({}, "stop", **beside))


def told(body: bytes) -> tuple[list[Event], Reply]:
    events = decode_events("compatible", body=body)
    assert isinstance(events[-1], Finished)
    return events, events[-1].reply


# --- sources


def test_a_source_that_is_told_again_and_again_weighs_what_it_says_once() -> None:
    """Some vendors tell all of them with every chunk: they are held once, and count once for the limit of a reply."""
    held = Citations(10)
    told = [Citation(URL), Citation(URL, title=TITLE), Citation(URL, title=TITLE, text="It says")]
    weights = []
    for citation in (*told, *told, *told):
        held.take(CitationReported(citation), 0)
        weights.append(held.size)
    assert weights[2:] == [weights[2]] * 7
    assert weights[0] < weights[1] < weights[2]
    (kept,) = held.of(0, is_first=True)
    assert (kept.url, kept.title, kept.text) == (URL, TITLE, "It says")


NESTED = {"type": "url_citation", "url_citation": {"url": URL, "title": TITLE, "start_index": 0, "end_index": 4}}
FLAT = {"type": "url_citation", "url": URL, "title": TITLE, "summary": "It says", "site_name": "a"}
FOUND = {"title": TITLE, "url": URL, "snippet": "It says", "date": "2026-01-01"}
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # in the message, beside the choices, what the citation has
    "annotations, nested": ({"annotations": [NESTED]}, {}, {"url": URL, "title": TITLE, "span": (0, 4)}),
    "annotations, flat": ({"annotations": [FLAT]}, {}, {"url": URL, "title": TITLE, "text": "It says", "span": None}),
    "a file": (
        {"annotations": [{"type": "file_citation", "file_citation": {"file_id": "f1", "filename": "a.pdf"}}]},
        {},
        {"url": None, "title": "a.pdf", "mark": "f1"},
    ),
    "a document by its title": ({"citations": [{"document_title": "a.pdf", "cited_text": "It says"}]}, {}, {"url": None, "title": "a.pdf", "text": "It says"}),
    "a document by its id": (
        {"annotations": [{"type": "document_citation", "document_citation": {"start_index": 1, "end_index": 2, "document_id": "d"}}]},
        {},
        {"mark": "d", "span": (1, 2)},
    ),
    "addresses": ({}, {"citations": [URL]}, {"url": URL, "title": None, "mark": "1"}),
    "addresses in the message": ({"citations": [URL]}, {}, {"url": URL, "mark": "1"}),
    "addresses, and what was found": (
        {},
        {"citations": [URL], "search_results": [FOUND]},
        {"url": URL, "title": TITLE, "text": "It says", "mark": "1", "extra": {"date": "2026-01-01"}},
    ),
    "a web search": (
        {},
        {"web_search": [{"title": TITLE, "link": URL, "content": "It says", "refer": "ref_1", "media": "A"}]},
        {"url": URL, "title": TITLE, "text": "It says", "mark": "ref_1", "extra": {"media": "A"}},
    ),
    "search info": (
        {},
        {"search_info": {"search_results": [{"site_name": "A", "index": 1, "title": TITLE, "url": URL}]}},
        {"url": URL, "title": TITLE, "mark": "1"},
    ),
    "references": ({}, {"references": [{"url": URL, "title": TITLE}]}, {"url": URL, "title": TITLE, "mark": "1"}),
    "the server's own object": (
        {},
        {"acme_parameters": {"web_search_citations": [{"url": URL, "title": TITLE, "content": "It says"}]}},
        {"url": URL, "title": TITLE, "text": "It says"},
    ),
    "a context": (
        {"context": {"citations": [{"content": "It says", "title": TITLE, "url": URL, "filepath": "a", "chunk_id": "0"}]}},
        {},
        {"url": URL, "title": TITLE, "text": "It says", "mark": "doc1"},
    ),
    "tools that were run there": (
        {"executed_tools": [{"type": "search", "search_results": {"results": [{"title": TITLE, "url": URL, "content": "It says", "score": 0.5}]}}]},
        {},
        {"url": URL, "title": TITLE, "text": "It says", "extra": {"score": 0.5}},
    ),
    "several sources of a span": (
        {"citations": [{"start": 0, "end": 4, "text": "Oslo", "sources": [{"type": "document", "id": "d", "document": {"title": TITLE, "url": URL}}]}]},
        {},
        {"url": URL, "title": TITLE, "span": (0, 4)},
    ),
    "parts": (
        {"content": [{"type": "text", "text": "Oslo"}, {"type": "reference", "reference_ids": [3]}, {"type": "text", "text": " it is."}]},
        {},
        {"mark": "3", "span": (4, 4)},
    ),
    "parts that were found": (
        {"content": [{"type": "text", "text": "Oslo"}, {"type": "tool_reference", "tool": "web", "title": TITLE, "url": URL}]},
        {},
        {"url": URL, "title": TITLE, "span": (4, 4), "extra": {"tool": "web"}},
    ),
    "parts of a thought": (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, {"type": "tool_reference", "title": TITLE, "url": URL}]}, {"type": "text", "text": TEXT}]},
        {},
        {"url": URL, "title": TITLE, "span": None},
    ),
    "notes on a part": (
        {"content": [{"type": "text", "text": TEXT, "annotations": [FLAT]}]},
        {},
        {"url": URL, "title": TITLE, "span": (20, 20)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_source_is_read_plain_and_streamed_alike(shape: str) -> None:
    message, beside, wanted = SHAPES[shape]
    message = {"content": TEXT, **message}
    reply = plain(message, **beside)
    assert len(reply.citations) == 1
    assert {name: getattr(reply.citations[0], name) for name in wanted} == wanted
    events, streamed = told(stream_of(message, **beside))
    assert streamed.citations == reply.citations
    assert streamed.text == reply.text
    assert [event.citation for event in events if isinstance(event, CitationAdded)] == list(reply.citations)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_cut_means_the_same(shape: str) -> None:
    message, beside, _ = SHAPES[shape]
    body = stream_of({"content": TEXT, "images": [PICTURE], **message}, **beside)
    whole = told(body)
    for at in range(0, len(body), 11):
        pieces = [body[:at], body[at:]]
        assert decode_events("compatible", body=pieces) == whole[0]
    for at in range(1, body.rindex(b'"stop"'), 29):
        with pytest.raises(StreamInterruptedError) as caught:
            replay("compatible", body=body[:at], stream=True)
        part = caught.value.partial
        assert part is not None
        assert all(cited in whole[1].citations or cited.url == URL for cited in part.citations)
        assert part.media in ((), whole[1].media)


def test_what_is_said_with_every_chunk_is_told_once_and_before_it_no_try_is_final() -> None:
    """Sources may come first, and are no content: they wait for it."""
    found = {"citations": [URL, "https://b.example"], "search_results": [FOUND], "usage": {"prompt_tokens": 1}}
    events, reply = told(stream_of({"content": TEXT}, **found))
    kinds = [type(event) for event in events]
    assert kinds.count(CitationAdded) == 2
    assert kinds.index(CitationAdded) < kinds.index(TextDelta)
    assert kinds[: kinds.index(TextDelta)].count(UsageReported) <= 1
    assert [(cited.url, cited.mark) for cited in reply.citations] == [(URL, "1"), ("https://b.example", "2")]


def test_the_order_is_that_of_the_marks_and_a_title_may_come_later() -> None:
    body = sse(
        chunk({"content": "a [1][2]"}, citations=["https://b.example", URL]),
        chunk({}, "stop", citations=["https://b.example", URL], search_results=[FOUND]),
    )
    _, reply = told(body)
    assert [(cited.url, cited.title) for cited in reply.citations] == [("https://b.example", None), (URL, TITLE)]


def test_what_is_no_source_goes_back_as_it_came() -> None:
    note = {"type": "file", "file": {"hash": "x", "name": "a.pdf"}}
    message = {"content": TEXT, "annotations": [note, NESTED]}
    for reply in (plain(message), told(stream_of(message))[1]):
        assert reply.opaque == {"annotations": [note]}
        assert len(reply.citations) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"citations": "x"}, {"citations": {}}, {"citations": [None, 5, [], {}, ""]}, {"annotations": 5},
        {"annotations": [{"type": "url_citation", "url_citation": 7}]}, {"search_info": []}, {"context": "x"},
        {"executed_tools": [5, {"search_results": 5}, {"search_results": {"results": "x"}}]}, {"images": {}},
        {"images": [None, 5, {}, {"image_url": 5}, {"image_url": {"url": None}}]}, {"references": [[]]},
    ],
    ids=str,
)  # fmt: skip
def test_odd_shapes_name_nothing(odd: dict[str, Any]) -> None:
    reply = plain({"content": TEXT, **odd}, **odd)
    assert (reply.text, reply.citations, reply.media) == (TEXT, (), ())
    assert told(stream_of({"content": TEXT, **odd}, **odd))[1].text == TEXT


def test_spans_that_are_none() -> None:
    for start, end in ((5, 2), (-1, 3), ("0", "4"), (True, 4), (None, 4), (0.0, 4)):
        note = {"type": "url_citation", "url_citation": {"url": URL, "start_index": start, "end_index": end}}
        assert [cited.span for cited in plain({"content": TEXT, "annotations": [note]}).citations] == [None]


def test_sources_are_bounded() -> None:
    notes = [{"type": "url_citation", "url": f"https://{number}.example"} for number in range(10_001)]
    with pytest.raises(MalformedReplyError, match=r"more than 10000 citations; raise limits\.parts"):
        plain({"content": TEXT, "annotations": notes})


def test_each_choice_has_its_own() -> None:
    choices = [
        {
            "index": n,
            "message": {"content": "a", "annotations": [{**FLAT, "url": f"{URL}{n}"}]},
            "finish_reason": "stop",
        }
        for n in (1, 2)
    ]
    body = json.dumps({"choices": choices, "citations": ["https://all.example"]})
    reply = replay("compatible", body=body, stream=False, request={"n": 2})
    assert [cited.url for cited in reply.citations] == [f"{URL}1", "https://all.example"]
    assert [cited.url for cited in reply.alternatives[0].citations] == [f"{URL}2"]


def test_halves_of_an_emoji_do_no_harm() -> None:
    reply = plain({"content": TEXT, "annotations": [{**FLAT, "title": "\ud83d", "own": {"x": "\ud83d"}}]})
    assert reply.citations[0].title == "\ufffd"
    assert reply.citations[0].extra["own"] == {"x": "\ufffd"}


# --- media

MEDIA: dict[str, tuple[dict[str, Any], Media]] = {
    "a data URL": ({"images": [PICTURE]}, Media("image", "image/png", None, PNG)),
    "an address": (
        {"images": [{"type": "image_url", "image_url": {"url": URL}}]},
        Media("image", None, URL),
    ),
    "an address alone": ({"images": [URL]}, Media("image", None, URL)),
    "bare base64": ({"images": [{"b64_json": PNG, "revised_prompt": "a cat"}]}, Media("image", "image/png", None, PNG, {"revised_prompt": "a cat"})),
    "a part": ({"content": [{"type": "text", "text": TEXT}, PICTURE]}, Media("image", "image/png", None, PNG)),
    "a part with its type beside": (
        {"content": [{"type": "text", "text": TEXT}, {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "UklGRg=="}}]},
        Media("image", "image/webp", None, "UklGRg=="),
    ),
    "inline data": (
        {"content": [{"type": "inline_data", "inline_data": {"mime_type": "image/jpeg", "data": "/9j/4A=="}}, {"type": "text", "text": TEXT}]},
        Media("image", "image/jpeg", None, "/9j/4A=="),
    ),
    "a film": (
        {"content": [{"type": "text", "text": TEXT}, {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}]},
        Media("video", None, "https://a.example/x.mp4"),
    ),
    "a file": (
        {"content": [{"type": "text", "text": TEXT}, {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}]},
        Media("file", "application/pdf", None, "JVBERg==", {"filename": "a.pdf"}),
    ),
    "sound": (
        {"content": [{"type": "text", "text": TEXT}, {"type": "audio", "audio": {"data": "UklGRgAAAABXQVZF", "format": "wav"}}]},
        Media("audio", "audio/wav", None, "UklGRgAAAABXQVZF"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", list(MEDIA))
def test_media_are_read_plain_and_streamed_alike(shape: str) -> None:
    message, wanted = MEDIA[shape]
    reply = plain({"content": TEXT, **message})
    assert reply.media == (wanted,)
    events, streamed = told(stream_of({"content": TEXT, **message}))
    assert streamed.media == reply.media
    assert streamed.text == reply.text == TEXT
    assert [event.media for event in events if isinstance(event, MediaAdded)] == [wanted]


def test_a_picture_alone_is_an_answer() -> None:
    """It is content: nothing is tried again for its sake, and no end is missed."""
    reply = plain({"content": "", "images": [PICTURE]})
    assert (reply.text, len(reply.media), reply.finish_reason) == ("", 1, "stop")
    with pytest.raises(StreamInterruptedError, match="after a part of the answer"):
        replay("compatible", body=sse(chunk({"images": [PICTURE]}))[:-14], stream=True)


def test_pictures_of_a_search_stand_beside_the_choices() -> None:
    found = [{"image_url": URL, "origin_url": "https://o.example", "height": 5, "width": 6}]
    reply = plain({"content": TEXT}, images=found)
    assert reply.media == (
        Media("image", None, URL, None, {"origin_url": "https://o.example", "height": 5, "width": 6}),
    )
    assert told(stream_of({"content": TEXT}, images=found))[1].media == reply.media


@pytest.mark.parametrize(
    ("data", "kind"),
    [("UklGRiQAAABXQVZF", "audio/wav"), ("SUQzBA==", "audio/mpeg"), ("T2dnUw==", "audio/ogg"), ("AAEC", None),
     ("UklGR", None), ("UklGRiQAAABBVkkg", None)],
)  # fmt: skip
def test_speech_is_in_both_places(data: str, kind: str | None) -> None:
    """In `audio` as ever, in pieces and with its transcript; and in `media` as what it is."""
    reply = plain({"content": None, "audio": {"id": "x", "data": data, "transcript": "hi", "expires_at": 5}})
    assert reply.audio == {"id": "x", "data": data, "transcript": "hi"}
    assert reply.media == (Media("audio", kind, None, data),)
    pieces = [chunk({"audio": {"id": "x", "data": part}}) for part in (data[:4], data[4:])]
    streamed = told(sse(*pieces, chunk({"audio": {"transcript": "hi"}}), chunk({}, "stop")))[1]
    assert (streamed.audio, streamed.media) == (reply.audio, reply.media)


def test_the_bytes() -> None:
    assert Media("image", "image/png", None, PNG).content() == b"\x89PNG\r\n\x1a\n"
    assert Media("audio", None, None, "QQ==QkM=").content() == b"ABC"  # pieces that were padded each
    assert Media("audio", None, None, "QQ").content() == b"A"
    with pytest.raises(MalformedReplyError, match="not in the reply, it is at https://a"):
        Media("image", None, URL).content()
    with pytest.raises(MalformedReplyError, match="no base64"):
        Media("image", None, None, "A").content()


def test_a_large_picture_is_not_shown_whole() -> None:
    assert len(repr(Media("image", "image/png", None, "A" * 100_000))) < 200


def test_what_is_held_is_weighed() -> None:
    collector = Collector()
    collector.add(MediaAdded(Media("image", "image/png", None, "A" * 1_000)))
    collector.cite(CitationReported(Citation(URL, "T" * 100, text="x" * 500, extra={"a": ["y"] * 100})))
    size, values = collector.weight()
    assert size > 1_600 + 400
    assert values > 100


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("url", "url link uri href source_url"),
        ("title", "title document_title name filename file_name filepath source"),
        ("text", "cited_text quote snippet content summary description text"),
        ("mark", "refer reference_id document_id file_id tool_call_id index id"),
    ],
)
def test_a_source_is_read_whatever_its_members_are_called(field: str, names: str) -> None:
    for name in names.split():
        value = URL if field == "url" else "a word"
        (found,) = plain({"content": TEXT, "citations": [{name: value, "other": 1}]}).citations
        assert getattr(found, field) == value, name
        assert found.extra == {"other": 1}, name
