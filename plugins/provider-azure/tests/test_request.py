"""What a deployment is asked: by its base model, and in the protocol that the call needs."""

from __future__ import annotations

import json

import attrs
import pytest

import chatport
from chatport import AudioPart, ImagePart, Message, UnsupportedFeatureError
from chatport.testing import replay
from chatport_azure import provider


def look(city: str) -> str:
    """Look at a city."""
    return city


NAMED = {
    "resource": "acme",
    "deployments": {"prod-chat": "gpt-5-mini", "eu": {"model": "gpt-5.4", "type": "data_zone"}},
}


def test_abilities_come_from_the_base_model_that_the_user_names(explain, notes):
    """AZ-B4, AZ-I2"""
    shown = explain(model="prod-chat", settings=NAMED, temperature=0.2, reasoning="xhigh", max_tokens=50)
    assert shown.body["model"] == "prod-chat"
    assert (shown.body["reasoning_effort"], shown.body["max_completion_tokens"]) == ("high", 50)
    assert notes(shown) == {("dropped", "temperature", "AZ-P1"), ("lowered", "reasoning", "AZ-P2")}
    assert explain(model="gpt-5-mini-2025-08-07", temperature=0.2).adjustments != ()


def test_a_deployment_of_any_name_gets_what_was_asked(explain, notes):
    """AZ-I2: nothing is known of it, so nothing is changed."""
    shown = explain(model="some-deployment", temperature=0.2, top_p=0.5, reasoning="high", stop=["x"], seed=1)
    assert notes(shown) == set()
    assert (shown.body["temperature"], shown.body["reasoning_effort"]) == (0.2, "high")


def test_prices_are_those_of_the_type_that_is_declared(emulated):
    """AZ-U2: only those of global deployments are known."""
    client, _ = emulated(table={"deployments": {**NAMED["deployments"], "prod": "gpt-5.4"}}, models=("prod", "eu"))
    assert client.chat("say: fine", model="azure:prod").cost.amount > 0
    assert client.chat("say: fine", model="azure:eu").cost is None


@pytest.mark.parametrize("model", ["o4-mini", "gpt-5-mini", "gpt-5.4", "gpt-6-sol"])
def test_reasoning_models_refuse_much(explain, notes, model):
    """AZ-P1"""
    extra = {"presence_penalty": 0.5, "logprobs": True, "max_tokens": 9, "logit_bias": {"1": 1}}
    shown = explain(model=model, temperature=0.5, top_p=0.5, extra=extra)
    dropped = {field for kind, field, fact in notes(shown) if (kind, fact) == ("dropped", "AZ-P1")}
    assert dropped == {"temperature", "top_p", "presence_penalty", "logprobs", "logit_bias"}
    assert shown.body["max_completion_tokens"] == 9
    assert explain(model=model, temperature=1, top_p=1).adjustments == ()
    assert explain(model="gpt-4o", temperature=0.5, top_p=0.5, extra={"logprobs": True}).adjustments == ()


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gpt-5-mini", "none", "minimal"), ("gpt-5-mini", "minimal", "minimal"), ("gpt-5.1", "none", "none"),
        ("gpt-5.1", "xhigh", "high"), ("gpt-5.2", "xhigh", "xhigh"), ("gpt-6-luna", "max", "xhigh"),
        ("o4-mini", "low", "low"),
    ],
)  # fmt: skip
def test_efforts_differ_by_model(explain, model, asked, sent):
    """AZ-P2"""
    assert explain(model=model, reasoning=asked).body["reasoning_effort"] == sent


