"""Every error of the vendor is one of ours; and what a guardrail has blocked is an end."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

_TENSES = "The model doesn't exist or doesn't support this API. Retry your request with a different model ID."


def body(message: str, code: str = "validation_error", type: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "param": None, "type": type}}


_ROWS: list[tuple[int, Any, type[chatport.ChatportError], bool]] = [
    (400, body("Unsupported parameter: 'top_p' is not supported with this model."), BadRequestError, False),  # BR-X10
    (400, body("model `x` isn't supported on this route"), UnsupportedFeatureError, False),
    (404, body("The model 'x' does not support the '/v1/chat/completions' API"), UnsupportedFeatureError, False),
    (400, body("Retry with the ID of an inference profile that contains this model."), ConfigurationError, False),
    (400, body("Input is too long for requested model."), ContextLengthError, False),  # BR-X13
    (401, body("Invalid API key.", "invalid_api_key"), AuthenticationError, False),  # BR-X14
    (401, body("The model x is not enabled for this account"), PermissionDeniedError, False),
    (403, body("You don't have model access."), PermissionDeniedError, False),
    (403, body("You are not authorized to use this model"), PermissionDeniedError, False),  # BR-X15
    (404, body("The model 'x' does not exist", "not_found_error"), ModelNotFoundError, False),  # BR-X16
    (404, body(_TENSES, "model_not_found", "not_found_error"), ModelNotFoundError, False),  # BR-X17
    (429, body("Too many tokens, please wait before trying again.", "throttling"), RateLimitError, True),  # BR-X18
    (500, body("Internal.", "internal_error", "server_error"), ServerError, True),
    (502, {"message": "Bad gateway"}, ServerError, True),
    (504, {"Message": "Gateway timeout"}, ServerError, True),  # BR-X19
    (503, body("No capacity.", "service_unavailable"), OverloadedError, True),  # BR-X20
    (429, {"message": "Too many tokens, please wait before trying again."}, RateLimitError, True),
    (400, {"error": "a bare text"}, BadRequestError, False),
    (400, body(json.dumps({"message": "inner words"})), BadRequestError, False),  # BR-X1
]


def failed(status: int, data: Any, **more: Any) -> chatport.ChatportError:
    with pytest.raises(chatport.ChatportError) as caught:
        replay("bedrock", status=status, body=json.dumps(data), stream=False, **more)
    return caught.value


@pytest.mark.parametrize(("status", "data", "kind", "retryable"), _ROWS)
def test_every_row_has_its_class(status, data, kind, retryable):
    """BR-X1, BR-X10 to BR-X20, BR-I1"""
    found = failed(status, data)
    assert (type(found), found.retryable) == (kind, retryable)


def test_the_words_survive_every_shape():
    """BR-X1"""
    assert "inner words" in failed(400, body(json.dumps({"message": "inner words"}))).message
    assert "a bare text" in failed(400, {"error": "a bare text"}).message
    assert "gone" in failed(503, {"Message": "gone"}).message


def test_ids_differ_by_endpoint_and_an_error_says_so():
    """BR-X16, BR-E4"""
    assert "is openai.gpt-oss-20b on mantle" in str(
        failed(404, body("The model 'x' does not exist", "not_found_error"))
    )


def test_names_of_accounts_are_not_shown():
    """BR-X2"""
    words = "User: arn:aws:iam::123456789012:user/me is not authorized to use model/x in 123456789012"
    found = failed(403, body(words))
    assert "123456789012" not in str(found)
    assert "arn:***" in str(found)


def test_the_id_of_a_request():
    """BR-H1"""
    assert failed(500, body("x"), headers={"x-amzn-requestid": "r-1"}).request_id == "r-1"


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_guardrail_has_blocked_is_an_end(emulated, stream):
    """BR-X21: a 200, with the words that its owner has set."""
    client, _ = emulated(blocks=True, endpoint="runtime", models=("openai.gpt-oss-20b-1:0",))
    if stream:
        with client.stream("say: bad", model="bedrock:openai.gpt-oss-20b-1:0") as events:
            list(events)
        reply = events.reply
    else:
        reply = client.chat("say: bad", model="bedrock:openai.gpt-oss-20b-1:0")
    assert (reply.text, reply.finish_reason) == ("Sorry, this is not allowed.", "content_filter")
    assert reply.usage.input_tokens == 0
