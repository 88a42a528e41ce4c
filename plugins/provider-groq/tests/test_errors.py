"""Every row of the vendor's error table comes out as the right class, retryable or not; refused calls come back."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from chatport.testing import decode_events, replay

TPM = (
    "Request too large for model `m` in organization `org_01k` service tier `on_demand` on tokens per minute (TPM): "
    "Limit 6000, Requested 9120, please reduce your message size and try again."
)
WAIT = "Rate limit reached for model `m` in organization `org_01k` on tokens per day (TPD). Please try again in {}. Buy"
START = '{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}'
CALL = '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"fc_1","function":{"name":"a","arguments":"{}"}}]}}]}'
EVENTS = {"content-type": "text/event-stream"}


def body(message, code=None, kind="invalid_request_error", **more):
    return {"error": {"message": message, "type": kind, **({"code": code} if code else {}), **more}}


def failed(generation, message="Tool call validation failed", code="tool_use_failed"):
    return body(message, code, failed_generation=generation)


ROWS = [
    (400, body("'messages' : minimum number of items is 1"), BadRequestError, False),  # GQ-X10
    (400, failed(""), MalformedReplyError, True),  # GQ-X11
    (400, failed("I cannot do that."), MalformedReplyError, True),
    (400, failed("<function=f>{broken</function>"), MalformedReplyError, True),
    (400, failed("[1]"), MalformedReplyError, True),
    (400, failed("[]"), MalformedReplyError, True),
    (400, failed('Let me see. <function=f>{"a": 1}</function>'), MalformedReplyError, True),
    (400, failed('<function=f>{"a": 1}</function> So be it.'), MalformedReplyError, True),
    (400, failed('<function=f>{"a": 1}</function><tool>{}</tool>'), MalformedReplyError, True),
    (400, failed('<function=f>{"a": 1}</function><function=g>{"b": 2} So.'), MalformedReplyError, True),
    (400, failed('<tool=f>{"a": 1}</tool>'), MalformedReplyError, True),
    (
        400,
        failed('{"name": "f", "arguments": {}}', "Tool choice is none, but model called a tool"),
        MalformedReplyError,
        True,
    ),
    (400, failed("{", code="json_validate_failed"), MalformedReplyError, True),  # GQ-X12
    (400, body("Please reduce the length", "context_length_exceeded"), ContextLengthError, False),  # GQ-X13
    (400, body("Please reduce the length of the messages or completion."), ContextLengthError, False),
    (400, body("The model `m` has been decommissioned", "model_decommissioned"), ModelNotFoundError, False),  # GQ-X14
    (404, body("The model `m` does not exist", "model_not_found"), ModelNotFoundError, False),
    (400, body("Organization has been restricted.", "organization_restricted"), PermissionDeniedError, False),  # GQ-X15
    (401, body("Invalid API Key", "invalid_api_key"), AuthenticationError, False),  # GQ-X16
    (403, body("any words"), PermissionDeniedError, False),  # GQ-X17
    (413, body(TPM, "rate_limit_exceeded", "tokens"), ContextLengthError, False),  # GQ-X18
    (413, body("Request Entity Too Large"), BadRequestError, False),  # GQ-X19
    (422, body("any words"), BadRequestError, False),  # GQ-X20
    (424, body("any words"), ServerError, True),
    (429, body("any words", "rate_limit_exceeded", "tokens"), RateLimitError, True),  # GQ-X21
    (429, body("any words", "rate_limit_exceeded", "requests"), RateLimitError, True),
    (498, body("any words", "capacity_exceeded"), OverloadedError, True),  # GQ-X22
    (499, body("any words"), BadRequestError, False),  # GQ-X23
    (500, body("any words", kind="internal_server_error"), ServerError, True),  # GQ-X24
    (502, body("any words", kind="internal_server_error"), ServerError, True),
    (503, body("any words", kind="internal_server_error"), OverloadedError, True),
    (400, body("`tool calling` is not supported with this model"), UnsupportedFeatureError, False),  # GQ-P11
    (400, body("This model does not support response format `json_schema`."), UnsupportedFeatureError, False),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "data", "error", "retryable"), ROWS)
def test_error_table(status, data, error, retryable, stream):
    """GQ-X1, GQ-X2, GQ-X10 to GQ-X24; GQ-H4; GQ-X31: the organisation's id is not shown."""
    headers = {"content-type": "application/json", "x-request-id": "req_1"}
    with pytest.raises(error) as caught:
        replay("groq", status=status, headers=headers, body=json.dumps(data), stream=stream)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.request_id == "req_1"
    assert "org_01k" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"retry-after": "7"}, "4.77s", 7),
        ({}, "4.77s", 4.77),
        ({}, "6.780999999s", 6.780999999),
        ({}, "2m3.5s", 123.5),
        ({}, "7m12s", 432),
        ({}, "577.5ms", 0.5775),
        ({}, "1h2m", 3720),
        ({}, "a while", None),
    ],
)
def test_when_to_come_back(headers, words, seconds):
    """GQ-X30, GQ-H2, GQ-H3: the header first, then the text."""
    data = body(WAIT.format(words), "rate_limit_exceeded", "tokens")
    with pytest.raises(RateLimitError) as caught:
        replay("groq", status=429, headers=headers, body=json.dumps(data), stream=False)
    assert caught.value.retry_after_seconds == (None if seconds is None else pytest.approx(seconds))
    assert "org_***" in str(caught.value)


