"""A cut answer goes on from the text that the caller has (MS-P16)."""

from __future__ import annotations

import pytest

from chatport import Client, Tool
from chatport.testing import Emulator, faults

QUESTION = "think: Hm.\nsay: one two, three four"
TEXT = "one two, three four"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def cut_after(events):
    """Return an emulator whose first answer is cut, and a client that goes on."""
    emulator = Emulator("moonshot", faults=[faults.cut(after_events=events), None])
    return emulator, Client(config=emulator.config(retry={"continue_after_cut": True}), transport=emulator)


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k3.1-pro", "kimi-k2.7-code", "kimi-k2.6"])
@pytest.mark.parametrize("words", range(1, 5))
def test_a_cut_answer_goes_on_exactly(words, model):
    emulator, client = cut_after(2 + words)
    with client, client.stream(QUESTION, model=f"moonshot:{model}", tools=[Tool("f")]) as stream:
        list(stream)
    assert (stream.reply.text, stream.reply.reasoning) == (TEXT, "Hm.")
    last = emulator.requests[1].json()["messages"][-1]
    begun = "".join(f" {word}" for word in TEXT.split()[:words]).strip()
    assert (last["role"], last["content"], last["partial"]) == ("assistant", begun, True)
    noted = {(warning.kind, warning.field, warning.fact) for warning in stream.reply.warnings if warning.fact}
    if model == "kimi-k2.6":
        assert emulator.requests[1].json()["thinking"] == {"type": "disabled"}
        assert noted == {("note", "thinking", "MS-P16")}
    else:
        assert last["reasoning_content"] == " "
        assert noted == {("added", "messages.reasoning_content", "MS-R3")}


@pytest.mark.parametrize("asked", [{"output": SCHEMA}, {"extra": {"response_format": {"type": "json_object"}}}])
def test_json_goes_on_without_json_mode(asked):
    emulator, client = cut_after(3)
    with client, client.stream('think: Hm.\nsay: {"city": "Oslo"}', model="moonshot:kimi-k3", **asked) as stream:
        list(stream)
    assert stream.reply.text == '{"city": "Oslo"}'
    body = emulator.requests[1].json()
    assert "response_format" not in body
    schema_is_told = body["messages"][0]["role"] == "system" and "required" in body["messages"][0]["content"]
    assert schema_is_told == ("output" in asked)
    assert ("response_format", "MS-P16") in [(warning.field, warning.fact) for warning in stream.reply.warnings]
