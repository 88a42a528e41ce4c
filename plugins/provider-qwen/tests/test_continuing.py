"""A cut answer goes on from the text that the caller has, on the models for which partial mode is documented."""

from __future__ import annotations

import pytest

from chatport import Client, StreamInterruptedError, Tool
from chatport.testing import Emulator, faults
from chatport_qwen.emulator import _MODELS

TEXT = "one two, three four"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
GOING_ON = [name for name, model in _MODELS.items() if model.continues]


def cut_after(events):
    """Return an emulator whose first answer is cut, and a client that goes on."""
    emulator = Emulator("qwen", faults=[faults.cut(after_events=events), None])
    return emulator, Client(config=emulator.config(retry={"continue_after_cut": True}), transport=emulator)


@pytest.mark.parametrize("model", GOING_ON)
@pytest.mark.parametrize("words", range(1, 5))
def test_a_cut_answer_goes_on_exactly(words, model):
    thinks = _MODELS[model].thinks
    emulator, client = cut_after(1 + thinks + words)
    with client, client.stream(f"think: Hm.\nsay: {TEXT}", model=f"qwen:{model}", tools=[Tool("f")]) as stream:
        list(stream)
    assert (stream.reply.text, stream.reply.reasoning) == (TEXT, "Hm." if thinks else None)
    begun = "".join(f" {word}" for word in TEXT.split()[:words]).strip()
    body = emulator.requests[1].json()
    assert body["messages"][-1] == {"role": "assistant", "content": begun, "partial": True}
    assert not body.get("enable_thinking")
    noted = [warning.field for warning in stream.reply.warnings if warning.kind == "note"]
    assert noted == ["enable_thinking"] * thinks


def test_thinking_that_was_asked_for_is_over():
    emulator, client = cut_after(4)
    options = {"model": "qwen:qwen-plus", "reasoning": 100}
    with client, client.stream(f"think: Hm.\nsay: {TEXT}", **options) as stream:
        list(stream)
    assert (stream.reply.text, stream.reply.reasoning) == (TEXT, "Hm.")
    body = emulator.requests[1].json()
    assert (body["enable_thinking"], "thinking_budget" in body) == (False, False)


@pytest.mark.parametrize("model", [name for name in _MODELS if name not in GOING_ON])
def test_other_models_are_not_asked_to(model):
    emulator, client = cut_after(4)
    stream = client.stream(f"think: Hm.\nsay: {TEXT}", model=f"qwen:{model}")
    with client, pytest.raises(StreamInterruptedError) as caught, stream:
        list(stream)
    assert TEXT.startswith(caught.value.partial.text)
    assert caught.value.messages[-1].role == "user"
    assert len(emulator.requests) == 1


def test_json_goes_on_without_json_mode():
    emulator, client = cut_after(2)
    with client, client.stream('say: {"a": 1}', model="qwen:qwen-plus", output=SCHEMA) as stream:
        list(stream)
    assert stream.reply.parsed() == {"a": 1}
    assert emulator.requests[0].json()["response_format"]["type"] == "json_schema"
    body = emulator.requests[1].json()
    assert "response_format" not in body
    assert "JSON Schema" in body["messages"][0]["content"]