def test_parallel_calls_are_not_for_all(explain, notes):
    """AZ-P2"""
    extra = {"parallel_tool_calls": True}
    for model, options in (("o4-mini", {}), ("gpt-5-mini", {"reasoning": "minimal"})):
        shown = explain(model=model, tools=[look], extra=extra, **options)
        assert "parallel_tool_calls" not in shown.body
        assert "parallel_tool_calls" in {field for _, field, _ in notes(shown)}
    assert explain(model="gpt-5-mini", tools=[look], extra=extra).body["parallel_tool_calls"] is True


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.6-luna", "gpt-6-sol"])
def test_tools_go_by_responses_since_gpt_5_4(explain, notes, model):
    """AZ-P3; over chat alone reasoning gives way to them."""
    shown = explain(model=model, tools=[look])
    assert (shown.protocol, shown.url) == ("responses", "https://acme.openai.azure.com/openai/v1/responses")
    assert explain(model=model).protocol == "chat"
    forced = explain(model=model, tools=[look], reasoning="high", settings={"resource": "acme", "protocol": "chat"})
    assert forced.body["reasoning_effort"] == "none"
    assert ("lowered", "reasoning", "AZ-P3") in notes(forced)
    assert explain(model="gpt-5-mini", tools=[look], reasoning="high").protocol == "chat"


@pytest.mark.parametrize("model", ["gpt-5-pro", "gpt-5.1-codex", "gpt-5.4-pro", "gpt-5-codex"])
def test_some_answer_by_responses_only(explain, model):
    """AZ-E3"""
    assert explain(model=model).protocol == "responses"
    assert explain(model=model).body["store"] is False


def test_what_the_server_keeps_is_gone_on_from(explain):
    """AZ-E3"""
    shown = explain(model="some-deployment", extra={"previous_response_id": "resp_1"})
    assert (shown.protocol, shown.body["previous_response_id"]) == ("responses", "resp_1")


def test_thoughts_go_back_sealed(explain):
    """AZ-R2"""
    shown = explain(
        model="gpt-5-mini", settings={"resource": "acme", "protocol": "responses", "reasoning_summary": "auto"}
    )
    assert shown.body["include"] == ["reasoning.encrypted_content"]
    assert shown.body["reasoning"] == {"summary": "auto"}


def test_instructions_have_one_role(explain):
    """AZ-P4"""
    talk = [Message.system("Be brief."), Message.developer("Be kind."), Message.user("hi")]
    assert [message["role"] for message in explain(talk).body["messages"]] == ["system", "system", "user"]


def test_usage_is_asked_for_in_streams(explain):
    """AZ-P5"""
    assert explain(stream=True).body["stream_options"] == {"include_usage": True}


def test_the_vendors_own_fields_pass(explain):
    """AZ-P6"""
    extra = {
        "data_sources": [{"type": "azure_search"}],
        "user_security_context": {"end_user_id": "u"},
        "verbosity": "low",
    }
    shown = explain(model="some-deployment", extra=extra)
    assert {name: shown.body[name] for name in extra} == extra
    assert shown.adjustments == ()


def test_json_is_not_asked_of_deepseek_while_it_thinks(explain, notes):
    """AZ-P7: it would stand among the thoughts, and the text be empty."""
    facts = {"reasoning": True, "default_effort": "medium"}
    shown = explain(model="DeepSeek-V3.2", facts=facts, output={"type": "object", "properties": {}})
    assert "response_format" not in shown.body
    assert {fact for _, _, fact in notes(shown)} == {"AZ-P7"}


def test_tools_are_the_standards_and_at_most_128(explain):
    """AZ-T1, AZ-T2"""
    tools = [{"name": f"t{number}", "parameters": {"type": "object", "properties": {}}} for number in range(129)]
    assert len(explain(tools=tools[:128], tool_choice="required").body["tools"]) == 128
    with pytest.raises(UnsupportedFeatureError, match="at most 128"):
        explain(tools=tools)


