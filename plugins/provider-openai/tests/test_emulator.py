"""The twin end to end: it refuses what the vendor refuses, and our client never runs into it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

import chatport
from chatport.testing import Emulator, faults
from chatport.testing.emulator import EmulatedRequest
from chatport_openai import provider
from chatport_openai.emulator import OpenAIEmulator

CURRENT = ("gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra", "gpt-5.6-sol", "gpt-5.5", "gpt-5.4", "gpt-5.2")
NEVER_NONE = ("gpt-6-astra", "gpt-6.1-sol", "gpt-6.2-astra", "gpt-6.2-sol")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def look(city: str) -> str:
    """Look out of the window."""
    return f"sunny in {city}"


@attrs.define
class Person:
    name: str
    age: int = 3


def raw(body: Any, emulator: OpenAIEmulator | None = None, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    """Send a body as it is, past our hooks."""
    headers = {"authorization": "Bearer sk-test"}
    request = EmulatedRequest("POST", path, headers, json.dumps(body).encode())
    response = (emulator or OpenAIEmulator()).respond(request)
    return response.status, json.loads(response.body) if response.body[:1] == b"{" else response.body.decode()


def chat(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}


# --- the client on the emulator


@pytest.mark.parametrize("model", [*CURRENT, *NEVER_NONE])
def test_a_plain_answer(emulated, model):
    client, emulator = emulated()
    reply = client.chat("hi", model=f"openai:{model}")
    assert reply.text == f"Hello from {model}, emulated by Chatport."
    assert reply.finish_reason == "stop"
    assert reply.usage.input_tokens
    assert reply.usage.cached_input_tokens == 0
    assert reply.request_id.startswith("req_")
    assert reply.rate_limits.requests_remaining == 14999
    assert reply.rate_limits.requests_reset_seconds == 0.004
    assert reply.rate_limits.tokens_reset_seconds == 360
    assert emulator.requests[0].headers["authorization"] == "Bearer emulated-key"


@pytest.mark.parametrize("model", [*CURRENT, *NEVER_NONE])
def test_a_stream_adds_up_to_the_same_answer(emulated, model):
    client, _ = emulated()
    plain = client.chat("hi", model=f"openai:{model}")
    with client.stream("hi", model=f"openai:{model}") as stream:
        events = list(stream)
    assert "".join(event.text for event in events if isinstance(event, chatport.TextDelta)) == plain.text
    assert stream.reply.text == plain.text
    assert stream.reply.usage == plain.usage
    assert stream.reply.cost == plain.cost


@pytest.mark.parametrize("model", CURRENT)
@pytest.mark.parametrize("stream", [False, True])
def test_a_round_with_tools(emulated, model, stream):
    client, emulator = emulated()
    messages: list[Any] = ['call: look {"city": "Rome"}\ncall: look {"city": "Oslo"}']

    def ask() -> chatport.Reply:
        if not stream:
            return client.chat(messages, model=f"openai:{model}", tools=[look])
        with client.stream(messages, model=f"openai:{model}", tools=[look]) as pieces:
            list(pieces)
        return pieces.reply

    reply = ask()
    assert reply.finish_reason == "tool_calls"
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert len({call.id for call in reply.tool_calls}) == 2
    messages += [reply, *(chatport.Message.tool(call, look(**call.parsed())) for call in reply.tool_calls)]
    assert ask().text == "The tool says: sunny in Oslo"
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("model", ["gpt-6-sol", "gpt-5.4"])
def test_a_single_streamed_call_shares_the_role_chunk(emulated, model):
    client, _ = emulated()
    with client.stream("hi", model=f"openai:{model}", tools=[look]) as stream:
        list(stream)
    assert stream.reply.tool_calls[0].parsed() == {"city": "text"}


def test_a_named_choice_ends_with_stop_on_older_models_and_is_a_call_all_the_same(emulated):
    client, _ = emulated()
    reply = client.chat("hi", model="openai:gpt-4.1", tools=[look], tool_choice=look)
    if reply.warnings:  # after its end, another model answers for gpt-4.1
        assert reply.warnings[0].kind == "redirected"
    else:
        assert reply.raw_finish_reason == "stop"
    assert reply.finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
def test_a_structure(emulated, stream):
    client, _ = emulated()
    with client.stream("hi", model="openai:gpt-6-luna", output=Person) as pieces:
        list(pieces)
    reply = pieces.reply if stream else client.chat("hi", model="openai:gpt-6-luna", output=Person)
    assert reply.parsed() == Person("text", 1)
    assert reply.warnings == ()


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_stops_the_parsing(emulated, stream):
    """OA-O7, OA-S8."""
    client, _ = emulated()
    with client.stream("refuse: No, I will not.", model="openai:gpt-6-sol", output=Person) as pieces:
        kinds = [type(event) for event in pieces]
    reply = pieces.reply
    if not stream:
        reply = client.chat("refuse: No, I will not.", model="openai:gpt-6-sol", output=Person)
    assert chatport.RefusalDelta in kinds
    assert (reply.refusal, reply.text, reply.finish_reason) == ("No, I will not.", "", "stop")
    with pytest.raises(chatport.MalformedReplyError, match="refused"):
        reply.parsed()


def test_a_cut_structure_is_not_parsed(emulated):
    """OA-O7."""
    client, _ = emulated()
    reply = client.chat("hi", model="openai:gpt-6-sol", output=Person, max_tokens=11)
    assert reply.finish_reason == "length"
    with pytest.raises(chatport.MalformedReplyError, match="cut"):
        reply.parsed()


def test_thoughts_are_counted_and_never_shown(emulated):
    client, _ = emulated()
    reply = client.chat("think: one two three\nsay: yes", model="openai:gpt-6-sol")
    assert reply.reasoning is None
    assert reply.usage.reasoning_tokens == 3
    assert client.chat("hi", model="openai:gpt-6-sol", reasoning="none").usage.reasoning_tokens == 0
    assert client.chat("hi", model="openai:gpt-5.4").usage.reasoning_tokens == 0


def test_a_budget_of_one_token_is_an_answer_without_text(emulated):
    client, emulator = emulated()
    status, body = raw(chat("gpt-6-sol", max_completion_tokens=1))
    assert status == 400
    assert "max_tokens" in body["error"]["message"]
    reply = client.chat("hi", model="openai:gpt-6-sol", max_tokens=1)
    assert (reply.finish_reason, reply.text) == ("length", "")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("model", ["gpt-6-sol", "gpt-5.4"])
def test_several_choices_are_kept_apart(emulated, model):
    client, _ = emulated()
    with client.stream("say: a b c", model=f"openai:{model}", extra={"n": 2}) as stream:
        list(stream)
    assert stream.reply.text == "a b c"
    assert [other.text for other in stream.reply.alternatives] == ["a b c"]


def test_an_error_inside_a_stream_is_an_error(emulated):
    client, _ = emulated(stream_error_after=0)
    with pytest.raises(chatport.ServerError) as early, client.stream("say: a b c", model="openai:gpt-6-sol") as stream:
        list(stream)
    assert early.value.retryable
    client, _ = emulated(stream_error_after=3)
    with pytest.raises(chatport.ServerError) as late, client.stream("say: a b c", model="openai:gpt-6-sol") as stream:
        list(stream)
    assert late.value.partial.text == "a b"


def test_an_unverified_organisation_has_a_way_out(emulated):
    model = "openai:gpt-5.6-sol"
    client, _ = emulated(verified=False)
    with (
        pytest.raises(chatport.PermissionDeniedError, match=r"stream = false under \[providers.openai\]"),
        client.stream("hi", model=model) as stream,
    ):
        list(stream)
    assert client.chat("hi", model=model).text
    client, emulator = emulated(table={"stream": False}, verified=False)
    with client.stream("say: a b", model=model) as stream:
        events = list(stream)
    assert [event.text for event in events if isinstance(event, chatport.TextDelta)] == ["a b"]
    assert [note.fact for note in stream.reply.warnings] == ["OA-P11"]
    assert "stream" not in emulator.requests[0].json()


def test_models_and_embeddings(emulated):
    client, emulator = emulated()
    models = {model.id: model for model in client.models("openai")}
    assert models["gpt-6-sol"].raw["shutdown_date"] is None
    vectors = client.embed(["a", "bcd"], model="openai:text-embedding-3-small", extra={"dimensions": 4}).vectors
    assert [len(vector) for vector in vectors] == [4, 4]
    with pytest.raises(chatport.BadRequestError, match="at most 2048"):
        client.embed("a", model="openai:text-embedding-3-small", extra={"input": ["a"] * 2049})
    asked = len(emulator.requests)
    many = client.embed([f"{n}" for n in range(2049)], model="openai:text-embedding-3-small", dimensions=2)
    assert len(many.vectors) == 2049
    assert [len(request.json()["input"]) for request in emulator.requests[asked:]] == [2048, 1]
    assert many.cost is not None
    assert many.cost.amount == pytest.approx(many.usage.input_tokens * 0.02 / 1e6)
    with pytest.raises(chatport.UnsupportedFeatureError, match="one length only"):
        client.embed("a", model="openai:text-embedding-ada-002", dimensions=2)
    with pytest.raises(chatport.ModelNotFoundError):
        client.embed("a", model="openai:text-embedding-9")


def test_a_wrong_key_is_told_without_being_shown(emulated):
    client, _ = emulated(table={"api_key": "sk-wrong-0123456789-secret"}, api_key="sk-right")
    with pytest.raises(chatport.AuthenticationError) as caught:
        client.chat("hi", model="openai:gpt-6-sol")
    assert caught.value.code == "invalid_api_key"
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize("extra", [{}, {"thinking": {"type": "enabled"}}])
def test_only_an_extra_of_the_caller_can_be_unknown(emulated, extra):
    client, _ = emulated()
    every = {"reasoning": "low", "temperature": 0.5, "top_p": 0.5, "max_tokens": 90, "stop": "x", "seed": 1}
    for model in (*CURRENT, *NEVER_NONE, "gpt-4.1"):
        tools = {"tools": [look], "tool_choice": "auto"}
        options = {"model": f"openai:{model}", "output": Person, "extra": extra, **every, **tools}
        if extra:
            with pytest.raises(
                chatport.BadRequestError, match=r"argument supplied: thinking|Unknown parameter: 'thinking'"
            ):
                client.chat("say: hi", **options)
        else:
            assert client.chat("say: hi", **options).text == "hi"
            with client.stream("say: hi", **options) as stream:
                list(stream)
            assert stream.reply.text == "hi"


# --- the second protocol


def item(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-of-somebody-else"}


@pytest.mark.parametrize(
    ("fields", "words", "code"),
    [
        ({"messages": []}, "moved to 'input'", "unsupported_parameter"),  # RS-R3
        ({"response_format": {}}, "moved to 'text.format'", "unsupported_parameter"),
        ({"stop": ["x"]}, "Unknown parameter: 'stop'", "unknown_parameter"),  # RS-R2
        ({"thinking": {}}, "Unknown parameter: 'thinking'", "unknown_parameter"),  # RS-R4
        ({"max_output_tokens": 1}, "but got 1 instead", "integer_below_min_value"),  # RS-R5
        ({"temperature": 0.2}, "'temperature' is not supported", "unsupported_parameter"),  # RS-R6
        ({"model": "gpt-0"}, "The requested model 'gpt-0' does not exist.", "model_not_found"),  # RS-X2
        ({"tools": [TOOL]}, "'tools[0].name'", None),  # RS-F1
        ({"previous_response_id": "resp_x"}, "not found", "previous_response_not_found"),  # RS-S4
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "missing_required_parameter"),
        ({"input": [item("user", "hi"), CALL]}, "No tool output found for function call call_1.", None),  # RS-O3
        ({"input": [item("user", "hi"), RESULT]}, "No tool call found", None),  # RS-O4
        ({"input": [item("user", "hi"), THOUGHT]}, "without its required following item", None),  # RS-O1
        ({"input": [THOUGHT, CALL, RESULT]}, "could not be verified", "invalid_encrypted_content"),  # RS-O9
        ({"input": [{**CALL, "call_id": "c" * 65}, {**RESULT, "call_id": "c" * 65}]}, "length 65", None),  # RS-O6
        ({"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'", "invalid_value"),  # RS-I1
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "'output_text' and 'refusal'",  # RS-I4
            "invalid_value",
        ),
    ],
)
def test_responses_refuses_what_the_protocol_does(fields, words, code):
    status, body = raw({"model": "gpt-6-sol", "input": "hi", **fields}, path="/v1/responses")
    assert status == 400
    assert words in body["error"]["message"]
    assert code is None or body["error"]["code"] == code


def test_three_turns_with_tools_keep_their_thoughts(emulated):
    """gpt-5.4 and later reason beside tools; the sealed thoughts go back, and nothing is warned of (OA-T14, RS-S1)."""
    client, emulator = emulated()
    for model in ("gpt-5.4", "gpt-5.6-sol", "gpt-6-sol", "gpt-6.2-astra"):
        talk: list[Any] = []
        for city in ("Paris", "Rome", "Oslo"):
            talk.append(f'call: look {{"city": "{city}"}}')
            with client.stream(talk, model=f"openai:{model}", tools=[look], reasoning="high") as stream:
                list(stream)
            call = stream.reply.tool_calls[0]
            assert call.parsed() == {"city": city}
            assert stream.reply.usage.reasoning_tokens
            talk += [stream.reply, chatport.Message.tool(call, f"sunny in {city}")]
            reply = client.chat(talk, model=f"openai:{model}", tools=[look], reasoning="high")
            talk.append(reply)
            assert (reply.text, reply.warnings, stream.reply.warnings) == (f"The tool says: sunny in {city}", (), ())
        assert all(request.path == "/v1/responses" for request in emulator.requests)
        sent = emulator.requests[-1].json()
        assert [entry["type"] for entry in sent["input"] if entry.get("type") == "reasoning"] == ["reasoning"] * 5
        assert sent["reasoning"]["effort"] == "high"


def test_the_server_may_keep_the_conversation(emulated):
    client, emulator = emulated()
    first = client.chat("say: one", model="openai:gpt-6-sol", extra={"store": True}, tools=[look], reasoning="low")
    kept = {"previous_response_id": first.id}
    assert client.chat("say: two", model="openai:gpt-6-sol", extra=kept).text == "two"
    assert [request.path for request in emulator.requests] == ["/v1/responses"] * 2
    assert emulator.requests[-1].json()["input"] == [item("user", "say: two")]


def test_an_answer_at_its_limit_is_told_as_such(emulated):
    client, _ = emulated()
    words = " ".join(["word"] * 60)
    for stream in (False, True):
        options = {"model": "openai:gpt-5.5-pro", "max_tokens": 30}
        if stream:
            with client.stream(f"say: {words}", **options) as running:
                list(running)
            reply = running.reply
        else:
            reply = client.chat(f"say: {words}", **options)
        assert (reply.finish_reason, reply.raw_finish_reason) == ("length", "max_output_tokens")


# --- what the emulator refuses, and our client smooths over


REFUSED = [
    (chat("gpt-5", max_tokens=9), "max_tokens", "unsupported_parameter"),
    (chat("gpt-6-sol", temperature=0.2), "temperature", "unsupported_value"),
    (chat("gpt-6-sol", top_p=0.2), "top_p", "unsupported_parameter"),
    (chat("gpt-4o-search-preview", temperature=0.2), "temperature", "unsupported_parameter"),
    (chat("o3", stop=["x"]), "stop", "unsupported_parameter"),
    (chat("gpt-6-astra", stop=["x"]), "stop", "unsupported_parameter"),
    (chat("gpt-4o", reasoning_effort="low"), None, None),
    (chat("gpt-5.6-sol", reasoning_effort="max"), "reasoning_effort", "unsupported_value"),
    (chat("gpt-6-astra", reasoning_effort="none"), "reasoning_effort", "unsupported_value"),
    (chat("gpt-6-sol", tools=[TOOL]), "reasoning_effort", None),
    (chat("gpt-5.4", tools=[TOOL], reasoning_effort="low"), "reasoning_effort", None),
    (chat("gpt-6.2-sol", tools=[TOOL]), "reasoning_effort", None),
    (chat("gpt-4o", tools=[TOOL] * 129), "tools", "array_above_max_length"),
    (chat("gpt-4o", parallel_tool_calls=False), "parallel_tool_calls", None),
    (chat("gpt-4o", tool_choice="auto"), "tool_choice", None),
    (chat("gpt-4o", web_search_options={}), "web_search_options", None),
    (chat("gpt-4o", temperature=99.0), "temperature", "decimal_above_max_value"),
    (chat("gpt-4o", stream_options={"include_usage": True}), "stream_options", None),
    (chat("gpt-4o", thinking={"type": "enabled"}), None, None),
    (chat("gpt-4o", response_format={"type": "json_object"}), "messages", None),
    ({"messages": [{"role": "user", "content": "hi"}]}, None, None),
    ({"model": "gpt-4o", "messages": []}, "messages", None),
    ({"model": "o1-mini", "messages": [{"role": "system", "content": "x"}]}, "messages[0].role", "unsupported_value"),
    (
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "messages[0]",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("body", "param", "code"), REFUSED)
def test_the_raw_request_is_refused_as_the_vendor_does(body, param, code):
    status, answer = raw(body)
    assert status == 400
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"
    assert (answer["error"]["param"], answer["error"]["code"]) == (param, code)


def test_unanswered_calls_are_refused():
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    status, answer = raw({"model": "gpt-4o", "messages": [*turns, {"role": "user", "content": "well?"}]})
    assert (status, answer["error"]["param"]) == (400, "messages.[2].role")
    assert "call_1" in answer["error"]["message"]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
    assert raw({"model": "gpt-4o", "messages": [*turns, result]})[0] == 200


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "schema",
    [
        OPEN,
        {**OPEN, "additionalProperties": False, "required": []},
        {**OPEN, "additionalProperties": False, "properties": {"a": {"type": "string", "minLength": 1}}},
        {**OPEN, "additionalProperties": False, "properties": {"a": {}}},
        {**OPEN, "additionalProperties": False, "properties": {"a": {"type": "array"}}},
        {**OPEN, "additionalProperties": False, "properties": {"a": {"$ref": "#", "description": "x"}}},
    ],
)
def test_a_schema_that_is_not_strict_is_refused(schema):
    spec = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    status, answer = raw(chat("gpt-4o", response_format=spec))
    assert (status, answer["error"]["param"], answer["error"]["code"]) == (400, "response_format", None)
    function = {"name": "x", "parameters": schema, "strict": True}
    status, answer = raw(chat("gpt-4o", tools=[{"type": "function", "function": function}]))
    assert (status, answer["error"]["param"]) == (400, "tools[0].parameters")
    assert answer["error"]["code"] == "invalid_function_parameters"


def test_a_root_that_is_no_object_is_refused_even_when_it_is_not_strict():
    spec = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}
    assert raw(chat("gpt-4o", response_format=spec))[0] == 400


def test_a_picture_in_a_tool_result_is_refused():
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    content = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    status, answer = raw(
        {"model": "gpt-4o", "messages": [*turns, {"role": "tool", "tool_call_id": "c", "content": content}]}
    )
    assert (status, answer["error"]["param"]) == (400, "messages[1]")


def test_the_two_books_agree_on_every_model(shape):
    """Hooks and emulator hold the effort rules apart; each request of the one passes the checks of the other."""
    efforts = (None, "none", "minimal", "low", "medium", "high", "xhigh", "max")
    for model in OpenAIEmulator.models:
        if model.startswith("text-"):
            continue
        for effort in efforts:
            for tools in ((), [look]):
                messages = [chatport.Message.system("be brief"), "hi"]
                sampling = {"temperature": 0.3, "top_p": 0.4, "stop": "x", "extra": {"logprobs": True}}
                wire = shape(messages, model=model, reasoning=effort, tools=tools, output=Person, **sampling)
                assert raw(wire.body, path=f"/v1{wire.path}")[0] == 200, (model, effort, tools)


def test_the_emulator_knows_every_successor():
    assert {entry.successor for entry in provider.facts.retired} <= set(OpenAIEmulator.models)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503])
def test_errors_on_demand(emulated, status):
    client, _ = emulated()
    classes = {
        400: chatport.ContextLengthError,
        401: chatport.AuthenticationError,
        402: chatport.QuotaExceededError,
        403: chatport.PermissionDeniedError,
        404: chatport.ModelNotFoundError,
        408: chatport.ServerError,
        409: chatport.ServerError,
        422: chatport.BadRequestError,
        429: chatport.RateLimitError,
        500: chatport.ServerError,
        502: chatport.ServerError,
        503: chatport.OverloadedError,
    }
    with pytest.raises(chatport.ChatportError) as caught:
        client.chat(f"error: {status}", model="openai:gpt-6-sol")
    assert type(caught.value) is classes[status]
    assert caught.value.retryable is (status in (408, 409, 429, 500, 502, 503))


def test_an_empty_account(emulated):
    client, emulator = emulated(has_quota=False)
    with pytest.raises(chatport.QuotaExceededError) as caught:
        client.chat("hi", model="openai:gpt-6-sol")
    assert not caught.value.retryable
    assert len(emulator.requests) == 1


def test_an_exhausted_limit_is_waited_for():
    """OA-X9, OA-H2, OA-H3: as long as the words say; without any until the limit that is used up is full again."""
    seconds = {}
    for words in ("Please try again in 20ms.", "Please try again later."):
        error = {"message": words, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        emulator = Emulator("openai", faults=[faults.status(429, body={"error": error})])
        config = emulator.config(retry={"attempts": 1})
        with (
            chatport.Client(config=config, transport=emulator) as client,
            pytest.raises(chatport.RateLimitError) as caught,
        ):
            client.chat("hi", model="openai:gpt-6-sol")
        seconds[words] = caught.value.retry_after_seconds
    assert list(seconds.values()) == [0.02, 20]


def test_a_cut_answer_is_not_continued():
    """The vendor documents no way, so the caller gets the part and the messages to go on with."""
    emulator = Emulator("openai", faults=[faults.cut(after_events=3)])
    config = emulator.config(retry={"continue_after_cut": True})
    with chatport.Client(config=config, transport=emulator) as client:
        stream = client.stream("say: one two three", model="openai:gpt-6-sol")
        with pytest.raises(chatport.StreamInterruptedError) as caught, stream:
            list(stream)
    assert caught.value.partial.text == "one two"
    assert [message.role for message in caught.value.messages] == ["user", "assistant", "user"]
    assert len(emulator.requests) == 1
