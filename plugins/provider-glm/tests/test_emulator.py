"""The emulator refuses, or overlooks, the raw wrong request; our client sends none; and both forms say the same."""

from __future__ import annotations

import json

import attrs
import pytest

import chatport as c
from chatport import Message, TextPart
from chatport.testing import EmulatedRequest, faults
from chatport_glm.emulator import _ERRORS, GlmEmulator

USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def add(a: int = 1, b: int = 2) -> int:
    """Add."""
    return a + b


@attrs.frozen
class Place:
    city: str
    people: int


def post(key="k", path="/api/paas/v4/chat/completions", settings=None, **body):
    content = json.dumps({"model": "glm-5.2", "messages": [USER], **body}).encode()
    request = EmulatedRequest("POST", path, {"authorization": f"Bearer {key}"} if key else {}, content)
    response = GlmEmulator(**(settings or {})).respond(request)
    return response.status, json.loads(response.body)


REFUSED = [
    ("1213", {"messages": []}),
    ("1213", {"model": None}),
    ("1211", {"model": "glm-5.2[1m]"}),  # GL-X6
    ("1211", {"model": "gpt-6"}),
    ("1214", {"messages": [{"role": "system", "content": "x"}]}),  # GL-P13
    ("1214", {"temperature": 1.1}),  # GL-P3, GL-X7
    ("1214", {"top_p": 0}),  # GL-P4
    ("1214", {"max_tokens": 131_073}),  # GL-P6
    ("1214", {"stop": list("abcde")}),  # GL-P7
    ("1214", {"user_id": "joe"}),  # GL-P12
    ("1214", {"tools": [TOOL] * 129}),  # GL-T1
    ("1214", {"tools": [{"type": "function", "function": {"name": "a.b"}}]}),
    ("1210", {"thinking": {"type": "adaptive"}}),  # GL-P9
    ("1210", {"model": "glm-5.3", "thinking": {"type": "disabled"}}),  # GL-0.4
    ("1210", {"model": "glm-5.3", "reasoning_effort": "medium"}),  # GL-P11
    ("1210", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}),  # GL-J1
]


@pytest.mark.parametrize(("code", "body"), REFUSED)
def test_refused(code, body):
    status, data = post(**body)
    assert (status, data["error"]["code"], set(data), set(data["error"])) == (400, code, {"error"}, {"code", "message"})


def test_keys():  # GL-0.2, GL-E1, GL-E18
    def code(*args, **more):
        return post(*args, **more)[1]["error"]["code"]

    assert code(None) == "1001"
    assert code(settings={"api_key": "other"}) == "1000"
    assert code(settings={"plan_key": True}) == "1113"
    assert post(path="/api/coding/paas/v4/chat/completions", settings={"plan_key": True})[0] == 200


def test_overlooked_without_a_word():  # GL-P2, GL-P15, GL-T2, GL-X1
    parts = [{"type": "text", "text": "found"}]
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    history = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": parts},
    ]
    assert post(messages=history)[1]["choices"][0]["message"]["content"] == "The tool says: "
    assert post(tools=[TOOL], tool_choice="none")[1]["choices"][0]["finish_reason"] == "tool_calls"
    assert "logprobs" not in post(seed=1, logprobs=True)[1]["choices"][0]


@pytest.mark.parametrize("model", GlmEmulator.models)
@pytest.mark.parametrize("reasoning", [None, "none", "medium", "max", 4096])
def test_our_client_smooths_every_call_to_every_model(emulated, model, reasoning):
    client, _ = emulated()
    own = {"seed": 1, "extra": {"max_completion_tokens": 900, "user": "joe"}}
    options = {"model": f"glm:{model}", "reasoning": reasoning, "temperature": 2, "top_p": 0, **own}
    messages = [Message.developer("Be brief."), Message("user", (TextPart("call: add {}"),), name="joe")]
    assert client.chat(messages, tools=[add], tool_choice="required", **options).tool_calls
    assert client.chat("hello", tools=[add], tool_choice="none", **options).tool_calls == ()
    assert client.chat("which?", output=Place, **options).parsed() == Place("text", 1)
    plain = client.chat("say: well", **options)
    with client.stream("say: well", **options) as stream:
        kinds = [type(event).__name__ for event in stream]
    assert plain.text == stream.reply.text == "well"
    assert plain.reasoning == stream.reply.reasoning
    assert plain.usage == stream.reply.usage
    assert (plain.finish_reason, stream.reply.finish_reason) == ("stop", "stop")
    thinks = model != "glm-4-plus" and model != "glm-4v-plus" and (reasoning != "none" or model == "glm-5.3")
    assert bool(plain.reasoning) == thinks
    assert ("ReasoningDelta" in kinds) == thinks


