"""Every row of the vendor's error table comes out as the right class, retryable or not."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
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

TRACE = "ti_0001"
SWITCH = "Value error, current model does not support parameter `enable_thinking`."


def flat(code, message):
    return json.dumps({"code": code, "message": message, "data": None})


def limit(kind):
    message = f"Request was rejected due to rate limiting. Details: {kind} limit reached."
    return json.dumps({"message": message, "data": None})


ROWS = [
    ("SF-X10", 400, flat(20012, "Model does not exist. Please check it carefully."), ModelNotFoundError, False),
    ("SF-X11", 400, flat(20015, "length of prompt_tokens (68957) must be less than max_seq_len (65536)."),
     ContextLengthError, False),
    ("SF-X11", 400, flat(20015, "max_total_tokens (9) must be less than or equal to max_seq_len (8)."),
     ContextLengthError, False),
    ("SF-X12", 400, flat(20015, SWITCH), BadRequestError, False),
    ("SF-X13", 400, flat(20015, "The parameter is invalid. Please check again."), BadRequestError, False),
    ("SF-T4", 400, flat(20015, "This model does not support function call."), UnsupportedFeatureError, False),
    ("SF-X14", 401, '"Invalid token"', AuthenticationError, False),
    ("SF-X14", 401, '"Api key is invalid"', AuthenticationError, False),
    ("SF-X14", 401, '{"code":30014,"message":"Token is invalid."}', AuthenticationError, False),
    ("SF-X15", 403, flat(30001, "Sorry, your account balance is insufficient"), QuotaExceededError, False),
    ("SF-X15", 403, '{"message":"Sorry, your account balance is insufficient"}', QuotaExceededError, False),
    ("SF-X16", 403, flat(30003, "Model disabled."), ModelNotFoundError, False),
    ("SF-X17", 403, '"Forbidden"', PermissionDeniedError, False),
    ("SF-X17", 403, "", PermissionDeniedError, False),
    ("SF-X18", 404, '"404 page not found"', ModelNotFoundError, False),
    *[("SF-X19", 429, limit(kind), RateLimitError, kind[2] == "M") for kind in
      ("RPM", "TPM", "IPM", "RPH", "RPD", "TPD", "IPD")],
    ("SF-X20", 500, flat(50501, "Unknown error"), ServerError, True),
    ("SF-X20", 500, "Unknown error", ServerError, True),
    ("SF-X21", 503, flat(50505, "Model service overloaded. Please try again later."), OverloadedError, True),
    ("SF-X21", 503, flat(50508, "System is too busy now. Please try again later."), OverloadedError, True),
    ("SF-X22", 504, '"gateway timeout"', ServerError, True),
    ("SF-X23", 451, flat(20015, "blocked"), ContentFilterError, False),
    ("SF-X2", 400, '{"error":{"message":"wrong","code":20015}}', BadRequestError, False),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fact", "status", "body", "error", "retryable"), ROWS)
def test_error_table(fact, status, body, error, retryable, stream):
    """SF-X1, SF-X2, SF-I3: the text is found in every form. SF-H1: so is the request id."""
    headers = {"content-type": "application/json", "x-siliconcloud-trace-id": TRACE}
    with pytest.raises(error) as caught:
        replay("siliconflow", status=status, headers=headers, body=body, stream=stream)
    raised = caught.value
    assert (type(raised), raised.retryable, raised.request_id) == (error, retryable, TRACE)
    said = json.loads(body) if body[:1] in '"{' and body else body
    said = said.get("error", said)["message"] if isinstance(said, dict) else said
    assert said in str(raised)
    if body.startswith('{"code"'):
        assert raised.code == str(json.loads(body)["code"])


def test_hints_of_when_to_come_back():
    """SF-X3, SF-H2: in seconds or as a date, and else none; SF-H1: two names of the request id."""
    for value, seconds in (("7", 7), ("Thu, 01 Jan 2026 00:00:09 GMT", 9), ("", None)):
        headers = {"retry-after": value, "x-request-id": "r1", "x-siliconcloud-trace-id": TRACE}
        with pytest.raises(RateLimitError) as caught:
            replay("siliconflow", status=429, headers=headers, body=limit("RPM"), stream=False)
        assert (caught.value.retry_after_seconds, caught.value.request_id) == (seconds, "r1")


STARTED = 'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'


@pytest.mark.parametrize(
    ("event", "error", "retryable"),
    [
        (flat(50508, "System is too busy now."), OverloadedError, True),
        (flat(20015, SWITCH), BadRequestError, False),
        (flat(20012, "Model does not exist."), ModelNotFoundError, False),
        ('{"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}', OverloadedError, True),
    ],
)
def test_errors_inside_a_stream(event, error, retryable):
    """SF-S5: want of capacity is no ordinary end."""
    with pytest.raises(error) as caught:
        replay("siliconflow", body=f"{STARTED}data: {event}\n\ndata: [DONE]\n\n", stream=True)
    assert (type(caught.value), caught.value.retryable, caught.value.partial.text) == (error, retryable, "Hel")
