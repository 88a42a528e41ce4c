"""The OpenAI-compatible endpoint, as the setting `protocol = "chat"` has it: fact by fact, and from end to end."""

from __future__ import annotations

import json

import attrs
import pytest

import chatport
from chatport import (
    AudioPart,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    ModelNotFoundError,
    OverloadedError,
    RateLimitError,
    TextPart,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
)
from chatport.call import Call
from chatport.setup.config import load_config
from chatport.setup.protocols import in_protocol
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing import EmulatedRequest
from chatport_anthropic.emulator import AnthropicEmulator

CHAT = {"protocol": "chat"}
HAIKU, SONNET, OPUS = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6", "anthropic:claude-opus-5-5"
PNG = "data:image/png;base64,iVBORw0KGgo="
MARK = {"cache_control": {"type": "ephemeral"}}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


@attrs.frozen
class Place:
    city: str
    people: int


@pytest.fixture
def shaped(explain):
    """`explain` with the setting."""
    return lambda messages="hello", **options: explain(messages, settings=CHAT, **options)


@pytest.fixture
def asked(emulated):
    """`emulated` with the setting."""
    return lambda **settings: emulated(table=CHAT, **settings)


# --- the address and the envelope


def test_the_envelope(explain, shaped):
    """AN-A1, AN-A2, AN-A4, AN-E4, AN-C1"""
    sent = explain([Message.system("Be brief."), "hi"], settings={**CHAT, "workspace": "wrkspc_1"}, stream=True)
    assert sent.url == "https://api.anthropic.com/v1/chat/completions"
    assert sent.headers["anthropic-workspace-id"] == "wrkspc_1"
    assert not {"x-api-key", "anthropic-version", "anthropic-beta"} & set(sent.headers)
    assert sent.body == {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert sent.adjustments == ()
    based = explain(settings={**CHAT, "base_url": "https://proxy.example/v1/"})
    assert based.url == "https://proxy.example/v1/chat/completions"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"protocol": "responses"}, "protocol is one of auto, chat, messages, not 'responses'"),
        ({"protocol": True}, "protocol must be a text that is not empty, not True"),
        ({"auth": "oauth"}, 'auth is "key" or "token", not \'oauth\''),
        ({**CHAT, "betas": ["a"]}, "betas has no effect"),
        ({**CHAT, "thinking_display": "omitted"}, "thinking_display has no effect"),
    ],
)
def test_settings_that_mean_nothing_are_refused(explain, settings, words):
    with pytest.raises(ConfigurationError, match=words):
        explain(settings=settings)


def test_a_second_account_may_speak_the_other_protocol(emulated):
    """Under its own name, beside the native one; models are listed by the native one all the same."""
    config = {"kind": "anthropic", "api_key": "k", **CHAT}
    tables = {"providers": {"other": config, "anthropic": {"api_key": "k"}}}
    with chatport.Client(tables) as client:
        shown = [client.explain("hi", model=f"{name}:claude-haiku-4-5") for name in ("other", "anthropic")]
    assert [one.url.rpartition(".com")[2] for one in shown] == ["/v1/chat/completions", "/v1/messages"]
    assert [one.protocol for one in shown] == ["chat", "messages"]
    assert shown[0].protocol_reason == "the setting `protocol` says so"
    assert emulated(table=CHAT)[0].models("anthropic")


# --- fields


@pytest.mark.parametrize(
    ("options", "kept", "found"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}, set()),
        ({"extra": {"max_completion_tokens": 9}}, {"max_completion_tokens": 9}, set()),
        ({"extra": {"n": 1}}, {}, set()),
        ({"extra": {"n": 2}}, {}, {("dropped", "n", "AN-C1")}),
        ({"extra": {"parallel_tool_calls": False}}, {"parallel_tool_calls": False}, set()),
        ({"temperature": 0.3}, {"temperature": 0.3}, set()),
        ({"temperature": 1.7}, {"temperature": 1.0}, {("lowered", "temperature", "AN-R4")}),
        ({"temperature": 0.3, "model": OPUS}, {}, {("dropped", "temperature", "AN-R6")}),
        ({"stop": ["a"]}, {"stop": ["a"]}, set()),
        ({"stop": ["a", " \n"]}, {"stop": ["a"]}, {("lowered", "stop", "AN-C1")}),
        ({"extra": {"stop": " "}}, {}, {("dropped", "stop", "AN-C1")}),
        ({"extra": {"stop": "END"}}, {"stop": "END"}, set()),
        ({"seed": 7}, {}, {("dropped", "seed", "AN-C2")}),
        ({"extra": MARK}, {}, {("dropped", "cache_control", "AN-C3")}),
        ({"extra": {"response_format": {"type": "json_object"}}}, {}, {("dropped", "response_format", "AN-C2")}),
    ],
)
def test_fields(shaped, notes, options, kept, found):
    """AN-C1, AN-C2, AN-C3: what is honoured is sent, and what is not is told."""
    sent = shaped(**options)
    assert {name: value for name, value in sent.body.items() if name not in ("model", "messages")} == kept
    assert notes(sent) == found


