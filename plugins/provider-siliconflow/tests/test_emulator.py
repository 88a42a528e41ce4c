"""The emulator refuses the raw wrong request, our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json

import attrs
import pytest

from chatport import (
    AudioPart,
    AuthenticationError,
    BadRequestError,
    Client,
    ContentFilterError,
    ContextLengthError,
    ImagePart,
    Message,
    ModelNotFoundError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    ReasoningDelta,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from chatport.testing import EmulatedRequest, Emulator, faults
from chatport_siliconflow.emulator import SiliconFlowEmulator

QWEN, PLAIN, R1 = "Qwen/Qwen3-8B", "Qwen/Qwen2.5-7B-Instruct", "deepseek-ai/DeepSeek-R1"
V3, V31, V4 = (f"deepseek-ai/DeepSeek-{version}" for version in ("V3", "V3.1", "V4-Pro"))
SEEING, OMNI = "zai-org/GLM-4.6V", "Qwen/Qwen3-Omni-30B-A3B-Instruct"
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
CALLED = {"role": "assistant", "content": "", "tool_calls": CALLS}
SWITCH = "current model does not support parameter `{}`"


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


@attrs.frozen
class Place:
    city: str
    people: int


def post(body, *, path="/chat/completions", key="k", method="POST", **settings):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    request = EmulatedRequest(method, path, headers, json.dumps(body).encode())
    response = SiliconFlowEmulator(**settings).respond(request)
    return response.status, json.loads(response.body)


def raw(model=QWEN, *messages, **fields):
    return {"model": model, "messages": list(messages) or [USER], **fields}


REFUSED = [
    ("SF-X10", raw("nobody/Nothing"), 20012, "Model does not exist"),
    ("SF-X13", raw(None), 20015, "Field required"),
    ("SF-P2", raw(R1, enable_thinking=False), 20015, SWITCH.format("enable_thinking")),
    ("SF-P2", raw("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", enable_thinking=False), 20015, "enable_thinking"),
    ("SF-I6", raw(V3, enable_thinking=True), 20015, "enable_thinking"),
    ("SF-P4", raw(thinking_budget=32769), 20015, "thinking_budget: Must be less than or equal to 32768"),
    ("SF-P4", raw(thinking_budget=127), 20015, "thinking_budget"),
    ("SF-P5", raw(reasoning_effort="high"), 20015, SWITCH.format("reasoning_effort")),
    ("SF-P6", raw(V31, tools=[TOOL], enable_thinking=True), 20015, "function call"),
    ("SF-P7", raw(thinking={"type": "enabled"}), 20015, "thinking"),
    ("SF-P8", raw(max_tokens=140_000), 20015, "max_total_tokens"),
    ("SF-X11", raw(PLAIN, {"role": "user", "content": "x" * 600_000}), 20015, "length of prompt_tokens"),
    ("SF-P10", raw(QWEN, USER, {"role": "assistant", "content": None}, USER), 20015, "invalid"),
    ("SF-P10", raw(QWEN, USER, CALLED, {"role": "tool", "tool_call_id": "c", "content": ""}), 20015, "invalid"),
    ("SF-P11", raw(top_p=None), 20015, "invalid"),
    ("SF-P1", raw(stop=list("abcde")), 20015, "invalid"),
    ("SF-X13", raw(max_tokens="9"), 20015, "invalid"),
    ("SF-T1", raw(tools=[TOOL] * 129), 20015, "invalid"),
    ("SF-T1", raw(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}), 20015, "invalid"),
    ("SF-T2", raw(SEEING, tools=[TOOL]), 20015, "function call"),
    ("SF-J1", raw(R1, response_format={"type": "json_object"}), 20015, "response_format"),
    ("SF-M2", raw(OMNI, {"role": "user", "content": [{"type": "input_audio"}]}), 20015, "invalid"),
]


@pytest.mark.parametrize(("fact", "body", "code", "words"), REFUSED)
def test_emulator_refuses(fact, body, code, words):
    status, data = post(body)
    assert (status, data["code"], data["data"]) == (400, code, None)
    assert words in data["message"]


def test_keys_and_paths():
    """SF-X2, SF-X14, SF-X18, SF-E2"""
    assert post(raw(), key="") == post(raw(), key="wrong", api_key="right") == (401, "Api key is invalid")
    for path in ("/responses", "/completions", "/moderations"):
        assert post(raw(), path=path) == (404, "404 page not found")


def test_model_list(emulated):
    """SF-E3: the client asks for chat models only."""
    assert len(post({}, path="/models", method="GET")[1]["data"]) > len(SiliconFlowEmulator.models)
    client, emulator = emulated()
    assert [model.id for model in client.models("siliconflow")] == list(SiliconFlowEmulator.models)
    assert emulator.requests[0].path.endswith("/models?sub_type=chat")


SMOOTH = [
    (R1, "hello", {"reasoning": "none"}),
    (V3, "hello", {"reasoning": "high"}),
    (QWEN, "hello", {"reasoning": 100_000}),
    (V4, "hello", {"reasoning": "xhigh"}),
    (V31, "hello", {"tools": [get_weather], "reasoning": "high"}),
    (QWEN, "hello", {"max_tokens": 140_000, "extra": {"thinking": {"type": "enabled"}, "top_p": None, "user": "u"}}),
    (QWEN, "hello", {"tools": [get_weather], "tool_choice": "get_weather"}),
    (QWEN, ["a", {**CALLED, "content": None}, {"role": "tool", "tool_call_id": "c", "content": ""}], {}),
    (QWEN, ["a", {"role": "assistant", "content": None, "reasoning_content": "thought"}, "b"], {}),
    (QWEN, [Message.developer("Be brief."), "hello"], {"seed": 1}),
    (R1, "hello", {"output": Place}),
    (SEEING, [Message.user("what?", ImagePart("data:image/png;base64,AAAA"))], {}),
    (OMNI, [Message.user("what?", AudioPart("AAAA", "wav"))], {}),
]


@pytest.mark.parametrize(("model", "messages", "options"), SMOOTH)
@pytest.mark.parametrize("stream", [False, True])
def test_client_smooths(emulated, model, messages, options, stream):
    client, emulator = emulated()
    target = f"siliconflow:{model}"
    if stream:
        reply = list(client.stream(messages, model=target, **options))[-1].reply
    else:
        reply = client.chat(messages, model=target, **options)
    assert reply.finish_reason in ("stop", "tool_calls")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("usage_form", ["cumulative", "finish", "trailing"])
@pytest.mark.parametrize(
    ("model", "messages", "options"),
    [
        (PLAIN, "say: one two three", {}),
        (QWEN, "say: one two\nthink: because of that", {"reasoning": "medium"}),
        (QWEN, "say: one two", {"reasoning": "none"}),
        (PLAIN, "say: one two three four", {"max_tokens": 2}),
        (QWEN, 'call: a {}\ncall: b {"x": [1, "é"]}', {"tools": [Tool("a"), Tool("b")]}),
        (QWEN, "where?", {"output": Place}),
        (V3, "where?", {"output": Place}),
    ],
)
def test_stream_gives_the_same_as_plain(emulated, usage_form, model, messages, options):
    """SF-S1 to SF-S4, SF-R1, SF-R3, SF-U1: in every form of usage."""
    client, _ = emulated(usage_form=usage_form, cached_tokens=3)
    target = f"siliconflow:{model}"
    plain = client.chat(messages, model=target, **options)
    events = list(client.stream(messages, model=target, **options))
    streamed = events[-1].reply

    def shown(reply):
        calls = [(call.name, call.arguments) for call in reply.tool_calls]
        return reply.text, reply.reasoning, calls, reply.finish_reason, reply.usage

    assert shown(plain) == shown(streamed)
    assert plain.usage.cached_input_tokens == 3
    assert plain.usage.reasoning_tokens == (len(plain.reasoning.split()) if plain.reasoning else None)
    assert (plain.reasoning is not None) == (model == QWEN and options.get("reasoning") != "none")
    kinds = [type(event) for event in events if isinstance(event, ReasoningDelta | TextDelta)]
    assert kinds == sorted(kinds, key=lambda kind: kind is TextDelta)
    if "output" in options:
        assert plain.parsed() == Place("text", 1)
    if "tools" in options:
        assert [(c.name, c.parsed()) for c in streamed.tool_calls] == [("a", {}), ("b", {"x": [1, "é"]})]  # SF-S3
        assert {e.name for e in events if isinstance(e, ToolCallDelta)} == {"a", "b"}


def test_a_tool_loop_keeps_its_reasoning(emulated):
    """SF-R2, SF-T3: the emulator streams calls; their reasoning goes back, that of plain answers does not."""
    client, emulator = emulated()
    messages, target = ["weather in Oslo?"], f"siliconflow:{QWEN}"
    first = list(client.stream(messages, model=target, tools=[get_weather]))[-1].reply
    messages += [first, Message.tool(first.tool_calls[0], "Sunny.")]
    second = client.chat(messages, model=target, tools=[get_weather])
    assert "Sunny." in second.text
    client.chat([*messages, second, "say: thanks"], model=target, tools=[get_weather])
    sent = [m for m in emulator.requests[-1].json()["messages"] if m["role"] == "assistant"]
    assert [m.get("reasoning_content") for m in sent] == [first.reasoning, None]
    assert second.reasoning


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_answer_is_an_error(emulated, stream):
    """SF-S7: it is asked for again; reasoning or a cut by the limit is an answer."""
    client, emulator = emulated(retry={"attempts": 2, "first_seconds": 0.001})
    target = f"siliconflow:{PLAIN}"
    with pytest.raises(ServerError, match="nothing in it") as caught:
        list(client.stream("say:", model=target)) if stream else client.chat("say:", model=target)
    assert caught.value.retryable
    assert len(emulator.requests) == 2
    assert client.chat("say:", model=f"siliconflow:{QWEN}", reasoning="medium").reasoning
    client, _ = emulated(finish_reason="length")
    assert client.chat("say:", model=target).finish_reason == "length"


def test_a_cut_answer_is_not_continued(emulated):
    """SF-P13: the text so far comes with the error."""
    client, emulator = emulated(faults=[faults.cut(after_events=3), None], retry={"continue_after_cut": True})
    with pytest.raises(StreamInterruptedError) as caught:
        list(client.stream("say: one two three", model=f"siliconflow:{PLAIN}"))
    assert (caught.value.partial.text, len(emulator.requests)) == ("one two", 1)


@pytest.mark.parametrize(("word", "reason"), [("eos", "stop"), ("content_filter", "content_filter"), ("odd", "other")])
def test_finish_reasons(emulated, word, reason):
    """SF-S5: an unknown word is kept, and is no `stop`."""
    client, _ = emulated(finish_reason=word)
    reply = client.chat("say: one", model=f"siliconflow:{PLAIN}")
    assert (reply.finish_reason, reply.raw_finish_reason) == (reason, word)


@pytest.mark.parametrize(
    ("status", "error", "attempts"),
    [
        (400, BadRequestError, 1),
        (401, AuthenticationError, 1),
        (403, QuotaExceededError, 1),  # SF-I2
        (404, ModelNotFoundError, 1),
        (429, RateLimitError, 2),
        (451, ContentFilterError, 1),
        (500, ServerError, 2),
        (503, OverloadedError, 2),
        (504, ServerError, 2),
    ],
)
def test_errors_on_command(emulated, status, error, attempts):
    client, emulator = emulated(retry={"attempts": 2, "first_seconds": 0.001, "longest_seconds": 0.001})
    with pytest.raises(error) as caught:
        client.chat(f"error: {status}", model=f"siliconflow:{PLAIN}")
    assert (type(caught.value), caught.value.status, len(emulator.requests)) == (error, status, attempts)


def test_a_paid_twin_is_a_matter_of_the_callers_own_list():
    """SF-F1, SF-E4: an alias names both; the twin has the same abilities."""
    emulator = Emulator("siliconflow", models=("Pro/deepseek-ai/DeepSeek-V3.2",))
    twins = [f"siliconflow:{prefix}deepseek-ai/DeepSeek-V3.2" for prefix in ("", "Pro/")]
    client = Client(config=emulator.config(aliases={"main": twins}), transport=emulator)
    assert client.chat("hello", model="main", reasoning="medium").model == "Pro/deepseek-ai/DeepSeek-V3.2"


def test_context_overflow(emulated):
    """SF-I4"""
    client, _ = emulated(context_tokens=50)
    with pytest.raises(ContextLengthError):
        client.chat("word " * 100, model=f"siliconflow:{PLAIN}")
