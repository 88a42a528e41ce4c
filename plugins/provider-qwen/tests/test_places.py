"""Which address a call goes to, and with which key."""

from __future__ import annotations

import pytest

import chatport

PATH = "/compatible-mode/v1/chat/completions"


def test_default_address_is_the_documented_choice(explain):  # QW-B6
    assert explain("hi").url == f"https://dashscope-intl.aliyuncs.com{PATH}"


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"region": "beijing"}, "dashscope.aliyuncs.com"),
        ({"region": "singapore"}, "dashscope-intl.aliyuncs.com"),
        ({"region": "virginia"}, "dashscope-us.aliyuncs.com"),
        ({"region": "hongkong"}, "cn-hongkong.dashscope.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, "dashscope-intl.aliyuncs.com"),
        ({"region": "beijing", "workspace": "llm-1a2b"}, "llm-1a2b.cn-beijing.maas.aliyuncs.com"),
        ({"region": "singapore", "workspace": "ws-1"}, "ws-1.ap-southeast-1.maas.aliyuncs.com"),
        ({"region": "virginia", "workspace": "ws-1"}, "ws-1.us-east-1.maas.aliyuncs.com"),
        ({"region": "frankfurt", "workspace": "ws-1"}, "ws-1.eu-central-1.maas.aliyuncs.com"),
        ({"region": "tokyo", "workspace": "ws-1"}, "ws-1.ap-northeast-1.maas.aliyuncs.com"),
        ({"region": "hongkong", "workspace": "WS-1"}, "ws-1.cn-hongkong.maas.aliyuncs.com"),
    ],
)
def test_region_and_workspace_make_the_address(explain, settings, host):  # QW-0.2, QW-B1, QW-B2
    assert explain("hi", settings=settings).url == f"https://{host}{PATH}"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": "mars"}, "beijing, singapore"),
        ({"region": "tokyo"}, "workspace"),
        ({"workspace": "ws-1"}, "region"),
        ({"region": "tokyo", "workspace": "evil.example/"}, "letters, digits and dashes"),
        ({"region": "tokyo", "workspace": ""}, "letters, digits and dashes"),
        ({"regoin": "tokyo"}, "region"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_sent(explain, settings, words):
    with pytest.raises(chatport.ConfigurationError, match=words):
        explain("hi", settings=settings)


def test_a_configured_address_is_taken_as_it_is(explain):
    base = "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1"  # QW-B3
    assert explain("hi", settings={"base_url": base}).url == f"{base}/chat/completions"


@pytest.mark.parametrize("variable", ["DASHSCOPE_BASE_URL", "DASHSCOPE_API_BASE"])
def test_address_from_the_environment(explain, monkeypatch, variable):  # QW-B5
    monkeypatch.setenv(variable, "https://dashscope-us.aliyuncs.com/compatible-mode/v1/")
    assert explain("hi").url == f"https://dashscope-us.aliyuncs.com{PATH}"


@pytest.mark.parametrize("variable", ["DASHSCOPE_API_KEY", "ALIBABA_API_KEY", "MODELSTUDIO_API_KEY"])
def test_key_from_the_environment_goes_to_the_vendors_hosts_only(monkeypatch, variable):  # QW-B4, QW-B5
    monkeypatch.setenv(variable, "sk-secret")
    for host in (
        "coding-intl.dashscope.aliyuncs.com",
        "ws-1.eu-central-1.maas.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
    ):
        with chatport.Client(config={"providers": {"qwen": {"base_url": f"https://{host}/v1"}}}) as client:
            sent = client.explain("hi", model="qwen:qwen-max").headers["authorization"]
        assert sent == "Bearer ***"
    table = {"qwen": {"base_url": "https://maas.aliyuncs.com.evil.example/v1"}}
    with (
        chatport.Client(config={"providers": table}) as client,
        pytest.raises(chatport.ConfigurationError, match=variable),
    ):
        client.explain("hi", model="qwen:qwen-max")
