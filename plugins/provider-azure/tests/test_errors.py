"""Every error of the vendor is one of ours, with words for the person who meets it; and a filtered end is an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

_DENIED = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key."
_GONE = "The API deployment for this resource does not exist."
_ROWS: list[tuple[int, dict[str, Any], type[chatport.ChatportError], bool]] = [
    (401, {"code": "401", "message": _DENIED}, AuthenticationError, False),  # AZ-X10
    (401, {"code": "Unauthorized", "message": "Access token is missing or expired."}, AuthenticationError, False),
    (401, {"code": "PermissionDenied", "message": "No access."}, AuthenticationError, False),  # AZ-X11
    (403, {"code": "403", "message": "Public access is disabled."}, PermissionDeniedError, False),
    (403, {"code": "AuthenticationTypeDisabled", "message": "Key based authentication is disabled for this resource."},
     PermissionDeniedError, False),  # AZ-X12
    (403, {"code": "403", "message": "Your resource has been temporarily blocked."}, PermissionDeniedError, False),
    (429, {"code": None, "message": "Your resource has been temporarily blocked because we detected abuse."},
     PermissionDeniedError, False),  # AZ-X13
    (404, {"type": "invalid_request_error", "code": "DeploymentNotFound", "message": _GONE}, ModelNotFoundError, False),
    (400, {"code": "BadRequest", "message": "API version not supported"}, ConfigurationError, False),  # AZ-X16
    (404, {"code": "404", "message": "Missing required query parameter: api-version"}, ConfigurationError, False),
    (400, {"code": "content_filter", "message": "The response was filtered"}, ContentFilterError, False),  # AZ-X17
    (400, {"code": "context_length_exceeded", "message": "Too long."}, ContextLengthError, False),  # AZ-X18
    (400, {"code": "unsupported_parameter", "message": "Unsupported parameter: 'top_p'"}, BadRequestError, False),
    (400, {"code": "unsupported_value", "message": "Unsupported value"}, BadRequestError, False),
    (400, {"code": "OperationNotSupported", "message": "It is unsupported."}, UnsupportedFeatureError, False),
    (429, {"code": "RateLimitReached", "message": "Your requests to X for X in westeurope have exceeded rate limit"},
     RateLimitError, True),  # AZ-X20
    (429, {"code": "429", "message": "You have exceeded token rate limit. Please retry after 7 seconds."},
     RateLimitError, True),
    (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"}, QuotaExceededError, False),
    (429, {"code": "429", "message": "The service is temporarily unable to process your request."},
     OverloadedError, True),
    (429, {"code": None, "message": "System is experiencing high demand"}, OverloadedError, True),  # AZ-X22
    (503, {"code": "503", "message": "System is experiencing high demand"}, OverloadedError, True),
    (408, {"code": "Timeout", "message": "The operation was timeout."}, ServerError, True),
    (500, {"code": "InternalServerError", "message": "Internal server error"}, ServerError, True),
    (502, {"message": "Bad gateway"}, ServerError, True),
    (504, {"code": None, "message": "Gateway timeout"}, ServerError, True),  # AZ-X23
    (400, {"code": None, "message": "Function tools with reasoning_effort are not supported for gpt-5.6-sol in x."},
     UnsupportedFeatureError, False),  # AZ-P3
]  # fmt: skip


def failed(status: int, error: Any, **more: Any) -> chatport.ChatportError:
    with pytest.raises(chatport.ChatportError) as caught:
        replay("azure", status=status, body=json.dumps({"error": error}), stream=False, **more)
    return caught.value


@pytest.mark.parametrize(("status", "error", "kind", "retryable"), _ROWS)
def test_every_row_has_its_class(status, error, kind, retryable):
    """AZ-X10 to AZ-X14, AZ-X16 to AZ-X23, AZ-X32, AZ-P3: the code may be a word, a number or nothing."""
    found = failed(status, error)
    assert (type(found), found.retryable) == (kind, retryable)
    assert error["message"] in found.message


def test_a_wrong_path_is_a_matter_of_the_address():
    """AZ-X15, AZ-I3"""
    found = failed(404, {"code": "404", "message": "Resource not found"})
    assert isinstance(found, ModelNotFoundError | ConfigurationError)
    assert "address" in str(found) or "base_url" in str(found)


def test_a_missing_deployment_says_what_the_model_is():
    """AZ-X14, AZ-B4"""
    found = failed(404, {"type": "invalid_request_error", "code": "DeploymentNotFound", "message": _GONE})
    assert "The model is the name of your deployment" in str(found)


def test_the_wait_is_read_from_the_headers_else_from_the_words():
    """AZ-H2, AZ-X20: milliseconds first."""
    error = {"code": "429", "message": "Requests have exceeded token rate limit. Please retry after 7 seconds."}
    assert failed(429, error).retry_after_seconds == 7
    headers = {"retry-after-ms": "2500", "retry-after": "3", "apim-request-id": "r-1", "x-ms-region": "West Europe"}
    found = failed(429, error, headers=headers)
    assert (found.retry_after_seconds, found.request_id) == (2.5, "r-1")


def test_a_request_above_the_limit_is_not_asked_again(emulated):
    """AZ-X30, AZ-X31: its wait of nothing would never end, and each try would count."""
    client, emulator = emulated(retry={"attempts": 3}, larger_than_limit=True)
    with pytest.raises(RateLimitError, match="larger than the limit of tokens per minute") as caught:
        client.chat("hi", model="azure:gpt-4o")
    assert not caught.value.retryable
    assert len(emulator.requests) == 1


# --- the content filter


INNER = {
    "code": "ResponsibleAIPolicyViolation",
    "content_filter_result": {
        "hate": {"filtered": True, "severity": "high"},
        "self-harm": {"filtered": False, "severity": "safe"},
        "jailbreak": {"detected": True, "filtered": True},
    },
}


@pytest.mark.parametrize("code", ["content_filter", None, "BadRequest"])
@pytest.mark.parametrize("status", [400, 200])
def test_a_blocked_prompt_says_what_the_filter_found(code, status):
    """AZ-C3, AZ-X17: the code may stand only inside, and the body was recorded under a 200 too."""
    found = failed(
        status, {"message": "It was filtered.", "type": None, "code": code, "status": 400, "innererror": INNER}
    )
    assert (type(found), found.retryable, found.code) == (ContentFilterError, False, "content_filter")
    assert "It was filtered. (filtered: hate: high, jailbreak)" in str(found)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_a_blocked_answer_is_an_end(emulated, protocol, stream):
    """AZ-C2, AZ-C4, AZ-I1: the choice has no message at all, and the reply tells what was found."""
    client, _ = emulated(blocks="completion", table={"protocol": protocol})
    if stream:
        with client.stream("say: bad", model="azure:gpt-4o") as events:
            list(events)
        reply = events.reply
    else:
        reply = client.chat("say: bad", model="azure:gpt-4o")
    assert (reply.text, reply.finish_reason) == ("", "content_filter")
    if protocol == "chat":
        assert reply.raw["choices"][0]["content_filter_results"]["hate"] == {"filtered": True, "severity": "high"}
        assert reply.raw["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["filtered"] is False
    else:
        assert reply.raw["content_filters"][0]["blocked"] is True


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_a_blocked_prompt_is_final(emulated, protocol):
    """AZ-C3"""
    client, emulator = emulated(retry={"attempts": 3}, blocks="prompt", table={"protocol": protocol})
    with pytest.raises(ContentFilterError, match="filtered: hate: high"):
        client.chat("hi", model="azure:gpt-4o")
    assert len(emulator.requests) == 1


def test_the_worst_of_all_pieces_is_told():
    """AZ-C1, AZ-S2: a later piece that is fine does not hide an earlier one."""

    def piece(text: str, **found: Any) -> str:
        choice = {"content_filter_results": found, "delta": {"content": text}, "finish_reason": None, "index": 0}
        return f"data: {json.dumps({'choices': [choice]}, separators=(',', ':'))}\n\n"

    low, safe = {"filtered": False, "severity": "low"}, {"filtered": False, "severity": "safe"}
    text = {"detected": True, "filtered": False}
    body = piece("a", hate=safe, profanity="?") + piece("b", hate=low, protected_material_text=text, profanity=safe)
    body += piece("c", hate=safe)
    body += 'data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}]}\n\n'
    body += "data: [DONE]\n\n"
    reply = replay("azure", body=body, stream=True)
    assert reply.text == "abc"
    assert reply.raw["choices"] == [
        {"index": 0, "content_filter_results": {"hate": low, "profanity": safe, "protected_material_text": text}}
    ]


def test_a_late_result_is_told():
    """AZ-S4: without a text, behind what was shown."""
    late = {
        "content_filter_offsets": {"check_offset": 3},
        "content_filter_results": {"hate": {"filtered": True}},
        "index": 0,
    }
    body = (
        'data: {"choices":[{"content_filter_results":{},"delta":{"content":"abc"},"finish_reason":null,"index":0}]}\n\n'
    )
    last = {"choices": [{**late, "index": 0, "finish_reason": "content_filter"}]}
    body += f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n"
    reply = replay("azure", body=body, stream=True)
    assert (reply.text, reply.finish_reason) == ("abc", "content_filter")
    assert reply.raw["choices"][0]["content_filter_results"] == {"hate": {"filtered": True}}


@pytest.mark.parametrize("found", [[], "x", 5, {"hate": "high"}, {"hate": {"severity": 5, "filtered": []}}])
def test_odd_results_are_no_failure(found):
    body = json.dumps({"choices": [{"content_filter_results": found, "delta": {"content": "a"}, "index": 0}]})
    body = f"data: {body}\n\ndata: {body.replace(': ', ':')}\n\n"
    end = 'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}]}\n\ndata: [DONE]\n\n'
    assert replay("azure", body=body + end, stream=True).text == "aa"
