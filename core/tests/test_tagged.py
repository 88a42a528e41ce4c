"""`Dialect.reasoning_tags`: reasoning at the beginning of a text, however it is cut, is no text."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

import chatport
from chatport import Client, ConfigurationError, Dialect, Provider
from chatport.testing import decode_events, replay

ACME = Provider("acme", "Acme", "https://acme.example/v1", dialect=Dialect(reasoning_tags=("<think>", "</think>")))


def streamed(*pieces: str, finish: str | None = "stop", provider: Provider = ACME) -> chatport.Reply:
    """Decode pieces of a text as an event stream."""
    deltas: list[dict[str, Any]] = [{"delta": {"content": piece}} for piece in pieces]
    deltas += [{"delta": {}, "finish_reason": finish}] if finish else []
    body = "".join(f"data: {json.dumps({'choices': [{'index': 0, **delta}]})}\n\n" for delta in deltas)
    return replay(provider, body=f"{body}data: [DONE]\n\n", stream=True)


def whole(text: str) -> chatport.Reply:
    """Decode a text as a whole reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return replay(ACME, body=json.dumps({"choices": [choice]}), stream=False)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>One.</think>Two.", "One.", "Two."),
        ("<think>One.</think><think>More.</think>Two.", "One.More.", "Two."),
        ("<think></think>Two.", None, "Two."),
        ("<think>a < b </thin k></think>Two.", "a < b </thin k>", "Two."),
        ("<think>never closed", "never closed", ""),
        ("<think>half </thi", "half </thi", ""),
        ("Two. <think>One.</think>", None, "Two. <think>One.</think>"),
        ("<thin", None, "<thin"),
        ("<thinker> is a name", None, "<thinker> is a name"),
        ("Two.", None, "Two."),
    ],
)
def test_only_the_beginning_is_reasoning_in_every_cut(text: str, reasoning: str | None, answer: str) -> None:
    cuts = [[text[:at], text[at:]] for at in range(len(text))] + [list(text)]
    for reply in (whole(text), *(streamed(*pieces) for pieces in cuts), streamed(*text, finish=None)):
        assert (reply.reasoning, reply.text) == (reasoning, answer)


def test_what_is_known_to_be_text_is_given_at_once() -> None:
    """Nothing waits for the end but what may be half a tag."""
    body = "".join(
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': piece}}]})}\n\n"
        for piece in ("<think>a</", "b", "</think>", "c", "d")
    )
    end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    told = [event for event in decode_events(ACME, body=body + end) if hasattr(event, "text")]
    assert [(type(event).__name__, event.text) for event in told] == [
        ("ReasoningDelta", "a"), ("ReasoningDelta", "</b"), ("TextDelta", "c"), ("TextDelta", "d"),
    ]  # fmt: skip


def test_choices_are_kept_apart() -> None:
    chunks: list[Any] = [{"choices": [{"index": n, "delta": {"content": "<think>t"}}]} for n in (0, 1)]
    chunks += [{"choices": [{"index": n, "delta": {"content": f"{n}</think>a{n}"}}]} for n in (1, 0)]
    chunks += [{"choices": [{"index": n, "delta": {}, "finish_reason": "stop"}]} for n in (0, 1)]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    reply = replay(ACME, body=body, stream=True, request={"n": 2})
    assert (reply.reasoning, reply.text) == ("t0", "a0")
    assert [(other.reasoning, other.text) for other in reply.alternatives] == [("t1", "a1")]


def test_without_tags_a_text_is_a_text() -> None:
    plain = attrs.evolve(ACME, dialect=Dialect())
    assert streamed("<think>One.</think>Two.", provider=plain).text == "<think>One.</think>Two."


def test_an_endpoint_of_ones_own_may_have_them_and_an_empty_one_is_refused() -> None:
    table = {"kind": "compatible", "base_url": "https://x.example/v1", "dialect": {"reasoning_tags": ["<t>", "</t>"]}}
    with Client({"providers": {"x": table}}) as client:
        assert client.explain("hi", model="x:m").url == "https://x.example/v1/chat/completions"
    with pytest.raises(ConfigurationError, match="neither is empty"):
        Dialect(reasoning_tags=("", "</t>"))