def test_schemas_are_strict_from_gpt_4o_on(explain, notes):
    """AZ-J1"""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    sent = explain(model="gpt-4o", output=schema).body["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]["additionalProperties"]) == (True, False)
    assert "response_format" not in explain(model="gpt-4-turbo", output=schema).body
    said = explain("Name a river.", model="gpt-4o", extra={"response_format": {"type": "json_object"}})
    assert ("added", "messages", "AZ-J1") in notes(said)


def test_pictures_go_to_models_that_see(explain):
    """AZ-M1"""
    picture = [Message.user("?", ImagePart("https://x.example/a.png"))]
    assert explain(picture, model="gpt-4o").body["messages"][0]["content"][1]["type"] == "image_url"
    sound = [Message.user(AudioPart(b"RIFF1234WAVEfmt ", "wav"))]
    with pytest.raises(UnsupportedFeatureError, match="has an audio part"):
        explain(sound, model="gpt-4o")
    assert explain(sound, model="gpt-audio").adjustments == ()


def test_items_of_one_account_go_to_no_other(emulated, explain):
    """AZ-R3: two resources are two providers, each under a name of its own."""
    client, _ = emulated(table={"protocol": "responses"})
    first = client.chat("say: fine", model="azure:gpt-5-mini")
    assert first.message.origin == "azure"
    assert first.message.opaque["items"]
    elsewhere = attrs.evolve(first.message, origin="azure-eu")
    for earlier, is_sent in ((first.message, True), (elsewhere, False)):
        shown = explain([earlier, "Sure?"], settings={"resource": "acme", "protocol": "responses"})
        assert ("encrypted_content" in str(shown.body["input"])) is is_sent


def test_a_router_tells_which_model_answered(emulated):
    """AZ-L2, AZ-B4: nothing is known of it before."""
    client, _ = emulated(models=("model-router",), base_models={"model-router": "gpt-5.4"})
    reply = client.chat("say: fine", model="azure:model-router")
    assert reply.model == "gpt-5.4-2025-08-07"
    assert reply.cost is None


def test_prices_hold_from_their_day():
    """AZ-U3: Azure's own, from the day on which they were seen."""
    prices = {price.match: price for price in provider.facts.prices}
    assert (prices["gpt-5.6-terra"].input, prices["gpt-5.6-terra"].since) == (2, "2026-10-03")
    assert prices["gpt-5.4"].tiers[0].above_input_tokens == 272_000
    assert all("AZ-U2" in price.source for price in prices.values())


def test_limits_are_those_of_the_sheet():
    """AZ-L1, AZ-K2: a retired model is not followed, and its day is told."""
    known = {name: provider.facts.describe(name) for name in ("gpt-5-mini", "gpt-5.6-sol", "gpt-5.2", "o4-mini")}
    assert (known["gpt-5-mini"].context_tokens, known["gpt-5-mini"].max_output_tokens) == (400_000, 128_000)
    assert (known["gpt-5.6-sol"].context_tokens, known["gpt-5.6-sol"].max_output_tokens) == (1_050_000, 128_000)
    assert provider.facts.retired == ()
    assert "2026-12-12" in known["gpt-5.2"].source


@pytest.mark.parametrize("host", ["acme.openai.azure.com", "acme.services.ai.azure.com"])
def test_the_place_is_unknown_until_it_is_stated(explain, host):
    """AZ-D1, AZ-D2"""
    known = provider.facts.host(f"https://{host}/openai/v1")
    assert (known.regions, known.trains, known.retention_days) == ((), False, 30)
    policy = {"allow_regions": ["EU"], "forbid_training": True}
    for stated in ({}, {"regions": ["EU"]}):
        table = {"base_url": f"https://{host}", "api_key": "k", **stated}
        with chatport.Client({"providers": {"azure": table}, "policy": policy}) as client:
            if stated:
                assert client.explain("hi", model="azure:gpt-4o").url.startswith(f"https://{host}/openai/v1/")
            else:
                with pytest.raises(chatport.PolicyError):
                    client.explain("hi", model="azure:gpt-4o")


def test_tools_of_the_server_pass(explain):
    """AZ-W1"""
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    shown = explain(model="gpt-5.4", tools=[tool], settings={"resource": "acme", "protocol": "responses"})
    assert shown.body["tools"] == [tool]
    assert shown.adjustments == ()


def test_what_grok_charged_goes_before_list_prices():
    """AZ-S5"""
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost_in_usd_ticks": 12_500_000}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    reply = replay("azure", body=json.dumps({"choices": [choice], "usage": usage}), stream=False)
    assert reply.cost.amount == pytest.approx(0.00125)
