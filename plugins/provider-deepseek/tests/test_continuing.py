"""A cut answer goes on from the text that the caller has (DS-P18)."""

from __future__ import annotations

import posixpath

import pytest

from chatport import Client, StreamInterruptedError, Tool
from chatport.testing import Emulator, faults
from chatport_deepseek.tools import on_beta_path

FLASH = "deepseek:deepseek-flash"
QUESTION = "think: Hm.\nsay: one two, three four"
TEXT = "one two, three four"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def cut_after(events):
    """Return an emulator whose first answer is cut, and a client that goes on."""
    emulator = Emulator("deepseek", faults=[faults.cut(after_events=events), None])
    return emulator, Client(config=emulator.config(retry={"continue_after_cut": True}), transport=emulator)


@pytest.mark.parametrize("options", [{}, {"reasoning": "high"}, {"reasoning": "none"}, {"tools": [Tool("f")]}])
@pytest.mark.parametrize("words", range(1, 5))
def test_a_cut_answer_goes_on_exactly(words, options):
    thoughts = 0 if options.get("reasoning") == "none" else 1
    emulator, client = cut_after(1 + thoughts + words)
    with client, client.stream(QUESTION, model=FLASH, **options) as stream:
        list(stream)
    assert stream.reply.text == TEXT
    assert stream.reply.reasoning == ("Hm." if thoughts else None)
    request = emulator.requests[1]
    assert posixpath.normpath(request.path) == "/beta/chat/completions"
    begun = "".join(f" {word}" for word in TEXT.split()[:words]).strip()
    assert request.json()["messages"][-1] == {"role": "assistant", "content": begun, "prefix": True}
    assert request.json()["thinking"] == {"type": "disabled"}
    noted = [warning for warning in stream.reply.warnings if warning.fact == "DS-P18"]
    assert [warning.kind for warning in noted] == ["note"] * thoughts


@pytest.mark.parametrize("events", [3, 4])
def test_json_goes_on_without_json_mode(events):
    """DS-J3: what is no JSON by itself would come back as blanks."""
    emulator, client = cut_after(events)
    with client, client.stream('json\nthink: Hm.\nsay: {"city": "Oslo"}', model=FLASH, output=SCHEMA) as stream:
        list(stream)
    assert stream.reply.parsed() == {"city": "Oslo"}
    assert "response_format" not in emulator.requests[1].json()
    assert ("dropped", "response_format", "DS-P18") in [(w.kind, w.field, w.fact) for w in stream.reply.warnings]


def test_thoughts_alone_are_not_continued():
    emulator, client = cut_after(2)
    with client, pytest.raises(StreamInterruptedError), client.stream(QUESTION, model=FLASH) as stream:
        list(stream)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.deepseek.com", "https://api.deepseek.com/beta/chat/completions"),
        ("https://api.deepseek.com/beta", "https://api.deepseek.com/beta/chat/completions"),
        ("https://api.deepseek.com/v1", "https://api.deepseek.com/v1/../beta/chat/completions"),
    ],
)
def test_the_beta_api_is_found(base, url):
    assert base + on_beta_path("/chat/completions", base, beside_v1=True) == url


def test_without_a_beta_path_the_part_comes_back():
    table = {"api_key": "k", "base_url": "https://gateway.example/deepseek/v1"}
    emulator = Emulator("compatible", models=("deepseek-flash",), faults=[faults.cut(after_events=4), None])
    config = {"providers": {"deepseek": table}, "retry": {"continue_after_cut": True}}
    stream = Client(config=config, transport=emulator).stream(QUESTION, model=FLASH)
    with pytest.raises(StreamInterruptedError, match="DS-P18") as caught, stream:
        list(stream)
    assert caught.value.partial.text == "one two, three"
    assert [message.role for message in caught.value.messages] == ["user", "assistant", "user"]
    assert len(emulator.requests) == 1


def test_r1_elsewhere_is_not_asked_to_go_on():
    """DS-R7: no host documents it."""
    emulator = Emulator("compatible", models=("DeepSeek-R1",), faults=[faults.cut(after_events=4), None])
    config = {"providers": {"deepseek": {"api_key": "k", "base_url": "https://r1.example"}}}
    stream = Client(config={**config, "retry": {"continue_after_cut": True}}, transport=emulator).stream(
        QUESTION, model="deepseek:DeepSeek-R1"
    )
    with pytest.raises(StreamInterruptedError), stream:
        list(stream)
    assert len(emulator.requests) == 1
