"""The twin's own ways, where the conformance suite does not look: two endpoints, their paths, their shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport.testing import EmulatedRequest, EmulatedResponse
from chatport_bedrock.emulator import BedrockEmulator

HI = [{"role": "user", "content": "think: hm hm\nsay: one two"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def post(body: Any, path: str = "/v1/chat/completions", **settings: Any) -> EmulatedResponse:
    request = EmulatedRequest("POST", path, {"authorization": "Bearer k"}, json.dumps(body).encode())
    return BedrockEmulator(**settings).respond(request)


def chat(**body: Any) -> dict[str, Any]:
    return {"model": "openai.gpt-oss-20b", "messages": HI, **body}


def chunks(answer: EmulatedResponse) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize(
    ("path", "model", "endpoint", "status"),
    [
        ("/v1/chat/completions", "openai.gpt-oss-20b", "mantle", 200),
        ("/openai/v1/chat/completions", "openai.gpt-oss-20b", "mantle", 400),
        ("/v1/chat/completions", "openai.gpt-5.6-luna", "mantle", 400),
        ("/openai/v1/chat/completions", "openai.gpt-5.6-luna", "mantle", 200),
        ("/openai/v1/chat/completions", "openai.gpt-5.4", "mantle", 400),
        ("/openai/v1/chat/completions", "openai.gpt-oss-20b-1:0", "runtime", 200),
        ("/v1/chat/completions", "openai.gpt-oss-20b-1:0", "runtime", 400),
        ("/openai/v1/chat/completions", "openai.gpt-5.6-luna", "runtime", 400),
        ("/openai/v1/chat/completions", "global.openai.gpt-5.6-luna", "runtime", 200),
    ],
)
def test_paths(path, model, endpoint, status):
    """BR-B2, BR-B3, BR-E3, BR-E4, BR-X11, BR-X12"""
    answer = post(chat(model=model), path, endpoint=endpoint, strict_paths=True, models=(model,))
    assert answer.status == status, answer.body


@pytest.mark.parametrize(("model", "status"), [("openai.gpt-oss-20b", 200), ("deepseek.v3.2", 400)])
def test_responses_are_not_for_all(model, status):
    """BR-E1, BR-E3"""
    body = {"model": model, "input": "say: fine"}
    assert post(body, "/v1/responses").status == status
    assert post(body, "/v1/responses", endpoint="runtime", models=(model,)).status == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (chat(model="openai.gpt-5.6-luna", temperature=1), "`temperature` is deprecated"),
        (chat(model="openai.gpt-5.6-luna", top_p=1), "'top_p' is not supported"),
        (chat(model="openai.gpt-5.6-luna", max_tokens=20), "'max_tokens' is not supported"),
        (chat(model="openai.gpt-5.6-luna", service_tier="flex"), "unsupported service_tier 'flex'"),
        (chat(reasoning_effort="none"), "does not support 'none'"),
        (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "does not support image"),
        (chat(model="none"), "does not exist"),
    ],
)
def test_refusals(body, words):
    """BR-P1 to BR-P4, BR-M1, BR-X16"""
    answer = post(body)
    assert answer.status in (400, 404)
    assert words in json.loads(answer.body)["error"]["message"]


def test_thoughts_stand_in_two_places():
    """BR-S1, BR-S2"""
    mantle = json.loads(post(chat()).body)["choices"][0]["message"]
    assert (mantle["reasoning"], mantle["content"]) == ("hm hm", "one two")
    runtime = json.loads(post(chat(), endpoint="runtime").body)["choices"][0]["message"]
    assert runtime["content"] == "<reasoning>hm hm</reasoning>one two"
    assert "reasoning" not in runtime


def test_the_end_stands_in_two_places():
    """BR-S3"""
    body = chat(stream=True, stream_options={"include_usage": True})
    mantle, runtime = chunks(post(body)), chunks(post(body, endpoint="runtime"))
    assert mantle[-2]["choices"][0] | {"obfuscation": ""} == {
        "index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None, "obfuscation": "",
    }  # fmt: skip
    assert runtime[-2]["choices"][0]["delta"] == {"content": " two"}
    assert runtime[-2]["choices"][0]["finish_reason"] == "stop"
    assert mantle[-1]["usage"]["total_tokens"] > 0


def test_a_chunk_may_hold_several_fragments():
    """BR-T1"""
    messages = [{"role": "user", "content": 'call: f {"city": "Oslo, Norway"}'}]
    found = chunks(post(chat(messages=messages, tools=[TOOL], stream=True)))
    sizes = [len(chunk["choices"][0]["delta"].get("tool_calls", ())) for chunk in found]
    assert max(sizes) == 3


def test_data_comes_before_the_name_of_its_event():
    """BR-S4"""
    answer = post({"model": "openai.gpt-5.6-luna", "input": "say: fine", "stream": True}, "/openai/v1/responses")
    lines = answer.body.decode().splitlines()
    assert lines[0].startswith("data: ")
    assert lines[1] == "event: response.created"
    assert "[DONE]" not in answer.body.decode()
