"""The vendor's twin: it refuses what the vendor refuses, and our client never runs into that."""

from __future__ import annotations

import json

import pytest

import chatport
from chatport import Message
from chatport.testing import EmulatedRequest, Emulator

SCHEMA = {"title": "pair", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
MODELS = Emulator("qwen").vendor.models
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def post(emulator, **body):
    """Send a body as it is, past our hooks."""
    content = json.dumps({"messages": [{"role": "user", "content": "hi"}], **body}).encode()
    headers = {"authorization": "Bearer k"}
    return emulator.vendor.respond(EmulatedRequest("POST", "/v1/chat/completions", headers, content))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "qwen-max", "messages": []}, "too short"),  # QW-P12
        ({"model": "qwen-max", "messages": [{"role": "system", "content": "x"}]}, "user message"),
        (
            {"model": "qwen-max", "messages": [{"role": "developer", "content": "x"}]},
            "developer is not one of",
        ),  # QW-X7
        ({"model": "qwen-max", "messages": [{"role": "user", "content": [{"type": "file"}]}]}, "Invalid value: file"),
        ({"model": "qwen-max", "temperature": 2}, "Temperature"),  # QW-P3, QW-X8
        ({"model": "qwen-max", "top_p": 0}, "top_p"),
        ({"model": "qwen-max", "seed": -1}, "seed"),
        ({"model": "qwen-max", "n": 5}, "Range of n"),
        ({"model": "qwen-plus", "n": 2, "tools": [TOOL]}, "Range of n"),
        ({"model": "qwen-max", "enable_thinking": False}, "does not support enable_thinking"),  # QW-P7
        ({"model": "kimi-k3", "enable_thinking": False}, "restricted to True"),
        ({"model": "qwen3-8b"}, "non-streaming"),  # QW-X6
        ({"model": "qwen-plus", "thinking_budget": 90_000, "enable_thinking": True}, "thinking_budget"),  # QW-P9
        ({"model": "qwen3.8-max", "thinking_budget": 9, "reasoning_effort": "low"}, "simultaneously"),  # QW-P10
        ({"model": "qwen-plus", "tools": [{**TOOL, "function": {"name": "search"}}]}, "search"),  # QW-T1
        ({"model": "qwen3.7-plus", "tools": [TOOL], "tool_choice": "required"}, "thinking mode"),  # QW-X4
        ({"model": "qwen3-coder-plus", "tools": [TOOL], "tool_choice": "required"}, "[none, auto]"),
        ({"model": "qwen3.7-plus", "response_format": {"type": "json_object"}}, "enable_thinking is true"),  # QW-J3
        ({"model": "qwen-max", "response_format": {"type": "json_schema"}}, "Unknown format"),  # QW-J2
        ({"model": "qwen-max", "response_format": {"type": "json_object"}}, "the word 'json'"),  # QW-J1
        ({"model": "qwen-max", "stream_options": {}}, "stream: true"),  # QW-P14
        ({"model": "qwen3-omni-flash"}, "stream mode"),  # QW-M4
    ],
)
def test_refusals(emulator, body, words):
    response = post(emulator, **body)
    error = json.loads(response.body)["error"]
    assert (response.status, error["type"], error["param"]) == (400, "invalid_request_error", None)
    assert words in error["message"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("reasoning", [None, "none", "medium", "max", 1_000_000])
def test_our_client_smooths_every_call_to_every_model(client, emulator, model, reasoning):
    """Forced tools, schemas, the edges of the ranges and thinking in all combinations: nothing is refused."""
    options = {"model": f"qwen:{model}", "reasoning": reasoning, "temperature": 2, "top_p": 0, "seed": -1}
    messages = [Message.developer("Be brief."), "call: add {}"]
    assert client.chat(messages, tools=[add], tool_choice="required", **options).tool_calls
    assert client.chat("which?", output=SCHEMA, **options).parsed() == {"a": 1}
    reply = client.chat("say: well", **options)
    with client.stream("say: well", **options) as stream:
        streamed = "".join(event.text for event in stream if isinstance(event, chatport.TextDelta))
    assert reply.text == streamed == stream.reply.text == "well"
    assert reply.reasoning == stream.reply.reasoning
    assert reply.usage.output_tokens == stream.reply.usage.output_tokens
    sent = json.loads(emulator.requests[-2].content)
    assert bool(reply.reasoning) == emulator.vendor.reasons(sent)


def test_thinking_in_a_stream(client):  # QW-R1, QW-S2
    with client.stream("think: let me see\nsay: 42 it is", model="qwen:qwen3.7-plus") as stream:
        kinds = [type(event).__name__ for event in stream]
    assert (stream.reply.reasoning, stream.reply.text) == ("let me see", "42 it is")
    assert kinds.index("ReasoningDelta") < kinds.index("TextDelta")
    assert stream.reply.usage.reasoning_tokens == 3
    assert stream.reply.usage.output_tokens > 3


@pytest.mark.parametrize("streams", [False, True])
def test_a_round_trip_of_parallel_tools(client, emulator, streams):  # QW-T3, QW-T1
    messages = [Message.user('call: add {"a": 1, "b": 2}\ncall: add {"a": 3, "b": 4}')]

    def ask():
        if not streams:
            return client.chat(messages, model="qwen:qwen3.7-plus", tools=[add], reasoning="medium")
        with client.stream(messages, model="qwen:qwen3.7-plus", tools=[add], reasoning="medium") as stream:
            list(stream)
        return stream.reply

    first = ask()
    assert [call.parsed() for call in first.tool_calls] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert len({call.id for call in first.tool_calls}) == 2
    assert first.finish_reason == "tool_calls"
    messages += [first.message, *(Message.tool(call, str(add(**call.parsed()))) for call in first.tool_calls)]
    assert ask().text == "The tool says: 7"
    assert "reasoning_content" not in json.loads(emulator.requests[-1].content)["messages"][1]  # QW-R3


def test_one_call_a_turn_without_the_flag(client):  # QW-T3
    two = "call: add {}\ncall: add {}"
    reply = client.chat(two, model="qwen:qwen-plus", tools=[add], extra={"parallel_tool_calls": False})
    assert len(reply.tool_calls) == 1


def test_a_reserved_name_comes_back_as_the_callers_own(client):  # QW-T1
    def search(query: str) -> str:
        """Look something up."""
        return query

    reply = client.chat("call: search_1 {}", model="qwen:qwen-plus", tools=[search])
    assert reply.tool_calls[0].name == "search"


def test_max_tokens_does_not_bound_the_thinking(client):  # QW-P5
    prompt = "think: one two three four five six\nsay: a b c d e f g h"
    reply = client.chat(prompt, model="qwen:qwen3.7-plus", max_tokens=4)
    assert (reply.text, reply.finish_reason) == ("a b c d", "length")
    assert reply.usage.output_tokens > 4
    both = client.chat(prompt, model="qwen:qwen3.7-plus", extra={"max_completion_tokens": 8})
    assert both.text == "a b"


def test_glm_loses_marked_text_unless_it_is_flattened(client, emulator):  # QW-P16
    parts = [{"type": "text", "text": "say: heard", "cache_control": {"type": "ephemeral"}}]
    lost = json.loads(post(emulator, model="glm-5.1", messages=[{"role": "user", "content": parts}]).body)
    assert "heard" not in lost["choices"][0]["message"]["content"]
    assert client.chat([{"role": "user", "content": parts}], model="qwen:glm-5.1").text == "heard"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, chatport.BadRequestError),
        (401, chatport.AuthenticationError),
        (402, chatport.QuotaExceededError),
        (403, chatport.PermissionDeniedError),
        (404, chatport.ModelNotFoundError),
        (429, chatport.RateLimitError),
        (500, chatport.ServerError),
        (503, chatport.OverloadedError),
        (504, chatport.ServerError),
    ],
)
def test_errors_on_demand(client, status, error):
    with pytest.raises(chatport.ChatportError) as caught:
        client.chat(f"error: {status}", model="qwen:qwen-plus")
    assert type(caught.value) is error
    assert caught.value.status == status


