"""Each server's twin end to end: it refuses what the server refuses, and our client gets along with it."""

# Sent by the twins in every test here: VL-S2, OL-S1, OL-S2, OL-T1, LM-S2, LM-R1, MR-S1, MR-S3, MR-T1.

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChatportError,
    Client,
    ContextLengthError,
    Cost,
    ImagePart,
    Message,
    ModelNotFoundError,
    OverloadedError,
    RateLimitError,
    ReasoningDelta,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    ToolCallDelta,
    ToolCallEnded,
    UnsupportedFeatureError,
)
from chatport.testing import EmulatedRequest, Emulator, faults

Emulated = Callable[..., Any]

PROVIDERS = ("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local")
THINKING = PROVIDERS[:-1]
CALLING = PROVIDERS[:-1]


def target(provider: str) -> str:
    return f"{provider}:{Emulator(provider).vendor.models[0]}"


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def get_time(zone: str) -> str:
    """Tell the time."""
    return zone


@dataclass
class Place:
    city: str
    people: int


def raw(emulator: Emulator, body: dict[str, Any], path: str = "/v1/chat/completions", **headers: str) -> Any:
    """Return status and body of a request written by hand."""
    content = json.dumps({"model": emulator.vendor.models[0], "messages": [{"role": "user", "content": "hi"}], **body})
    response = emulator.vendor.respond(EmulatedRequest("POST", path, headers, content.encode()))
    return response.status, response.body.decode()


# Answers that are cut.

TEXT = "one two  three\tfour"
BEGUN = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "one"}]}


def cut_stream(provider: str, events: int, **options: Any) -> Any:
    """Return emulator and stream of a call whose first answer is cut after so many events."""
    emulator = Emulator(provider, faults=[faults.cut(after_events=events), None])
    client = Client(config=emulator.config(retry={"continue_after_cut": True}), transport=emulator)
    return emulator, client.stream(f"think: hm\nsay: {TEXT}", model=target(provider), **options)


@pytest.mark.parametrize("reasoning", ["none", "high", 99])
@pytest.mark.parametrize(("provider", "fact"), [("vllm", "VL-P9"), ("llamacpp", "LC-P6")])
@pytest.mark.parametrize("events", range(2, 6))
def test_a_cut_answer_goes_on(provider: str, fact: str, events: int, reasoning: str | int) -> None:
    """VL-P9, LC-P6: no word twice, none lost, and no second thought."""
    thoughts = int(reasoning == "high" or (reasoning == 99 and provider == "llamacpp"))
    emulator, stream = cut_stream(provider, events + thoughts, reasoning=reasoning)
    with stream:
        text = "".join(event.text for event in stream if isinstance(event, TextDelta))
    assert text == stream.reply.text == TEXT
    first, second = (json.loads(request.content) for request in emulator.requests)
    *before, begun = second["messages"]
    assert before == first["messages"]
    assert begun == {"role": "assistant", "content": "".join(re.findall(r"\s*\S+", TEXT)[: events - 1])}
    assert (second["continue_final_message"], second["add_generation_prompt"]) == (True, False)
    assert second["chat_template_kwargs"] == {"enable_thinking": False}
    assert sum(warning.fact == fact for warning in stream.reply.warnings) == int(reasoning != "none")


@pytest.mark.parametrize("provider", ["ollama", "lmstudio", "mistralrs", "transformers", "mlx"])
def test_where_no_way_is_documented_the_caller_gets_the_part(provider: str) -> None:
    emulator, stream = cut_stream(provider, 3, reasoning="none")
    with pytest.raises(StreamInterruptedError) as caught, stream:
        list(stream)
    assert caught.value.partial is not None
    assert TEXT.startswith(caught.value.partial.text)
    assert caught.value.messages
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("provider", ["vllm", "llamacpp"])
def test_what_a_server_does_not_go_on_from(provider: str) -> None:
    """VL-P9, LC-P6: the raw requests."""
    emulator = Emulator(provider)
    assert raw(emulator, {**BEGUN, "continue_final_message": True})[0] == 400
    both = {**BEGUN, "continue_final_message": True, "add_generation_prompt": False}
    assert raw(emulator, {**both, "chat_template_kwargs": {"enable_thinking": False}})[0] == 200
    assert raw(emulator, both)[0] == (400 if provider == "llamacpp" else 200)


