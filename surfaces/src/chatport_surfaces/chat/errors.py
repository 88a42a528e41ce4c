"""Errors as chat completions has them, and as its clients act on them."""

from __future__ import annotations

from typing import Any

from chatport import ChatportError

from ..failures import Kind, Told, told
from ..surface import Answer

__all__ = ["error_answer", "error_body"]

_TYPES: dict[Kind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "content_filter": ("invalid_request_error", "content_filter"),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", None),
    "not_found": ("invalid_request_error", "model_not_found"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("server_error", "overloaded"),
    "timeout": ("server_error", "timeout"),
    "upstream": ("server_error", None),
    "internal": ("server_error", None),
}


def error_answer(error: ChatportError) -> Answer:
    """Return an error as a whole answer."""
    known = told(error)
    return Answer.of_json(error_body(known), known.status, known.headers)


def error_body(known: Told) -> dict[str, Any]:
    """Return the body of an error, which is also what a stream ends with that broke off."""
    kind, code = _TYPES[known.kind]
    return {"error": {"message": known.message, "type": kind, "param": None, "code": code or known.code}}