def test_wrong_key_and_unknown_model():  # QW-E1, QW-E8
    emulator = Emulator("qwen", api_key="sk-good")
    config = emulator.config(retry={"attempts": 1})
    with chatport.Client(config=config, transport=emulator) as client:
        assert client.chat("say: ok", model="qwen:qwen-max").text == "ok"
        with pytest.raises(chatport.ModelNotFoundError):
            client.chat("hi", model="qwen:qwen-9000")
    config["providers"]["qwen"]["api_key"] = "sk-bad"
    with chatport.Client(config=config, transport=emulator) as client, pytest.raises(chatport.AuthenticationError):
        client.chat("hi", model="qwen:qwen-max")


def test_output_filter_plain_and_in_the_stream():  # QW-E3, QW-S8
    emulator = Emulator("qwen", filtered_word="secret")
    with chatport.Client(config=emulator.config(), transport=emulator) as client:
        with pytest.raises(chatport.ContentFilterError):
            client.chat("say: a secret", model="qwen:qwen-max")
        with (
            pytest.raises(chatport.ContentFilterError) as caught,
            client.stream("say: a secret", model="qwen:qwen-max") as stream,
        ):
            list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"
    assert len(emulator.requests) == 2


def test_on_a_loopback_port():
    with Emulator("qwen") as emulator, chatport.Client(config=emulator.config()) as client:
        assert client.chat("say: over the wire", model="qwen:qwen3-8b").text == "over the wire"
        assert {model.id for model in client.models("qwen")} == set(MODELS)