# What all of them can do.


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_plain_answer_has_text_and_usage(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    reply = client.chat("say: two words", model=target(provider))
    assert (reply.text, reply.finish_reason) == ("two words", "stop")
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    assert reply.warnings == ()
    assert reply.cost == Cost(0.0, "USD", "list price, nobody bills it")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_gives_the_same(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    with client.stream("say: two words", model=target(provider)) as stream:
        pieces = [event.text for event in stream if isinstance(event, TextDelta)]
    assert len(pieces) == 2
    assert (stream.reply.text, stream.reply.finish_reason) == ("two words", "stop")
    # LP-P1: none in its streams; elsewhere it was asked for, or comes unasked (MR-S2, TS-S1)
    assert (stream.reply.usage.input_tokens is None) == (provider == "local")


@pytest.mark.anyio
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_asynchronous_client_gives_the_same(provider: str) -> None:
    emulator = Emulator(provider)
    async with AsyncClient(config=emulator.config(), transport=emulator) as client:
        assert (await client.chat("say: two words", model=target(provider))).text == "two words"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_is_cut_at_its_limit(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    with client.stream("say: one two three four", model=target(provider), reasoning="none", max_tokens=2) as stream:
        list(stream)
    assert (stream.reply.text, stream.reply.finish_reason) == ("one two", "length")


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("provider", CALLING)
def test_a_tool_is_called_and_its_result_taken(provider: str, streams: bool, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    options = {"model": target(provider), "tools": [get_weather, get_time]}
    question = 'call: get_weather {"city": "Paris"}'
    if streams:
        with client.stream(question, **options) as stream:
            events = list(stream)
        reply = stream.reply
        assert any(isinstance(event, ToolCallDelta) for event in events)
        assert [event.name for event in events if isinstance(event, ToolCallEnded)] == ["get_weather"]
    else:
        reply = client.chat(question, **options)
    assert reply.finish_reason == "tool_calls"
    (call,) = reply.tool_calls
    assert (call.name, call.parsed()) == ("get_weather", {"city": "Paris"})
    turns = [question, reply.message, Message.tool(call, get_weather(**call.parsed()))]
    assert client.chat(turns, **options).text == "The tool says: sunny in Paris"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("provider", CALLING)
def test_parallel_calls_stay_apart(provider: str, streams: bool, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    question = 'call: get_time {"zone": "UTC"}\ncall: get_weather {"city": "Paris"}\ncall: get_time {"zone": "CET"}'
    options = {"model": target(provider), "tools": [get_weather, get_time]}
    if streams:
        with client.stream(question, **options) as stream:
            list(stream)
        reply = stream.reply
    else:
        reply = client.chat(question, **options)
    assert [call.name for call in reply.tool_calls] == ["get_time", "get_weather", "get_time"]
    assert [call.parsed() for call in reply.tool_calls] == [{"zone": "UTC"}, {"city": "Paris"}, {"zone": "CET"}]
    assert len({call.id for call in reply.tool_calls}) == 3


@pytest.mark.parametrize("provider", THINKING)
def test_thinking_is_told_apart_from_the_answer(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    with client.stream("think: hm hm\nsay: yes", model=target(provider), reasoning="high") as stream:
        events = list(stream)
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "hm hm"
    assert (stream.reply.reasoning, stream.reply.text) == ("hm hm", "yes")
    plain = client.chat("think: hm hm\nsay: yes", model=target(provider), reasoning="high")
    assert (plain.reasoning, plain.text) == ("hm hm", "yes")


@pytest.mark.parametrize("provider", [name for name in THINKING if name != "lmstudio"])
def test_thinking_can_be_switched_off(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    reply = client.chat("think: hm hm\nsay: yes", model=target(provider), reasoning="none")
    assert (reply.reasoning, reply.text) == (None, "yes")


@pytest.mark.parametrize("provider", ["vllm", "ollama", "lmstudio", "llamacpp", "mistralrs"])
def test_a_structure_comes_back_as_its_type(provider: str, emulated: Emulated) -> None:
    client, _ = emulated(provider)
    reply = client.chat("Where?", model=target(provider), output=Place)
    assert reply.parsed() == Place("text", 1)


@pytest.mark.parametrize("provider", ["transformers", "mlx"])
def test_where_no_structure_is_enforced_it_is_asked_for_in_words(provider: str, emulated: Emulated) -> None:
    client, emulator = emulated(provider)
    reply = client.chat('say: {"city": "Rome", "people": 3}', model=target(provider), output=Place)
    assert reply.parsed() == Place("Rome", 3)
    assert "JSON Schema" in emulator.requests[-1].json()["messages"][0]["content"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_models_are_listed(provider: str, emulated: Emulated) -> None:
    """LM-M1 among others."""
    client, emulator = emulated(provider)
    listed = [model.id for model in client.models(provider)]
    assert listed == ([] if provider == "transformers" else list(emulator.vendor.models))


def test_the_window_is_in_the_list_where_the_server_tells(emulated: Emulated) -> None:
    """VL-M1, LC-M1."""
    for provider in ("vllm", "llamacpp"):
        client, _ = emulated(provider)
        assert client.models(provider)[0].context_tokens == 4096


@pytest.mark.parametrize(
    ("provider", "status", "error"),
    [
        (provider, status, error)
        for provider in PROVIDERS
        for status, error in {
            400: BadRequestError,
            401: AuthenticationError,
            429: RateLimitError,
            500: ServerError,
            503: OverloadedError,
        }.items()
        if (provider, status) != ("local", 500)  # LP-E1: a refusal
    ],
)
def test_errors_have_the_class_of_what_can_be_done(
    provider: str, status: int, error: type[ChatportError], emulated: Emulated
) -> None:
    client, _ = emulated(provider)
    with pytest.raises(error) as caught:
        client.chat(f"error: {status}", model=target(provider))
    final = {("transformers", 500)}  # TS-E1
    assert caught.value.retryable == (error.retryable_by_default and (provider, status) not in final)


@pytest.mark.parametrize("provider", ["vllm", "llamacpp"])
def test_a_server_with_a_key_wants_it(provider: str, emulated: Emulated) -> None:
    """VL-B2, LC-B2."""
    client, _ = emulated(provider, api_key="right", table={"api_key": "wrong"})
    with pytest.raises(AuthenticationError):
        client.chat("hi", model=target(provider))
    client, _ = emulated(provider, api_key="right")
    assert client.chat("say: yes", model=target(provider)).text == "yes"


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        ("vllm", ContextLengthError),  # VL-C1
        ("llamacpp", ContextLengthError),  # LC-C1
        ("lmstudio", ContextLengthError),  # LM-C1
        ("mistralrs", ContextLengthError),  # MR-C1
        ("local", ContextLengthError),  # LP-E2
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_prompt_that_is_too_long_is_named_so(
    provider: str, error: type[ChatportError], streams: bool, emulated: Emulated
) -> None:
    client, _ = emulated(provider)
    expected = StreamInterruptedError if (provider, streams) == ("local", True) else error  # LP-E2: an empty stream

    def ask() -> None:
        if not streams:
            client.chat("x" * 30_000, model=target(provider))
            return
        with client.stream("x" * 30_000, model=target(provider)) as stream:
            list(stream)

    with pytest.raises(expected):
        ask()


@pytest.mark.parametrize("provider", ["vllm", "ollama", "lmstudio", "mistralrs", "transformers", "mlx"])
def test_an_unknown_model_is_named_so(provider: str, emulated: Emulated) -> None:
    """VL-M3, OL-M2, LM-M4, MR-M1, TS-E1, MX-E1."""
    client, _ = emulated(provider)
    with pytest.raises(ModelNotFoundError) as caught:
        client.chat("hi", model=f"{provider}:no-such-model")
    assert not caught.value.retryable


def test_llamacpp_answers_to_any_name_with_what_it_has(emulated: Emulated) -> None:
    """LC-M3."""
    client, _ = emulated("llamacpp")
    assert client.chat("say: yes", model="llamacpp:no-such-model").model == "emulated-model"


# What each refuses, and how our client gets around it.


class TestVllm:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        _, emulator = emulated("vllm")
        tool = {"type": "function", "function": {"name": "f"}}
        wrong: list[dict[str, Any]] = [
            {"stream_options": {"include_usage": True}},  # VL-P6
            {"tools": []},  # VL-T2
            {"tool_choice": "required"},
            {"tools": [tool], "tool_choice": "sometimes"},
            {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            {"n": 2, "temperature": 0},  # VL-P5
            {"reasoning_effort": "enormous"},  # VL-R5
            {"response_format": {"type": "json_schema"}},  # VL-J1
            {"max_tokens": 5000},  # VL-P4
        ]
        for body in wrong:
            status, text = raw(emulator, body)
            assert status == 400, body
            assert json.loads(text)["error"]["code"] == 400  # VL-E1
        assert raw(emulator, {}, "/v1/nope") == (404, '{"detail": "Not Found"}')  # VL-E3

    def test_a_loose_forced_call_may_be_anything_and_ours_is_not(self, emulated: Emulated) -> None:
        """VL-T3, VL-T4."""
        client, emulator = emulated("vllm")
        tool = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
        _, text = raw(emulator, {"tools": [tool], "tool_choice": "required"})
        assert json.loads(text)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '"z"'
        reply = client.chat("hi", model=target("vllm"), tools=[get_time], tool_choice="get_time")
        assert reply.tool_calls[0].parsed() == {"zone": "text"}
        assert (reply.raw_finish_reason, reply.finish_reason) == ("stop", "tool_calls")

    def test_guided_json_works_again(self, emulated: Emulated) -> None:
        """VL-P3."""
        client, emulator = emulated("vllm")
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        assert "Hello" in raw(emulator, {"guided_json": schema})[1]
        assert client.chat("hi", model=target("vllm"), extra={"guided_json": schema}).text == '{"a": 1}'

    def test_a_call_that_is_cut_is_known_to_be(self, emulated: Emulated) -> None:
        """VL-T6: a plain reply would hold raw markup, and no call."""
        client, emulator = emulated("vllm")
        question = 'call: get_weather {"city": "a very long name of a city"}'
        tool = {"type": "function", "function": {"name": "get_weather"}}
        messages = [{"role": "user", "content": question}]
        assert "<tool_call>" in raw(emulator, {"messages": messages, "tools": [tool], "max_tokens": 4})[1]
        reply = client.chat(question, model=target("vllm"), tools=[get_weather], max_tokens=4)
        assert reply.finish_reason == "length"
        assert not reply.tool_calls[0].complete

    def test_an_answer_taken_for_reasoning_is_avoided_by_switching_it_off(self, emulated: Emulated) -> None:
        """VL-R4."""
        client, _ = emulated("vllm", assumes_open_tag=True)
        misplaced = client.chat("say: yes", model=target("vllm"))
        assert (misplaced.text, misplaced.reasoning) == ("", "yes")
        assert client.chat("say: yes", model=target("vllm"), reasoning="none").text == "yes"

    def test_missing_flags_and_eyes_are_unsupported_features(self, emulated: Emulated) -> None:
        """VL-T1, VL-I1."""
        client, _ = emulated("vllm", tool_parser=False)
        with pytest.raises(UnsupportedFeatureError, match="tool-call-parser"):
            client.chat("hi", model=target("vllm"), tools=[get_time])
        with pytest.raises(UnsupportedFeatureError, match="multimodal"):
            client.chat([Message.user("?", ImagePart("data:image/png;base64,AA=="))], model=target("vllm"))

    def test_more_than_the_window_is_a_matter_of_length(self, emulated: Emulated) -> None:
        """VL-P4."""
        client, _ = emulated("vllm")
        with pytest.raises(ContextLengthError):
            client.chat("hi", model=target("vllm"), max_tokens=5000)

    def test_the_first_name_answers_for_every_alias(self, emulated: Emulated) -> None:
        """VL-M2."""
        client, _ = emulated("vllm")
        assert client.chat("hi", model="vllm:second-alias").model == "emulated-model"

    def test_reasoning_tokens_are_counted(self, emulated: Emulated) -> None:
        """VL-R6."""
        client, _ = emulated("vllm")
        reply = client.chat("think: a b c\nsay: d", model=target("vllm"), reasoning="low")
        assert reply.usage.reasoning_tokens == 3


class TestOllama:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        _, emulator = emulated("ollama")
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
        image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"messages": []}, "message"),  # OL-P5
            ({"messages": [{"role": "assistant", "content": "", "tool_calls": [call]}]}, "invalid tool call arguments"),
            ({"messages": [{"role": "user", "content": [image]}]}, "invalid image input"),  # OL-I1
            ({"model": ""}, "model is required"),  # OL-M2
            ({"reasoning_effort": "enormous"}, "reasoning"),  # OL-R2
        ]
        for body, words in wrong:
            status, text = raw(emulator, body)
            assert status == 400, body
            error = json.loads(text)["error"]
            assert error["type"] == "invalid_request_error"  # OL-E1
            assert words in error["message"]

    def test_a_forced_call_is_not_forced_and_the_user_knows(self, emulated: Emulated, notes: Any) -> None:
        """OL-T4: the named tool is at least the only one."""
        client, emulator = emulated("ollama")
        question = "say: I would rather talk"
        tool = {"type": "function", "function": {"name": "get_time"}}
        body = {"messages": [{"role": "user", "content": question}], "tools": [tool], "tool_choice": "required"}
        assert '"tool_calls"' not in raw(emulator, body)[1]
        reply = client.chat(question, model=target("ollama"), tools=[get_time], tool_choice="required")
        assert reply.text == "I would rather talk"
        assert notes(reply) == {("lowered", "tool_choice", "OL-T4")}

    def test_none_is_kept_all_the_same(self, emulated: Emulated) -> None:
        client, _ = emulated("ollama")
        question = 'call: get_time {"zone": "UTC"}'
        assert client.chat(question, model=target("ollama"), tools=[get_time]).tool_calls
        assert not client.chat(question, model=target("ollama"), tools=[get_time], tool_choice="none").tool_calls

    def test_the_newer_limit_holds(self, emulated: Emulated) -> None:
        """OL-P1."""
        client, emulator = emulated("ollama")
        messages = [{"role": "user", "content": "say: one two three"}]
        body = {"messages": messages, "max_completion_tokens": 2, "reasoning_effort": "none"}
        assert "one two three" in raw(emulator, body)[1]
        limit = {"max_completion_tokens": 2}
        reply = client.chat("say: one two three", model=target("ollama"), extra=limit, reasoning="none")
        assert reply.finish_reason == "length"

    def test_a_model_that_cannot_is_told_apart(self, emulated: Emulated) -> None:
        """OL-R3, OL-T4."""
        client, _ = emulated("ollama")
        with pytest.raises(UnsupportedFeatureError, match="thinking"):
            client.chat("hi", model="ollama:plain:1b", reasoning="high")
        with pytest.raises(UnsupportedFeatureError, match="tools"):
            client.chat("hi", model="ollama:plain:1b", tools=[get_time])

    def test_a_name_without_a_tag_is_the_latest(self, emulated: Emulated) -> None:
        """OL-M2."""
        client, _ = emulated("ollama")
        assert client.chat("say: yes", model="ollama:emulated-model").text == "yes"

    @pytest.mark.parametrize("deltas", [0, 2])
    def test_an_error_lost_in_the_stream_is_found(self, deltas: int, emulated: Emulated) -> None:
        """OL-E3: an empty chunk, no finish reason, no end event."""
        client, _ = emulated("ollama", loses_errors_after=deltas)
        with (
            client.stream("say: one two three", model=target("ollama"), reasoning="none") as stream,
            pytest.raises(StreamInterruptedError) as caught,
        ):
            list(stream)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "one two"[: deltas * 4]

    def test_a_full_queue_is_waited_for(self, emulated: Emulated) -> None:
        """OL-E4."""
        client, _ = emulated("ollama")
        with pytest.raises(OverloadedError, match="server busy") as caught:
            client.chat("error: 503", model=target("ollama"))
        assert caught.value.retryable

    def test_a_cloud_model_needs_an_account(self, emulated: Emulated) -> None:
        """OL-Q4."""
        client, _ = emulated("ollama", models=("big:1t-cloud",))
        with pytest.raises(AuthenticationError):
            client.chat("error: 401", model="ollama:big:1t-cloud")


class TestLmStudio:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        _, emulator = emulated("lmstudio")
        wanted = "'response_format.type' must be 'json_schema' or 'text'"
        assert raw(emulator, {"response_format": {"type": "json_object"}}) == (400, json.dumps({"error": wanted}))
        tool = {"type": "function", "function": {"name": "f"}}
        named = {"type": "function", "function": {"name": "f"}}
        assert raw(emulator, {"tools": [tool], "tool_choice": named})[0] == 400  # LM-T1

    def test_any_object_and_named_tools_work(self, emulated: Emulated, notes: Any) -> None:
        """LM-J1, LM-T1."""
        client, _ = emulated("lmstudio")
        model = target("lmstudio")
        reply = client.chat("hi", model=model, extra={"response_format": {"type": "json_object"}})
        assert notes(reply) == {("renamed", "response_format", "LM-J1")}
        assert json.loads(reply.text) == {}
        named = client.chat("hi", model=model, tools=[get_weather, get_time], tool_choice="get_time")
        assert [call.name for call in named.tool_calls] == ["get_time"]

    def test_a_forgotten_v1_is_an_error_and_says_so(self, emulated: Emulated) -> None:
        """LM-E2: the server answers 200."""
        client, _ = emulated("lmstudio", table={"base_url": "http://127.0.0.1:9"})
        with pytest.raises(ModelNotFoundError, match="base_url end in /v1") as caught:
            client.chat("hi", model=target("lmstudio"))
        assert (caught.value.status, caught.value.retryable) == (200, False)

    @pytest.mark.parametrize("status", [400, 200])
    def test_too_long_is_too_long_whatever_the_status(self, status: int, emulated: Emulated) -> None:
        """LM-C1."""
        client, _ = emulated("lmstudio", overflow_status=status)
        with pytest.raises(ContextLengthError, match="tokens to keep"):
            client.chat("x" * 30_000, model=target("lmstudio"))

    def test_a_message_without_content_is_read(self, emulated: Emulated) -> None:
        """LM-T4."""
        client, _ = emulated("lmstudio")
        reply = client.chat('call: get_time {"zone": "UTC"}', model=target("lmstudio"), tools=[get_time])
        assert "content" not in reply.raw["choices"][0]["message"]
        assert reply.text == ""
        assert reply.tool_calls[0].id.isdigit()  # LM-T2


class TestLlamaCpp:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        _, emulator = emulated("llamacpp")
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        tool = {"type": "function", "function": {"name": "f"}}
        wrong: list[tuple[dict[str, Any], int]] = [
            ({"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}, 500),  # LC-T7
            ({"tools": [{"name": "f"}]}, 500),
            ({"messages": [{"role": "user", "content": [image]}]}, 500),  # LC-I1
            ({"tools": [tool], "tool_choice": "sometimes"}, 400),  # LC-T1
            ({"chat_template_kwargs": {"enable_thinking": "yes"}}, 400),  # LC-R2
        ]
        for body, status in wrong:
            found, text = raw(emulator, body)
            assert (found, json.loads(text)["error"]["code"]) == (status, status), body  # LC-E1

    def test_a_named_tool_is_called_after_all(self, emulated: Emulated) -> None:
        """LC-T1: the object would be read as auto."""
        client, emulator = emulated("llamacpp")
        tools = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]
        named = {"type": "function", "function": {"name": "get_time"}}
        assert '"tool_calls"' not in raw(emulator, {"tools": tools, "tool_choice": named})[1]
        reply = client.chat("hi", model=target("llamacpp"), tools=[get_weather, get_time], tool_choice="get_time")
        assert [call.name for call in reply.tool_calls] == ["get_time"]

    def test_a_schema_does_not_rule_out_calls(self, emulated: Emulated) -> None:
        """LC-J1."""
        client, _ = emulated("llamacpp")
        options = {"model": target("llamacpp"), "tools": [get_time], "output": Place}
        assert client.chat('call: get_time {"zone": "UTC"}', **options).tool_calls
        assert client.chat('say: {"city": "Rome", "people": 3}', **options).parsed() == Place("Rome", 3)

    def test_a_500_that_is_ours_is_not_repeated(self, emulated: Emulated) -> None:
        """LC-T7."""
        client, emulator = emulated("llamacpp", attempts=3)
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
        turns = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "user", "content": "?"}]
        with pytest.raises(BadRequestError) as caught:
            client.chat("hi", model=target("llamacpp"), extra={"messages": turns})
        assert (caught.value.status, len(emulator.requests)) == (500, 1)

    def test_a_model_that_is_loading_is_waited_for(self, emulated: Emulated) -> None:
        """LC-B3."""
        client, _ = emulated("llamacpp", loading=True)
        with pytest.raises(OverloadedError) as caught:
            client.chat("hi", model=target("llamacpp"))
        assert (caught.value.retryable, caught.value.retry_after_seconds) == (True, 2.0)

    def test_cached_tokens_are_counted(self, emulated: Emulated) -> None:
        """LC-U1."""
        client, _ = emulated("llamacpp")
        usage = client.chat("hi", model=target("llamacpp")).usage
        assert usage.cached_input_tokens == (usage.input_tokens or 0) - 1
        assert usage.reasoning_tokens is None  # LC-R3


class TestMistralRs:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        """MR-E1: flat, with 422."""
        _, emulator = emulated("mistralrs")
        wrong: list[dict[str, Any]] = [
            {"reasoning_effort": "max"},  # MR-R1
            {"reasoning_effort": "none", "enable_thinking": True},
            {"response_format": {"type": "json_object"}},  # MR-J1
            {"model": "nope"},  # MR-M1
        ]
        for body in wrong:
            status, text = raw(emulator, body)
            assert status == 422, body
            assert set(json.loads(text)) == {"message"}

    def test_what_it_refuses_is_not_sent(self, emulated: Emulated) -> None:
        client, _ = emulated("mistralrs")
        model = target("mistralrs")
        assert client.chat("say: a", model=model, reasoning="max").text == "a"
        assert client.chat("hi", model=model, extra={"response_format": {"type": "json_object"}}).text == "{}"

    def test_a_refusal_inside_a_stream_is_not_repeated(self, emulated: Emulated) -> None:
        """MR-E2: it comes after a 200, and calls itself a server error."""
        client, emulator = emulated("mistralrs", attempts=3)
        options: dict[str, Any] = {"extra": {"enable_thinking": True}, "reasoning": "none"}
        with (
            client.stream("hi", model=target("mistralrs"), **options) as stream,
            pytest.raises(ServerError, match="enable_thinking") as caught,
        ):
            list(stream)
        assert (caught.value.retryable, len(emulator.requests)) == (False, 1)

    def test_the_default_model_has_a_name(self, emulated: Emulated) -> None:
        """MR-M1."""
        client, _ = emulated("mistralrs")
        assert client.chat("say: yes", model="mistralrs:default").model == "emulated-model"


class TestTransformers:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        """TS-P1, TS-E1."""
        _, emulator = emulated("transformers")
        assert raw(emulator, {"grammar": "x"}) == (422, '{"detail": "Unexpected fields in the request: {\'grammar\'}"}')
        assert raw(emulator, {"max_tokens": 0}) == (500, "Internal Server Error")
        assert raw(emulator, {"model": "x"})[0] == 400

    def test_unknown_fields_are_the_callers_fault(self, emulated: Emulated) -> None:
        client, _ = emulated("transformers")
        with pytest.raises(BadRequestError, match="Unexpected fields") as caught:
            client.chat("hi", model=target("transformers"), extra={"top_k": 3})
        assert (caught.value.status, caught.value.retryable) == (422, False)

    def test_a_stream_without_an_end_event_is_whole(self, emulated: Emulated) -> None:
        """TS-S1."""
        client, emulator = emulated("transformers")
        assert "[DONE]" not in raw(emulator, {"stream": True})[1]
        with client.stream("say: yes", model=target("transformers")) as stream:
            list(stream)
        assert stream.reply.usage.output_tokens == 1

    def test_a_cut_call_is_a_500_that_is_not_repeated(self, emulated: Emulated) -> None:
        """TS-E1."""
        client, emulator = emulated("transformers", attempts=3)
        question = 'call: get_weather {"city": "a very long name of a city"}'
        with pytest.raises(ServerError, match="cut by max_tokens"):
            client.chat(question, model=target("transformers"), tools=[get_weather], max_tokens=3)
        assert len(emulator.requests) == 1


class TestMlx:
    def test_it_refuses_wrong_requests_in_its_own_words(self, emulated: Emulated) -> None:
        """MX-E1."""
        _, emulator = emulated("mlx")
        assert raw(emulator, {"messages": []})[0] == 404
        assert raw(emulator, {}, "/v1/nope") == (404, "Not Found")

    def test_its_404_is_told_apart(self, emulated: Emulated) -> None:
        client, _ = emulated("mlx")
        with pytest.raises(UnsupportedFeatureError):
            client.chat([Message.user("?", ImagePart("data:image/png;base64,AA=="))], model=target("mlx"))

    def test_comments_while_it_reads_the_prompt_are_skipped(self, emulated: Emulated) -> None:
        """MX-S1."""
        client, emulator = emulated("mlx")
        assert raw(emulator, {"stream": True})[1].startswith(": keepalive")
        with client.stream("say: yes", model=target("mlx")) as stream:
            list(stream)
        assert stream.reply.text == "yes"


class TestLlamaCppPython:
    TABLE = {"server": "llama-cpp-python"}  # noqa: RUF012

    def test_it_refuses_wrong_requests_with_500(self, emulated: Emulated) -> None:
        """LP-E1, LP-P1."""
        _, emulator = emulated("local")
        for body in (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            {"messages": [{"role": "developer", "content": "x"}]},
        ):
            status, text = raw(emulator, body)
            assert status == 500
            assert json.loads(text)["error"]["type"] == "internal_server_error"

    def test_paths_of_the_server_are_not_shown(self, emulated: Emulated) -> None:
        """LP-E1."""
        client, _ = emulated("local", attempts=3)
        with pytest.raises(BadRequestError) as caught:
            client.chat("hi", model="local:m", output=Place)
        assert "File" not in str(caught.value)
        assert not caught.value.retryable

    def test_a_structure_is_asked_for_as_it_can_be(self, emulated: Emulated) -> None:
        """LP-P1."""
        client, _ = emulated("local", table=self.TABLE)
        assert client.chat("hi", model="local:m", output=Place).parsed() == Place("text", 1)
        with client.stream("hi", model="local:m", output=Place) as stream:
            assert {type(event) for event in stream} & {TextDelta, ToolCallDelta} == {TextDelta}
        assert (stream.reply.parsed(), stream.reply.finish_reason) == (Place("text", 1), "stop")

    def test_only_a_named_call_is_made(self, emulated: Emulated) -> None:
        """LP-T1."""
        client, _ = emulated("local", table=self.TABLE)
        free = client.chat("hi", model="local:m", tools=[get_time])
        assert (free.tool_calls, "<tool_call>" in free.text) == ((), True)
        forced = client.chat("hi", model="local:m", tools=[get_time], tool_choice="required")
        assert [call.name for call in forced.tool_calls] == ["get_time"]

    def test_a_stream_cut_by_the_next_request_is_not_taken_for_whole(self, emulated: Emulated) -> None:
        """LP-Q1: it ends with [DONE], and no finish reason."""
        client, emulator = emulated("local", cut_after=3)
        assert raw(emulator, {"stream": True})[1].endswith("[DONE]\n\n")
        with (
            client.stream("say: one two three four", model="local:m") as stream,
            pytest.raises(StreamInterruptedError) as caught,
        ):
            list(stream)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "one two"