GENERATIONS = [
    ('{"name": "f", "arguments": {"foo": "bar"}}', '{"foo": "bar"}'),
    ('{"name": "f", "arguments": "{\\"foo\\": \\"bar\\"}"}', '{"foo": "bar"}'),
    ('<function=f{"foo": "bar"}</function>', '{"foo": "bar"}'),
    ('<function=f>{"foo": "bar"}', '{"foo": "bar"}'),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("generation", "arguments"), GENERATIONS)
def test_a_refused_call_is_handed_out(generation, arguments, stream):
    """GQ-T2, GQ-T3, GQ-X11"""
    reply = replay("groq", status=400, body=json.dumps(failed(generation)), stream=stream)
    assert [(call.name, call.arguments, call.complete) for call in reply.tool_calls] == [("f", arguments, True)]
    assert (reply.finish_reason, reply.raw_finish_reason, reply.usage.input_tokens) == (
        "tool_calls",
        "tool_use_failed",
        None,
    )
    assert len(reply.tool_calls[0].id) > 5


@pytest.mark.parametrize(
    "generation",
    [
        '[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]',
        '<function=f{"a": 1}</function> <function=g>{}</function>',
        '\n<function=f>{"a": 1}<function=g>{}',
    ],
)
def test_refused_calls_can_be_several(generation):
    """GQ-T3"""
    reply = replay("groq", status=400, body=json.dumps(failed(generation)), stream=False)
    assert [(call.name, call.parsed()) for call in reply.tool_calls] == [("f", {"a": 1}), ("g", {})]
    assert len({call.id for call in reply.tool_calls}) == 2


@pytest.mark.parametrize("levels", [300, 900, 5_000, 100_000])
@pytest.mark.parametrize("form", ['{"name": "f", "arguments": %s}', "<function=f>%s</function>"])
def test_a_refused_call_nested_without_end_stays_an_error(form, levels):
    """GQ-T3: the same depth on every Python."""
    generation = form % ('{"a": ' * levels + "1" + "}" * levels)
    with pytest.raises(MalformedReplyError):
        replay("groq", status=400, body=json.dumps(failed(generation)), stream=False)


def test_json_that_came_as_a_call_is_the_text():
    """GQ-T7"""
    words = "attempted to call tool 'json' which was not in request.tools"
    data = failed('{"name": "json", "arguments": {"city": "Oslo"}}', words)
    reply = replay("groq", status=400, body=json.dumps(data), stream=False)
    assert (reply.text, reply.finish_reason, reply.tool_calls) == ('{"city": "Oslo"}', "stop", ())


def events(*chunks, error):
    text = "".join(f"data: {chunk}\n\n" for chunk in chunks)
    return f"{text}event: error\ndata: {json.dumps(error)}\n\n"


def test_a_refused_call_inside_a_stream_comes_behind_the_others():
    """GQ-S7, GQ-T3"""
    error = failed('{"name": "b", "arguments": {"x": 1}}')
    seen = decode_events("groq", headers=EVENTS, body=events(START, CALL, error=error))
    reply = seen[-1].reply
    assert reply.text == "Hel"
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("a", "{}"), ("b", '{"x": 1}')]
    assert [event.index for event in seen if type(event).__name__ == "ToolCallEnded"] == [0, 1]


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({**failed("", "Tool choice is required, but model did not call a tool")}, MalformedReplyError, True),
        (body("Internal error", kind="internal_server_error", status_code=503), OverloadedError, True),
        (body("any words", status_code=400), BadRequestError, False),
        ({"error": "in a word"}, ServerError, True),
    ],
)
def test_a_named_error_ends_the_stream(error, kind, retryable):
    """GQ-S7, GQ-T4, GQ-I4: never an incomplete stream."""
    with pytest.raises(kind) as caught:
        replay("groq", headers=EVENTS, body=events(START, error=error), stream=True)
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert caught.value.partial.text == "Hel"


def test_the_older_error_inside_a_chunk():
    """GQ-S8"""
    last = '{"choices":[{"index":0,"delta":{},"finish_reason":null}],"x_groq":{"id":"req_1","error":"over capacity"}}'
    with pytest.raises(OverloadedError, match="over capacity") as caught:
        replay("groq", headers=EVENTS, body=f"data: {START}\n\ndata: {last}\n\ndata: [DONE]\n\n", stream=True)
    assert caught.value.partial.text == "Hel"
    fine = last.replace('"error":"over capacity"', '"error":null').replace("null}]", '"stop"}]')
    assert replay("groq", headers=EVENTS, body=f"data: {START}\n\ndata: {fine}\n\n", stream=True).text == "Hel"