@pytest.mark.parametrize(
    "field",
    [
        "logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "metadata", "user", "store",
        "prediction", "modalities", "audio", "service_tier",
    ],
)  # fmt: skip
def test_ignored_fields_are_told(shaped, notes, field):
    """AN-C2"""
    sent = shaped(extra={field: {"a": 1}})
    assert field not in sent.body
    assert notes(sent) == {("dropped", field, "AN-C2")}


def test_plain_calls_that_may_last_are_streamed_inside(asked):
    """AN-A7: and their usage is asked for."""
    client, emulator = asked()
    assert client.chat("say: hi", model=HAIKU, max_tokens=30_000).usage.output_tokens == 1
    assert emulator.requests[-1].json()["stream_options"] == {"include_usage": True}


# --- messages


def test_what_is_ignored_in_messages_is_told(shaped, notes):
    """AN-C3"""
    messages = [
        {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "look", **MARK}]},
        {"role": "assistant", "content": None, "refusal": "No."},
        Message.user(ImagePart(PNG, "low"), TextPart("well?")),
    ]
    sent = shaped(messages)
    assert sent.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "look"}]},
        {"role": "assistant", "content": "No."},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "well?"}],
        },
    ]
    lost = ("name", "cache_control", "detail")
    assert notes(sent) == {("dropped", f"messages.{field}", "AN-C3") for field in lost}


@pytest.mark.parametrize("part", [AudioPart("aGk=", "wav"), FilePart("file_1"), FilePart(data="data:a/b;base64,aGk=")])
def test_content_that_is_ignored_is_refused(shaped, part):
    """AN-C3, AN-M3: without it the answer would be to another question."""
    with pytest.raises(UnsupportedFeatureError):
        shaped(Message.user(part))


def test_later_system_texts_are_told(shaped, notes):
    """AN-C5"""
    sent = shaped([Message.developer("a"), Message.system("b"), "q", Message.system("c")])
    assert [message["role"] for message in sent.body["messages"]] == ["system", "system", "user", "system"]
    assert notes(sent) == {("lowered", "messages.system", "AN-C5")}
    assert notes(shaped([Message.developer("a"), Message.system("b"), "q"])) == set()


def test_no_prefill(explain):
    """AN-C1: nothing says how an answer would be continued."""
    config = load_config({"providers": {"anthropic": {"api_key": "k", **CHAT}}}, environment={})
    call = Call((Message.user("Count."),), prefix="one")
    with pytest.raises(UnsupportedFeatureError):
        Routes(Vendors(config, environment={})).route(call, HAIKU, timeouts={}, options={})


# --- thinking


def budget(tokens):
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "options", "thinking", "limit", "found"),
    [
        (HAIKU, {}, None, None, set()),
        (HAIKU, {"reasoning": "none"}, {"type": "disabled"}, 64_000, set()),
        (HAIKU, {"reasoning": "low"}, budget(2048), 64_000, set()),
        (HAIKU, {"reasoning": 5000}, budget(5000), 64_000, set()),
        (HAIKU, {"reasoning": 2000, "max_tokens": 500}, budget(2000), 2500, {("note", "max_tokens", "AN-K11")}),
        (HAIKU, {"extra": {"reasoning_effort": "low"}}, budget(2048), 64_000, set()),
        (HAIKU, {"extra": {"thinking": budget(1500)}}, budget(1500), None, set()),
        (HAIKU, {"extra": {"output_config": {"effort": "low"}}}, None, None, {("dropped", "output_config", "AN-C4")}),
        (HAIKU, {"reasoning": "low", "temperature": 0.5}, budget(2048), 64_000, {("dropped", "temperature", "AN-R6")}),
        (
            HAIKU,
            {"reasoning": "low", "extra": {"max_completion_tokens": 9000}},
            budget(2048),
            11_048,
            {("renamed", "max_completion_tokens", "AN-C1"), ("note", "max_tokens", "AN-K11")},
        ),
        (SONNET, {"reasoning": "high"}, {"type": "adaptive"}, 128_000, {("dropped", "output_config", "AN-C4")}),
        (OPUS, {"reasoning": "high"}, {"type": "adaptive"}, None, {("dropped", "output_config", "AN-C4")}),
        (
            OPUS,
            {"reasoning": "none"},
            None,
            None,
            {("lowered", "reasoning", "AN-K3"), ("dropped", "output_config", "AN-C4")},
        ),
    ],
)
def test_thinking(shaped, notes, model, options, thinking, limit, found):
    """AN-C4, AN-C2: never as an effort, which is ignored."""
    sent = shaped(model=model, **options)
    assert (sent.body.get("thinking"), sent.body.get("max_tokens")) == (thinking, limit)
    assert not {"reasoning_effort", "output_config"} & set(sent.body)
    assert notes(sent) == found


