"""A twin has a model until its vendor switches it off, and refuses it from that day on as the vendor does."""

from __future__ import annotations

import json

import pytest

from chatport.plugins.registry import load_provider
from chatport.testing import EmulatedRequest, Emulator

# provider, model, its first day without it, and the refusal (OA-U5, OA-X4; MS-0.2, MS-E7)
TO_COME = [
    ("openai", "o3", "2026-12-11", 404, "model_not_found"),
    ("openai", "gpt-4o-mini", "2027-01-14", 404, "model_not_found"),
    ("moonshot", "kimi-k2.6", "2027-01-01", 404, "resource_not_found_error"),
]
# OA-U4; AN-X9; CB-X6; GQ-X14; GM-K2, GM-X17; DS-0.1, DS-E6; MI-X2, MI-L3; MS-0.1; PX-X6
GONE = [
    ("openai", "gpt-4", 404, "model_not_found"),
    ("anthropic", "claude-3-opus-20240229", 404, "not_found_error"),
    ("anthropic", "claude-sonnet-4-20250514", 404, "not_found_error"),
    ("groq", "llama-3.3-70b-versatile", 400, "model_decommissioned"),
    ("gemini", "gemini-3-pro-preview", 404, "is not found for API version v1beta"),
    ("deepseek", "deepseek-chat", 400, "The supported API model names are"),
    ("cerebras", "llama-3.3-70b", 404, "model_not_found"),
    ("mistral", "magistral-medium-2509", 400, "invalid_model"),
    ("moonshot", "moonshot-v1-8k", 404, "resource_not_found_error"),
    ("perplexity", "sonar-pro", 400, "is not supported"),
]
DAY = "2026-11-22"


def asked(emulator: Emulator, model: str) -> tuple[int, str]:
    """Return status and body of the answer to a plain question."""
    paths = {"anthropic": "/v1/messages", "perplexity": "/v1/responses"}
    path = paths.get(emulator.provider, "/v1/chat/completions")
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "say: Here."}]}
    if emulator.provider == "perplexity":
        body = {"model": model, "input": "say: Here."}
    if emulator.provider == "openai" and model.startswith("o"):  # OA-R5
        body["max_completion_tokens"] = body.pop("max_tokens")
    headers = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01"}
    response = emulator.vendor.respond(EmulatedRequest("POST", path, headers, json.dumps(body).encode()))
    return response.status, response.body.decode()


@pytest.mark.parametrize(("provider", "model", "day", "status", "word"), TO_COME)
def test_a_model_is_there_until_its_day(provider: str, model: str, day: str, status: int, word: str) -> None:
    assert asked(Emulator(provider, today=DAY), model)[0] == 200
    got, text = asked(Emulator(provider, today=day), model)
    assert (got, word in text) == (status, True), text


@pytest.mark.parametrize(("provider", "model", "status", "word"), GONE)
def test_a_model_that_is_gone_is_refused_in_the_vendors_words(
    provider: str, model: str, status: int, word: str
) -> None:
    got, text = asked(Emulator(provider, today=DAY), model)
    assert (got, word in text) == (status, True), text


@pytest.mark.parametrize(("provider", "model", "status", "word"), GONE)
def test_whoever_says_that_it_is_there_has_it(provider: str, model: str, status: int, word: str) -> None:
    assert asked(Emulator(provider, models=[model], today=DAY), model)[0] == 200


@pytest.mark.parametrize(
    "provider", ["openai", "anthropic", "cerebras", "groq", "deepseek", "mistral", "moonshot", "perplexity"]
)
def test_twin_and_facts_have_the_same_days(provider: str) -> None:
    """They are written apart, from the same sheet."""
    facts = load_provider(provider).facts
    assert facts is not None
    twin = Emulator(provider).vendor
    days = {entry.id: (entry.since, twin.retired_since(entry.id)) for entry in facts.retired}
    assert {model: pair for model, pair in days.items() if pair[0] != pair[1]} == {}
