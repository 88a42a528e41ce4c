"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import AudioPart, Client, FilePart, ImagePart, Message, Tool, UnsupportedFeatureError, Usage
from chatport.facts import cost_of
from chatport.setup.config import load_config
from chatport.setup.vendors import Vendors
from chatport_together import provider

OSS, DEEPSEEK = "together:openai/gpt-oss-120b", "together:deepseek-ai/DeepSeek-V4-Pro"
MINIMAX, LLAMA = "together:MiniMaxAI/MiniMax-M2.5", "together:meta-llama/Llama-3.3-70B-Instruct-Turbo"
NEW = "together:acme/New-Model-9"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PLAIN = {"model": "openai/gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}]}


def test_a_plain_call_is_the_standard(explain):
    explanation = explain("hello", max_tokens=50, temperature=0.5, seed=2**63, stop="x", top_p=0.5)
    assert explanation.url == "https://api.together.xyz/v1/chat/completions"
    options = {"max_tokens": 50, "temperature": 0.5, "seed": 2**63, "stop": ["x"], "top_p": 0.5}
    assert explanation.body == {**PLAIN, **options}
    assert explanation.adjustments == ()
    streamed = explain("hello", stream=True).body
    assert streamed == {**PLAIN, "stream": True, "stream_options": {"include_usage": True}}  # TG-I2


def test_addresses_and_keys(explain):
    """TG-B1, TG-B2, TG-B3"""
    for variable in ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY"):
        opened = Vendors(load_config({}, environment={"CHATPORT_CONFIG": ""}), environment={variable: "k"})
        assert opened.provider("together").base_url == "https://api.together.xyz/v1"
        assert opened.provider("together").key is not None
    environment = {"TOGETHER_API_KEY": "k", "TOGETHER_BASE_URL": "https://api.together.ai/v1"}
    opened = Vendors(load_config({}, environment={"CHATPORT_CONFIG": ""}), environment=environment)
    assert opened.provider("together").base_url == "https://api.together.ai/v1"
    assert "x-together-debug" not in explain().headers
    assert explain(settings={"debug": "1"}).headers["x-together-debug"] == "1"


def test_batches_are_said_as_facts():
    """TG-E1: half the price is true of some models only, so none is taken off."""
    rules = provider.facts.models[0].facts["rules"]["batch"]
    assert rules["price_factor"] == 1
    assert rules["files"]["fields"]["purpose"] == "batch-api"
    assert (rules["most_rows"], rules["most_bytes"]) == (50_000, 100_000_000)


OWN = {
    "top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1, "n": 2, "logit_bias": {"1": -1}, "safety_model": "a/b",
    "compliance": "hipaa", "context_length_exceeded_behavior": "truncate", "logprobs": 5,
    "chat_template_kwargs": {"clear_thinking": False}, "reasoning": {"enabled": True},
}  # fmt: skip
REQUESTS = [
    (OWN, OWN, set()),  # TG-P1, TG-P5, TG-P7, TG-P8
    ({"stop": "x"}, {"stop": ["x"]}, set()),
    ({"logprobs": True}, {"logprobs": 1}, set()),
    ({"logprobs": False, "top_logprobs": 2}, {}, set()),
    ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}, {("renamed", "top_logprobs", "TG-P2")}),
    ({"top_logprobs": 0}, {"logprobs": 1}, {("renamed", "top_logprobs", "TG-P2")}),
    ({"logprobs": 21}, {"logprobs": 20}, {("lowered", "logprobs", "TG-P2")}),
    ({"max_completion_tokens": 9}, {"max_tokens": 9}, {("renamed", "max_completion_tokens", "TG-P3")}),
    (
        {"max_completion_tokens": 9, "max_tokens": 8},
        {"max_tokens": 8},
        {("dropped", "max_completion_tokens", "TG-P3")},
    ),
    (
        {"repetition_penalty": 1.1, "presence_penalty": 1},
        {"repetition_penalty": 1.1, "presence_penalty": 1},
        {("note", "repetition_penalty", "TG-P3")},
    ),
    *[({name: "x"}, {}, {("dropped", name, "TG-P4")}) for name in ("service_tier", "store", "metadata", "prediction")],
    ({"store": False, "parallel_tool_calls": True}, {}, set()),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}, {("note", "parallel_tool_calls", "TG-P4")}),
    ({"response_format": {"type": "text"}}, {}, set()),  # TG-P9
]


