"""Recorded exchanges of the chat completions that ended: they are still read, as their bytes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.testing import decode_events, replay

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "traces" / "perplexity"
RECORDS: dict[str, Any] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("[0-9]*.json"))
}
if not RECORDS:
    pytest.skip("no recorded exchanges beside this checkout", allow_module_level=True)

GOOD = [name for name, record in RECORDS.items() if (record["response"]["status"] or 200) < 400]
BAD = [name for name in RECORDS if name not in GOOD]
STREAMS = [name for name in GOOD if "sse_text" in RECORDS[name]["response"]]


def answer(name: str) -> dict[str, Any]:
    response = RECORDS[name]["response"]
    streamed = "sse_text" in response
    body = response["sse_text"] if streamed else response["body_text"]
    return {"status": response["status"], "headers": response["headers"], "body": body, "stream": streamed}


def objects(name: str) -> list[dict[str, Any]]:
    """Return the JSON objects of an answer, one or one for each chunk."""
    given = answer(name)
    lines = [line[6:] for line in given["body"].splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines] if given["stream"] else [json.loads(given["body"])]


@pytest.mark.parametrize("name", GOOD)
def test_recorded_replies_decode(name):
    """PX-S6, PX-R4, PX-W4, PX-U4, PX-J2"""
    reply, last = replay("perplexity", **answer(name)), objects(name)[-1]
    choice, usage = last["choices"][0], last["usage"]
    assert reply.text == choice["message"]["content"]
    assert reply.finish_reason == choice["finish_reason"]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    if "cost" in usage:
        assert reply.cost.amount == pytest.approx(usage["cost"]["total_cost"])
    assert [citation.url for citation in reply.citations] == list(dict.fromkeys(last.get("citations") or ()))
    assert reply.warnings == ()


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams_decode_the_same_byte_by_byte(name):
    """PX-S6"""
    given = answer(name)
    text = given.pop("body").encode()
    pieces = decode_events("perplexity", body=(text[at : at + 1] for at in range(len(text))), **given)
    assert pieces[-1] == decode_events("perplexity", body=text, **given)[-1]


@pytest.mark.parametrize("name", BAD)
def test_recorded_errors_decode(name):
    """PX-X2, PX-X6"""
    kinds = {401: chatport.AuthenticationError, 400: chatport.ModelNotFoundError}
    with pytest.raises(kinds[RECORDS[name]["response"]["status"]]):
        replay("perplexity", **answer(name))


def test_they_all_are_of_the_surface_that_ended():
    """PX-0: what replaced it is not on record here."""
    assert {RECORDS[name]["request"]["url"] for name in RECORDS} == {"https://api.perplexity.ai/chat/completions"}
