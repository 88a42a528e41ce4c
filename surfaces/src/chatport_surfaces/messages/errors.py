"""Errors as the Messages protocol has them (section 9 of its facts), and as its clients act on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import ChatportError

from ..failures import Kind, Told, told
from ..surface import Answer, SurfaceContext

__all__ = ["THREAD_UNSUPPORTED", "error_answer", "error_body"]

_TYPES: dict[Kind, str] = {
    "bad_request": "invalid_request_error",
    "context_length": "invalid_request_error",
    "content_filter": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "quota": "rate_limit_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "api_error",
    "internal": "api_error",
}
_OVERLOADED = 529  # AN-X16
_TOO_LARGE = 413  # AN-X11
_SPENT = {"error_code": "enforced_spend_limit_reached"}  # AN-X13
THREAD_UNSUPPORTED = "thread_unsupported_request"
"""By this code the SDKs' tool runners know that they have to send the whole conversation, and do so."""
_TOO_LONG = "prompt is too long"
"""By these words of AN-X2 clients know that they have to compact the conversation: there is no code for it."""


def error_answer(error: ChatportError, context: SurfaceContext) -> Answer:
    """Return an error as a whole answer, with the id that the vendor gave its request, or one of our own."""
    known, request_id = told(error), error.request_id or context.new_id("req_")
    headers = (("request-id", request_id), *known.headers)  # AN-H1
    return Answer.of_json(_body(known, error, request_id), _status(known, error), headers)


def error_body(error: ChatportError, context: SurfaceContext) -> dict[str, Any]:
    """Return the body of an error, which is also the event that ends a stream that broke off (AN-S10)."""
    return _body(told(error), error, error.request_id or context.new_id("req_"))


def _body(known: Told, error: ChatportError, request_id: str) -> dict[str, Any]:
    kind = "request_too_large" if _is_too_large(known, error) else _TYPES[known.kind]
    message = known.message
    if known.kind == "context_length" and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    details: Mapping[str, Any] | None = _SPENT if known.kind == "quota" else None
    if known.code == THREAD_UNSUPPORTED:
        details = {"error_code": THREAD_UNSUPPORTED, "unsupported": ["thread"]}
    return {
        "type": "error",
        "error": {"type": kind, "message": message, "details": details},
        "request_id": request_id,
    }


def _status(known: Told, error: ChatportError) -> int:
    if _is_too_large(known, error):
        return _TOO_LARGE
    return _OVERLOADED if known.kind == "overloaded" else known.status


def _is_too_large(known: Told, error: ChatportError) -> bool:
    return known.kind == "bad_request" and error.status == _TOO_LARGE