@pytest.mark.parametrize(("extra", "sent", "warned"), REQUESTS)
def test_requests(explain, notes, extra, sent, warned):
    explanation = explain(extra=extra)
    assert explanation.body == {**PLAIN, **sent}
    assert notes(explanation) == warned


LOWERED, DROPPED = {("lowered", "reasoning", "TG-P6")}, {("dropped", "reasoning", "TG-P6")}
COARSE = {("lowered", "reasoning", "TG-P6")}


@pytest.mark.parametrize(
    ("model", "asked", "sent", "warned"),
    [
        (OSS, None, {}, set()),
        (OSS, "high", {"reasoning_effort": "high"}, set()),
        (OSS, "none", {"reasoning_effort": "low"}, LOWERED),
        (OSS, "minimal", {"reasoning_effort": "low"}, {("note", "reasoning", "TG-P6")}),
        (OSS, "max", {"reasoning_effort": "high"}, LOWERED),
        (MINIMAX, "high", {}, DROPPED),
        (MINIMAX, "none", {}, LOWERED),
        ("together:deepseek-ai/DeepSeek-R1", "none", {}, LOWERED),
        (LLAMA, "high", {}, DROPPED),
        (LLAMA, "none", {}, set()),
        *[
            case
            for model in (DEEPSEEK, NEW, "together:zai-org/GLM-5.2", "together:Qwen/Qwen3.5-397B-A17B")
            for case in (
                (model, None, {}, set()),
                (model, "none", {"reasoning": {"enabled": False}}, set()),
                (model, "medium", {"reasoning": {"enabled": True}}, set()),
                (model, "high", {"reasoning": {"enabled": True}}, COARSE),
            )
        ],
        (DEEPSEEK, 4096, {}, DROPPED),
    ],
)
def test_reasoning(explain, notes, model, asked, sent, warned):
    explanation = explain(model=model, reasoning=asked)
    assert {name: value for name, value in explanation.body.items() if name not in PLAIN} == sent
    assert notes(explanation) == warned


def test_own_switches_are_left_alone(explain):
    own = {"reasoning": {"enabled": False}}
    assert explain(model=DEEPSEEK, reasoning="high", extra=own).body["reasoning"] == {"enabled": False}


def test_reasoning_goes_back(explain):
    """TG-R1: to its origin only."""
    turn = {"role": "assistant", "content": "a", "reasoning": "because"}
    assert explain(["q", turn, "r"]).body["messages"][1]["reasoning"] == "because"
    foreign = Message("assistant", Message.assistant("a").content, reasoning="because", origin="deepseek")
    assert "reasoning" not in explain(["q", foreign, "r"]).body["messages"][1]


FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
TOLD, APART = ("added", "messages", "TG-J3"), ("lowered", "response_format", "TG-T5")


@pytest.mark.parametrize(
    ("extra", "options", "form", "words", "warned"),
    [
        ({}, {"output": SCHEMA}, "json_schema", '"city"', {TOLD}),
        ({"response_format": FORM}, {}, "json_schema", '"city"', {TOLD}),
        ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, {}, "json_schema", '"city"', {TOLD}),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, {}, "json_object", '"city"', {TOLD}),
        ({"response_format": {"type": "json_object"}}, {}, "json_object", "JSON", {TOLD}),
        ({"response_format": {"type": "regex", "pattern": "[ab]"}}, {}, "regex", None, set()),  # TG-J2
        ({}, {"output": SCHEMA, "tools": [Tool("f")]}, None, '"city"', {APART}),
        ({"response_format": {"type": "regex", "pattern": "[ab]"}}, {"tools": [Tool("f")]}, None, "[ab]", {APART}),
        (
            {},
            {"output": SCHEMA, "tools": [Tool("f")], "tool_choice": "none"},
            "json_schema",
            '"city"',
            {TOLD, ("note", "tools", "TG-T5")},
        ),
    ],
)
def test_structured(explain, notes, extra, options, form, words, warned):
    """TG-J1"""
    explanation = explain([Message.system("Be brief."), "Where?"], extra=extra, **options)
    assert explanation.body.get("response_format", {}).get("type") == form
    assert not ("tools" in explanation.body and form)
    system = explanation.body["messages"][0]["content"]
    assert system.startswith("Be brief.")
    assert words in system if words else system == "Be brief."
    assert notes(explanation) == warned


