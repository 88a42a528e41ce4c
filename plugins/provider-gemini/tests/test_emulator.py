"""Our clients against the vendor's twins, in process, and the twins' own refusals."""

from __future__ import annotations

import json

import pytest

from chatport import Client, Message, QuotaExceededError, ReasoningDelta, TextDelta, Tool
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults, replay
from chatport_gemini.emulator import GeminiEmulator, VertexEmulator

FLASH, LITE, PRO = "gemini:gemini-3.5-flash", "gemini:gemini-2.5-flash-lite", "gemini:gemini-3.1-pro-preview"
WEATHER = Tool("get_weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
THOUGHT = "think: one two three\nsay: four five"
CALLS = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'


def ask(client, text, *, stream=False, **options):
    options = {"model": FLASH, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@pytest.fixture(params=["gemini", "vertex"])
def client_of(request):
    """Make a client of either twin."""

    def made(thoughts=False, **settings):
        emulator = Emulator(request.param, **settings)
        config = emulator.config(retry={"attempts": 1})
        config["providers"][request.param]["thoughts"] = thoughts
        return Client(config=config, transport=emulator), emulator, f"{request.param}:gemini-3.5-flash"

    return made


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_shown_where_they_are_asked_for(client_of, stream):
    """GM-S4, GM-S5, GM-R4, GM-R5, GM-P3: apart from the text, and never in it."""
    client, emulator, model = client_of(thoughts=True)
    reply = ask(client, THOUGHT, stream=stream, model=model, reasoning="high")
    assert (reply.text, reply.reasoning) == ("four five", "one two three")
    assert b"<thought>" in emulator.vendor.respond(emulator.requests[-1]).body
    client, _, model = client_of()
    assert ask(client, THOUGHT, stream=stream, model=model).reasoning is None


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_before_a_call_and_alone(client_of, stream):
    """GM-S4, GM-P6: thinking counts for max_tokens, and may use all of it."""
    client, _, model = client_of(thoughts=True)
    called = ask(client, f"think: hm\n{CALLS}", stream=stream, model=model, tools=[WEATHER])
    assert (called.reasoning, called.text, len(called.tool_calls)) == ("hm", "", 2)
    cut = ask(client, THOUGHT, stream=stream, model=model, max_tokens=2)
    assert (cut.text, cut.reasoning, cut.finish_reason) == ("", "one two three", "length")


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_counted_and_paid_for(emulated, stream, details):
    """GM-U1, GM-U2"""
    client, _ = emulated(counts_thoughts=details)
    reply = ask(client, THOUGHT, stream=stream, model=LITE)
    usage = reply.usage
    assert (usage.reasoning_tokens, usage.output_tokens) == (3, 5)
    assert reply.cost.amount == pytest.approx((usage.input_tokens * 0.1 + 5 * 0.4) / 1e6)


@pytest.mark.parametrize("settings", [{}, {"pieces_of_calls": True}, {"signature_apart": True}])
@pytest.mark.parametrize("stream", [False, True])
def test_calls_stay_apart_and_their_signature_goes_back(client_of, stream, settings):
    """GM-T3, GM-T5, GM-T6, GM-T10, GM-S6, GM-I1, GM-I2"""
    client, emulator, model = client_of(**settings)
    asked = Message.user(CALLS)
    reply = ask(client, [asked], stream=stream, model=model, tools=[WEATHER])
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert (reply.finish_reason, reply.raw_finish_reason) == ("tool_calls", "stop" if stream else "tool_calls")
    results = [Message.tool(call, "sun") for call in reply.tool_calls]
    answer = ask(client, [asked, reply, *results], stream=stream, model=model, tools=[WEATHER])
    assert (answer.text, answer.warnings) == ("The tool says: sun", ())
    first, second = emulator.requests[-1].json()["messages"][1]["tool_calls"]
    assert "thought_signature" in first["extra_content"]["google"]
    assert "extra_content" not in second


@pytest.mark.parametrize("stream", [False, True])
def test_ids_that_are_empty_or_come_again_are_made_unique(emulated, stream):
    """GM-T4"""
    client, emulator = emulated()
    for model in (LITE, FLASH):
        asked = Message.user(CALLS)
        first = ask(client, [asked], stream=stream, model=model, tools=[WEATHER])
        turn = [asked, first, *(Message.tool(call, "sun") for call in first.tool_calls)]
        again = ask(client, [*turn, asked], stream=stream, model=model, tools=[WEATHER])
        turn += [asked, again, *(Message.tool(call, "rain") for call in again.tool_calls)]
        assert ask(client, turn, model=model, tools=[WEATHER]).text == "The tool says: rain"
        sent = emulator.requests[-1].json()["messages"]
        ids = [call["id"] for message in sent for call in message.get("tool_calls") or ()]
        assert len(set(ids)) == 4
        assert all(ids)


def test_a_conversation_goes_from_model_to_model(emulated):
    """GM-T8: what was signed by another is not sent, and the vendor takes it."""
    client, _ = emulated()
    asked = Message.user(CALLS)
    for first, second in ((FLASH, PRO), (LITE, FLASH), (FLASH, LITE)):
        reply = ask(client, [asked], model=first, tools=[WEATHER])
        results = [Message.tool(call, "sun") for call in reply.tool_calls]
        answer = ask(client, [asked, reply, *results], model=second, tools=[WEATHER])
        assert answer.text == "The tool says: sun"


@pytest.mark.parametrize("name", ["default_api.get_weather", "default_api:get_weather", "default_api.other"])
@pytest.mark.parametrize("stream", [False, True])
def test_prefixed_names_are_the_tools_own(emulated, stream, name):
    """GM-T11: if there is such a tool."""
    reply = ask(emulated()[0], f"call: {name} {{}}", stream=stream, tools=[WEATHER])
    assert reply.tool_calls[0].name == ("get_weather" if name.endswith("get_weather") else name)


def test_a_signed_text_goes_back_without_its_mark(emulated):
    """GM-R5, GM-R6: the copy beside it stays here, too."""
    client, emulator = emulated()
    for stream in (False, True):
        first = ask(client, THOUGHT, stream=stream)
        ask(client, [Message.user("a"), first, Message.user("say: b")])
        sent = emulator.requests[-1].json()["messages"][1]
        assert sent.keys() == {"role", "content", "extra_content"}
        assert sent["extra_content"]["google"].keys() == {"thought_signature"}


def test_another_model_answers_from_its_day_on():
    """GM-K1: no error, another model; Chatport asks for that by name, and says so."""
    before, after = (
        post({"model": "gemini-2.5-pro", "messages": [{"role": "user", "content": "hello"}]}, today=day)
        for day in ("2026-11-30", "2026-12-01")
    )
    assert [json.loads(answer.body)["model"] for answer in (before, after)] == ["gemini-2.5-pro", "gemini-3.8-flash"]
    from chatport_gemini import provider

    days = {entry.id: (entry.since, entry.successor) for entry in provider.facts.retired}
    assert days["gemini-2.5-pro"] == ("2026-12-01", "gemini-3.8-flash")
    assert days["gemini-2.5-flash"] == ("2026-12-01", "gemini-3.5-flash-lite")


def test_a_model_that_is_gone_is_followed(emulated):
    """GM-K2"""
    reply = ask(emulated()[0], "hello", model="gemini:gemini-3-pro-preview")
    assert (reply.model, [warning.kind for warning in reply.warnings]) == ("gemini-3.1-pro-preview", ["redirected"])


def test_models_are_listed_without_their_prefix(emulated):
    """GM-E1, GM-E3"""
    client, _ = emulated()
    assert "gemini-3.5-flash" in {model.id for model in client.models("gemini")}
    assert ask(client, "say: a", model="gemini:models/gemini-3.5-flash").text == "a"


def test_prices():
    """GM-U2: with the days of a promotion."""
    from chatport_gemini import provider

    def price(model):
        return [(p.since, p.until, p.input, p.output) for p in provider.facts.describe(model).prices]

    assert price("gemini-3.8-flash") == [(None, "2027-01-01", 0.75, 3.75), ("2027-01-01", None, 1.5, 7.5)]
    assert price("gemini-3.5-flash-lite") == [(None, None, 0.3, 2.5)]
    assert price("models/gemini-3.5-flash") == [(None, None, 1.5, 9.0)]
    assert price("gemini-2.5-flash-lite") == [(None, None, 0.1, 0.4)]
    assert provider.facts.describe("gemini-3.1-pro-preview").prices[0].tiers[0].above_input_tokens == 200_000


def test_a_limit_of_a_minute_is_waited_for_and_one_of_a_day_is_not():
    """GM-X18, GM-X19, GM-H1, GM-H2, GM-F1: another model has a quota of its own."""
    clock = VirtualClock()
    emulator = Emulator("gemini", faults=[faults.status(429), None], clock=clock)
    with Client(config=emulator.config(), transport=emulator, clock=clock.clock) as client:
        reply = client.chat("say: a", model=FLASH)
    assert (reply.text, clock.waits, reply.rate_limits) == ("a", [pytest.approx(41, abs=1)], None)
    emulator = Emulator("gemini", quota="Day", faults=[faults.status(429), None])
    config = {**emulator.config(), "aliases": {"main": [FLASH, PRO]}}
    with Client(config=config, transport=emulator) as client:
        assert client.chat("say: a", model="main").model == "gemini-3.1-pro-preview"
        with pytest.raises(QuotaExceededError):
            client.chat("error: 429", model=FLASH)


# --- what comes in a stream


def chunks(*deltas, finish="stop"):
    said = [{"choices": [{"index": 0, "delta": {**delta, "role": "assistant"}}]} for delta in deltas]
    said[-1]["choices"][0]["finish_reason"] = finish
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in said) + "data: [DONE]\n\n"


MARK = {"extra_content": {"google": {"thought": True}}}
SIGNED = {"extra_content": {"google": {"thought": True, "thought_signature": "c2ln"}}}
ASKED = {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}


@pytest.mark.parametrize(
    ("deltas", "asked", "reasoning", "text"),
    [
        ([{"content": "<thought>a", **MARK}, {"content": "b", **MARK}, {"content": "</thought>c"}], {}, "ab", "c"),
        ([{"content": "<thought>a", **MARK}, {"content": "c"}, {"content": "d"}], {}, "a", "cd"),
        ([{"content": "a", **MARK}, {"content": "c"}], {}, "a", "c"),
        ([{"content": "<thought>a</thought>c"}], ASKED, "a", "c"),
        ([{"content": "<tho"}, {"content": "ught>a</th"}, {"content": "ought>c</thought>"}], ASKED, "a", "c</thought>"),
        ([{"content": "<thought>a</th"}], ASKED, "a</th", ""),
        ([{"content": "<tho"}], ASKED, "", "<tho"),
        ([{"content": "<thought>a</thought>"}], {}, "", "<thought>a</thought>"),
        ([{"content": "c"}, {"content": "<thought>d"}], ASKED, "", "c<thought>d"),
        ([{"content": "c"}, {"content": "<thought>a", **MARK}, {"content": "</thought>d"}], {}, "a", "cd"),
        ([{"content": "c", **SIGNED}], {}, "", "c"),
        ([{"content": "<thought>a", **MARK}, {"content": "</thought>c", **SIGNED}], {}, "a", "c"),
    ],
)
def test_thoughts_by_their_tag_or_their_mark(deltas, asked, reasoning, text):
    """GM-S4, GM-R5: a text that was not asked to hold thoughts, and is not marked, is a text."""
    reply = replay("gemini", body=chunks(*deltas), stream=True, request=asked)
    assert (reply.reasoning or "", reply.text) == (reasoning, text)


@pytest.mark.parametrize(
    ("content", "asked", "reasoning", "text"),
    [
        ("<thought>a</thought>c", ASKED, "a", "c"),
        ("<thought>a", ASKED, "a", ""),
        ("c", ASKED, "", "c"),
        ("<thought>a</thought>c", {}, "", "<thought>a</thought>c"),
    ],
)
def test_thoughts_of_a_whole_message_by_their_tag(content, asked, reasoning, text):
    """GM-R5: the mark says nothing there."""
    message = {"role": "assistant", "content": content, **SIGNED}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    reply = replay("gemini", body=body, stream=False, request=asked)
    assert (reply.reasoning or "", reply.text) == (reasoning, text)


def test_pieces_are_handed_out_as_they_come(client_of):
    """GM-S1, GM-S2, GM-S4"""
    client, _, model = client_of(thoughts=True)
    events = list(client.stream(THOUGHT, model=model))
    said = [event.text for event in events if isinstance(event, ReasoningDelta | TextDelta)]
    assert said == ["one", " two", " three", "four", " five"]


def test_an_end_without_done_or_finish():
    """GM-S7"""
    from chatport import StreamInterruptedError

    body = chunks({"content": "a"})
    assert replay("gemini", body=body.replace("data: [DONE]\n\n", ""), stream=True).text == "a"
    with pytest.raises(StreamInterruptedError):
        replay("gemini", body=chunks({"content": "a"}, finish=None).replace("data: [DONE]\n\n", ""), stream=True)


# --- the twins alone


def post(body, twin=GeminiEmulator, **settings):
    model = "gemini-3.5-flash" if twin is GeminiEmulator else "google/gemini-3.5-flash"
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **body}
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return twin(**settings).respond(request)


