"""The twin's own ways, where the conformance suite does not look: its addresses, its refusals, and its shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport.testing import EmulatedRequest, EmulatedResponse
from chatport_azure.emulator import AzureEmulator

V1 = "/openai/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
HI = [{"role": "user", "content": "say: one two"}]


def post(body: Any, path: str = V1, headers: dict[str, str] | None = None, **settings: Any) -> EmulatedResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = EmulatedRequest("POST", path, {"api-key": "k"} if headers is None else headers, content)
    return AzureEmulator(**settings).respond(request)


def refused(body: dict[str, Any], **more: Any) -> tuple[int, Any]:
    answer = post({"messages": HI, "model": "gpt-4o", **body}, **more)
    return answer.status, json.loads(answer.body).get("error")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (V1, 200),
        (f"{V1}?api-version=preview", 200),
        (f"{V1}?api-version=2024-10-21", 404),  # AZ-I3
        ("/openai/deployments/gpt-4o/chat/completions", 404),  # AZ-B2
        ("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", 200),
        ("/openai/deployments/none/chat/completions?api-version=2024-10-21", 404),
        ("/openai/v1/nothing", 404),
    ],
)
def test_addresses(path, status):
    """AZ-B2, AZ-X15"""
    assert post({"messages": HI, "model": "gpt-4o"}, path).status == status


def test_the_path_names_the_deployment_whatever_the_body_says():
    """AZ-B3"""
    path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-02-01"
    assert json.loads(post({"messages": HI, "model": "else"}, path).body)["model"] == "gpt-4o-2025-08-07"
    assert post({"messages": HI}, path).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"api-key": "k"}, 200), ({"authorization": "Bearer k"}, 200), ({"api-key": "x"}, 401), ({}, 401)],
)
def test_a_key_or_a_token(headers, status):
    """AZ-B6, AZ-B7"""
    assert post({"messages": HI, "model": "gpt-4o"}, headers=headers, api_key="k").status == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "gpt-5-mini", "temperature": 1}, "'temperature' is not supported"),
        ({"model": "o4-mini", "max_tokens": 5}, "'max_tokens' is not supported"),
        ({"model": "gpt-5.1", "reasoning_effort": "minimal"}, "does not support 'minimal'"),
        ({"model": "gpt-5-mini", "reasoning_effort": "none"}, "does not support 'none'"),
        ({"model": "gpt-5.6-luna", "tools": [TOOL]}, "use /v1/responses or set reasoning_effort to 'none'"),
        ({"model": "o4-mini", "tools": [TOOL], "parallel_tool_calls": True}, "'parallel_tool_calls' is not supported"),
        ({"messages": [{"role": role, "content": "a"} for role in ("system", "developer", "user")]}, "cannot both be"),
        ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
        ({"tools": [TOOL] * 129}, "at most 128"),
        ({"model": "gpt-5-pro"}, "operation is unsupported"),
        ({"messages": "hi"}, "Invalid value for 'messages'"),
    ],
)  # fmt: skip
def test_refusals(body, words):
    """AZ-P1, AZ-P2, AZ-P3, AZ-P4, AZ-J1, AZ-T2, AZ-X19"""
    status, error = refused(body, models=())
    assert status == 400
    assert words in error["message"]


def test_tools_beside_no_reasoning_are_fine_on_chat():
    """AZ-P3"""
    body = {"messages": HI, "model": "gpt-5.6-luna", "tools": [TOOL], "reasoning_effort": "none"}
    assert post(body).status == 200


def test_the_first_chunk_has_no_choice_and_nothing_in_its_ids():
    """AZ-S1, AZ-S2, AZ-S3"""
    body = {"messages": HI, "model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}}
    chunks = [json.loads(line[6:]) for line in post(body).body.decode().split("\n\n")[:-2]]
    assert (chunks[0]["choices"], chunks[0]["id"], chunks[0]["model"]) == ([], "", "")
    assert chunks[1]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"] > 0) == ([], True)
    assert "latency_checkpoint" in chunks[-1]
    assert all("obfuscation" in chunk for chunk in chunks[1:])


def test_errors_on_demand():
    """AZ-X10 to AZ-X23"""
    for number, status in ((401, 401), (402, 429), (403, 403), (404, 404), (429, 429), (500, 500), (503, 503)):
        body = {"messages": [{"role": "user", "content": f"error: {number}"}], "model": "gpt-4o"}
        assert post(body).status == status
