"""Every row of the error table: class, retryable or not, when, and the text."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

JSON, EVENTS = {"content-type": "application/json"}, {"content-type": "text/event-stream"}
WINDOW = "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens"
IN_FLIGHT = "openrouter_in_flight_budget"
ZOD = {"success": False, "error": {"name": "ZodError", "message": '[{"path":["stop"]}]'}}
CREDITS = "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only"


def said(message="words", **metadata):
    return {"error": {"message": message, **({"metadata": metadata} if metadata else {})}}


def typed(word):
    return said(error_type=word)


def available(word, **more):
    return {"error": {"message": "words", "availability": {"code": word, **more}}}


def raw(value, **more):
    return said("Provider returned error", provider_name="Acme", raw=value, **more)


def inner(message, **more):
    return json.dumps({"error": {"message": message, **more}})


ROWS = [
    ("OR-X10", 400, typed("invalid_request"), BadRequestError),
    ("OR-X10", 400, typed("string_too_long"), BadRequestError),
    ("OR-X10", 400, typed("image_download_failed"), BadRequestError),
    ("OR-X10", 400, said("a/b is not a valid model ID"), ModelNotFoundError),
    ("OR-X10", 400, available("model_not_found"), ModelNotFoundError),
    ("OR-X10", 400, available("wrong_endpoint"), BadRequestError),
    ("OR-X1", 400, ZOD, BadRequestError),
    *(("OR-X11", 400, typed(w), ContextLengthError) for w in ("context_length_exceeded", "token_limit_exceeded")),
    ("OR-X11", 400, typed("max_tokens_exceeded"), ContextLengthError),
    ("OR-X11", 400, said(WINDOW), ContextLengthError),
    *(("OR-X12", 400, typed(word), ContentFilterError) for word in ("content_policy_violation", "refusal")),
    ("OR-X13", 401, said("User not found."), AuthenticationError),
    ("OR-X14", 402, said(CREDITS), QuotaExceededError),
    ("OR-X14", 402, said(limit_source="openrouter_key_limit"), QuotaExceededError),
    ("OR-X15", 402, said(limit_source=IN_FLIGHT, reason="in_flight_budget_exhausted"), RateLimitError),
    ("OR-X16", 403, said(reasons=["violence"], flagged_input="x", model_slug="a/b"), ContentFilterError),
    ("OR-X16", 403, said(patterns=["p"]), ContentFilterError),
    ("OR-X17", 403, typed("permission_denied"), PermissionDeniedError),
    ("OR-X17", 403, available("region_restricted"), PermissionDeniedError),
    ("OR-X17", 403, said(limit_source="openrouter_guardrail_budget", resets_at="2026-12-01"), QuotaExceededError),
    ("OR-X17", 403, said(limit_source="workspace_budget"), QuotaExceededError),
    ("OR-X18", 404, said("No endpoints found for a/b."), ModelNotFoundError),
    *(
        ("OR-X18", 404, available(word), ModelNotFoundError)
        for word in ("no_endpoints", "model_deprecated", "constraint_filtered", "free_variant_ended")
    ),
    ("OR-T2", 404, said("No endpoints found that support tool use. To learn more"), UnsupportedFeatureError),
    ("OR-J2", 404, said("No endpoints found that can handle the requested parameters."), UnsupportedFeatureError),
    ("OR-I4", 404, said("No endpoints found matching your data policy (Free model)"), PermissionDeniedError),
    ("OR-I4", 404, available("privacy_restricted"), PermissionDeniedError),
    ("OR-P7", 400, said("Reasoning is mandatory for this endpoint and cannot be disabled."), UnsupportedFeatureError),
    *(("OR-X19", status, typed("timeout"), ServerError) for status in (408, 504, 524)),
    *(("OR-X20", status, said(), BadRequestError) for status in (412, 413, 422)),
    ("OR-X21", 429, typed("rate_limit_exceeded"), RateLimitError),
    ("OR-X21", 429, available("capacity_exhausted"), RateLimitError),
    ("OR-X21", 429, raw("a/b:free is temporarily rate-limited upstream."), RateLimitError),
    ("OR-X22", 502, typed("provider_unavailable"), ServerError),
    *(("OR-X23", status, typed("provider_overloaded"), OverloadedError) for status in (503, 529)),
    ("OR-X24", 500, said("Internal Server Error"), ServerError),
    ("OR-X3", 400, raw(inner("prompt is too long: 9 tokens", type="invalid_request_error")), ContextLengthError),
    ("OR-X3", 400, raw(f"[{inner('You exceeded your current quota')}]"), QuotaExceededError),
    ("OR-X3", 400, raw(json.dumps(raw(inner("x", code="content_filter")))), ContentFilterError),
    ("OR-R2", 400, raw(inner("OpenRouter reasoning details must be preserved")), BadRequestError),
    ("OR-R4", 400, raw(inner("Invalid signature in thinking block")), BadRequestError),
]  # fmt: skip
RETRYABLE = (RateLimitError, OverloadedError, ServerError)


@pytest.mark.parametrize(("fact", "status", "data", "error"), ROWS)
def test_error_table(fact, status, data, error):
    with pytest.raises(error) as caught:
        replay(
            "openrouter", status=status, headers=JSON | {"x-generation-id": "gen-1"}, body=json.dumps(data), stream=True
        )
    assert type(caught.value) is error
    assert caught.value.retryable is (error in RETRYABLE)
    assert caught.value.request_id == "gen-1"
    assert data["error"]["message"] in str(caught.value)


@pytest.mark.parametrize(
    ("form", "status", "data", "error"),
    [(("body", "first", "later")[number % 3], *row[1:]) for number, row in enumerate(ROWS)],
)
def test_the_same_inside_a_200(form, status, data, error):
    """OR-X2, OR-S6: the status is in the error, as a number or a text, or only its word is there."""
    code = {"code": str(status) if form == "first" else status}
    data = {**data, "error": {**data["error"], **code}}
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    last = {**data, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}
    chunks = [chunk, last] if form == "later" else [data]
    streamed = "".join(f"data: {json.dumps(value)}\n\n" for value in chunks) + "data: [DONE]\n\n"
    how = {"headers": JSON, "body": json.dumps(data)} if form == "body" else {"headers": EVENTS, "body": streamed}
    with pytest.raises(error) as caught:
        replay("openrouter", stream=form != "body", **how)
    assert type(caught.value) is error
    assert caught.value.retryable is (error in RETRYABLE)
    assert form != "later" or caught.value.partial.text == "Hel"


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("authentication", AuthenticationError),
        ("payment_required", QuotaExceededError),
        ("not_found", ModelNotFoundError),
        ("invalid_prompt", BadRequestError),
        ("rate_limit_exceeded", RateLimitError),
        ("temporarily_unavailable", OverloadedError),
        ("timeout", ServerError),
    ],
)
def test_a_word_without_a_code(word, error):
    """OR-X4"""
    for data in (typed(word), {"error": {"message": "m", "error_type": word}}, available(word)):
        with pytest.raises(error) as caught:
            replay("openrouter", headers=JSON, body=json.dumps(data), stream=False)
        assert type(caught.value) is error
        assert caught.value.code == word


BROKEN = {"index": 0, "message": {"content": "a"}, "finish_reason": "error"}
CHOICES = [
    {"id": "gen-1", "choices": None},
    {"id": "gen-1", "choices": []},
    {"choices": [{**BROKEN, "error": {"code": 502, "message": "m"}}]},
    {"choices": [{**BROKEN, "native_finish_reason": "MALFORMED_FUNCTION_CALL"}]},
]


@pytest.mark.parametrize("data", CHOICES)
def test_replies_that_are_none(data):
    """OR-X2, OR-I1, OR-I2"""
    with pytest.raises(ServerError) as caught:
        replay("openrouter", headers=JSON, body=json.dumps(data), stream=False)
    assert caught.value.retryable


@pytest.mark.parametrize("before", [False, True])
def test_choices_can_vanish_in_a_stream(before):
    """OR-S12, OR-I1: it is the end, even when `[DONE]` follows."""
    part = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    chunks = [*([part] if before else []), {"id": "gen-1", "choices": None}]
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in chunks) + "data: [DONE]\n\n"
    with pytest.raises(ServerError, match="no choices") as caught:
        replay("openrouter", headers=EVENTS, body=body, stream=True)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "chunk",
    [
        {"id": "gen-1", "choices": None, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"id": "gen-1", "choices": [], "x": {"choices": None}, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ],
)
def test_a_chunk_without_choices_that_tells_the_counts_is_none(chunk):
    """OR-S12"""
    part = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": "stop"}]}
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in (part, chunk)) + "data: [DONE]\n\n"
    reply = replay("openrouter", headers=EVENTS, body=body, stream=True)
    assert (reply.text, reply.finish_reason) == ("Hel", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)


def test_an_error_in_a_chunk_without_choices_is_that_error():
    """OR-S12"""
    chunk = {"id": "gen-1", "choices": None, "error": {"code": 429, "message": "Slow down."}}
    with pytest.raises(RateLimitError, match=r"Slow down\."):
        replay("openrouter", headers=EVENTS, body=f"data: {json.dumps(chunk)}\n\n", stream=True)


def test_other_bad_streams_are_cores():
    """OR-I7: a cut keeps what came."""
    body = 'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'
    with pytest.raises(StreamInterruptedError) as caught:
        replay("openrouter", headers=EVENTS, body=body, stream=True)
    assert caught.value.partial.text == "Hel"
    with pytest.raises(MalformedReplyError):
        replay("openrouter", headers=JSON, body="<html>", stream=False)


HINTS = [
    ({"retry-after": "7"}, available("capacity_exhausted", retry_after=40), 7),
    ({}, available("capacity_exhausted", retry_after=40), 40),
    ({}, said(retry_after_seconds=3), 3),
    ({}, said(headers={"Retry-After": "5"}), 5),
    ({"date": "Fri, 08 Aug 2025 15:40:34 GMT", "x-ratelimit-reset": "1754667660000"}, said(), 26),
    ({"date": "Fri, 08 Aug 2025 15:40:34 GMT"}, said(headers={"X-RateLimit-Reset": "1754667660000"}), 26),
    ({"x-ratelimit-reset": "1767225540000"}, said(headers=None, retry_after_seconds="soon"), 0),  # over, by our clock
    ({}, said(headers={"X-RateLimit-Reset": "1754667660000"}), None),
]


@pytest.mark.parametrize(("headers", "data", "seconds"), HINTS)
def test_when_to_come_back(headers, data, seconds):
    """OR-H1, OR-X6: in the headers, else in the body."""
    with pytest.raises(RateLimitError) as caught:
        replay("openrouter", status=429, headers=JSON | headers, body=json.dumps(data), stream=False)
    assert caught.value.retry_after_seconds == seconds


def test_rate_limit_headers():
    """OR-H1: absent on success; the router's own names."""
    from chatport_openrouter.limits import read_rate_limits

    assert read_rate_limits({"content-type": "x"}) is None
    headers = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1754667660000"}
    limits = read_rate_limits({**headers, "date": "Fri, 08 Aug 2025 15:40:34 GMT"})
    assert (limits.requests_limit, limits.requests_remaining, limits.requests_reset_seconds) == (20, 0, 26)
    assert read_rate_limits(headers).requests_reset_seconds is None


def test_exceptions_to_the_rows():
    """OR-X15: too heavy ever to fit; OR-X4: the vendor's own word on retrying counts."""
    for data, status in (
        (said(limit_source=IN_FLIGHT, reason="weight_exceeds_budget"), 402),
        (available("capacity_exhausted", retryable=False), 429),
    ):
        with pytest.raises(RateLimitError) as caught:
            replay("openrouter", status=status, headers=JSON, body=json.dumps(data), stream=False)
        assert not caught.value.retryable


def test_the_text_tells_the_cause():
    """OR-I6, OR-X3, OR-X5, OR-X16"""
    tries = [{"provider": "A", "code": 503}, {"provider": "B", "status": 429}]
    data = raw(inner("The back end is busy."), previous_errors=tries, reasons=["x"])
    with pytest.raises(ServerError) as caught:
        replay("openrouter", status=502, headers=JSON, body=json.dumps(data), stream=False)
    text = "Provider returned error (Acme: The back end is busy.; flagged for x; tried before: A 503, B 429)"
    assert text in str(caught.value)
