"""What a model is asked, and what is refused before it is sent."""

from __future__ import annotations

import pytest

import chatport
from chatport import AudioPart, ImagePart, Message, ModelNotFoundError, UnsupportedFeatureError
from chatport_bedrock import provider

RUN = {"endpoint": "runtime"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def look(city: str) -> str:
    """Look at a city."""
    return city


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        ("openai.gpt-5.6-luna", RUN, r"us\.openai\.gpt-5\.6-luna, global\.openai\.gpt-5\.6-luna"),
        ("openai.gpt-6-sol", RUN, r"inference profiles only"),
        ("openai.gpt-5.4", RUN, r'endpoint = "mantle"'),
        ("us.openai.gpt-5.5", RUN, r'endpoint = "mantle"'),
        ("global.openai.gpt-6-astra", {}, r"leave out what stands before openai"),
    ],
)
def test_an_id_of_the_other_endpoint_is_refused_unsent(explain, model, settings, words):
    """BR-E4, BR-X12"""
    with pytest.raises(ModelNotFoundError, match=words):
        explain(model=model, settings=settings)


@pytest.mark.parametrize("model", ["openai.gpt-5.6-luna", "openai.gpt-5.4", "openai.gpt-6-astra"])
def test_gpt_refuses_sampling(explain, notes, model):
    """BR-P1, BR-P2, BR-P4, BR-I3"""
    extra = {"service_tier": "flex", "max_tokens": 50}
    shown = explain(model=model, temperature=0.2, top_p=0.5, extra=extra)
    fields = {field for kind, field, fact in notes(shown) if kind == "dropped" and fact.startswith("BR-P")}
    assert fields == {"temperature", "top_p", "service_tier"}
    assert shown.body["max_output_tokens"] == 50
    by_chat = explain(model="openai.gpt-5.6-luna", settings={"protocol": "chat"}, max_tokens=50)
    assert by_chat.body["max_completion_tokens"] == 50


def test_others_take_it(explain, notes):
    """BR-P1: recorded with gpt-oss; Gemma 4 takes its default alone."""
    shown = explain(temperature=0.2, top_p=0.5, extra={"service_tier": "flex", "logprobs": True})
    assert shown.adjustments == ()
    assert (shown.body["temperature"], shown.body["service_tier"]) == (0.2, "flex")
    gemma = explain(model="google.gemma-4-27b", temperature=0.2)
    assert notes(gemma) == {("dropped", "temperature", "BR-P1")}
    assert explain(model="google.gemma-4-27b", temperature=1).adjustments == ()


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("openai.gpt-oss-20b", "xhigh", "high"), ("openai.gpt-oss-20b", "none", "low"),
        ("openai.gpt-5.6-luna", "max", "max"), ("openai.gpt-5.6-luna", "none", "none"),
        ("openai.gpt-5.6-luna", "minimal", "low"),
    ],
)  # fmt: skip
def test_efforts(explain, model, asked, sent):
    """BR-P3"""
    body = explain(model=model, reasoning=asked).body
    assert body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort")) == sent


def test_surfaces(explain):
    """BR-E3, BR-E1: gpt-oss has Responses on mantle alone."""
    kept = {"extra": {"previous_response_id": "resp_1"}}
    assert explain(**kept).protocol == "responses"
    assert explain(model="openai.gpt-oss-20b-1:0", settings=RUN, **kept).protocol == "chat"
    for model in ("openai.gpt-oss-safeguard-20b", "deepseek.v3.2", "qwen.qwen3-235b"):
        assert explain(model=model, **kept).protocol == "chat"


def test_usage_is_asked_for_and_strict_tools_pass(explain):
    """BR-P5, BR-T3"""
    tool = {"name": "look", "parameters": SCHEMA, "strict": True}
    shown = explain(stream=True, tools=[tool], tool_choice="required")
    assert shown.body["stream_options"] == {"include_usage": True}
    assert shown.body["tools"][0]["function"]["strict"] is True
    assert shown.body["tool_choice"] == "required"


# --- guardrails


GUARDED = {**RUN, "guardrail": "gr-1", "guardrail_version": "3"}


def test_a_guardrail_goes_in_headers(explain):
    """BR-P6"""
    shown = explain(model="openai.gpt-oss-20b-1:0", settings=GUARDED)
    assert shown.headers["x-amzn-bedrock-guardrailidentifier"] == "gr-1"
    assert shown.headers["x-amzn-bedrock-guardrailversion"] == "3"


@pytest.mark.parametrize(
    ("model", "settings"),
    [("global.openai.gpt-5.6-luna", GUARDED), ("openai.gpt-oss-20b-1:0", {**GUARDED, "protocol": "responses"})],
)
def test_nothing_is_sent_that_a_guardrail_would_not_guard(explain, model, settings):
    """BR-P6"""
    with pytest.raises(UnsupportedFeatureError, match="would not guard"):
        explain(model=model, settings=settings)


def test_so_with_the_headers_of_a_call(explain):
    """BR-P6"""
    with pytest.raises(UnsupportedFeatureError, match="would not guard"):
        explain(headers={"X-Amzn-Bedrock-GuardrailIdentifier": "gr-1"})


# --- structures