CALL = ToolCall("toolu_1", "get_weather", '{"city": "Oslo"}')
LOOP = ["q", Message.assistant(tool_calls=(CALL,)), Message.tool(CALL, "sunny")]


@pytest.mark.parametrize(
    ("messages", "options", "fact"),
    [
        (LOOP, {}, "AN-K5"),
        ([*LOOP, "and now?"], {}, "AN-K5"),
        ("q", {"tool_choice": "required"}, "AN-T7"),
        ("q", {"tool_choice": "get_weather"}, "AN-T7"),
        (["q", Message.assistant("Once")], {}, "AN-T14"),
        ([*LOOP, Message.assistant("Sunny."), "next"], {}, None),
    ],
)
def test_budget_thinking_gives_way(shaped, asked, messages, options, fact):
    """AN-C4: no thinking comes back, so none can be replayed with its calls."""
    options = {"tools": [get_weather], "reasoning": "low", **options}
    sent = shaped(messages, **options)
    assert [note.fact for note in sent.adjustments] == ([fact] if fact else [])
    assert sent.body["thinking"]["type"] == ("disabled" if fact else "enabled")
    assert asked()[0].chat(messages, model=HAIKU, **options).finish_reason in ("stop", "tool_calls")


# --- tools and structures


@pytest.mark.parametrize(
    ("model", "wish", "choice", "names", "facts"),
    [
        (HAIKU, None, None, "fg", ["AN-C2"]),
        (HAIKU, "g", {"type": "function", "function": {"name": "g"}}, "fg", ["AN-C2"]),
        (OPUS, "required", "auto", "fg", ["AN-C2", "AN-T6"]),
        (OPUS, "g", "auto", "g", ["AN-C2", "AN-T6"]),
    ],
)
def test_tools(shaped, model, wish, choice, names, facts):
    """AN-C2, AN-T1, AN-T6"""
    given = [Tool("f", "Does it.", {"properties": {}}, strict=True), Tool("g", strict=False)]
    sent = shaped(model=model, tools=given, tool_choice=wish)
    assert sent.body.get("tool_choice") == choice
    assert "".join(tool["function"]["name"] for tool in sent.body["tools"]) == names
    assert all(tool["function"]["parameters"]["type"] == "object" for tool in sent.body["tools"])
    assert "strict" not in json.dumps(sent.body)
    assert [note.fact for note in sent.adjustments] == facts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [HAIKU, OPUS])
def test_structures(asked, model, stream):
    """AN-C2: a forced call where the model can be forced, otherwise words; in both cases it is told."""
    client, emulator = asked()
    options = {"model": model, "output": Place}
    reply = list(client.stream("where?", **options))[-1].reply if stream else client.chat("where?", **options)
    sent = emulator.requests[-1].json()
    assert "response_format" not in sent
    assert {(note.kind, note.field, note.fact) for note in reply.warnings} == {("lowered", "response_format", "AN-C2")}
    if model == HAIKU:
        assert reply.parsed() == Place("text", 1)
        assert sent["tool_choice"]["function"]["name"] == sent["tools"][0]["function"]["name"]
    else:
        assert "JSON Schema" in sent["messages"][0]["content"]


def test_a_structure_leaves_thinking_alone(shaped):
    """AN-T7: asked for both, the structure goes into words."""
    sent = shaped(output=Place, reasoning="low")
    assert sent.body["thinking"]["type"] == "enabled"
    assert "tools" not in sent.body


