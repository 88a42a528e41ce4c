"""Where a call goes: the resource, the form of its address, its versions, and how the key is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chatport
from chatport import ConfigurationError
from chatport.testing import Emulator

V1 = "https://acme.openai.azure.com/openai/v1/chat/completions"
OLDER = "https://acme.openai.azure.com/openai/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21"
FOUNDRY = "https://acme.services.ai.azure.com"
DATED = {"api_version": "2024-10-21"}


@pytest.mark.parametrize("key", ["endpoint", "base_url"])
@pytest.mark.parametrize(
    ("given", "more", "url"),
    [
        ("https://acme.openai.azure.com", {}, V1),
        ("https://acme.openai.azure.com/", {}, V1),
        ("https://acme.openai.azure.com/openai", {}, V1),
        ("https://acme.openai.azure.com/openai/v1", {}, V1),
        ("https://acme.openai.azure.com/openai/v1/", DATED, V1),
        ("https://acme.openai.azure.com/openai/v1/chat/completions", {}, V1),
        ("https://acme.openai.azure.com", DATED, OLDER),
        ("https://acme.openai.azure.com/openai", DATED, OLDER),
        ("https://acme.openai.azure.com/openai/deployments/other", DATED, OLDER),
        ("https://acme.openai.azure.com/openai/deployments/other/chat/completions", DATED, OLDER),
        (FOUNDRY, {}, f"{FOUNDRY}/openai/v1/chat/completions"),
        (f"{FOUNDRY}/openai/v1", {"api_version": "preview"},
         f"{FOUNDRY}/openai/v1/chat/completions?api-version=preview"),
        (f"{FOUNDRY}/models", {"api_version": "2024-05-01-preview"},
         f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview"),
        ("https://acme.openai.azure.us", {}, "https://acme.openai.azure.us/openai/v1/chat/completions"),
    ],
)  # fmt: skip
def test_every_shape_of_an_address_is_understood(explain, key, given, more, url):
    """AZ-B1, AZ-B2, AZ-B5, AZ-B10, AZ-B11, AZ-I3"""
    assert explain(settings={key: given, **more}).url == url


def test_an_address_with_its_query_is_one_of_them(explain):
    """AZ-B10: as the portal shows a deployment."""
    assert explain(settings={"endpoint": OLDER.replace("gpt-5-mini", "other")}).url == OLDER
    with pytest.raises(ConfigurationError, match="goes into query") as caught:
        explain(settings={"base_url": "https://acme.openai.azure.com/openai?api-version=2024-10-21"})
    assert "2024" not in str(caught.value)


@pytest.mark.parametrize("given", ["https://proxy.example/azure", "http://127.0.0.1:9", "https://proxy.example/v1"])
def test_a_proxys_base_url_is_taken_as_it_is(explain, given):
    assert explain(settings={"base_url": given}).url == f"{given}/chat/completions"
    older = explain(settings={"base_url": given, **DATED}).url
    assert older == f"{given}/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21"


def test_a_base_url_of_one_deployment_may_have_its_version_in_the_query_table(explain):
    settings = {
        "base_url": "https://acme.openai.azure.com/openai/deployments/x",
        "query": {"api-version": "2024-02-01"},
    }
    assert explain(settings=settings).url == OLDER.replace("2024-10-21", "2024-02-01")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"resource": "evil.example/x"}, "letters, digits and dashes"),
        ({"resource": "-"}, "letters, digits and dashes"),
        ({"resource": "acme", "api_version": "newest"}, "is a date"),
        ({"resource": "acme", "auth": "token"}, 'auth is "key" or "entra"'),
        ({"endpoint": "https://acme.openai.azure.com/openai/deployments/prod"}, "needs its api_version"),
        ({"endpoint": "acme.openai.azure.com"}, "must be like"),
        ({"endpoint": "https://[acme"}, "endpoint is no address"),
        ({"resource": "acme", "deployments": ["prod"]}, "maps a deployment to its base model"),
        ({"resource": "acme", "deployments": {"prod": {"model": "gpt-5", "type": "cheap"}}}, "one of global"),
        ({"resource": "acme", "deployments": {"prod": {"type": "global"}}}, "maps a deployment to its base model"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(explain, settings, words):
    """AZ-B2, AZ-B4, AZ-B7"""
    with pytest.raises(ConfigurationError, match=words):
        explain(settings=settings)


def test_without_a_word_nothing_is_guessed(explain_anywhere):
    with pytest.raises(ConfigurationError, match="needs a base_url"):
        explain_anywhere()


def test_the_name_of_a_deployment_is_one_step_of_the_path(explain):
    """AZ-B3"""
    url = explain(model="a/b?c", settings={"resource": "acme", **DATED}).url
    assert "/openai/deployments/a%2Fb%3Fc/chat/completions?api-version=2024-10-21" in url


def test_responses_are_not_below_a_deployment_and_need_a_newer_version(explain):
    """AZ-B3, AZ-S6"""
    for version, sent in (("2024-10-21", "2025-03-01-preview"), ("2025-04-01-preview", "2025-04-01-preview")):
        settings = {"resource": "acme", "api_version": version, "protocol": "responses"}
        shown = explain(settings=settings)
        assert shown.url == f"https://acme.openai.azure.com/openai/responses?api-version={sent}"
        assert shown.body["model"] == "gpt-5-mini"


def test_embeddings_and_models_have_the_same_address(emulated):
    """AZ-B3, AZ-E1, AZ-E2: the list is of base models, not of deployments."""
    client, emulator = emulated(table=DATED, models=("text-embedding-3-small", "prod-chat"))
    client.embed(["one", "two"], model="azure:text-embedding-3-small")
    names = [model.id for model in client.models("azure")]
    paths = [request.path for request in emulator.requests]
    below = "/v1/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21"
    assert paths == [below, "/v1/models?api-version=2024-10-21"]
    assert names == ["text-embedding-3-small-2025-08-07", "gpt-4o-2025-08-07"]


# --- keys


def sent_headers(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], **table: Any) -> dict[str, str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    emulator = Emulator("azure")
    place = {"resource": "acme"} if "AZURE_OPENAI_ENDPOINT" not in variables else {}
    with chatport.Client({"providers": {"azure": {**place, **table}}}, transport=emulator) as client:
        client.chat("say: fine", model="azure:gpt-4o")
    return dict(emulator.requests[-1].headers)


def test_a_key_goes_in_its_own_header(monkeypatch):
    """AZ-B6, AZ-B9"""
    variables = {"AZURE_OPENAI_API_KEY": "k-1", "AZURE_OPENAI_ENDPOINT": "https://acme.openai.azure.com/"}
    headers = sent_headers(monkeypatch, variables)
    assert headers["api-key"] == "k-1"
    assert "authorization" not in headers


def test_a_token_goes_as_a_bearer_and_before_a_key(monkeypatch):
    """AZ-B7, AZ-B8: one of them, never both."""
    variables = {"AZURE_OPENAI_API_KEY": "k-1", "AZURE_OPENAI_AD_TOKEN": "t-1"}
    headers = sent_headers(monkeypatch, variables)
    assert headers["authorization"] == "Bearer t-1"
    assert "api-key" not in headers
    assert sent_headers(monkeypatch, variables, auth="key")["api-key"] == "k-1"
    assert sent_headers(monkeypatch, variables, auth="entra", api_key="t-2")["authorization"] == "Bearer t-2"


def test_a_key_of_the_environment_stays_with_azure(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1")
    with (
        chatport.Client({"providers": {"azure": {"endpoint": "https://evil.example"}}}) as client,
        pytest.raises(ConfigurationError, match="is a key for Azure OpenAI, and"),
    ):
        client.explain("hi", model="azure:gpt-4o")


@pytest.mark.parametrize("way", ["sync", "asyncio"])
def test_a_token_that_has_expired_is_fetched_once_more(way):
    """AZ-B7, AZ-X11, AZ-I4: from the user's function, after a 401."""
    tokens = iter(["old", "new", "never"])
    emulator = Emulator("azure", api_key="new")
    function = {"function": lambda: next(tokens), "refresh_seconds": 1800}
    config = {"providers": {"azure": {"resource": "acme", "auth": "entra", "api_key": function}}}
    if way == "sync":
        with chatport.Client(config, transport=emulator) as client:
            reply = client.chat("say: fine", model="azure:gpt-4o")
    else:

        async def ask() -> Any:
            async with chatport.AsyncClient(config, transport=emulator) as client:
                return await client.chat("say: fine", model="azure:gpt-4o")

        reply = asyncio.run(ask())
    assert reply.text == "fine"
    assert [request.headers["authorization"] for request in emulator.requests] == ["Bearer old", "Bearer new"]
