"""What errors say in words: whether the input is too long, money is gone, a limit passes, a model is unknown.

The wordings are those of real servers, gathered from recordings, fact sheets and public threads. A new one belongs
into `wordings/` or into the table, and the vocabulary has to find it without being told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatport import errors as e
from chatport.errors import ChatportError
from chatport.standard.context_words import says_too_long
from chatport.testing import replay

WORDINGS = Path(__file__).parent / "wordings"
TOO_LONG = (WORDINGS / "too_long.txt").read_text("utf-8").splitlines()
NOT_TOO_LONG = (WORDINGS / "not_too_long.txt").read_text("utf-8").splitlines()


def raised(status: int, body: Any, headers: dict[str, str] | None = None, *, stream: bool = False) -> ChatportError:
    """Return the error that an answer becomes where nothing is known of the vendor."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(ChatportError) as caught:
        replay("compatible", status=status, headers=headers, body=content, stream=stream)
    return caught.value


# --- too long


@pytest.mark.parametrize("words", TOO_LONG)
def test_an_input_that_is_too_long_is_told_in_any_words(words: str) -> None:
    assert says_too_long(words)
    error = raised(400, {"error": {"message": words}})
    assert (type(error), error.retryable) == (e.ContextLengthError, False)


@pytest.mark.parametrize("words", NOT_TOO_LONG)
def test_what_only_sounds_alike_is_another_thing(words: str) -> None:
    """The limit of the answer, tokens by the minute, money, pictures, files, ids, lists and numbers of another kind."""
    assert not says_too_long(words)
    assert not isinstance(raised(400, {"error": {"message": words}}), e.ContextLengthError)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 413, 422, 500])
def test_the_status_does_not_matter_where_it_says_little(status: int) -> None:
    body = {
        "error": {"message": "The input (516368 tokens) is longer than the model's context length (262144 tokens)."}
    }
    assert type(raised(status, body)) is e.ContextLengthError


# --- all the rest: status, body, class, whether it may pass

PER_DAY, PER_MINUTE = (
    "GenerateRequestsPerDayPerProject-FreeTier",
    "GenerateContentInputTokensPerModelPerMinute-FreeTier",
)
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "41.5s"}
PLAN = "You exceeded your current quota, please check your plan and billing details."
BLOCKED = "The response was filtered due to the prompt triggering our content management policy."


def rpc(code: int, message: str, status: str, *details: Any) -> list[dict[str, Any]]:
    """An error as google.rpc.Status, in a list."""
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def quota(*ids: str) -> dict[str, Any]:
    violations = [{"quotaMetric": "x/free_tier_requests", "quotaId": name, "quotaValue": "15"} for name in ids]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def metadata(**names: Any) -> dict[str, Any]:
    """The same, as the older services of Google say it."""
    return {**reason("RATE_LIMIT_EXCEEDED"), "metadata": {"service": "x.googleapis.com", **names}}


def reason(word: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "googleapis.com"}


def unit(text: str) -> dict[str, Any]:
    return {**reason("RATE_LIMIT_EXCEEDED"), "metadata": {"quota_limit": "Requests", "quota_unit": text}}


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