# --- from end to end


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [HAIKU, OPUS])
def test_a_conversation_with_tools(asked, model, stream):
    """AN-A2, AN-C9: a call after a text has the index 1, and is the first all the same."""
    client, emulator = asked(api_key="sk-test")

    def ask(messages):
        options = {"model": model, "tools": [get_weather], "max_tokens": 900}
        return list(client.stream(messages, **options))[-1].reply if stream else client.chat(messages, **options)

    messages = [Message.system("Be brief."), 'say: Let me see.\ncall: get_weather {"city": "Oslo"}']
    first = ask(messages)
    assert (first.text, first.tool_calls[0].parsed(), first.finish_reason) == (
        "Let me see.",
        {"city": "Oslo"},
        "tool_calls",
    )
    second = ask([*messages, first, Message.tool(first.tool_calls[0], "Sunny.")])
    sent = emulator.requests[-1].json()["messages"][-1]
    assert sent == {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "Sunny."}
    assert (second.id, second.provider, second.warnings) == ("msg_emulated00000002", "anthropic", ())
    for request in emulator.requests:
        assert request.headers["authorization"] == "Bearer sk-test"
        assert "x-api-key" not in request.headers


def test_the_index_of_a_call_is_that_of_its_block():
    """AN-C9, AN-C6: as it is on the wire."""
    message = {"role": "user", "content": "say: so\ncall: f {}"}
    tool = {"type": "function", "function": {"name": "f"}}
    status, text = post({"model": "claude-haiku-4-5", "messages": [message], "tools": [tool], "stream": True})
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    fragments = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert (status, {call["index"] for call in fragments}, {chunk["created"] for chunk in chunks}) == (200, {1}, {0})
    assert text.endswith("data: [DONE]\n\n")


def post(body, headers=None):
    """Send a body to the emulator's endpoint; return status and text."""
    sent = {"authorization": "Bearer k"} if headers is None else headers
    request = EmulatedRequest("POST", "/v1/chat/completions", sent, json.dumps(body).encode())
    response = AnthropicEmulator().respond(request)
    return response.status, response.body.decode()


def raw(**fields):
    return {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hello"}], **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}, "seed": 1, "reasoning_effort": "high", "newer": True},
        {"temperature": 1.7},
        {"stop": [" "]},
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}, {"type": "text", "text": "hi"}]}]},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "Be brief."}]},
    ],
)
def test_the_emulator_ignores(fields):
    """AN-C1, AN-C2, AN-C3, AN-C5: and answers, without a word."""
    status, text = post(raw(**fields))
    assert (status, json.loads(text)["choices"][0]["finish_reason"] in ("stop", "tool_calls")) == (200, True)


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (raw(n=2), None, 400, "invalid_request_error"),
        (raw(model="gpt-x"), None, 404, "not_found_error"),
        (raw(messages=[]), None, 400, "invalid_request_error"),
        (raw(thinking={"type": "adaptive"}), None, 400, "invalid_request_error"),
        (raw(), {"x-api-key": "k"}, 401, "authentication_error"),
    ],
)
def test_the_emulator_refuses(body, headers, status, kind):
    """AN-C1, AN-C7, AN-A2"""
    found, text = post(body, headers)
    assert (found, json.loads(text)["error"]["type"]) == (status, kind)
    assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}


ERRORS = {
    400: BadRequestError,
    401: AuthenticationError,
    404: ModelNotFoundError,
    429: RateLimitError,
    529: OverloadedError,
}


@pytest.mark.parametrize(("status", "error"), ERRORS.items())
def test_errors_of_the_endpoint(asked, status, error):
    """AN-C7, AN-C8: by type and status, never by the words."""
    client, _ = asked()
    with pytest.raises(error) as caught:
        client.chat(f"error: {status}", model=HAIKU)
    assert caught.value.request_id == "req_emulated00000001"


def test_headroom_and_counts(asked):
    """AN-C6, AN-C8: thinking is paid for, and not shown."""
    client, _ = asked()
    reply = client.chat("say: hi\nthink: one two", model=HAIKU, reasoning="low", max_tokens=9000)
    limits, usage = reply.rate_limits, reply.usage
    assert (limits.requests_limit, limits.tokens_remaining, limits.tokens_reset_seconds) == (4000, 3999, 30)
    assert (reply.reasoning, usage.output_tokens, usage.reasoning_tokens) == (None, 3, None)
    assert reply.cost is not None


@pytest.mark.parametrize("name", ["x-ratelimit-requests", "x-ratelimit-limit-requests"])
def test_both_names_of_a_limit_are_read(name):
    """AN-C8: the documented one, and the recorded one."""
    config = load_config({"providers": {"anthropic": {"api_key": "k", **CHAT}}}, environment={})
    ready = in_protocol(Vendors(config, environment={}).provider("anthropic"), "chat")
    limits = ready.plan.read_rate_limits({name: "4000", "x-ratelimit-reset-requests": "0s"}, ready.context("m"))
    assert (limits.requests_limit, limits.tokens_limit, limits.requests_reset_seconds) == (4000, None, 0)
    assert ready.plan.read_rate_limits({"date": "today"}, ready.context("m")) is None
