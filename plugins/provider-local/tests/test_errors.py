"""Every error of the servers' tables: its class, and whether the same request may be sent again."""

# ruff: noqa: E501 (one error, one line: the table is read by its columns)

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from chatport.testing import replay


def _nested(message: str, kind: str, code: Any = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def _llama(code: int, message: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind, **more}}


NO, YES = False, True

# provider, fact, status, body, class, retryable
TABLE: list[tuple[str, str, int, Any, type[ChatportError], bool]] = [
    ("vllm", "VL-E1", 400, _nested("temperature must be non-negative", "BadRequestError", 400), BadRequestError, NO),
    ("vllm", "VL-E2", 400, {"object": "error", "message": "bad", "type": "BadRequestError", "param": None, "code": 400}, BadRequestError, NO),
    ("vllm", "VL-E3", 401, {"error": "Unauthorized"}, AuthenticationError, NO),
    ("vllm", "VL-E3", 404, {"detail": "Not Found"}, ModelNotFoundError, NO),
    ("vllm", "VL-E3", 405, {"detail": "Method Not Allowed"}, BadRequestError, NO),
    ("vllm", "VL-E4", 400, _nested("1 validation error", "Bad Request", 400), BadRequestError, NO),
    ("vllm", "VL-E4", 500, _nested("engine died", "InternalServerError", 500), ServerError, YES),
    ("vllm", "VL-E4", 503, _nested("busy", "ServiceUnavailableError", 503), OverloadedError, YES),
    ("vllm", "VL-E4", 501, _nested("not here", "NotImplementedError", 501), UnsupportedFeatureError, NO),
    ("vllm", "VL-M3", 404, _nested("The model `x` does not exist.", "NotFoundError", 404), ModelNotFoundError, NO),
    ("vllm", "VL-T1", 400, _nested('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "BadRequestError", 400), UnsupportedFeatureError, NO),
    ("vllm", "VL-T1", 400, _nested('tool_choice="required" requires --tool-call-parser to be set', "BadRequestError", 400), UnsupportedFeatureError, NO),
    ("vllm", "VL-I1", 400, _nested("tiny is not a multimodal model", "BadRequestError", 400), UnsupportedFeatureError, NO),
    ("vllm", "VL-J1", 400, _nested("Grammar error: Invalid type: frobnicate", "BadRequestError", 400), BadRequestError, NO),
    ("vllm", "VL-C1", 400, _nested("This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 input tokens", "BadRequestError", 400), ContextLengthError, NO),
    ("vllm", "VL-C1", 400, _nested("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).", "BadRequestError", 400), ContextLengthError, NO),
    ("vllm", "VL-P4", 400, _nested("max_tokens=1500 cannot be greater than max_model_len=1024.", "BadRequestError", 400), ContextLengthError, NO),
    ("ollama", "OL-E1", 400, _nested("invalid message format", "invalid_request_error"), BadRequestError, NO),
    ("ollama", "OL-E1", 500, _nested("llama runner process has terminated", "api_error"), ServerError, YES),
    ("ollama", "OL-M2", 404, _nested("model 'x' not found", "not_found_error"), ModelNotFoundError, NO),
    ("ollama", "OL-M2", 400, _nested("model is required", "invalid_request_error"), BadRequestError, NO),
    ("ollama", "OL-R3", 400, _nested('"m" does not support thinking', "invalid_request_error"), UnsupportedFeatureError, NO),
    ("ollama", "OL-T4", 400, _nested("m does not support tools", "invalid_request_error"), UnsupportedFeatureError, NO),
    ("ollama", "OL-P5", 400, _nested("invalid tool call arguments", "invalid_request_error"), BadRequestError, NO),
    ("ollama", "OL-E2", 404, {"error": "model 'x' not found"}, ModelNotFoundError, NO),
    ("ollama", "OL-E4", 503, _nested("server busy, please try again.", "api_error"), OverloadedError, YES),
    ("ollama", "OL-E4", 499, _nested("client closed request", "api_error"), ServerError, YES),
    ("ollama", "OL-Q4", 401, _nested("Unauthorized", "api_error"), AuthenticationError, NO),
    ("ollama", "OL-Q4", 429, _nested("too many requests", "api_error"), RateLimitError, YES),
    ("ollama", "OL-Q4", 502, _nested("upstream", "api_error"), ServerError, YES),
    ("lmstudio", "LM-E1", 400, {"error": "something is wrong"}, BadRequestError, NO),
    ("lmstudio", "LM-J1", 400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}, BadRequestError, NO),
    ("lmstudio", "LM-M4", 404, _nested("Model not loaded", "invalid_request_error", "model_not_found"), ModelNotFoundError, NO),
    ("lmstudio", "LM-E2", 200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, ModelNotFoundError, NO),
    ("lmstudio", "LM-C1", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length."}, ContextLengthError, NO),
    ("lmstudio", "LM-C1", 400, {"error": "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough. Try to load the model with a larger context length."}, ContextLengthError, NO),
    ("lmstudio", "LM-C1", 200, {"error": "Context size has been exceeded."}, ContextLengthError, NO),
    ("lmstudio", "LM-E1", 200, {"error": "The model has crashed"}, ServerError, YES),
    ("llamacpp", "LC-B2", 401, _llama(401, "Invalid API Key", "authentication_error"), AuthenticationError, NO),
    ("llamacpp", "LC-B3", 503, _llama(503, "Loading model", "unavailable_error"), OverloadedError, YES),
    ("llamacpp", "LC-P1", 400, _llama(400, "Field 'max_tokens': Value must be between -1 <= value", "invalid_request_error"), BadRequestError, NO),
    ("llamacpp", "LC-P4", 400, _llama(400, "Failed to initialize samplers: failed to parse grammar", "invalid_request_error"), BadRequestError, NO),
    ("llamacpp", "LC-T3", 400, _llama(400, "Unable to generate parser for this template.", "invalid_request_error"), BadRequestError, NO),
    ("llamacpp", "LC-T7", 500, _llama(500, "Failed to parse tool call arguments as JSON: [json.exception.parse_error.101]", "server_error"), BadRequestError, NO),
    ("llamacpp", "LC-T7", 500, _llama(500, "Failed to parse tools: Missing tool type", "server_error"), BadRequestError, NO),
    ("llamacpp", "LC-E2", 500, _llama(500, "[json.exception.parse_error.101] parse error at line 1", "server_error"), BadRequestError, NO),
    ("llamacpp", "LC-I1", 500, _llama(500, "image input is not supported - hint: mmproj", "server_error"), UnsupportedFeatureError, NO),
    ("llamacpp", "LC-I1", 501, _llama(501, "This server does not support embeddings.", "not_supported_error"), UnsupportedFeatureError, NO),
    ("llamacpp", "LC-C1", 400, _llama(400, "request (15020 tokens) exceeds the available context size (2048 tokens)", "exceed_context_size_error", n_prompt_tokens=15020, n_ctx=2048), ContextLengthError, NO),
    ("llamacpp", "LC-E1", 500, _llama(500, "Compute error.", "server_error"), ServerError, YES),
    ("llamacpp", "LC-E1", 403, _llama(403, "no", "permission_error"), PermissionDeniedError, NO),
    ("llamacpp", "LC-E1", 404, _llama(404, "File Not Found", "not_found_error"), ModelNotFoundError, NO),
    ("mistralrs", "MR-E1", 422, {"message": "max_tokens must be at least 1."}, BadRequestError, NO),
    ("mistralrs", "MR-E1", 500, {"message": "out of memory"}, ServerError, YES),
    ("mistralrs", "MR-E1", 500, {"message": "failed", "partial_response": {"choices": []}}, ServerError, YES),
    ("mistralrs", "MR-M1", 422, {"message": "Requested model 'x' is not available."}, ModelNotFoundError, NO),
    ("mistralrs", "MR-C1", 422, {"message": "Prompt sequence length is greater than 4096, perhaps consider using `truncate_sequence`?"}, ContextLengthError, NO),
    ("mistralrs", "MR-E1", 400, "Failed to parse the request body as JSON", BadRequestError, NO),
    ("transformers", "TS-P1", 422, {"detail": "Unexpected fields in the request: {'grammar'}"}, BadRequestError, NO),
    ("transformers", "TS-E1", 500, "Internal Server Error", ServerError, NO),
    ("transformers", "TS-E1", 400, {"detail": "Server is pinned to './a'; requested 'b'."}, ModelNotFoundError, NO),
    ("mlx", "MX-E1", 404, {"error": "Cannot find an appropriate cached snapshot folder for the specified revision"}, ModelNotFoundError, NO),
    ("mlx", "MX-E1", 404, {"error": "[Errno 2] No such file or directory: 'config.json'"}, ModelNotFoundError, NO),
    ("mlx", "MX-E1", 404, {"error": "Cannot apply chat template to an empty conversation."}, BadRequestError, NO),
    ("mlx", "MX-E1", 404, {"error": "Only 'text' content type is supported."}, UnsupportedFeatureError, NO),
    ("mlx", "MX-E1", 400, {"error": "temperature must be at least 0"}, BadRequestError, NO),
    ("mlx", "MX-E1", 404, "Not Found", ModelNotFoundError, NO),
    ("local", "LP-E1", 500, _nested('1 validation error\n\n  File "/srv/app.py", line 3, in x', "internal_server_error"), BadRequestError, NO),
    ("local", "LP-E1", 500, "Internal Server Error", ServerError, YES),
    ("local", "LP-E2", 400, _nested("This model's maximum context length is 1024 tokens.", "invalid_request_error", "context_length_exceeded"), ContextLengthError, NO),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "fact", "status", "body", "error", "retryable"),
    [pytest.param(*row, id=f"{row[1]}-{row[2]}-{number}") for number, row in enumerate(TABLE)],
)
def test_an_error_is_what_the_table_says(
    provider: str, fact: str, status: int, body: Any, error: type[ChatportError], retryable: bool
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(ChatportError) as caught:
        replay(provider, status=status, headers={}, body=text, stream=False)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.status == status
    words = body if isinstance(body, str) else next(iter(_texts(body)))
    assert words.split("\n")[0][:40] in str(caught.value)  # the server's own words are kept


def _texts(body: Any) -> list[str]:
    inner = body.get("error", body)
    return [inner if isinstance(inner, str) else inner.get("message") or inner.get("detail")]


def test_where_the_server_is_is_not_told() -> None:
    """LP-E1."""
    body = json.dumps(_nested('1 validation error\n\n  File "/srv/app.py", line 3, in x', "internal_server_error"))
    with pytest.raises(BadRequestError) as caught:
        replay("local", status=500, headers={}, body=body, stream=False)
    assert "/srv" not in str(caught.value)


CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n'
)


def _stream(error: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return CHUNK + b"data: " + json.dumps(error).encode() + b"\n\n" + end


@pytest.mark.parametrize(
    ("provider", "body", "error", "retryable"),
    [
        ("vllm", _stream(_nested("engine died", "InternalServerError", 500)), ServerError, True),  # VL-S5
        ("llamacpp", _stream(_llama(500, "Compute error.", "server_error"), b""), ServerError, True),  # LC-S4
        ("mistralrs", _stream(_nested("bad value", "server_error")), ServerError, False),  # MR-E2
        ("mistralrs", _stream(_nested("Prompt sequence length is greater than 9", "server_error")), ContextLengthError, False),
        ("lmstudio", _stream(_nested("The model has crashed", "server_error")), ServerError, True),  # LM-S1
        ("ollama", CHUNK, StreamInterruptedError, True),  # OL-E3
        ("local", CHUNK + b"data: [DONE]\n\n", StreamInterruptedError, True),  # LP-Q1
    ],
)  # fmt: skip
def test_an_error_inside_a_stream_keeps_what_came_before(
    provider: str, body: bytes, error: type[ChatportError], retryable: bool
) -> None:
    with pytest.raises(ChatportError) as caught:
        replay(provider, status=200, headers={"content-type": "text/event-stream"}, body=body, stream=True)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.partial is not None
    assert caught.value.partial.text == "half"


def test_calls_with_the_same_index_stay_apart() -> None:
    """OL-T2: up to 0.20 every call had index 0."""

    def piece(call_id: str, city: str) -> bytes:
        call = {
            "id": call_id,
            "index": 0,
            "type": "function",
            "function": {"name": "f", "arguments": json.dumps({"c": city})},
        }
        delta = {"role": "assistant", "content": "", "tool_calls": [call]}
        chunk = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    reply = replay("ollama", body=piece("call_a", "Rome") + piece("call_b", "Oslo") + end, stream=True)
    assert [(call.id, call.parsed()["c"]) for call in reply.tool_calls] == [("call_a", "Rome"), ("call_b", "Oslo")]


def test_both_old_and_new_reasoning_fields_are_read_once() -> None:
    """VL-R1: for a while both were sent."""
    message = {"role": "assistant", "content": "yes", "reasoning": "hm", "reasoning_content": "hm"}
    body = json.dumps({"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert replay("vllm", body=body, stream=False).reasoning == "hm"


def test_a_stream_without_a_role_and_with_crossed_choices_is_read() -> None:
    """LC-S1, LC-S5."""

    def piece(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}
        return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"

    body = b"".join(
        (piece(1, "b1"), piece(0, "a1"), piece(1, "b2"), piece(1, "", "stop"), piece(0, "a2"), piece(0, "", "stop"))
    )
    reply = replay("llamacpp", body=body + b"data: [DONE]\n\n", stream=True)
    assert (reply.text, reply.alternatives[0].text) == ("a1a2", "b1b2")


def test_named_events_and_comments_are_skipped() -> None:
    """MR-S1."""
    body = b': keep-alive\n\nevent: agentic_tool_call_progress\ndata: {"round":1}\n\n' + CHUNK
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\ndata: [DONE]\n\n'
    assert replay("mistralrs", body=body + end, stream=True).text == "half"
