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
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TransportError,
)
from chatport.testing import replay

HEADERS = {"content-type": "application/json", "x-ds-trace-id": "2aba2b4d0c1ffa535b5408ce34ac52e3"}
WRONG_KEY = "Authentication Fails, Your api key: ****-key is invalid"
SERDE = "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`"
WINDOW = (
    "This model's maximum context length is 1048576 tokens. However, you requested 1250025 tokens "
    "(1250025 in the messages, 0 in the completion)"
)


def body(message, kind="invalid_request_error", code="invalid_request_error"):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


ROWS = [
    (401, body(WRONG_KEY, "authentication_error"), AuthenticationError, False),
    (402, body("Insufficient Balance", "unknown_error"), QuotaExceededError, False),
    (402, {"error": {"type": "unknown_error", "message": "Insufficient Balance"}}, QuotaExceededError, False),
    (400, body("Content Exists Risk"), ContentFilterError, False),
    (400, body(WINDOW), ContextLengthError, False),
    (400, body("Your request resolved to 1250025 input tokens"), ContextLengthError, False),
    (400, body(SERDE), BadRequestError, False),
    (422, body(SERDE), BadRequestError, False),
    (400, body("Thinking mode does not support this tool_choice"), BadRequestError, False),
    (400, body("The supported API model names are a or b, but you passed c."), ModelNotFoundError, False),
    (400, body("Model Not Exist"), ModelNotFoundError, False),
    (429, body("any words"), RateLimitError, True),
    (500, body("any words"), ServerError, True),
    (503, body("any words"), OverloadedError, True),
    (404, {"error_msg": "Not Found. Please check the configuration."}, ModelNotFoundError, False),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "data", "error", "retryable"), ROWS)
def test_error_table(status, data, error, retryable, stream):
    """DS-E1 to DS-E9; DS-L4: the trace id is the request id; DS-L3: no hint when to come back."""
    with pytest.raises(error) as caught:
        replay("deepseek", status=status, headers=HEADERS, body=json.dumps(data), stream=stream)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.request_id == HEADERS["x-ds-trace-id"]
    assert caught.value.retry_after_seconds is None
    said = data.get("error_msg") or data["error"]["message"]
    assert said in str(caught.value)


def test_a_call_that_never_began():
    """DS-E10: nothing but heartbeats, then the end."""
    with pytest.raises(TransportError, match="before an answer was begun") as caught:
        replay("deepseek", headers={"content-type": "application/json"}, body=[b"\n", b"\n"], stream=False)
    assert caught.value.retryable
    with pytest.raises(StreamInterruptedError) as caught:
        replay("deepseek", headers={"content-type": "text/event-stream"}, body=": keep-alive\n\n" * 3, stream=True)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("message", "error", "retryable"),
    [("Server is busy", ServerError, True), ("Content Exists Risk", ContentFilterError, False)],
)
def test_errors_inside_a_stream(message, error, retryable):
    """DS-S12"""
    kind = "server_error" if retryable else "invalid_request_error"
    start = '{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}'
    events = f"data: {start}\n\ndata: {json.dumps(body(message, kind))}\n\n"
    with pytest.raises(error) as caught:
        replay("deepseek", headers={"content-type": "text/event-stream"}, body=events, stream=True)
    assert caught.value.retryable is retryable
    assert caught.value.partial.text == "Hel"