def test_structures_by_endpoint(explain, notes):
    """BR-J1, BR-J2"""
    assert explain(model="openai.gpt-5.6-luna", output=SCHEMA).body["text"]["format"]["strict"] is True
    lost = explain(model="global.openai.gpt-5.6-luna", settings=RUN, output=SCHEMA)
    assert "format" not in lost.body.get("text", {})
    astra = {"model": "us.openai.gpt-6-astra", "settings": RUN, "output": SCHEMA}
    assert explain(**astra).body["text"]["format"]["type"] == "json_schema"
    streamed = explain(**astra, stream=True)
    assert ("lowered", "stream", "BR-J1") in notes(streamed)
    assert "stream" not in streamed.body
    assert explain(output=SCHEMA).body["response_format"]["type"] == "json_schema"


def test_pictures_go_to_gpt(explain):
    """BR-M1"""
    picture = [Message.user("?", ImagePart.from_bytes(b"\x89PNG\r\n\x1a\n-png-"))]
    shown = explain(picture, model="openai.gpt-5.6-luna")
    assert shown.body["input"][0]["content"][1]["type"] == "input_image"
    with pytest.raises(UnsupportedFeatureError, match="has an image part"):
        explain(picture, model="openai.gpt-oss-20b")
    with pytest.raises(UnsupportedFeatureError, match="has an audio part"):
        explain([Message.user(AudioPart(b"RIFF1234WAVEfmt ", "wav"))], model="openai.gpt-5.6-luna")


# --- history


@pytest.mark.parametrize(("settings", "is_sent"), [({}, True), (RUN, False)])
def test_thoughts_go_back_to_mantle(explain, settings, is_sent):
    """BR-R1, BR-S2"""
    earlier = Message("assistant", (chatport.TextPart("Four."),), reasoning="Two and two.", origin="bedrock")
    model = "openai.gpt-oss-20b-1:0" if settings else "openai.gpt-oss-20b"
    sent = explain([earlier, "Sure?"], model=model, settings=settings).body["messages"][0]
    assert (sent.get("reasoning") == "Two and two.") is is_sent


def test_calls_have_one_id_in_the_whole_conversation(emulated):
    """BR-T2, BR-T4: every response numbers them anew; thoughts go back sealed with them."""
    client, emulator = emulated()
    ask = {"model": "bedrock:openai.gpt-5.6-luna", "tools": [look]}
    talk = ["call: look {}"]
    ids = []
    for _ in range(2):
        with client.stream(talk, **ask) as events:
            list(events)
        reply = events.reply
        ids.append(reply.tool_calls[0].id)
        talk += [reply, Message.tool(reply.tool_calls[0], "sunny"), 'call: look {"city": "Oslo"}']
    client.chat([*talk[:-1], "say: fine"], **ask)
    items = emulator.requests[-1].json()["input"]
    assert len(set(ids)) == 2
    assert all(call_id.endswith(":call_0") for call_id in ids)
    assert [item["call_id"] for item in items if item.get("type") == "function_call"] == ids
    assert [item["encrypted_content"][:4] for item in items if item.get("type") == "reasoning"] == ["rsn_", "rsn_"]


def test_tools_of_the_server_pass(explain):
    """BR-W1"""
    tool = {"type": "web_search"}
    shown = explain(model="openai.gpt-5.6-luna", tools=[tool])
    assert shown.body["tools"] == [tool]
    assert shown.adjustments == ()


def test_marks_of_the_prompt_cache_pass(explain):
    """BR-P7"""
    extra = {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit"}}
    assert explain(model="openai.gpt-5.6-luna", extra=extra).body.items() >= extra.items()


# --- prices and places


@pytest.mark.parametrize(
    ("model", "price", "cached"),
    [
        ("openai.gpt-6-astra", 11, 1.1), ("us.openai.gpt-6-astra", 11, 1.1), ("global.openai.gpt-6-astra", 10, 1),
        ("openai.gpt-5.6-luna", 0.22, 0.022), ("global.openai.gpt-5.6-luna", 0.2, None),
        ("openai.gpt-5.4", 2.75, 0.275),
        ("openai.gpt-oss-20b-1:0", 0.07, None), ("openai.gpt-oss-120b", 0.15, None),
    ],
)  # fmt: skip
def test_prices_go_by_the_full_id(model, price, cached):
    """BR-U2"""
    (found,) = provider.facts.describe(model).prices
    assert (found.input, found.cached_input) == (price, cached)
    if "gpt-6" in model or "5.6" in model:
        tier = found.tiers[0]
        assert (tier.above_input_tokens, tier.input, tier.output) == (
            272_000,
            found.input * 2,
            round(found.output * 1.5, 6),
        )
        assert found.cache_write == pytest.approx(found.input * 1.25)


def test_limits_and_ends_are_those_of_the_sheet():
    """BR-L1, BR-L2, BR-K1"""
    luna, older = provider.facts.describe("openai.gpt-5.6-luna"), provider.facts.describe("openai.gpt-5.5")
    assert (luna.context_tokens, luna.max_output_tokens, older.context_tokens) == (1_050_000, 128_000, 272_000)
    sources = [entry.source for entry in provider.facts.models if entry.match == "*openai.gpt-5.6*"]
    assert "2027-07-13" in sources[0]
    assert provider.facts.describe("openai.gpt-4o").source.startswith("BR-B2")


def test_places():
    """BR-D1, BR-D2, BR-B4: on runtime the id decides, so the place is unknown until stated."""
    mantle = provider.facts.host("https://bedrock-mantle.eu-central-1.api.aws")
    runtime = provider.facts.host("https://bedrock-runtime.eu-central-1.amazonaws.com")
    assert (mantle.regions, mantle.trains) == (("DE",), False)
    assert (runtime.regions, runtime.trains) == ((), False)
