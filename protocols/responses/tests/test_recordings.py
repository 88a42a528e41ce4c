"""Recorded exchanges against an independent reading of their bytes, plain and streamed, and at every cut."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import chatport
from chatport.engine.commands import Head
from chatport.testing import decode_events, replay
from chatport.testing.recordings import play, route_of

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "traces-responses"
FILES = sorted(FOLDER.glob("*/*.json")) if FOLDER.is_dir() else []
if not FILES:
    pytest.skip("no recorded exchanges beside this checkout", allow_module_level=True)

RECORDS: dict[str, dict[str, Any]] = {f"{p.parent.name}/{p.stem}": json.loads(p.read_text("utf-8")) for p in FILES}
STREAMS = [name for name, record in RECORDS.items() if "sse_text" in record["response"]]
GOOD = [name for name, record in RECORDS.items() if record["response"].get("status", 200) < 400]
BAD = [name for name in RECORDS if name not in GOOD]
CUT_SAMPLE = sorted(STREAMS, key=lambda name: len(RECORDS[name]["response"]["sse_text"]))[:50]
ENDS = (b"completed", b"incomplete")
CLASSES: Mapping[str, type[chatport.ChatportError]] = {
    "invalid_api_key": chatport.AuthenticationError,
    "model_not_found": chatport.ModelNotFoundError,
    "unsupported_file": chatport.BadRequestError,
    "invalid_value": chatport.BadRequestError,
    "unsupported_parameter": chatport.BadRequestError,
    "invalid_function_parameters": chatport.BadRequestError,
    "invalid-argument": chatport.AuthenticationError,  # RS-V1: a wrong key
    "None": chatport.AuthenticationError,  # RS-V4: it says so in words, with 401
}


def decoded(name: str, body: Any = None, *, status: int | None = None) -> chatport.Reply:
    response = RECORDS[name]["response"]
    streamed = "sse_text" in response
    body = (response["sse_text"] if streamed else response["body_text"]) if body is None else body
    return replay(
        "compatible",
        status=status or response.get("status", 200),
        headers=response.get("headers") or {},
        body=body,
        stream=streamed,
        model=RECORDS[name]["request"]["body"].get("model"),
        path="/v1/responses",
    )


def objects(name: str) -> Iterator[dict[str, Any]]:
    """Give the events of a stream, read by hand."""
    for line in RECORDS[name]["response"]["sse_text"].splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            yield json.loads(line[5:])


def wanted(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the response object at the end of a recording, and its output items."""
    if name not in STREAMS:
        whole = json.loads(RECORDS[name]["response"]["body_text"])
        return whole, whole.get("output") or []
    events = list(objects(name))
    last = next(e for e in events if e["type"] in ("response.completed", "response.incomplete"))["response"]
    return last, last["output"] or [e["item"] for e in events if e["type"] == "response.output_item.done"]


def squeezed(texts: Any) -> str:
    return "".join("".join(texts).split())


@pytest.mark.parametrize("name", GOOD)
def test_a_recording_is_read_as_its_bytes_say(name: str) -> None:
    reply = decoded(name)
    whole, items = wanted(name)
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    assert reply.text == "".join(part["text"] for part in parts if part["type"] == "output_text")
    assert (reply.refusal or "") == "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    beside = whole.get("reasoning")  # an object that repeats the request, but with one server the thoughts (RS-V16)
    thoughts = [beside] if isinstance(beside, str) else []
    thoughts += [
        part["text"]
        for item in items
        if item["type"] == "reasoning"
        for kind in ("summary", "content")
        for part in item.get(kind) or ()
    ]
    assert squeezed(reply.reasoning or "") == squeezed(thoughts)
    calls = [item for item in items if item["type"] in ("function_call", "custom_tool_call")]
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        (item["name"], item.get("arguments", item.get("input")) or "{}") for item in calls
    ]
    ids = [item["call_id"] for item in calls]
    if len(set(ids)) == len(ids):
        assert [call.id for call in reply.tool_calls] == ids
    assert reply.finish_reason == finish(whole, calls)
    assert all(call.complete for call in reply.tool_calls) or whole["status"] == "incomplete"
    check_usage(reply.usage, whole.get("usage") or {})
    begun = next(objects(name))["response"] if name in STREAMS else whole  # one server changes it on the way (RS-V5)
    assert reply.id == begun.get("id")
    assert reply.model == whole.get("model")


