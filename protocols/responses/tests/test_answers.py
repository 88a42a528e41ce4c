"""What an answer holds beside its text: sources, pictures, steps of the server's own, probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

import chatport
from chatport import Citation, CitationAdded, Media, MediaAdded, ServerStep
from chatport.testing import decode_events, replay

NOTE = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4}
OUTPUT: list[dict[str, Any]] = [
    {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "a"}},
    {
        "id": "msg_1", "type": "message", "role": "assistant", "phase": "commentary", "status": "completed",
        "content": [{"type": "output_text", "text": "Look. ", "annotations": [], "logprobs": []}],
    },
    {
        "id": "ig_1", "type": "image_generation_call", "status": "completed", "output_format": "png",
        "result": "iVBORw0KGgo=", "revised_prompt": "a cat", "size": "1024x1024",
    },
    {
        "id": "msg_2", "type": "message", "role": "assistant", "phase": "final_answer", "status": "completed",
        "content": [{"type": "output_text", "text": "Here", "annotations": [NOTE], "logprobs": []}],
    },
]  # fmt: skip
SOURCE = Citation("https://a.example", "A", (6, 10))
PICTURE = Media("image", "image/png", None, "iVBORw0KGgo=", {"revised_prompt": "a cat", "size": "1024x1024"})


def whole(output: Sequence[Any] = OUTPUT, **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": output, **fields}


def stream(*events: dict[str, Any]) -> str:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def streamed(output: Sequence[dict[str, Any]] = OUTPUT) -> str:
    """Return the events of an answer, with its text and its sources in pieces before the items are whole."""
    events: list[dict[str, Any]] = [{"type": "response.created", "response": whole([], status="in_progress")}]
    for place, item in enumerate(output):
        at = {"output_index": place, "item_id": item["id"]}
        begun = {**item, "status": "in_progress", **({"content": []} if "content" in item else {})}
        events.append({"type": "response.output_item.added", **at, "item": begun})
        for number, part in enumerate(item.get("content") or ()):
            here = {**at, "content_index": number}
            events += [{"type": "response.output_text.delta", **here, "delta": piece} for piece in part["text"]]
            events += [
                {"type": "response.output_text.annotation.added", **here, "annotation_index": n, "annotation": note}
                for n, note in enumerate(part["annotations"])
            ]
        if item["type"] == "web_search_call":
            events += [{"type": f"response.web_search_call.{word}", **at} for word in ("in_progress", "searching")]
            events += [
                {"type": "response.web_search_call.searching", **at},
                {"type": "response.web_search_call.completed", **at},
            ]
        if item["type"] == "image_generation_call":
            events.append({"type": "response.image_generation_call.generating", **at})
            events.append({"type": "response.image_generation_call.partial_image", **at, "partial_image_b64": "AA=="})
        events.append({"type": "response.output_item.done", **at, "item": item})
    events.append({"type": "response.completed", "response": whole(output)})
    return stream(*events)


def plain_reply(body: dict[str, Any]) -> chatport.Reply:
    return replay("compatible", body=json.dumps(body), stream=False, path="/responses")


def streamed_reply(body: str) -> chatport.Reply:
    return replay("compatible", body=body, stream=True, path="/responses")


def test_plain_and_streamed_tell_the_same() -> None:
    plain, other = plain_reply(whole()), streamed_reply(streamed())
    for reply in (plain, other):
        assert reply.text == "Look. Here"
        assert reply.citations == (SOURCE,)
        assert reply.media == (PICTURE,)
        assert [item["type"] for item in reply.opaque["items"]] == [item["type"] for item in OUTPUT]
        assert [item.get("phase") for item in reply.opaque["items"]] == [None, "commentary", None, "final_answer"]
        assert reply.opaque["items"][0] == OUTPUT[0]
    assert plain.opaque == other.opaque


def test_a_stream_tells_each_thing_once_and_as_it_comes() -> None:
    events = list(decode_events("compatible", body=streamed(), stream=True, path="/responses"))
    told = [event for event in events if isinstance(event, ServerStep | CitationAdded | MediaAdded)]
    assert told == [
        ServerStep("web_search_call", "ws_1", "in_progress"),
        ServerStep("web_search_call", "ws_1", "searching"),
        ServerStep("web_search_call", "ws_1", "completed", OUTPUT[0]),
        ServerStep("image_generation_call", "ig_1", "in_progress"),
        ServerStep("image_generation_call", "ig_1", "generating"),
        ServerStep("image_generation_call", "ig_1", "completed", OUTPUT[2]),
        MediaAdded(PICTURE),
        CitationAdded(SOURCE),
    ]


def test_a_step_that_only_the_last_event_tells_is_told() -> None:
    """Recorded: of three lists of tools, two were begun and never ended, but for the last event."""
    begun = {"type": "response.output_item.added", "output_index": 0, "item": {**OUTPUT[0], "status": "in_progress"}}
    body = stream(
        {"type": "response.created", "response": whole([])}, begun, {"type": "response.completed", "response": whole()}
    )
    assert streamed_reply(body).opaque["items"][0] == OUTPUT[0]


def test_pictures_of_a_program_are_media() -> None:
    outputs = [{"type": "logs", "logs": "done"}, {"type": "image", "url": "https://a.example/plot.png"}]
    ran = {"id": "ci_1", "type": "code_interpreter_call", "status": "completed", "code": "plot()", "outputs": outputs}
    reply = plain_reply(whole([ran]))
    assert [(media.kind, media.url) for media in reply.media] == [("image", "https://a.example/plot.png")]


def test_a_picture_in_a_message_is_media() -> None:
    parts = [{"type": "output_text", "text": "See: "}, {"type": "output_image", "image_url": "https://a.example/b.png"}]
    reply = plain_reply(whole([{"id": "m", "type": "message", "role": "assistant", "content": parts}]))
    assert (reply.text, [media.url for media in reply.media]) == ("See: ", ["https://a.example/b.png"])


@pytest.mark.parametrize("content", ["plain", [{"type": "text", "text": "plain"}]])
def test_a_text_in_place_of_parts_is_read(content: Any) -> None:
    items = [
        {"id": "r", "type": "reasoning", "summary": "why"},
        {"id": "m", "type": "message", "role": "assistant", "content": content},
    ]
    reply = plain_reply(whole(items))
    assert (reply.text, reply.reasoning) == ("plain", "why")


def test_thoughts_beside_the_output_are_read() -> None:
    """RS-V16"""
    items = [{"id": "m", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]}]
    assert plain_reply(whole(items, reasoning="2 and 2")).reasoning == "2 and 2"
    assert plain_reply(whole(items, reasoning={"effort": "high"})).reasoning is None


def test_probabilities_are_as_chat_has_them() -> None:
    """RS-T5: of a stream those of its pieces, of a plain reply those of the part."""
    entries = [{"token": "a", "logprob": -0.1, "top_logprobs": []}, {"token": "b", "logprob": -0.2, "top_logprobs": []}]
    part = {"type": "output_text", "text": "ab", "annotations": [], "logprobs": entries}
    item = {"id": "m", "type": "message", "role": "assistant", "content": [part]}
    at = {"output_index": 0, "content_index": 0}
    body = stream(
        {"type": "response.created", "response": whole([])},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *({"type": "response.output_text.delta", **at, "delta": one["token"], "logprobs": [one]} for one in entries),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole([item])},
    )
    assert plain_reply(whole([item])).logprobs == streamed_reply(body).logprobs == {"content": entries}


def test_the_namespace_of_a_call_is_told_and_goes_back() -> None:
    """RS-F5"""
    call = {
        "id": "fc",
        "type": "function_call",
        "call_id": "c1",
        "name": "rate",
        "namespace": "money",
        "arguments": "{}",
    }
    (made,) = plain_reply(whole([call])).tool_calls
    assert (made.name, made.extra) == ("rate", {"namespace": "money"})


def test_thoughts_in_parts_are_paragraphs() -> None:
    def piece(part: int, text: str) -> dict[str, Any]:
        kind = "response.reasoning_summary_text.delta"
        return {"type": kind, "output_index": 0, "summary_index": part, "delta": text}

    summary = [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}]
    item = {"id": "r", "type": "reasoning", "summary": summary, "encrypted_content": "S"}
    body = stream(
        {"type": "response.created", "response": whole([])},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "summary": []}},
        *(piece(0, text) for text in ("Fir", "st.")),
        *(piece(1, text) for text in ("Th", "en.")),
        {"type": "response.completed", "response": whole([item])},
    )
    assert streamed_reply(body).reasoning == plain_reply(whole([item])).reasoning == "First.\n\nThen."


def test_a_step_of_the_servers_own_is_progress_that_is_not_repeated() -> None:
    """A server that says the same without end is told once: nothing is kept of the rest."""
    at = {"output_index": 0, "item_id": "ws_1"}
    body = stream(
        {"type": "response.created", "response": whole([])},
        {"type": "response.output_item.added", **at, "item": {**OUTPUT[0], "status": "in_progress"}},
        *({"type": "response.web_search_call.searching", **at} for _ in range(500)),
        {"type": "response.output_item.done", **at, "item": OUTPUT[0]},
        {"type": "response.completed", "response": whole(OUTPUT[:1])},
    )
    events = decode_events("compatible", body=body, stream=True, path="/responses")
    assert [event.status for event in events if isinstance(event, ServerStep)] == [
        "in_progress",
        "searching",
        "completed",
    ]


def test_an_answer_that_was_cancelled_is_an_error() -> None:
    """RS-P2"""
    with pytest.raises(chatport.ServerError, match="cancelled"):
        plain_reply(whole([], status="cancelled"))


def test_an_item_whose_beginning_was_not_told_is_whole_at_its_end() -> None:
    call = {"id": "fc", "type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
    kind = "response.function_call_arguments.delta"
    body = stream(
        {"type": "response.created", "response": whole([])},
        *({"type": kind, "output_index": 0, "delta": piece} for piece in ('{"a"', ": 1}")),
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": whole([call])},
    )
    (made,) = streamed_reply(body).tool_calls
    assert (made.name, made.arguments, made.complete) == ("look", '{"a": 1}', True)


def test_an_end_that_is_told_twice_is_one() -> None:
    item = {**OUTPUT[2]}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    body = stream(
        {"type": "response.created", "response": whole([])},
        done,
        done,
        {"type": "response.completed", "response": whole([item])},
    )
    assert len(streamed_reply(body).media) == 1
