"""Every kind of error, as a client of each protocol is told of it: status, kind and code, whole and in a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport import ChatportError
from chatport_surfaces import Answer, Seal, SurfaceContext
from chatport_surfaces.chat.errors import error_answer as chat_answer
from chatport_surfaces.failures import told
from chatport_surfaces.messages.errors import error_answer as messages_answer
from chatport_surfaces.responses.errors import error_answer as responses_answer, failure

CONTEXT = SurfaceContext(Seal(b"a secret of the tests"), lambda: 7, lambda prefix: f"{prefix}new", lambda model: ())
_SPENT = (
    "429 insufficient_quota insufficient_quota",
    "429 rate_limit_error",
    "429 insufficient_quota insufficient_quota",
)
_BAD = ("400 invalid_request_error", "400 invalid_request_error", "400 invalid_request_error", "invalid_prompt")
_DENIED = ("403 invalid_request_error", "403 permission_error", "403 invalid_request_error", "invalid_prompt")
_UPSTREAM = ("502 server_error", "502 api_error", "502 server_error server_error", "server_error")
_OURS = ("500 server_error", "500 api_error", "500 server_error server_error", "server_error")
TABLE = {
    "BadRequestError": _BAD,
    "UnsupportedFeatureError": _BAD,
    "ContextLengthError": (
        "400 invalid_request_error context_length_exceeded",
        "400 invalid_request_error",
        "400 invalid_request_error context_length_exceeded",
        "context_length_exceeded",
    ),
    "ContentFilterError": (
        "400 invalid_request_error content_filter",
        "400 invalid_request_error",
        "400 invalid_request_error invalid_prompt",
        "invalid_prompt",
    ),
    "AuthenticationError": (
        "401 invalid_request_error invalid_api_key",
        "401 authentication_error",
        "401 invalid_request_error invalid_api_key",
        "invalid_prompt",
    ),
    "PermissionDeniedError": _DENIED,
    "PolicyError": _DENIED,
    "ModelNotFoundError": (
        "404 invalid_request_error model_not_found",
        "404 not_found_error",
        "400 invalid_request_error model_not_found",
        "invalid_prompt",
    ),
    "QuotaExceededError": (*_SPENT, "insufficient_quota"),
    "BudgetExceededError": (*_SPENT, "insufficient_quota"),
    "RateLimitError": (
        "429 rate_limit_error rate_limit_exceeded",
        "429 rate_limit_error",
        "429 rate_limit_error rate_limit_exceeded",
        "rate_limit_exceeded",
    ),
    "OverloadedError": (
        "503 server_error overloaded",
        "529 overloaded_error",
        "503 service_unavailable_error server_is_overloaded",
        "server_is_overloaded",
    ),
    "DeadlineError": ("504 server_error timeout", "504 timeout_error", "504 server_error timeout", "server_error"),
    "ServerError": _UPSTREAM,
    "TransportError": _UPSTREAM,
    "MalformedReplyError": _UPSTREAM,
    "StreamInterruptedError": _UPSTREAM,
    "ConfigurationError": _OURS,
    "PluginError": _OURS,
}
"""Status, kind and code in chat completions, in Messages (which has no codes) and in Responses, and the code of a
response that fails in its stream."""


def read(answer: Answer) -> tuple[str, Any]:
    error = json.loads(answer.body)["error"]
    return " ".join(filter(None, (str(answer.status), error["type"], error.get("code")))), error


@pytest.mark.parametrize("name", TABLE)
def test_every_kind_of_error_has_the_words_of_each_protocol(name: str) -> None:
    error: ChatportError = getattr(chatport, name)("what happened")
    in_chat, in_messages, in_responses, in_a_stream = TABLE[name]
    words, body = read(chat_answer(error))
    assert (words, body["param"], body["message"]) == (in_chat, None, str(error))
    words, body = read(messages_answer(error, CONTEXT))
    assert words == in_messages
    assert body["details"] == (
        {"error_code": "enforced_spend_limit_reached"} if "insufficient_quota" in in_chat else None
    )
    words, body = read(responses_answer(error))
    assert (words, body["param"], body["message"]) == (in_responses, None, str(error))
    assert failure(told(error)) == {"code": in_a_stream, "message": str(error)}


def test_every_error_of_a_call_is_in_the_table() -> None:
    """Those of a loop of tools and of a map over many calls are not a call's, and no client asks for these."""
    public = {name for name in chatport.__all__ if name.endswith("Error")}
    assert public - set(TABLE) == {"ChatportError", "MapLimitError", "RunLimitError", "ToolError"}
