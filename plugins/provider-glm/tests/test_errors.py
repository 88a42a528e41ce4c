"""The vendor's error table, row by row: the code in the body decides, whatever the status says (GL-0.3)."""

from __future__ import annotations

import json

import pytest

import chatport as c
from chatport.testing import decode_events, replay

ROWS = [
    (401, "1000 1001 1003 1005", c.AuthenticationError, False),  # GL-E1
    (403, "1220", c.PermissionDeniedError, False),  # GL-E2
    (429, "1113", c.QuotaExceededError, False),  # GL-E3, GL-X3
    (400, "1210 1212 1213 1215", c.BadRequestError, False),  # GL-E4
    (400, "1211", c.ModelNotFoundError, False),  # GL-E5, GL-X9
    (400, "1214", c.BadRequestError, False),  # GL-E6
    (400, "1221 1222", c.ModelNotFoundError, False),  # GL-E7
    (400, "1261", c.ContextLengthError, False),  # GL-E8, GL-X10
    (400, "1301", c.ContentFilterError, False),  # GL-E9
    (429, "1302", c.RateLimitError, True),  # GL-E10, GL-L1
    (429, "1305", c.OverloadedError, True),  # GL-E11
    (429, "1304 1308 1310 1316 1317 1318 1319 1320 1321", c.QuotaExceededError, False),  # GL-E12
    (429, "1309 1314 1315", c.QuotaExceededError, False),  # GL-E13
    (429, "1311", c.PermissionDeniedError, False),  # GL-E14
    (429, "1313", c.RateLimitError, False),  # GL-E15
    (500, "500 1200 1230 1234", c.ServerError, True),  # GL-E16
    (434, "", c.PermissionDeniedError, False),  # GL-E17
    (435, "", c.BadRequestError, False),
    (429, "1999", c.RateLimitError, True),  # a code of tomorrow: the status is all there is
]
TABLE = [(status, code, *rest) for status, codes, *rest in ROWS for code in codes.split() or [""]]


def failed(status, data, error, **more):
    with pytest.raises(error) as caught:
        replay("glm", status=status, headers={}, body=json.dumps(data), stream=False, **more)
    assert type(caught.value) is error
    return caught.value


@pytest.mark.parametrize(("status", "code", "error", "retryable"), TABLE)
def test_row(status, code, error, retryable):
    """GL-E18: as a text or a number, and the request id beside it; GL-L2: no hint when to come back."""
    for written in {code, int(code or 0) or ""}:
        caught = failed(status, {"error": {"code": written, "message": "any words"}, "request_id": "r-1"}, error)
        assert (caught.retryable, caught.status, caught.code) == (retryable, status, code or None)
        assert (caught.request_id, caught.retry_after_seconds) == ("r-1", None)
        assert "any words" in str(caught)
    if code in ("", "1999"):
        return
    body = f'data: {{"error":{{"code":"{code}","message":"any words"}}}}\n\n'
    with pytest.raises(error) as inside:  # GL-S7
        replay("glm", status=200, headers={"content-type": "text/event-stream"}, body=body, stream=True)
    assert inside.value.retryable is retryable


@pytest.mark.parametrize(
    ("status", "code", "words", "error", "hint"),
    [
        (400, "1214", "model glm-9 does not exist", c.ModelNotFoundError, ""),  # GL-E6
        (400, "1261", "Prompt too long", c.ContextLengthError, ""),  # GL-X10
        (400, "1261", "Prompt exceeds max length", c.ContextLengthError, ""),
        (401, "1001", "Header 中未收到 Authentication 参数", c.AuthenticationError, "went to api.z.ai"),  # GL-0.1
        (429, "1113", "余额不足", c.QuotaExceededError, 'plan = "coding"'),  # GL-0.2, GL-X3
        (429, "1308", "Usage limit reached, resets at noon", c.QuotaExceededError, "resets at noon"),  # GL-E12
    ],
)
def test_words_and_hints(status, code, words, error, hint):
    caught = failed(status, {"error": {"code": code, "message": words}}, error)
    assert words in str(caught)
    assert hint in str(caught)


def frames(*chunks):
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def stream(body):
    return replay("glm", status=200, headers={"content-type": "text/event-stream"}, body=body, stream=True)


TEXT = {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Well"}}]}


def end(word):
    return {"id": "1", "choices": [{"index": 0, "finish_reason": word, "delta": {"role": "assistant", "content": ""}}]}


@pytest.mark.parametrize(
    ("word", "ours"), [("sensitive", "content_filter"), ("model_context_window_exceeded", "length"), ("stop", "stop")]
)
def test_finish_reasons(word, ours):  # GL-S6, GL-X5
    reply = stream(frames(TEXT, end(word)) + "data: [DONE]\n\n")
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("Well", ours, word)


def test_a_broken_inference_is_an_error():  # GL-S6, GL-S7, GL-X5
    with pytest.raises(c.ServerError) as caught:
        stream(frames(TEXT, end("network_error")))
    assert caught.value.retryable
    assert caught.value.partial.text == "Well"
    whole = {"choices": [{"index": 0, "finish_reason": "network_error", "message": {"content": ""}}]}
    assert failed(200, whole, c.ServerError).retryable


def test_a_cut_frame_is_never_skipped():  # GL-S8, GL-X2
    with pytest.raises(c.MalformedReplyError) as caught:
        stream(frames(TEXT) + 'data: {"id":"1","choices":[{"index":0,"delta":{"tool_ca\n\n' + frames(end("stop")))
    assert caught.value.partial.text == "Well"
    with pytest.raises(c.StreamInterruptedError):  # GL-X4: a missing finish_reason is no finish
        stream(frames(TEXT))


@pytest.mark.parametrize("later", [{}, {"id": "call_b"}, {"id": "call_a", "name": "f"}])
def test_fragments_are_joined_by_index(later):  # GL-S10
    def chunk(arguments, call_id=None, name=None, **more):
        function = {"arguments": arguments, **({"name": name} if name else {})}
        call = {"index": 0, "function": function, **({"id": call_id} if call_id else {})}
        return {"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, **more}]}

    first, last = (
        chunk('{"a"', "call_a", "f"),
        chunk(": 1}", later.get("id"), later.get("name"), finish_reason="tool_calls"),
    )
    (call,) = stream(frames(first, last)).tool_calls
    assert (call.id, call.name, call.parsed()) == ("call_a", "f", {"a": 1})


def test_comments_blanks_and_empty_choices_mean_nothing():  # GL-S1, GL-S3, GL-S4
    body = ": hello\n\n\n" + frames({"id": "1", "choices": []}, TEXT, end("stop")) + "data: [DONE]\n\n"
    events = decode_events("glm", headers={"content-type": "text/event-stream;charset=UTF-8"}, body=body)
    assert [type(event).__name__ for event in events].count("TextDelta") == 1


def test_a_plain_reply_needs_no_object_field_and_has_no_limits():  # GL-U2, GL-L2, GL-T6
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}], "web_search": [{"a": 1}]}
    reply = replay("glm", headers={}, body=json.dumps(body), stream=False)
    assert (reply.text, reply.rate_limits, reply.usage.input_tokens) == ("hi", None, None)
