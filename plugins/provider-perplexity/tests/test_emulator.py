"""Our client against the vendor's twin, in process: what is refused raw goes through smoothed."""

from __future__ import annotations

import json

import pytest

from chatport import (
    CitationAdded,
    Client,
    PermissionDeniedError,
    QuotaExceededError,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    Tool,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults, replay
from chatport_perplexity.emulator import OrchestratorEmulator, PerplexityEmulator

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)
MODEL = "perplexity:perplexity/sonar"
BOTH = pytest.mark.parametrize("stream", [False, True])


def ask(client, text, *, stream=False, **options):
    options = {"model": MODEL, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@BOTH
def test_what_the_search_has_found_are_the_sources(emulated, stream):
    """PX-W2, PX-W3, PX-S1, PX-S2, PX-S3"""
    client, _ = emulated()
    text = "cite: https://a.example/ One\ncite: https://b.example/ Two\nsay: Rain [1]."
    search = [{"type": "web_search"}]
    for options in ({"model": "perplexity:fast"}, {"tools": search}):
        reply = ask(client, text, stream=stream, **options)
        assert reply.text == "Rain [1]."
        found = [(c.url, c.title, c.mark, c.text, c.extra) for c in reply.citations]
        assert found == [
            ("https://a.example/", "One", "1", "About One.", {"source": "web"}),
            ("https://b.example/", "Two", "2", "About Two.", {"source": "web"}),
        ]
    assert ask(client, text, stream=stream).citations == ()


def test_sources_are_told_once_and_before_the_text(emulated):
    """PX-S2: the last event repeats all there was."""
    client, _ = emulated()
    events = [type(event) for event in client.stream("say: one two", model="perplexity:fast")]
    assert events.count(CitationAdded) == 1
    assert events.index(CitationAdded) < events.index(TextDelta)
    assert events.count(TextDelta) == 2


@BOTH
def test_a_call_and_its_result(emulated, stream):
    """PX-S4, PX-T1, PX-F2"""
    client, emulator = emulated()
    for model in (MODEL, "perplexity:fast"):
        text = 'call: get_weather {"city": "Oslo"}'
        first = ask(client, text, tools=[WEATHER], model=model, stream=stream)
        (call,) = first.tool_calls
        assert (call.parsed(), call.complete, first.finish_reason) == ({"city": "Oslo"}, True, "tool_calls")
        history = [text, first, {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
        assert ask(client, history, tools=[WEATHER], model=model, stream=stream).text == "The tool says: sun"
        sent = emulator.requests[-1].json()["input"]
        assert [item["type"] for item in sent] == ["message", "function_call", "function_call_output"]
        assert sent[2]["thought_signature"] == sent[1]["thought_signature"] == "c2lnbmVk"


@BOTH
def test_thoughts_are_only_counted(emulated, stream):
    """PX-R1"""
    client, _ = emulated()
    reply = ask(client, "think: one two\nsay: three", reasoning="high", stream=stream)
    assert (reply.text, reply.reasoning, reply.usage.reasoning_tokens) == ("three", None, 2)


@BOTH
def test_the_charge_includes_the_tools(emulated, stream):
    """PX-U1, PX-U2, PX-U3"""
    client, _ = emulated()
    reply = ask(client, "say: one two", tools=[{"type": "web_search"}], stream=stream)
    tokens = reply.usage.input_tokens * 0.25 + reply.usage.output_tokens * 2.5
    assert reply.cost.amount == pytest.approx(tokens / 1e6 + 0.0025)


def test_headroom(emulated):
    """PX-H1, PX-H2"""
    limits = ask(emulated()[0], "hello").rate_limits
    assert (limits.requests_limit, limits.requests_remaining, limits.requests_reset_seconds) == (50, 49, None)


def test_structured_output(emulated):
    """PX-J1"""
    client, _ = emulated()
    assert ask(client, "hello", output=SCHEMA).parsed() == {"city": "text"}


@BOTH
@pytest.mark.parametrize("ends", ["failed", "cancelled"])
def test_a_run_that_ends_otherwise(emulated, ends, stream):
    """PX-S2, PX-X12, PX-I2"""
    client, _ = emulated(ends=ends)
    with pytest.raises(ServerError, match="was stopped"):
        ask(client, "hello", stream=stream)


def test_a_stream_without_its_end_is_cut():
    """PX-S1, PX-I2, PX-F1: there is no [DONE], and no other end counts; and no way to go on."""
    emulator = Emulator("perplexity", faults=[faults.cut(after_events=8), None], clock=VirtualClock())
    config = {**emulator.config(), "retry": {"continue_after_cut": True}}
    with Client(config=config, transport=emulator) as client, pytest.raises(StreamInterruptedError):
        ask(client, "say: one two three four five", stream=True)
    assert len(emulator.requests) == 1


def test_chat_of_old_is_refused_with_directions(emulated):
    """PX-0, PX-X1, PX-I3"""
    client, _ = emulated(table={"protocol": "chat"})
    with pytest.raises(PermissionDeniedError, match="Agent API"):
        ask(client, "hello")


def test_an_empty_account_is_no_wrong_key(emulated):
    """PX-X3"""
    client, _ = emulated(has_credits=False)
    with pytest.raises(QuotaExceededError):
        ask(client, "hello")


def test_the_orchestrator_is_a_private_preview(emulated):
    """PX-2, PX-I4: the list of models is there all the same."""
    emulator = Emulator(
        "perplexity",
        has_preview=False,
    )
    table = {"base_url": "http://127.0.0.1:9/orchestrator/v1", "api_key": "k"}
    with Client({"providers": {"perplexity": table}}, transport=emulator) as client:
        assert client.models("perplexity")
        with pytest.raises(PermissionDeniedError, match="private preview"):
            ask(client, "hello")
        emulator.vendor.has_preview = True
        assert ask(client, "say: Hi.", model="perplexity:openai/gpt-6-astra").text == "Hi."
        assert emulator.requests[-1].path.endswith("/orchestrator/v1/chat/completions")


def test_models_are_listed_without_the_presets(emulated):
    """PX-E4"""
    names = [model.id for model in emulated()[0].models("perplexity")]
    assert "perplexity/sonar" in names
    assert "fast" not in names


def test_chunks_of_old_are_read_once():
    """PX-S6: each holds the whole text so far, and what is new."""
    chunks = [
        {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"content": text}, "delta": {"content": new}}],
        }
        for text, new in (("One", "One"), ("One two", " two"))
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    chunks[-1] |= {"citations": ["https://a.example/"], "search_results": [{"url": "https://a.example/", "title": "A"}]}
    body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
    reply = replay("perplexity", body=body, stream=True)
    assert (reply.text, [(c.url, c.title) for c in reply.citations]) == ("One two", [("https://a.example/", "A")])


def post(body, *, path="/v1/responses", vendor=PerplexityEmulator, **settings):
    request = EmulatedRequest("POST", path, {"authorization": "Bearer k"}, json.dumps(body).encode())
    answer = vendor(**settings).respond(request)
    return answer.status, json.loads(answer.body).get("error", {})


ITEM = {"type": "message", "role": "user", "content": "hi"}
REFUSED = [
    ({"stop": ["a"]}, 'unknown field "stop"'),
    ({"text": {"format": {"type": "json_object"}}}, 'unknown field "text"'),
    ({"include": []}, 'unknown field "include"'),
    ({"reasoning": {"summary": "auto"}}, 'unknown field "summary"'),
    ({"reasoning": {"effort": "none"}}, "invalid reasoning effort"),
    ({"input": [{**ITEM, "id": "m"}]}, 'unknown field "id"'),
    ({"input": [{**ITEM, "content": [{"type": "input_image", "image_url": "x", "detail": "low"}]}]}, '"detail"'),
    ({"input": [{**ITEM, "content": [{"type": "input_file"}]}]}, "unsupported content type"),
    ({"input": [{"type": "search_results", "results": []}]}, "invalid request"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "invalid request"),
    ({"input": []}, "input array cannot be empty"),
    ({"input": 3}, "input array cannot be empty"),
    ({"previous_response_id": "resp_x"}, "invalid request"),
    ({"tools": [{"type": "function", "name": "fetch_url"}]}, "is reserved"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 'unknown field "function"'),
    ({"tools": [{"type": "file_search"}]}, "unknown tool type"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "invalid tool_choice"),
    ({"tool_choice": "any"}, "invalid tool_choice"),
    ({"response_format": {"type": "json_object"}}, "invalid request"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "x": 1}}}, '"x"'),
    ({"max_output_tokens": 8}, "at least 16"),
    ({"temperature": 3}, "temperature"),
    ({"model": "sonar"}, "model sonar is not supported"),
    ({"model": "fast"}, "model fast is not supported"),
    ({"preset": "fastest"}, "unknown preset"),
    ({"model": None}, "is required"),
    ({"model": "anthropic/claude-opus-5-5"}, "max_output_tokens is required"),
    ({"models": ["a/b"] * 6}, "at most 5"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "16 keys"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_the_agent_api_refuses(body, words):
    """PX-P1 to PX-P7, PX-T2, PX-T3, PX-J1, PX-R1, PX-M1, PX-L1, PX-L2, PX-F2, PX-X6, PX-X20"""
    status, error = post({"model": "perplexity/sonar", "input": "hi", **body})
    assert (status, error["code"], words in error["message"]) == (400, 400, True), error


@pytest.mark.parametrize("path", ["/v1/agent", "/v1/responses"])
def test_the_agent_api_has_two_paths(path):
    """PX-1, PX-E1"""
    assert post({"preset": "fast", "input": "hi"}, path=path)[0] == 200
    assert post({"models": ["perplexity/sonar"], "input": "hi"}, path=path)[0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"seed": 1}, "seed"),
        ({"n": 2}, "n is not supported"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]}, "video_url"),
    ],
)
def test_the_orchestrator_refuses(body, words):
    """PX-P8, PX-P9, PX-R3, PX-M2"""
    body = {"model": "openai/gpt-6-astra", "messages": [{"role": "user", "content": "hi"}], **body}
    status, error = post(body, path="/orchestrator/v1/chat/completions")
    assert (status, words in error["message"]) == (400, True)
    assert post(body, path="/v1/chat/completions", vendor=OrchestratorEmulator)[0] == 400


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/sonar"])
def test_sonar_is_gone(path):
    """PX-0"""
    status, error = post({"model": "sonar", "messages": [{"role": "user", "content": "hi"}]}, path=path)
    assert (status, error["type"]) == (403, "chat_completions_not_available")