@pytest.mark.parametrize("name", GOOD)
def test_sources_stand_where_they_are_cited(name: str) -> None:
    """Each once, in the order of the text; a place counts from the beginning of the whole text, not of its part."""
    reply = decoded(name)
    _, items = wanted(name)
    notes, before = [], 0
    for part in (part for item in items if item["type"] == "message" for part in item["content"]):
        for note in part.get("annotations") or ():
            span = (note["start_index"] + before, note["end_index"] + before) if "start_index" in note else None
            notes.append((note.get("url"), note.get("title", note.get("filename")), span, note.get("file_id")))
        before += len(part.get("text", ""))
    told = [(cited.url, cited.title, cited.span, cited.mark) for cited in reply.citations]
    assert told == list(dict.fromkeys(notes))


@pytest.mark.parametrize("name", GOOD)
def test_what_the_server_did_by_itself_is_told_and_kept(name: str) -> None:
    """Pictures are media; every step is an event when it is over, and lies among the items, in their order."""
    reply = decoded(name)
    _, items = wanted(name)
    drawn = [item["result"] for item in items if item["type"] == "image_generation_call"]
    shown = [output for item in items for output in item.get("outputs") or () if output.get("type") == "image"]
    assert [media.data for media in reply.media] == [*drawn, *(image["url"].partition(",")[2] for image in shown)]
    events = events_of(name)
    steps = [event.item for event in events if isinstance(event, chatport.ServerStep) and event.item is not None]
    own = [item for item in items if item["type"] not in OURS]
    assert sorted(steps, key=own.index) == own  # some are over before earlier ones
    kept = reply.opaque.get("items")
    if kept is not None:
        assert [item["type"] for item in kept] == [item["type"] for item in items]
        assert [item for item in kept if item["type"] not in OURS] == own
    else:
        assert not steps
        assert not any(item["type"] == "reasoning" or item.get("phase") for item in items)


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_goes_back_as_it_came(name: str) -> None:
    """Item by item, in its order, with what is sealed beside what it led to; without the ids that would bind it."""
    reply = attrs.evolve(decoded(name), provider="acme")
    _, items = wanted(name)
    if name in STREAMS:  # the last event seals its thoughts anew: those of the items count (RS-S1)
        done = {e["output_index"]: e["item"] for e in objects(name) if e["type"] == "response.output_item.done"}
        items = [done.get(place, item) for place, item in enumerate(items)]
    results = [chatport.Message.tool(call, "fine") for call in reply.tool_calls]
    with chatport.Client({"providers": {"acme": ACME}}) as client:
        sent = client.explain(["hi", reply, *results, "go on"], model="acme:m").body["input"]
    back = sent[1 : len(sent) - len(results) - 1]
    calls = [item for item in items if item["type"] in CALLS]
    assert [(item["type"], item["call_id"]) for item in sent[len(back) + 1 : -1]] == [
        (f"{item['type']}_output", call.id) for item, call in zip(calls, reply.tool_calls, strict=True)
    ]
    if "items" not in reply.opaque:
        said = (
            [reply.text] if reply.text else [[{"type": "refusal", "refusal": reply.refusal}]] if reply.refusal else []
        )
        plain = [item.get("name", item.get("content")) for item in back]
        assert plain == [*said, *(call.name for call in reply.tool_calls)]
        return
    due = [
        item for item in items if item["type"] != "reasoning" or item.get("encrypted_content") or item.get("content")
    ]
    while due and due[-1]["type"] == "reasoning":  # it has led to nothing (RS-O1)
        due.pop()
    assert [item["type"] for item in back] == [item["type"] for item in due]
    for item, came in zip(back, due, strict=True):
        assert came["type"] not in OURS or "id" not in item
        for key in ("encrypted_content", "phase", "arguments", "name", "namespace", "action", "result", "summary"):
            assert item.get(key) == came.get(key), key


ACME = {"kind": "compatible", "base_url": "https://acme.example/v1", "api_key": "sk-1", "protocol": "responses"}
CALLS = ("function_call", "custom_tool_call")
OURS = ("message", "reasoning", "function_call", "custom_tool_call")


def events_of(name: str) -> list[chatport.Event]:
    response = RECORDS[name]["response"]
    streamed = "sse_text" in response
    body = response["sse_text"] if streamed else response["body_text"]
    return list(decode_events("compatible", body=body, stream=streamed, path="/responses"))


