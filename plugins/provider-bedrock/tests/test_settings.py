"""Where a call goes: region, endpoint, the path of the model; and how the key gets there."""

from __future__ import annotations

import pytest

import chatport
from chatport import ConfigurationError
from chatport.testing import Emulator
from chatport_bedrock import provider

MANTLE = "https://bedrock-mantle.us-east-1.api.aws"
RUNTIME = "https://bedrock-runtime.us-east-1.amazonaws.com"
RUN = {"endpoint": "runtime"}


@pytest.mark.parametrize(
    ("model", "settings", "url"),
    [
        ("openai.gpt-oss-20b", {}, f"{MANTLE}/v1/chat/completions"),
        ("deepseek.v3.2", {}, f"{MANTLE}/v1/chat/completions"),
        ("some.new-model", {}, f"{MANTLE}/v1/chat/completions"),
        ("openai.gpt-5.6-luna", {}, f"{MANTLE}/openai/v1/responses"),
        ("openai.gpt-6-astra", {"protocol": "chat"}, f"{MANTLE}/openai/v1/chat/completions"),
        ("openai.gpt-5.4", {}, f"{MANTLE}/openai/v1/responses"),
        ("xai.grok-4.3", {}, f"{MANTLE}/openai/v1/responses"),
        ("google.gemma-4-27b", {}, f"{MANTLE}/openai/v1/responses"),
        ("openai.gpt-oss-20b", {"protocol": "responses"}, f"{MANTLE}/v1/responses"),
        ("openai.gpt-oss-20b-1:0", RUN, f"{RUNTIME}/openai/v1/chat/completions"),
        ("global.openai.gpt-5.6-luna", RUN, f"{RUNTIME}/openai/v1/responses"),
        ("global.moonshotai.kimi-k3", RUN, f"{RUNTIME}/openai/v1/chat/completions"),
    ],
)
def test_the_path_depends_on_endpoint_and_model(explain, model, settings, url):
    """BR-B1, BR-B2, BR-B3, BR-E1, BR-E3"""
    assert explain(model=model, settings=settings).url == url


@pytest.mark.parametrize("key", ["base_url", "address"])
@pytest.mark.parametrize("behind", ["", "/", "/v1", "/openai/v1", "/openai/v1/"])
def test_an_endpoint_is_known_whatever_stands_behind_its_host(explain, key, behind):
    """BR-B3, BR-B8"""
    assert explain(settings={key: f"{MANTLE}{behind}"}).url == f"{MANTLE}/v1/chat/completions"
    runtime = explain(model="openai.gpt-oss-20b-1:0", settings={key: f"{RUNTIME}{behind}"})
    assert runtime.url == f"{RUNTIME}/openai/v1/chat/completions"


@pytest.mark.parametrize(
    "url", ["https://proxy.example/v1", "http://127.0.0.1:9/v1", "https://bedrock-mantle.cn-north-1.api.aws.example/v1"]
)
def test_any_other_address_is_taken_as_it_is(explain, url):
    """BR-B8: other partitions have other suffixes."""
    for model in ("openai.gpt-oss-20b", "deepseek.v3.2"):
        assert explain(model=model, settings={"base_url": url}).url == f"{url}/chat/completions"


def test_regions_come_from_the_variables_of_aws(explain_anywhere, monkeypatch):
    """BR-B4, BR-B8, BR-K1: the endpoint is a setting; it is runtime unless told."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    url = "https://bedrock-runtime.{}.amazonaws.com/openai/v1/chat/completions"
    assert explain_anywhere(model="openai.gpt-oss-20b-1:0").url == url.format("eu-west-1")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert explain_anywhere(model="openai.gpt-oss-20b-1:0").url == url.format("us-west-2")
    monkeypatch.setenv("AWS_BEDROCK_BASE_URL", "https://proxy.example/v1")
    assert explain_anywhere().url == "https://proxy.example/v1/chat/completions"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": ""}, "in which region"),
        ({"region": "evil.example/"}, "a region is like us-east-1"),
        ({"region": "useast1"}, "a region is like us-east-1"),
        ({"endpoint": "converse"}, 'endpoint is "runtime" or "mantle"'),
        ({"guardrail": "gr-1", "guardrail_version": "1"}, 'on the endpoint "runtime" only'),
        ({"base_url": f"{MANTLE}/v1", "guardrail": "gr-1"}, 'on the endpoint "runtime" only'),
    ],
)
def test_what_cannot_be_meant_is_said(explain, settings, words):
    """BR-B8, BR-P6"""
    with pytest.raises(ConfigurationError, match=words):
        explain(settings=settings)


def test_a_key_of_the_environment_stays_with_the_vendor(monkeypatch):
    """BR-B5: to the region's own host, and to no other."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1")
    emulator = Emulator("bedrock")
    table = {"region": "us-east-1", "endpoint": "mantle"}
    with chatport.Client({"providers": {"bedrock": table}}, transport=emulator) as client:
        client.chat("say: fine", model="bedrock:openai.gpt-oss-20b")
    assert emulator.requests[-1].headers["authorization"] == "Bearer bedrock-api-key-1"
    elsewhere = {"address": "https://bucket.s3.amazonaws.com"}
    with (
        chatport.Client({"providers": {"bedrock": elsewhere}}) as client,
        pytest.raises(ConfigurationError, match="is a key for Amazon Bedrock, and"),
    ):
        client.explain("hi", model="bedrock:openai.gpt-oss-20b")


def test_a_key_that_has_expired_is_made_once_more():
    """BR-B6, BR-X14, BR-I4: by a function of the program."""
    keys = iter(["bedrock-api-key-old", "bedrock-api-key-new"])
    emulator = Emulator("bedrock", api_key="bedrock-api-key-new")
    table = {
        "region": "us-east-1",
        "endpoint": "mantle",
        "api_key": {"function": lambda: next(keys), "refresh_seconds": 300},
    }
    with chatport.Client({"providers": {"bedrock": table}}, transport=emulator) as client:
        assert client.chat("say: fine", model="bedrock:openai.gpt-oss-20b").text == "fine"
    assert len(emulator.requests) == 2


def test_a_project_is_a_header(emulated):
    """BR-B10"""
    client, emulator = emulated(table={"project": "proj_1"})
    client.chat("say: fine", model="bedrock:openai.gpt-oss-20b")
    assert emulator.requests[-1].headers["openai-project"] == "proj_1"


def test_models_are_listed_by_mantle_only(emulated, monkeypatch):
    """BR-E1, BR-E2: also such as chat refuses; and there are no embeddings."""
    client, _ = emulated(table={"base_url": MANTLE})
    listed = client.models("bedrock")
    assert "anthropic.claude-emulated" in [model.id for model in listed]
    assert listed[0].raw["data_retention"]["allowed_modes"]
    client, _ = emulated(table={"base_url": RUNTIME})
    with pytest.raises(chatport.UnsupportedFeatureError, match="no model list"):
        client.models("bedrock")
    with pytest.raises(chatport.UnsupportedFeatureError, match="no embeddings"):
        client.embed("hi", model="bedrock:x")


def test_timers_leave_room():
    """BR-S5: what is given up is billed, and thoughts are silent."""
    assert provider.timeouts["total"] == provider.timeouts["first_event"] == 600
