"""Every row of the vendor's error table, in both of its spellings and both of its bodies."""

from __future__ import annotations

import json

import pytest

import chatport
from chatport.testing import replay

BAD = "<400> InternalError.Algo.InvalidParameter: "
FREE = "Free allocated quota exceeded."
QUOTA = "You exceeded your current quota, please check your plan and billing details."

ROWS = [
    # status, code, message, class, retryable
    (401, "InvalidApiKey", "Invalid API-key provided.", chatport.AuthenticationError, False),  # QW-E1
    (401, "invalid_api_key", "Incorrect API key provided.", chatport.AuthenticationError, False),
    (
        400,
        "Arrearage",
        "Access denied, please make sure your account is in good standing.",
        chatport.QuotaExceededError,
        False,
    ),  # QW-E2, QW-X5
    (
        400,
        "DataInspectionFailed",
        "Input data may contain inappropriate content.",
        chatport.ContentFilterError,
        False,
    ),  # QW-E3
    (
        400,
        "data_inspection_failed",
        "Output data may contain inappropriate content.",
        chatport.ContentFilterError,
        False,
    ),
    (400, "FaqRuleBlocked", "Blocked.", chatport.ContentFilterError, False),
    (400, "CustomRoleBlocked", "Blocked.", chatport.ContentFilterError, False),
    (400, "IPInfringementSuspect", "Blocked.", chatport.ContentFilterError, False),
    (
        400,
        "invalid_parameter_error",
        f"{BAD}Range of input length should be [1, 983616]",
        chatport.ContextLengthError,
        False,
    ),  # QW-E4, QW-X9
    (
        400,
        "InvalidParameter",
        "Total message token length exceed model limit (131072 tokens).",
        chatport.ContextLengthError,
        False,
    ),
    (
        400,
        "invalid_parameter_error",
        f"{BAD}Temperature should be in [0.0, 2.0)",
        chatport.BadRequestError,
        False,
    ),  # QW-E5
    (400, "InvalidParameter", "Required parameter is missing.", chatport.BadRequestError, False),
    (400, "invalid_request_error", "[] is too short - 'messages'", chatport.BadRequestError, False),
    (400, "invalid_value", "developer is not one of ['system', 'assistant', 'user']", chatport.BadRequestError, False),
    (400, "InvalidParameter.NotSupportEnableThinking", "No thinking here.", chatport.BadRequestError, False),  # QW-P7
    (
        400,
        "invalid_parameter_error",
        f"{BAD}The tool call is not supported.",
        chatport.UnsupportedFeatureError,
        False,
    ),  # QW-T6
    (403, "AccessDenied", "Access denied.", chatport.PermissionDeniedError, False),  # QW-E6
    (403, "Model.AccessDenied", "Model access denied.", chatport.PermissionDeniedError, False),
    (403, "Workspace.AccessDenied", "Workspace access denied.", chatport.PermissionDeniedError, False),
    (403, "AccessDenied.Unpurchased", "Access to model denied.", chatport.PermissionDeniedError, False),
    (403, "AllocationQuota.FreeTierOnly", "The free tier is exhausted.", chatport.QuotaExceededError, False),  # QW-E7
    (404, "ModelNotFound", "Model can not be found.", chatport.ModelNotFoundError, False),  # QW-E8
    (404, "model_not_found", "The model `x` does not exist.", chatport.ModelNotFoundError, False),
    (
        404,
        "model_not_supported",
        "Unsupported model for OpenAI compatibility mode.",
        chatport.ModelNotFoundError,
        False,
    ),  # QW-N3
    (429, "Throttling", "Requests throttling triggered.", chatport.RateLimitError, True),  # QW-E9
    (429, "Throttling.RateQuota", "Requests rate limit exceeded.", chatport.RateLimitError, True),
    (429, "limit_requests", "You have exceeded your current request limit.", chatport.RateLimitError, True),  # QW-E17
    (429, "Throttling.BurstRate", "Request rate increased too quickly.", chatport.RateLimitError, True),  # QW-E10
    (429, "limit_burst_rate", "Request rate increased too quickly.", chatport.RateLimitError, True),
    (
        429,
        "Throttling.AllocationQuota",
        "Allocated quota exceeded, please increase your quota limit.",
        chatport.RateLimitError,
        True,
    ),  # QW-E11
    (429, "insufficient_quota", QUOTA, chatport.RateLimitError, True),
    (429, "insufficient_quota", FREE, chatport.QuotaExceededError, False),  # QW-E12
    (429, "Throttling.AllocationQuota", FREE, chatport.QuotaExceededError, False),
    (429, "CommodityNotPurchased", "Commodity has not purchased yet.", chatport.QuotaExceededError, False),
    (429, "PrepaidBillOverdue", "The prepaid bill is overdue.", chatport.QuotaExceededError, False),
    (429, "PostpaidBillOverdue", "The postpaid bill is overdue.", chatport.QuotaExceededError, False),
    (500, "InternalError", "An internal error has occurred.", chatport.ServerError, True),  # QW-E13
    (500, "InternalError.Algo", "Expecting ',' delimiter: line 1 column 20", chatport.ServerError, True),  # QW-T6
    (500, "internal_error", "An internal error has occurred.", chatport.ServerError, True),
    (500, "SystemError", "An system error has occurred.", chatport.ServerError, True),
    (500, "ModelServiceFailed", "Failed to request model service.", chatport.ServerError, True),
    (500, "RequestTimeOut", "Request timed out, please try again later.", chatport.ServerError, True),  # QW-E14
    (503, "ModelServingError", "Too many requests.", chatport.OverloadedError, True),  # QW-E15
    (503, "ModelUnavailable", "Model is unavailable.", chatport.OverloadedError, True),
    (400, "InvalidParameter", "Model not exist.", chatport.ModelNotFoundError, False),  # QW-E16
    (500, "InternalError.Algo", "list index out of range", chatport.BadRequestError, False),  # QW-P12
    (
        400,
        "invalid_parameter_error",
        "File parsing in progress, please try again later.",
        chatport.BadRequestError,
        True,
    ),  # QW-M5
]