TABLE: list[tuple[int, Any, type[ChatportError], bool]] = [
    # keys (GM-X10, XA-X2, AZ-X10, MM-X10)
    (400, rpc(400, "API key not valid.", "INVALID_ARGUMENT", reason("API_KEY_INVALID")), e.AuthenticationError, False),
    (400, rpc(400, "Please pass a valid API key", "INVALID_ARGUMENT"), e.AuthenticationError, False),
    (400, {"code": "invalid-argument", "error": "Incorrect API key provided."}, e.AuthenticationError, False),
    (400, said("API key expired. Please renew the API key."), e.AuthenticationError, False),
    (401, rpc(401, "Request had invalid credentials.", "UNAUTHENTICATED"), e.AuthenticationError, False),
    (403, {"message": "The security token included in the request is invalid."}, e.AuthenticationError, False),
    (
        401,
        {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}},
        e.AuthenticationError,
        False,
    ),
    (403, {"error": {"message": "x", "type": "invalid_api_key"}}, e.AuthenticationError, False),
    # permission
    (
        400,
        rpc(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
        e.PermissionDeniedError,
        False,
    ),
    (
        403,
        rpc(403, "Requests are blocked.", "PERMISSION_DENIED", reason("API_KEY_SERVICE_BLOCKED")),
        e.PermissionDeniedError,
        False,
    ),
    (403, said("Your API key was reported as leaked. Please use another API key."), e.PermissionDeniedError, False),
    (400, said("You do not have access to the model with the specified model ID."), e.PermissionDeniedError, False),
    (400, said("This model is not included in your current plan"), e.PermissionDeniedError, False),
    (403, {"error": {"code": "forbidden", "message": "Forbidden"}}, e.PermissionDeniedError, False),
    # no money, or none for today
    (402, said("anything"), e.QuotaExceededError, False),
    (401, said("Insufficient credits: add more to go on."), e.QuotaExceededError, False),
    (
        403,
        said("Your team has either used all available credits or reached its monthly spending limit."),
        e.QuotaExceededError,
        False,
    ),
    (
        429,
        said("Your team has either used all available credits or reached its monthly spending limit."),
        e.QuotaExceededError,
        False,
    ),
    (429, said("Budget has been exceeded! Current cost: 26.075, Max budget: 0.25"), e.QuotaExceededError, False),
    (400, said("ExceededBudget: User over budget. Spend=0.09, Budget=0.0001"), e.QuotaExceededError, False),
    (429, said("x", type="budget_exceeded", code="429"), e.QuotaExceededError, False),
    (
        429,
        said("The usage limit has been reached", type="usage_limit_reached", resets_in_seconds=9000),
        e.QuotaExceededError,
        False,
    ),
    (429, said("usage limit exceeded (2056)", type="rate_limit_error"), e.QuotaExceededError, False),
    (429, said(PLAN), e.QuotaExceededError, False),
    (429, said(PLAN, code="insufficient_quota"), e.QuotaExceededError, False),
    (
        429,
        {"errors": [{"message": "you have used up your daily free allocation of 10,000 units", "code": 4006}]},
        e.QuotaExceededError,
        False,
    ),
    (429, said("Daily token limit reached for this key"), e.QuotaExceededError, False),
    (429, rpc(429, "Slow.", "RESOURCE_EXHAUSTED", unit("1/d/{project}")), e.QuotaExceededError, False),
    (429, rpc(429, "Slow.", "RESOURCE_EXHAUSTED", unit("1/min/{project}")), e.RateLimitError, True),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", quota(PER_DAY), WAIT), e.QuotaExceededError, False),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", quota(PER_MINUTE, PER_DAY), WAIT), e.QuotaExceededError, False),
    (
        429,
        rpc(429, f"{PLAN} * Quota exceeded for metric: x, limit: 0", "RESOURCE_EXHAUSTED", quota(PER_MINUTE), WAIT),
        e.QuotaExceededError,
        False,
    ),
    (
        429,
        rpc(429, "Slow.", "RESOURCE_EXHAUSTED", metadata(quota_limit="RequestsPerDayPerProject")),
        e.QuotaExceededError,
        False,
    ),
    (429, {"error": {"message": "余额不足或无可用资源包,请充值。", "code": "1"}}, e.QuotaExceededError, False),
    (403, said("Quota exceeded for this project"), e.QuotaExceededError, False),
    (403, said("You have exceeded your monthly quota"), e.QuotaExceededError, False),
    # too fast
    (403, {"message": "API rate limit exceeded for this key"}, e.RateLimitError, True),
    (400, said("Rate limit reached for requests", type="invalid_request_error"), e.RateLimitError, True),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", quota(PER_MINUTE), WAIT), e.RateLimitError, True),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", WAIT), e.RateLimitError, True),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", metadata(quota_limit="RequestsPerMinute")), e.RateLimitError, True),
    (429, rpc(429, PLAN, "RESOURCE_EXHAUSTED", metadata(quota_limit=5)), e.QuotaExceededError, False),
    (429, rpc(429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"), e.RateLimitError, True),
    (429, said("Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'"), e.RateLimitError, True),
    (429, said("Limit of requests per minute", code="QuotaExceeded"), e.RateLimitError, True),
    (429, said("Number of request tokens has exceeded your per-minute rate limit"), e.RateLimitError, True),
    (429, {"message": "Too many tokens, please wait before trying again."}, e.RateLimitError, True),
    (400, {"__type": "com.amazon.coral#ThrottlingException", "message": "Rate exceeded"}, e.RateLimitError, True),
    (
        429,
        {"error": {"code": "RateLimitReached", "message": "Your requests have exceeded rate limit."}},
        e.RateLimitError,
        True,
    ),
    (
        429,
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
        e.RateLimitError,
        True,
    ),
    (429, {"message": "Sorry, you have exceeded your token usage.", "code": "rate_limited"}, e.RateLimitError, True),
    (429, b"error code: 1015", e.RateLimitError, True),
    (
        429,
        said("Rate limit reached on tokens per day (TPD): try again in 7m12s", code="rate_limit_exceeded"),
        e.RateLimitError,
        True,
    ),
    # one request alone above the limit: no wait helps (GQ-X18, AZ-X30)
    (
        429,
        said("Request too large on tokens per min (TPM): Limit 30000, Requested 48718.", code="rate_limit_exceeded"),
        e.RateLimitError,
        False,
    ),
    (
        413,
        said("Request too large on tokens per minute (TPM): Limit 6000, Requested 9120", code="rate_limit_exceeded"),
        e.ContextLengthError,
        False,
    ),
    # no room
    (
        429,
        said("The engine is currently overloaded, please try again later", type="engine_overloaded_error"),
        e.OverloadedError,
        True,
    ),
    (429, said("Service tier capacity exceeded for this model."), e.OverloadedError, True),
    (429, said("We're experiencing high traffic right now! Please try again soon."), e.OverloadedError, True),
    (503, rpc(503, "The model is overloaded. Please try again later.", "UNAVAILABLE"), e.OverloadedError, True),
    (200, rpc(503, "The model is overloaded.", "UNAVAILABLE"), e.OverloadedError, True),
    (500, said("x", status="UNAVAILABLE"), e.OverloadedError, True),
    (529, said("Overloaded"), e.OverloadedError, True),
    # the vendor's own trouble
    (500, rpc(500, "An internal error has occurred.", "INTERNAL"), e.ServerError, True),
    (504, rpc(504, "Deadline expired.", "DEADLINE_EXCEEDED"), e.ServerError, True),
    (499, rpc(499, "The operation was cancelled.", "CANCELLED"), e.ServerError, True),
    (521, b"<html><head><title>Web server is down</title></head><body>Error 521</body></html>", e.ServerError, True),
    (400, {"__type": "ModelStreamErrorException", "message": "x"}, e.ServerError, True),
    # models
    (404, rpc(404, "models/x is not found for API version v1", "NOT_FOUND"), e.ModelNotFoundError, False),
    (
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
        e.ModelNotFoundError,
        False,
    ),
    (
        400,
        {"error": {"code": "model_not_supported", "message": "The requested model is not supported."}},
        e.ModelNotFoundError,
        False,
    ),
    (
        400,
        {"error": {"message": "Param Incorrect", "param": "Not supported model m9", "code": "400"}},
        e.ModelNotFoundError,
        False,
    ),
    (
        400,
        {"errors": [{"message": "AiError: No such model @x/y", "code": 5007}], "success": False},
        e.ModelNotFoundError,
        False,
    ),
    (400, said("/chat/completions: Invalid model name passed in model=x"), e.ModelNotFoundError, False),
    (400, said("The supported API model names are a or b, but you passed c."), e.ModelNotFoundError, False),
    # content
    (400, {"error": {"message": BLOCKED, "code": "content_filter", "status": 400}}, e.ContentFilterError, False),
    (
        400,
        {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        e.ContentFilterError,
        False,
    ),
    (
        403,
        said("The model requires moderation. Your input was flagged. No credits were charged."),
        e.ContentFilterError,
        False,
    ),
    (400, said("The request was rejected because it was considered high risk"), e.ContentFilterError, False),
    # what cannot be done here
    (
        400,
        {"error": {"code": "OperationNotSupported", "message": "It does not work with the specified model."}},
        e.UnsupportedFeatureError,
        False,
    ),
    (400, said("image_url is not supported"), e.UnsupportedFeatureError, False),
    (400, said("`tool calling` is not supported with this model"), e.UnsupportedFeatureError, False),
    (400, said("This model does not support function calling"), e.UnsupportedFeatureError, False),
    (400, said("Image input is not enabled for this model"), e.UnsupportedFeatureError, False),
    # wrong in itself
    (
        400,
        said("Unsupported parameter: 'stop' is not supported with this model.", code="unsupported_parameter"),
        e.BadRequestError,
        False,
    ),
    (400, {"message": "1 validation error detected"}, e.BadRequestError, False),
    (
        400,
        said("max_tokens is too large: 8192. This model supports at most 4096 completion tokens."),
        e.BadRequestError,
        False,
    ),
    (400, said("The file type you uploaded is not supported."), e.BadRequestError, False),
    (413, b"<html><h1>413 Request Entity Too Large</h1></html>", e.BadRequestError, False),
    (
        422,
        {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Field required"}]}},
        e.BadRequestError,
        False,
    ),
    (200, rpc(400, "Bad value.", "INVALID_ARGUMENT"), e.BadRequestError, False),
]


@pytest.mark.parametrize(
    ("status", "body", "cls", "retryable"), TABLE, ids=[f"{status} {str(body)[:60]}" for status, body, _, _ in TABLE]
)
def test_words_and_status_give_the_class(status: int, body: Any, cls: type[ChatportError], retryable: bool) -> None:
    error = raised(status, body)
    assert (type(error), error.retryable) == (cls, retryable), error


@pytest.mark.parametrize(
    ("header", "message", "cls"),
    [
        ("ThrottlingException:http://internal.amazon.com/coral/", "Too many tokens, please wait.", e.RateLimitError),
        ("ValidationException", "Input is too long for requested model.", e.ContextLengthError),
        ("ValidationException", "Malformed input request", e.BadRequestError),
        ("AccessDeniedException", "You may not.", e.PermissionDeniedError),
        ("ResourceNotFoundException", "Could not resolve the foundation model.", e.ModelNotFoundError),
        ("ServiceQuotaExceededException", "x", e.QuotaExceededError),
        ("UnrecognizedClientException", "x", e.AuthenticationError),
        ("ModelNotReadyException", "x", e.OverloadedError),
    ],
)
def test_an_error_may_be_named_in_a_header(header: str, message: str, cls: type[ChatportError]) -> None:
    """The body has nothing but a text (BR-X1)."""
    assert type(raised(400, {"message": message}, {"x-amzn-errortype": header})) is cls


@pytest.mark.parametrize(
    ("words", "cls"),
    [
        ("Rate limit exceeded", e.RateLimitError),
        ("Too many requests", e.RateLimitError),
        ("You exceeded your current quota", e.QuotaExceededError),
        ("The service is currently unavailable", e.OverloadedError),
        ("Unauthorized", e.AuthenticationError),
        ("Access denied", e.PermissionDeniedError),
        ("Internal server error", e.ServerError),
        ("Invalid request: n must be 1", e.BadRequestError),
        ("The model `m` does not exist", e.ModelNotFoundError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_inside_a_200_words_say_what_a_status_would(words: str, cls: type[ChatportError], stream: bool) -> None:
    body = json.dumps({"error": {"message": words}}).encode()
    error = raised(200, b"data: " + body + b"\n\n" if stream else body, stream=stream)
    assert type(error) is cls
    assert error.retryable == cls.retryable_by_default


# --- what else is read of it


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ([{"error": {"code": 400, "message": "m", "status": "OUT_OF_RANGE"}}], "m", "OUT_OF_RANGE"),
        ({"object": "error", "message": {"detail": [{"loc": ["a", 1], "msg": "m"}]}, "code": "3"}, "a.1: m", "3"),
        ({"Message": "m"}, "m", None),
        ({"__type": "com.x#SlowException", "message": "m"}, "m", "SlowException"),
        ({"errors": [{"code": 5021, "message": "m"}], "success": False, "messages": []}, "m", "5021"),
        ({"detail": {"error": {"message": "m", "code": "c"}}}, "m", "c"),
        ({"detail": {"message": "m", "code": "c"}}, "m", "c"),
        ({"error": {"message": json.dumps({"error": {"message": "m", "code": "inner"}}), "code": 400}}, "m", "inner"),
        ({"error": json.dumps([{"error": {"message": "m", "status": "NOT_FOUND"}}])}, "m", "NOT_FOUND"),
        ({"error": {"error": {"message": "m", "code": "c"}}}, "m", "c"),
        ({"base_resp": {"status_code": 2013, "status_msg": "m"}}, "m", "2013"),
        ({"fault": {"faultstring": "m", "detail": {"errorcode": "x"}}}, "m", None),
        ({"title": "Not allowed", "status": 400}, "Not allowed", None),
        (
            {"error": {"message": "Wrong", "param": "the size is not known", "code": "c"}},
            "Wrong: the size is not known",
            "c",
        ),
        ({"error": {"message": "Wrong", "param": "messages[0]", "code": "c"}}, "Wrong", "c"),
        (b"<html><head><title>Only a title</title></head><body></body></html>", "Only a title", None),
    ],
)
def test_the_message_is_found_in_each_shape(body: Any, message: str, code: str | None) -> None:
    error = raised(400, body)
    assert (error.message, error.code) == (f"compatible: {message}", code)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", WAIT), 41.5),
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", {**WAIT, "retryDelay": {"seconds": 7}}), 7.0),
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", WAIT, {**WAIT, "retryDelay": "50s"}), 50.0),
        (rpc(429, "Please retry in 12.5s.", "RESOURCE_EXHAUSTED"), 12.5),
        (rpc(429, "Please retry in 800ms.", "RESOURCE_EXHAUSTED"), 0.8),
        (said("Slow.", retry_after=3), 3.0),
        (said("Rate limit of 300000 per 60s exceeded. Please wait 23 seconds before retrying."), 23.0),
        (said("Rate limit is exceeded. Try again in 54 seconds."), 54.0),
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", {**WAIT, "retryDelay": "soon"}), None),
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", {**WAIT, "retryDelay": -1}), None),
        (rpc(429, "Slow.", "RESOURCE_EXHAUSTED", {**WAIT, "retryDelay": 0}), 0.0),
    ],
)
def test_the_wait_is_read_from_the_error_itself(body: Any, seconds: float | None) -> None:
    error = raised(429, body)
    assert (type(error), error.retry_after_seconds) == (e.RateLimitError, seconds)
    assert raised(429, body, {"retry-after": "2"}).retry_after_seconds == 2.0


def test_advice_names_what_there_is() -> None:
    """The next step has the provider's own name in it, and no placeholder; without a provider nothing is said."""
    error = raised(404, said("The model `m` does not exist", code="model_not_found"))
    assert error.advice == "List what the vendor offers with `chatport models compatible`."
    assert str(error).endswith(error.advice)
    assert e.ModelNotFoundError("x").advice == ""
    for cls in (getattr(e, name) for name in e.__all__):
        assert not set("{}") & set(cls("x", provider="p").advice)
        assert "PROVIDER" not in cls("x", provider="p").advice