@pytest.mark.parametrize("name", [name for name in STREAMS if name in GOOD])
def test_a_stream_without_its_last_event_was_cut(name: str) -> None:
    """Whatever has come: only the last event proves that the answer is whole (RS-E1)."""
    body = RECORDS[name]["response"]["sse_text"]
    blocks = body.split("\n\n")
    last = max(
        number for number, block in enumerate(blocks) if any(f"response.{end.decode()}" in block for end in ENDS)
    )
    with pytest.raises(chatport.StreamInterruptedError) as caught:
        decoded(name, "\n\n".join(blocks[:last]) + "\n\n")
    whole = decoded(name)
    partial = caught.value.partial
    assert partial is not None
    assert (partial.text, partial.reasoning) == (whole.text, whole.reasoning)
    assert partial.finish_reason == "error"


def finish(whole: Mapping[str, Any], calls: list[Any]) -> str:
    reason = (whole.get("incomplete_details") or {}).get("reason")
    if whole["status"] == "incomplete":
        return {"max_output_tokens": "length", "content_filter": "content_filter"}[reason]
    if whole["status"] == "queued":
        return "other"
    return "tool_calls" if calls else "stop"


def check_usage(usage: chatport.Usage, said: Mapping[str, Any]) -> None:
    told = said.get("output_tokens_details") or {}
    assert usage.input_tokens == said.get("input_tokens")
    assert usage.output_tokens == said.get("output_tokens")
    assert usage.reasoning_tokens == told.get("reasoning_tokens")
    assert usage.cached_input_tokens == (said.get("input_tokens_details") or {}).get("cached_tokens")


@pytest.mark.parametrize("name", BAD)
def test_an_error_has_the_class_of_its_code(name: str) -> None:
    data = json.loads(RECORDS[name]["response"]["body_text"])
    error = data.get("error")
    code = str(error.get("code") if isinstance(error, dict) else data.get("code"))
    with pytest.raises(CLASSES[code]):
        decoded(name)


@pytest.mark.parametrize("name", [name for name in STREAMS if name in GOOD])
def test_a_stream_says_what_its_last_event_would_say_as_a_plain_reply(name: str) -> None:
    whole, items = wanted(name)
    plain = replay("compatible", body=json.dumps({**whole, "output": items}), stream=False, path="/v1/responses")
    streamed = decoded(name)
    for field in ("text", "reasoning", "refusal", "finish_reason", "usage", "citations", "media"):
        assert getattr(streamed, field) == getattr(plain, field), field
    assert [(c.name, c.arguments) for c in streamed.tool_calls] == [(c.name, c.arguments) for c in plain.tool_calls]
    tokens = [[entry["token"] for entry in (one.logprobs or {}).get("content", ())] for one in (streamed, plain)]
    assert tokens[0] == tokens[1]  # of which the vendor's own numbers differ in the last places
    kept = streamed.opaque.get("items") or ()
    assert [item["type"] for item in kept] == [item["type"] for item in plain.opaque.get("items") or ()]


ROUTE = route_of("compatible", "recorded", True, "/responses")
HEAD = Head(200, {"content-type": "text/event-stream"})


def played(pieces: list[bytes]) -> chatport.Reply:
    return play(ROUTE, HEAD, pieces, deliver=False)[1]


@pytest.mark.parametrize("name", CUT_SAMPLE)
def test_a_stream_in_single_bytes_is_the_same(name: str) -> None:
    data = RECORDS[name]["response"]["sse_text"].encode()
    assert played([data[at : at + 1] for at in range(len(data))]) == played([data])


@pytest.mark.parametrize("name", CUT_SAMPLE)
def test_every_cut_before_the_last_event_is_an_error_with_what_had_come(name: str) -> None:
    data = RECORDS[name]["response"]["sse_text"].encode()
    whole = played([data])
    end = max(data.find(b'"type":%b"response.%b"' % (space, kind)) for space in (b"", b" ") for kind in ENDS)
    assert end > 0
    for at in [*range(0, end, max(end // 300, 1)), end]:
        with pytest.raises(chatport.ChatportError) as caught:
            played([data[:at]])
        partial = caught.value.partial
        if partial is not None:
            assert whole.text.startswith(partial.text)
            assert not any(call.complete for call in partial.tool_calls[-1:])


def test_the_events_of_a_stream_add_up_to_its_reply() -> None:
    name = next(name for name in STREAMS if "tools" in name and "reasoning" in name)
    events = decode_events("compatible", body=RECORDS[name]["response"]["sse_text"], stream=True, path="/responses")
    reply = decoded(name)
    pieces = [event for event in events if isinstance(event, chatport.ToolCallDelta)]
    assert "".join(piece.arguments for piece in pieces) == "".join(call.arguments for call in reply.tool_calls)
    assert isinstance(events[-1], chatport.Finished)
