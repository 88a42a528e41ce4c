"""The request that goes out, fact by fact, and the notes that say what was changed."""

from __future__ import annotations

import attrs
import pytest

from chatport import (
    AudioPart,
    Client,
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
    Usage,
    VideoPart,
)
from chatport.facts import cost_of
from chatport.setup.config import load_config
from chatport.setup.vendors import Vendors
from chatport_siliconflow import provider

QWEN, V3, V31, V32 = "Qwen/Qwen3-8B", *(f"deepseek-ai/DeepSeek-{v}" for v in ("V3", "V3.1", "V3.2"))
V4, R1, NEW = "deepseek-ai/DeepSeek-V4-Pro", "deepseek-ai/DeepSeek-R1", "maker/Brand-New-9B"
THINKING = ("enable_thinking", "thinking_budget", "reasoning_effort", "thinking")
ON, OFF = {"enable_thinking": True}, {"enable_thinking": False}


@attrs.frozen
class Place:
    city: str


def at(model):
    return f"siliconflow:{model}"


def test_a_plain_call_is_the_standard(explain):
    """SF-B2, SF-P3: nothing is said of thinking that was not asked; SF-P9: usage is asked for."""
    for model in (QWEN, "deepseek-ai/DeepSeek-V3.2-Exp", V4, NEW):
        explanation = explain("hello", model=at(model), max_tokens=50, stream=True)
        assert explanation.body == {
            "model": model,
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 50,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        assert explanation.adjustments == ()
        assert explanation.headers["authorization"] == "Bearer ***"


# --- thinking


@pytest.mark.parametrize(
    ("model", "asked", "sent", "said"),
    [
        (QWEN, "medium", ON, set()),
        (QWEN, "none", OFF, set()),
        (QWEN, "high", ON, {("lowered", "reasoning", "SF-P2")}),
        (QWEN, "low", ON, {("note", "reasoning", "SF-P2")}),
        ("Pro/deepseek-ai/DeepSeek-V3.2", "none", OFF, set()),  # SF-E4
        ("LoRA/Qwen/Qwen3-32B", "none", OFF, set()),  # SF-E4
        ("tencent/Hunyuan-A13B-Instruct", "none", OFF, set()),
        (QWEN, 2048, {**ON, "thinking_budget": 2048}, set()),
        (QWEN, 50_000, {**ON, "thinking_budget": 32768}, {("lowered", "thinking_budget", "SF-P4")}),
        (QWEN, 5, {**ON, "thinking_budget": 128}, {("note", "thinking_budget", "SF-P4")}),
        (V4, "high", {"reasoning_effort": "high"}, set()),
        (V4, "max", {"reasoning_effort": "max"}, set()),
        (V4, "low", {"reasoning_effort": "high"}, {("note", "reasoning", "SF-P5")}),
        ("zai-org/GLM-5.2", "xhigh", {"reasoning_effort": "max"}, {("note", "reasoning", "SF-P5")}),
        ("deepseek-ai/DeepSeek-V5", "max", {"reasoning_effort": "max"}, set()),  # newest rules
        (V4, "none", {}, {("dropped", "reasoning", "SF-P2")}),
        (V4, 4096, {"thinking_budget": 4096}, set()),
        (R1, "high", {}, {("dropped", "reasoning", "SF-P2")}),
        (R1, "none", {}, {("dropped", "reasoning", "SF-P2")}),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "none", {}, {("dropped", "reasoning", "SF-P2")}),  # SF-I6
        (R1, 1024, {"thinking_budget": 1024}, set()),
        (V3, "high", {}, {("dropped", "reasoning", "SF-P2")}),  # SF-I6: V3.1 has the switch, V3 does not
        (V3, "none", {}, set()),
        (NEW, "high", {}, {("dropped", "reasoning", "SF-P2")}),  # SF-I1
        (NEW, 1024, {}, {("dropped", "reasoning", "SF-P2")}),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_way(explain, notes, model, asked, sent, said):
    explanation = explain(model=at(model), reasoning=asked)
    assert {field: value for field, value in explanation.body.items() if field in THINKING} == sent
    assert notes(explanation) == said


@pytest.mark.parametrize(
    ("model", "options", "sent", "said"),
    [
        (NEW, {"extra": ON}, ON, set()),  # the caller's own word is tried
        (R1, {"extra": OFF}, {}, {("dropped", "enable_thinking", "SF-P2")}),
        (QWEN, {"extra": {"thinking": {"type": "enabled"}}}, {}, {("dropped", "thinking", "SF-P7")}),
        (QWEN, {"extra": OFF, "reasoning": "high"}, OFF, {("dropped", "reasoning", "SF-P2")}),
        (QWEN, {"extra": {"thinking_budget": 40_000}}, {"thinking_budget": 32768},
         {("lowered", "thinking_budget", "SF-P4")}),
        (V31, {"tools": [Tool("f")]}, OFF, {("added", "enable_thinking", "SF-P6")}),
        (V31, {"tools": [Tool("f")], "reasoning": 900}, OFF, {("lowered", "reasoning", "SF-P6")}),
        (V31, {"tools": [Tool("f")], "reasoning": "none"}, OFF, set()),
        (V31, {"reasoning": "medium"}, ON, set()),
        (V32, {"tools": [Tool("f")], "reasoning": "medium"}, ON, set()),
    ],
)  # fmt: skip
def test_switches_of_the_callers_own_and_tools(explain, notes, model, options, sent, said):
    explanation = explain(model=at(model), **options)
    assert {field: value for field, value in explanation.body.items() if field in THINKING} == sent
    assert notes(explanation) == said


# --- fields


@pytest.mark.parametrize(
    ("model", "options", "absent", "present", "said"),
    [
        (QWEN, {"seed": 7}, "seed", {}, {("dropped", "seed", "SF-P9")}),
        (QWEN, {"extra": {"logprobs": True}}, "logprobs", {}, {("dropped", "logprobs", "SF-P9")}),
        (QWEN, {"extra": {"user": "u"}}, "user", {}, {("dropped", "user", "SF-P9")}),
        (QWEN, {"extra": {"parallel_tool_calls": False}}, "parallel_tool_calls", {},
         {("dropped", "parallel_tool_calls", "SF-P9")}),
        (QWEN, {"extra": {"parallel_tool_calls": True}}, "parallel_tool_calls", {}, set()),
        (QWEN, {"extra": {"max_completion_tokens": 9}}, "max_completion_tokens", {"max_tokens": 9},
         {("renamed", "max_completion_tokens", "SF-P9")}),
        (QWEN, {"max_tokens": 8, "extra": {"max_completion_tokens": 9}}, "max_completion_tokens", {"max_tokens": 8},
         {("dropped", "max_completion_tokens", "SF-P9")}),
        (QWEN, {"max_tokens": 130_000}, "", {"max_tokens": 121_000}, {("lowered", "max_tokens", "SF-P8")}),
        (V4, {"extra": {"max_completion_tokens": 500_000}}, "max_completion_tokens", {"max_tokens": 393_000},
         {("renamed", "max_completion_tokens", "SF-P9"), ("lowered", "max_tokens", "SF-P8")}),
        (QWEN, {"extra": {"min_p": 0.1, "top_k": 9, "n": 2}}, "", {"min_p": 0.1, "top_k": 9, "n": 2}, set()),  # SF-P1
        (V32, {"extra": {"min_p": 0.1}}, "min_p", {}, {("dropped", "min_p", "SF-P1")}),
        (QWEN, {"extra": {"frequency_penalty": None}}, "frequency_penalty", {}, set()),  # SF-P11
    ],
)  # fmt: skip
def test_fields(explain, notes, model, options, absent, present, said):
    explanation = explain(model=at(model), **options)
    assert absent not in explanation.body
    assert {field: explanation.body.get(field) for field in present} == present
    assert notes(explanation) == said


def test_counts_that_are_too_many(explain):
    """SF-P1, SF-T1"""
    with pytest.raises(UnsupportedFeatureError, match="4 stop"):
        explain(stop=list("abcde"))
    with pytest.raises(UnsupportedFeatureError, match="128 tools"):
        explain(tools=[Tool(f"f{n}") for n in range(129)])


# --- messages


def test_history(explain, notes):
    """SF-P10: never null, never empty. SF-R2: reasoning goes back where tools were called, and nowhere else."""
    call, another = ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")
    messages = [
        "hi",
        Message("assistant", tool_calls=(call,), reasoning="because", origin="siliconflow"),
        Message.tool(call, ""),
        Message("assistant", reasoning="only thought", origin="siliconflow"),
        "go on",
        Message("assistant", refusal="I will not."),
        "and",
        Message("assistant", tool_calls=(another,), reasoning="of another vendor", origin="deepseek"),
        Message.tool(another, "done"),
    ]
    explanation = explain(messages, tools=[Tool("f")])
    wire = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert explanation.body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": wire, "reasoning_content": "because"},
        {"role": "tool", "tool_call_id": "c1", "content": "(no output)"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": "I will not."},
        {"role": "user", "content": "and"},
        {"role": "assistant", "content": "", "tool_calls": [{**wire[0], "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c2", "content": "done"},
    ]
    assert notes(explanation) == {("added", "messages.content", "SF-P10")}


def test_media(explain):
    """SF-M1, SF-M2"""
    image, sound = ImagePart("https://x.example/a.png", "low"), AudioPart("AAAA", "wav")
    omni = explain([Message.user("what?", image, sound)], model=at("Qwen/Qwen3-Omni-30B-A3B-Instruct"))
    assert omni.body["messages"][0]["content"][1:] == [
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,AAAA"}},
    ]
    clip = VideoPart("https://x.example/a.mp4", {"video_url": {"detail": "low", "fps": 1}})
    for model in ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "Qwen/Qwen3-VL-32B-Instruct"):
        sent = explain([Message.user("what?", clip)], model=at(model)).body["messages"][0]["content"][1]
        assert sent == {"type": "video_url", "video_url": {"url": clip.url, "detail": "low", "fps": 1}}
    for model, part in ((V32, image), ("zai-org/GLM-4.6V", sound), (NEW, FilePart("id")), (V32, clip)):
        with pytest.raises(UnsupportedFeatureError, match="part"):
            explain([Message.user("what?", part)], model=at(model))


# --- tools, structured output


def test_tools(explain, notes):
    """SF-T1: a name becomes `required` with one tool, `strict` stays; SF-T2: models that see call no tools."""
    explanation = explain(tools=[Tool("f"), Tool("g", strict=True)], tool_choice="g")
    assert explanation.body["tool_choice"] == "required"
    assert [(t["function"]["name"], t["function"]["strict"]) for t in explanation.body["tools"]] == [("g", True)]
    assert notes(explanation) == {("note", "tool_choice", "SF-T1")}
    assert explain(tools=[Tool("f"), Tool("g")], tool_choice="required").adjustments == ()
    for model in ("zai-org/GLM-4.6V", "Qwen/Qwen2.5-VL-72B-Instruct"):
        with pytest.raises(UnsupportedFeatureError, match="cannot call tools"):
            explain(model=at(model), tools=[Tool("f")])


def test_structured_output(explain, notes):
    """SF-J1, SF-J2"""
    asked = explain(output=Place)
    assert asked.body["response_format"]["type"] == "json_schema"
    assert asked.body["messages"][0] == {"role": "system", "content": "Answer in JSON."}
    assert notes(asked) == {("added", "messages", "SF-J2")}
    for model in (R1, V3):
        weak = explain(model=at(model), output=Place)
        assert "response_format" not in weak.body
        assert '"city"' in weak.body["messages"][0]["content"]
        assert notes(weak) == {("lowered", "response_format", "SF-J1")}
    json_object = {"response_format": {"type": "json_object"}}
    assert explain("as JSON, please", extra=json_object).adjustments == ()
    plain = explain(model=at(R1), extra=json_object)
    assert "response_format" not in plain.body
    assert notes(plain) == {("lowered", "response_format", "SF-J1"), ("added", "messages", "SF-J2")}


# --- places, prices


def base_url(settings, **environment):
    config = load_config({"providers": {"siliconflow": settings}}, environment={"CHATPORT_CONFIG": ""})
    return Vendors(config, environment=environment).provider("siliconflow").base_url


def test_two_sites(monkeypatch):
    """SF-B1, SF-B3"""
    assert base_url({}, SILICONFLOW_API_KEY="k") == "https://api.siliconflow.cn/v1"
    assert base_url({}, SILICONFLOW_CN_API_KEY="k") == "https://api.siliconflow.cn/v1"
    assert base_url({"site": "global"}, SILICONFLOW_API_KEY="k") == "https://api.siliconflow.com/v1"
    elsewhere = "https://api.siliconflow.com/v1"
    assert base_url({}, SILICONFLOW_API_KEY="k", SILICONFLOW_BASE_URL=elsewhere) == elsewhere
    regional = {"base_url": "https://api.ap.siliconflow.com/v1"}
    assert base_url(regional, SILICONFLOW_API_KEY="k") == regional["base_url"]
    with pytest.raises(ConfigurationError, match="china, global"):
        base_url({"site": "mars"}, SILICONFLOW_API_KEY="k")
    with pytest.raises(ConfigurationError, match="is a key for"):
        base_url({"base_url": "https://elsewhere.example/v1"}, SILICONFLOW_API_KEY="k")


def test_the_configuration_of_the_readme():
    """Two sites as two providers, and a model that is missing in the list."""
    tables = {
        "siliconflow": {"api_key": "cn"},
        "siliconflow-global": {"kind": "siliconflow", "site": "global", "api_key": "com"},
    }
    facts = {f"siliconflow:{NEW}": {"reasoning": True, "quirks": {"thinking": "switch"}}}
    client = Client(config={"providers": tables, "models": facts})
    assert client.explain("hi", model=f"siliconflow-global:{QWEN}").url.startswith("https://api.siliconflow.com/v1/")
    explanation = client.explain("hi", model=at(NEW), reasoning="medium")
    assert explanation.url == "https://api.siliconflow.cn/v1/chat/completions"
    assert explanation.body["enable_thinking"] is True


@pytest.mark.parametrize(
    ("model", "host", "cached", "amount"),
    [
        (V4, "cn", 0, 1.74 + 3.48),
        (V4, "cn", 1_000_000, 0.145 + 3.48),
        (V4, "com", 0, None),
        (V32, "cn", 0, 0.27 + 0.42),
        (V32, "cn", 10, None),  # the price of cached input is unknown
        (f"Pro/{V32}", "cn", 0, None),  # the paid twin's price too
        (QWEN, "cn", 0, 0.12),
        ("moonshotai/Kimi-K2.6", "com", 1_000_000, 4.2),
    ],
)
def test_prices_are_those_of_the_site(model, host, cached, amount):
    """SF-B1, SF-U1"""
    facts = provider.facts.describe(model, f"https://api.siliconflow.{host}/v1")
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cached_input_tokens=cached)
    cost = cost_of(usage, facts.prices)
    assert (cost and cost.amount) == (amount and pytest.approx(amount))


def test_every_entry_names_its_source_and_timers_are_the_vendors():
    """SF-B4"""
    facts = provider.facts
    assert all(entry.source for entry in (*facts.models, *facts.prices, *facts.retired))
    assert set(provider.timeouts.values()) == {300.0}