@pytest.mark.parametrize("model", ["glm-4.7-flash", "glm-4.5-air"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_round_trip_of_parallel_tools(emulated, model, streams):  # GL-T4, GL-R1, GL-S5
    client, emulator = emulated()
    messages = [Message.user('think: let me see\ncall: add {"a": 1, "b": 2}\ncall: add {"a": 3, "b": 4}')]
    pieces = []

    def ask():
        if not streams:
            return client.chat(messages, model=f"glm:{model}", tools=[add])
        with client.stream(messages, model=f"glm:{model}", tools=[add]) as stream:
            pieces.extend(event for event in stream if isinstance(event, c.ToolCallDelta))
        return stream.reply

    first = ask()
    assert [call.parsed() for call in first.tool_calls] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert (first.finish_reason, first.reasoning, first.usage.reasoning_tokens) == ("tool_calls", "let me see", 3)
    assert (len(pieces) > 2) == (streams and model == "glm-4.7-flash")
    messages += [first.message, *(Message.tool(call, str(add(**call.parsed()))) for call in first.tool_calls)]
    assert ask().text == "The tool says: 7"
    sent = json.loads(emulator.requests[-1].content)["messages"]
    assert (sent[1]["reasoning_content"], sent[1]["content"]) == ("let me see", "")


def test_a_limit_cuts_the_answer(emulated):  # GL-P6
    client, _ = emulated()
    reply = client.chat("say: a b c d", model="glm:glm-5.2", reasoning="none", max_tokens=2)
    assert (reply.text, reply.finish_reason) == ("a b", "length")


@pytest.mark.parametrize(
    ("word", "ours"), [("sensitive", "content_filter"), ("model_context_window_exceeded", "length")]
)
def test_finish_words(emulated, word, ours):  # GL-S6
    client, _ = emulated(finish_reason=word)
    assert client.chat("say: a", model="glm:glm-5.2").finish_reason == ours


def test_a_cut_answer_is_not_continued(emulated):
    """Nothing documents how: the text so far comes with the error."""
    client, emulator = emulated(faults=[faults.cut(after_events=2), None], retry={"continue_after_cut": True})
    with pytest.raises(c.StreamInterruptedError) as caught:
        list(client.stream("say: one two three", model="glm:glm-5.2", reasoning="none"))
    assert (caught.value.partial.text, len(emulator.requests)) == ("one two", 1)


@pytest.mark.parametrize("streams", [False, True])
def test_errors_of_the_twin(emulated, streams):  # GL-E18, GL-0.3
    client, _ = emulated()
    for code, (status, _words) in _ERRORS.items():
        ask = client.stream if streams else client.chat
        with pytest.raises(c.ChatportError) as caught:
            list(ask(f"error: {code}", model="glm:glm-5.2"))
        assert (caught.value.status, caught.value.code) == (status, str(code))


def test_what_only_the_vendor_can_refuse(emulated):  # GL-P13, GL-E8, GL-S6, GL-X9
    client, _ = emulated(finish_reason="network_error", context_characters=100, overflow="Prompt too long")
    with pytest.raises(c.BadRequestError, match="1214"):
        client.chat([Message.system("only this")], model="glm:glm-5.2")
    with pytest.raises(c.ContextLengthError):
        client.chat("x" * 100, model="glm:glm-5.2")
    with pytest.raises(c.ServerError, match="network_error"):
        client.chat("hello", model="glm:glm-5.2")
    with pytest.raises(c.ModelNotFoundError):
        client.chat("hello", model="glm:glm-9")
    assert "glm-5.2" in [model.id for model in client.models("glm")]  # GL-N1