def compatible(code: str, message: str) -> dict[str, object]:
    kind = code if code in ("Arrearage", "limit_requests") else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return {"error": error, "id": "chatcmpl-1", "request_id": "331b8ffc"}


def native(code: str, message: str) -> dict[str, object]:
    return {"code": code, "message": message, "request_id": "331b8ffc"}


@pytest.mark.parametrize("shape", [compatible, native])
@pytest.mark.parametrize(("status", "code", "message", "error", "retryable"), ROWS)
def test_row(shape, status, code, message, error, retryable):
    with pytest.raises(chatport.ChatportError) as caught:
        replay("qwen", status=status, headers={}, body=json.dumps(shape(code, message)), stream=False)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (status, code, "331b8ffc")
    assert message in str(caught.value)


def test_a_refused_key_names_the_address_it_was_sent_to():  # QW-B4
    body = json.dumps(compatible("invalid_api_key", "Incorrect API key provided."))
    with pytest.raises(
        chatport.AuthenticationError, match=r"one region; this call went to dashscope-intl\.aliyuncs\.com"
    ):
        replay("qwen", status=401, headers={}, body=body, stream=False)


def test_filter_in_the_middle_of_a_stream():  # QW-S8
    said = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "Well"}, "finish_reason": None}]}
    refused = {"error": compatible("data_inspection_failed", "Output data may contain inappropriate content.")["error"]}
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in (said, refused))
    with pytest.raises(chatport.ContentFilterError) as caught:
        replay("qwen", status=200, headers={"content-type": "text/event-stream"}, body=body, stream=True)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Well"
    assert caught.value.retryable is False


def test_no_rate_headers_are_expected():  # QW-L2
    ok = {
        "id": "1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    }
    headers = {"x-request-id": "r-1", "req-cost-time": "430", "x-dashscope-timeout": "180"}
    reply = replay("qwen", status=200, headers=headers, body=json.dumps(ok), stream=False)
    assert (reply.request_id, reply.rate_limits) == ("r-1", None)
