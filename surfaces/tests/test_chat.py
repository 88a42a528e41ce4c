"""Chat completions spoken to the official SDK, in process, whichever vendor answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import chatport
import chatport_surfaces
from chatport.testing import faults
from chatport_surfaces.surface import Answer, ClientRequest

from .conftest import SURFACES, VENDORS

openai = pytest.importorskip("openai")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
on_vendors = pytest.mark.parametrize("vendor", VENDORS)
families = pytest.mark.parametrize("family", ["httpx2", "httpx"])


def sdk(client: chatport.Client, family: str | None = None) -> Any:
    return openai.OpenAI(api_key="-", http_client=chatport_surfaces.http_client(client, family=family))


@on_vendors
@families
def test_text(behind: Any, vendor: str, family: str) -> None:
    client, emulator = behind(vendor)
    reply = sdk(client, family).chat.completions.create(model="main", messages=[{"role": "user", "content": "say: ok"}])
    assert reply.choices[0].message.content == "ok"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens > 0
    assert reply.model == "main"
    assert emulator.requests[-1].json()["model"] == VENDORS[vendor]


@on_vendors
def test_a_stream_says_what_a_whole_answer_does(behind: Any, vendor: str) -> None:
    client, _ = behind(vendor)
    asked = {"model": "main", "messages": [{"role": "user", "content": "say: one two three\nthink: hm hm"}]}
    whole = sdk(client).chat.completions.create(**asked, reasoning_effort="high")
    chunks = list(
        sdk(client).chat.completions.create(
            **asked, reasoning_effort="high", stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content == "one two three"
    thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thoughts == (getattr(whole.choices[0].message, "reasoning_content", None) or "")
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].usage == whole.usage
    assert deltas[0].role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own_and_are_tried_again_by_one_only(
    behind: Any, status: int, error: str, *, stream: bool
) -> None:
    client, emulator = behind("deepseek", retry={"attempts": 2, "first_seconds": 0.001, "longest_seconds": 0.002})
    with pytest.raises(getattr(openai, error)) as raised:
        sdk(client).chat.completions.create(
            model="main", messages=[{"role": "user", "content": f"error: {status}"}], stream=stream
        )
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(emulator.requests) == (2 if status in (429, 500, 503) else 1)


def test_an_unknown_model_is_the_clients_mistake(behind: Any) -> None:
    client, emulator = behind("deepseek")
    with pytest.raises(openai.NotFoundError, match=r"No alias is called 'nain'.*Did you mean 'main'") as raised:
        sdk(client).chat.completions.create(model="nain", messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "model_not_found"
    assert not emulator.requests


@pytest.mark.parametrize("after_events", range(8))
def test_a_cut_is_an_error_and_no_ending(behind: Any, after_events: int) -> None:
    client, emulator = behind("deepseek", retry={"attempts": 1})
    emulator.misbehave([faults.cut(after_events=after_events)])
    asked = {"model": "main", "messages": [{"role": "user", "content": "say: one two three four five"}]}
    with pytest.raises(openai.APIError) as raised:
        for _ in sdk(client).chat.completions.create(**asked, stream=True):
            pass
    assert "ended without its finish" in str(raised.value) or "broke" in str(raised.value)


def test_the_bytes_of_a_cut_have_no_done(behind: Any) -> None:
    client, emulator = behind("deepseek", retry={"attempts": 1})
    emulator.misbehave([faults.cut(after_events=5)])
    answer = chatport_surfaces.Surfaces(client, SURFACES).answer(request(stream=True))
    assert not isinstance(answer, Answer)
    data = b"".join(answer)
    answer.close()
    assert b"[DONE]" not in data
    assert b'"finish_reason":"stop"' not in data
    assert json.loads(data.rpartition(b"data: ")[2])["error"]["type"] == "server_error"
    assert isinstance(answer.error, chatport.StreamInterruptedError)


def request(**body: Any) -> ClientRequest:
    asked = {"model": "main", "messages": [{"role": "user", "content": "say: one two three"}], **body}
    return ClientRequest("POST", "/v1/chat/completions", body=json.dumps(asked).encode())


def test_what_we_do_not_know_goes_on(behind: Any) -> None:
    client, emulator = behind("deepseek")
    message = {"role": "user", "content": "say: a", "name": "ann"}
    sdk(client).chat.completions.create(
        model="main", messages=[message], logprobs=True, top_logprobs=2, extra_body={"user_id": "u1", "own_field": [1]}
    )
    sent = emulator.requests[-1].json()
    assert sent["logprobs"] is True
    assert sent["user_id"] == "u1"
    assert sent["own_field"] == [1]
    assert sent["messages"][0]["name"] == "ann"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
        ({"reasoning": {"summary": "auto"}, "reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": "max"}, "reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": None}}, {}),
        ({"reasoning": {"effort": "high", "exclude": True}}, {"reasoning": {"effort": "high", "exclude": True}}),
        ({"reasoning": "high"}, {"reasoning": "high"}),
    ],
)
def test_the_object_of_newer_clients_is_read_if_it_says_nothing_more(behind: Any, body: Any, sent: Any) -> None:
    client, emulator = behind("deepseek")
    answer = chatport_surfaces.Surfaces(client, SURFACES).answer(request(**body))
    assert answer.status == 200
    given = emulator.requests[-1].json()
    assert {name: given[name] for name in ("reasoning", "reasoning_effort") if name in given} == sent


def test_state_of_another_secret_or_changed_goes_to_no_vendor(behind: Any) -> None:
    client, emulator = behind("anthropic")
    talk: list[Any] = [{"role": "user", "content": 'call: get_weather {"city": "Rome"}'}]
    options: Any = {"model": "main", "tools": [WEATHER], "reasoning_effort": "high"}
    message = sdk(client).chat.completions.create(messages=talk, **options).choices[0].message
    answer = message.model_dump(exclude_none=True)
    details = answer["reasoning_details"]
    assert details[0]["data"].startswith("cp1.")
    details[0]["data"] = details[0]["data"][:-4] + "AAAA"
    talk += [answer, {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "sunny"}]
    sdk(client).chat.completions.create(model="main", messages=talk, tools=[WEATHER])
    sent = emulator.requests[-1].content.decode()
    assert "cp1." not in sent
    assert "signature" not in sent


def test_several_choices(behind: Any) -> None:
    client, _ = behind("openai")
    asked = {"model": "main", "messages": [{"role": "user", "content": "say: a"}], "n": 2}
    whole = sdk(client).chat.completions.create(**asked)
    assert [choice.index for choice in whole.choices] == list(range(len(whole.choices)))


def test_citations_and_pictures(behind: Any) -> None:
    client, _ = behind("openai")
    content = "say: as said there\ncite: https://a.example/x A page"
    reply = sdk(client).chat.completions.create(model="main", messages=[{"role": "user", "content": content}])
    assert [note.url_citation.url for note in reply.choices[0].message.annotations] == ["https://a.example/x"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "is a JSON object"),
        (b'{"model": 3, "messages": []}', "model is a text"),
        (b'{"model": "main"}', "messages is a list"),
        (b'{"model": "main", "messages": []}', "messages is empty"),
        (b'{"model": "main", "messages": [3]}', r"messages\[0\]"),
        (b'{"model": "main", "messages": ["a"], "seed": "x"}', "seed"),
        (b'{"model": "main", "messages": ["a"], "response_format": {"json_schema": {}}}', "Schema"),
    ],
)
def test_a_request_that_cannot_be_meant(behind: Any, body: bytes, words: str) -> None:
    client, emulator = behind("deepseek")
    answer = chatport_surfaces.Surfaces(client, SURFACES).answer(
        ClientRequest("POST", "/v1/chat/completions", body=body)
    )
    assert isinstance(answer, Answer)
    assert answer.status == 400
    assert re.search(words, json.loads(answer.body)["error"]["message"])
    assert not emulator.requests