def tools(**schema):
    parameters = {"type": "object", "properties": {"a": schema}}
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}


def turn(**call):
    made = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, **call}
    result = {"role": "tool", "tool_call_id": "c", "content": "r"}
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [made]}, result]}


JSON = {"response_format": {"type": "json_object"}}
REFUSED = [
    {"parallel_tool_calls": True},
    {"temperature": 3},
    {"messages": [{"role": "developer", "content": "a"}]},
    {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
    {"reasoning_effort": "none"},
    {"reasoning_effort": "xhigh"},
    {"reasoning_effort": "minimal", "model": "gemini-3.8-flash"},
    {"reasoning_effort": "low", "extra_body": {"google": {"thinking_config": {}}}},
    tools(const="x"),
    tools(oneOf=[]),
    tools(exclusiveMinimum=1),
    tools(enum=[1]),
    {**tools(type="string"), **JSON, "model": "gemini-2.5-flash-lite"},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}},
    turn(),
    turn(extra_content={"google": {"thought_signature": "c2ln"}}),
    {"messages": turn()["messages"][:2]},
]


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: "-".join(body))
def test_emulator_refuses(body):
    """GM-P2, GM-P5, GM-P8, GM-R1, GM-R3, GM-T1, GM-T7, GM-T8, GM-T10, GM-J1, GM-J2, GM-M1, GM-X1, GM-X12"""
    if len(body.get("messages", "")) == 2:
        body = {"messages": [*body["messages"], {"role": "user", "content": "b"}]}
    answer = post(body)
    assert answer.status == 400
    [error] = json.loads(answer.body)
    assert (error["error"]["code"], error["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_emulators_differ():
    """GM-P1, GM-X1, GM-X10, GM-X15, GM-X17, GM-X20, GM-E4, GM-T7, GM-S5"""
    assert post({"parallel_tool_calls": True}, VertexEmulator).status == 200
    assert post({"model": "gemini-3.5-flash"}, VertexEmulator).status == 404
    assert post({"model": "models/gemini-3.5-flash"}).status == 200
    assert [post({}, twin, api_key="x").status for twin in (GeminiEmulator, VertexEmulator)] == [400, 401]
    assert isinstance(json.loads(post(turn(), VertexEmulator).body), dict)
    assert b"2. content block" in post(turn(), VertexEmulator).body
    untagged = post({"extra_body": ASKED["extra_body"], "stream": True}, VertexEmulator).body
    assert b"<" not in untagged
    full = {"messages": [{"role": "user", "content": "error: 429"}]}
    assert b"QuotaFailure" not in post(full, VertexEmulator).body
    assert b"PerMinute" in post(full, VertexEmulator, shared_capacity=False).body
    assert post({}, window_tokens=1).status == 400  # GM-X13