def test_json_said_once_is_enough(explain):
    explanation = explain("Answer in JSON.", extra={"response_format": {"type": "json_object"}})
    assert (len(explanation.body["messages"]), explanation.adjustments) == (1, ())


def test_tools(explain, notes):
    """TG-T3, TG-T4"""
    assert notes(explain(tools=[Tool(f"t{n}") for n in range(21)])) == {("note", "tools", "TG-T3")}
    loose = {("note", "tool_choice", "TG-T4")}
    for model, stream, choice, warned in [
        (LLAMA, True, "required", loose), (LLAMA, True, "f", loose), (LLAMA, False, "required", set()),
        (LLAMA, True, "auto", set()), (DEEPSEEK, True, "required", set()),
    ]:  # fmt: skip
        explanation = explain(tools=[Tool("f")], model=model, stream=stream, tool_choice=choice)
        assert explanation.body["tools"][0]["function"]["name"] == "f"
        assert notes(explanation) == warned


def test_parts_nobody_reads(explain):
    """TG-M1, TG-M2"""
    image = Message.user("look", ImagePart("https://example.com/a.png"))
    pdf = Message.user("read", FilePart(data="data:application/pdf;base64,JVBERi0=", filename="a.pdf"))
    for model, message in [
        (OSS, image), (DEEPSEEK, image), (NEW, pdf), (NEW, Message.user("hear", AudioPart("SUQz", "mp3"))),
    ]:  # fmt: skip
        with pytest.raises(UnsupportedFeatureError):
            explain([message], model=model)
    parts = explain([image, Message.user("hear", AudioPart("UklGRg==", "wav"))], model=NEW).body["messages"]
    assert [part["type"] for message in parts for part in message["content"]] == [
        "text", "image_url", "text", "input_audio",
    ]  # fmt: skip
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert explain([{"role": "user", "content": texts}]).body["messages"][0]["content"] == "ab"


def test_facts():
    """TG-P10, TG-T2, TG-U1: case counts, users overrule, unknown stays unknown, and new models follow the newest."""
    facts = provider.facts
    new, known = facts.describe("acme/New-Model-9"), facts.describe("deepseek-ai/DeepSeek-V4-Pro")
    assert (new.efforts, new.quirks, new.output_formats) == (known.efforts, known.quirks, known.output_formats)
    assert (new.context_tokens, new.input, new.tools, new.prices) == (None, (), None, ())
    assert facts.describe("OpenAI/GPT-OSS-120b").prices == ()
    usage = Usage(input_tokens=1_000_000, output_tokens=500_000, cached_input_tokens=400_000)
    assert cost_of(usage, known.prices).amount == pytest.approx(0.6 * 1.74 + 0.4 * 0.2 + 0.5 * 3.48)
    oss = facts.describe("openai/gpt-oss-120b").prices
    assert cost_of(usage, oss) is None  # what the cache costs there is not known
    assert cost_of(Usage(input_tokens=1_000_000, output_tokens=500_000), oss).amount == pytest.approx(0.15 + 0.3)
    assert all(entry.source for entry in (*facts.models, *facts.prices))
    config = {"providers": {"together": {"api_key": "k"}}, "models": {OSS: {"tools": False}}}
    with pytest.raises(UnsupportedFeatureError, match="tools"):
        Client(config=config).explain("hi", model=OSS, tools=[Tool("f")])
