"""Errors as Responses has them: by codes and statuses a client knows whether to ask again (RS-C4, RS-C5, RS-X1…X8)."""

from __future__ import annotations

from typing import Any

from chatport import ChatportError

from ..failures import Kind, Told, told
from ..surface import Answer

__all__ = ["NO_SUCH_RESPONSE", "error_answer", "error_body", "failure", "refusal"]

NO_SUCH_RESPONSE = "previous_response_not_found"

_TYPES: dict[Kind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "content_filter": ("invalid_request_error", "invalid_prompt"),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", None),
    "not_found": ("invalid_request_error", "model_not_found"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("service_unavailable_error", "server_is_overloaded"),
    "timeout": ("server_error", "timeout"),
    "upstream": ("server_error", "server_error"),
    "internal": ("server_error", "server_error"),
}
_STATUSES: dict[Kind, int] = {"not_found": 400}
"""Where the protocol has another status than others: an unknown model (RS-X2)."""
_FAILED: dict[Kind, str] = {
    **{kind: code or "invalid_prompt" for kind, (_, code) in _TYPES.items()},
    "authentication": "invalid_prompt",
    "permission": "invalid_prompt",
    "not_found": "invalid_prompt",
    "timeout": "server_error",
}
"""The codes inside a stream, where a client goes by them alone: these end the matter where it can not help to ask
again, `server_error` has it ask again (RS-C4, RS-C5)."""
_PARAMS = {NO_SUCH_RESPONSE: "previous_response_id"}


def error_answer(error: ChatportError) -> Answer:
    """Return an error as a whole answer."""
    known = told(error)
    return Answer.of_json({"error": error_body(known)}, _STATUSES.get(known.kind, known.status), known.headers)


def refusal(status: int, message: str, code: str | None = None) -> Answer:
    """Return what the reading of a request refuses by itself."""
    error = {"message": message, "type": "invalid_request_error", "param": _PARAMS.get(code or ""), "code": code}
    return Answer.of_json({"error": error}, status, (("x-should-retry", "false"),))


def error_body(known: Told) -> dict[str, Any]:
    """Return the members of an error, as they stand in the body of an answer and in the event `error`."""
    kind, code = _TYPES[known.kind]
    own = code or known.code
    return {"message": known.message, "type": kind, "param": _PARAMS.get(own or ""), "code": own}


def failure(known: Told) -> dict[str, str]:
    """Return the error of a response that has failed in its stream."""
    return {"code": _FAILED[known.kind], "message": known.message}
