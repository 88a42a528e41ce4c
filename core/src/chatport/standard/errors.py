"""Standard `classify_error`: by code, then type, then message, then status; unknown shapes get a sensible class.

The order matters: a code is the vendor's own decision, a message only its wording, and a status alone often lies
(a 429 may mean "no money left", a 500 "your request is wrong").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from .. import errors as e
from ..call import Context, ErrorDetails, Failure, Verdict
from ..facts.rules import ErrorRule
from ..hooks import hookimpl

__all__ = ["class_of_status", "classify_by_rules", "classify_error", "effective_status", "named_status", "read_error"]

_CODES: Mapping[str, type[e.ChatportError]] = {
    "invalid_api_key": e.AuthenticationError,
    "authentication_error": e.AuthenticationError,
    "invalid_authentication": e.AuthenticationError,
    "unauthorized": e.AuthenticationError,
    "permission_error": e.PermissionDeniedError,
    "permission_denied": e.PermissionDeniedError,
    "insufficient_quota": e.QuotaExceededError,
    "quota_exceeded": e.QuotaExceededError,
    "billing_error": e.QuotaExceededError,
    "billing_hard_limit_reached": e.QuotaExceededError,
    "credit_balance_exhausted": e.QuotaExceededError,
    "insufficient_balance": e.QuotaExceededError,
    "payment_required": e.QuotaExceededError,
    "organization_spend_limit_exceeded": e.QuotaExceededError,
    "project_spend_limit_exceeded": e.QuotaExceededError,
    "organization_usage_limit_exceeded": e.QuotaExceededError,
    "model_not_found": e.ModelNotFoundError,
    "model_not_available": e.ModelNotFoundError,
    "model_decommissioned": e.ModelNotFoundError,
    "invalid_model": e.ModelNotFoundError,
    "context_length_exceeded": e.ContextLengthError,
    "exceed_context_size_error": e.ContextLengthError,
    "content_filter": e.ContentFilterError,
    "content_policy_violation": e.ContentFilterError,
    "rate_limit_exceeded": e.RateLimitError,
    "rate_limit_error": e.RateLimitError,
    "slow_down": e.RateLimitError,
    "too_many_requests": e.RateLimitError,
    "overloaded_error": e.OverloadedError,
    "server_is_overloaded": e.OverloadedError,
    "service_unavailable_error": e.OverloadedError,
    "unavailable_error": e.OverloadedError,
    "not_supported_error": e.UnsupportedFeatureError,
}

_MESSAGES: tuple[tuple[str, type[e.ChatportError]], ...] = (
    (
        r"maximum context length|context (length|window|size)\b.{0,200}(exceed|limit|large|long)"
        r"|exceeds?\b.{0,200}context (length|window|size)"
        r"|prompt is too long|prompt too long|input is too long|too many tokens in|maximum prompt length"
        r"|exceeds? max length|sequence length is (longer|greater)|reduce the length of the (messages|prompt)"
        r"|range of input length should be",
        e.ContextLengthError,
    ),
    (
        r"insufficient (balance|credit|funds|quota)|exceeded your current quota|credit balance is too low"
        r"|requires more credits|out of credits|depleted your|account is not active",
        e.QuotaExceededError,
    ),
    (
        r"content (policy|filter|management policy|exists risk)|safety system|responsible ai policy",
        e.ContentFilterError,
    ),
    (
        r"\bmodel\b.{0,80}?\b(does not exist|not exist|not found|is not a valid|no longer available"
        r"|not supported by any|decommissioned|has been deprecated|is not available)|unknown model|no such model"
        r"|invalid model\b|not a valid model",
        e.ModelNotFoundError,
    ),
    (
        r"(incorrect|invalid|missing|wrong|no) (api[ -]?key|x-api-key|authentication|credential)",
        e.AuthenticationError,
    ),
)
"""Wordings, compiled on first use by `re` itself: an import must stay cheap."""
_STATUS_IN_WORDS: tuple[tuple[str, int], ...] = (
    (r"rate.?limit|too many requests|concurrency limit|limit reached|requests per (second|minute)|slow down", 429),
    (
        r"overload|(at|no|insufficient|out of) capacity|(service|temporarily|currently) (is )?unavailable"
        r"|high (demand|load|traffic)",
        503,
    ),
    (
        r"\b(internal|server|system|service) (server )?(error|failure)\b|server had an (internal )?error|bad gateway"
        r"|\b(server|service|model|engine|system)s? (is|are) (currently )?busy"
        r"|retry later|(try|retry) (again|your request) later|please retry",
        500,
    ),
)
"""What an error inside a 200 says of the status it would have had, whatever type it bears: some have one for all.

Only words that no answer to a wrong request has: "Download timed out" may well be the fault of an address.
"""
_SETTLED_BY_MESSAGE = frozenset({400, 403, 404, 413, 422, 500})
"""Statuses so general that the wording may overrule them. A 401 or a 503 says what it is."""


_LONGEST_TEXT = 8_000
"""Characters of an error that are read: patterns run over them, and some take time with the square of the length."""


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict:
    verdict, details = classify_by_rules(failure, context), failure.details
    if verdict is not None:
        return verdict
    for word in (details.code, details.type):
        error = _CODES.get(word.lower())
        if error is not None:
            return Verdict(error)
    status = effective_status(failure)
    if status in _SETTLED_BY_MESSAGE or status < 400 or status in (402, 429):
        text = details.message or failure.body
        for pattern, error in _MESSAGES:
            if re.search(pattern, text[:2000], re.IGNORECASE) and not (
                status == 429 and error is not e.QuotaExceededError
            ):
                return Verdict(error, retryable=False)
    error = class_of_status(status)
    return Verdict(error, True if error is e.MalformedReplyError and _is_cut(failure) else None)


def _is_cut(failure: Failure) -> bool:
    """Whether a 200 holds no answer where one was to be: nothing, half of its JSON, a page, or no choice at all.

    A whole value of another shape comes from another kind of server, and will come again.
    """
    data = failure.data
    return not data or (isinstance(data, Mapping) and "choices" in data)


def classify_by_rules(failure: Failure, context: Context) -> Verdict | None:
    """Return what the error rules of the vendor's facts say, None where none of them fits."""
    facts = context.provider.facts
    return None if facts is None or not facts.errors else _by_facts(failure, facts.errors, context)


def _by_facts(failure: Failure, rules: Sequence[ErrorRule], context: Context) -> Verdict | None:
    """Return what the vendor's own rules say, None where none of them fits."""
    details = failure.details
    codes = {details.code.lower(), details.type.lower()}
    text = (details.message or failure.body)[:_LONGEST_TEXT].lower()
    status = effective_status(failure)
    for rule in rules:
        if (
            (not rule.status or status in rule.status)
            and (not rule.code or not codes.isdisjoint(rule.code))
            and (not rule.words or any(words in text for words in rule.words))
            and (not rule.begins or text.startswith(rule.begins))
        ):
            said = f"{details.message} ({rule.advice.replace('{host}', urlsplit(context.base_url).hostname or '')})"
            error: type[e.ChatportError] = getattr(e, rule.error)
            return Verdict(error, rule.retryable, rule.retry_after_seconds, said.strip() if rule.advice else None)
    return None


def effective_status(failure: Failure) -> int:
    """Return the status that counts: inside a 200, the one the error itself names, if it names one."""
    if failure.status >= 400:
        return failure.status
    for value in (
        failure.details.code,
        failure.details.data.get("status_code"),
        failure.details.data.get("status"),
    ):
        status = named_status(value)
        if status is not None:
            return status
    status = _status_in_words(failure)
    if status is not None:
        return status
    by_type = {
        "invalid_request_error": 400,
        "bad_request": 400,
        "badrequesterror": 400,
        "not_found_error": 404,
        "notfounderror": 404,
        "server_error": 500,
        "api_error": 500,
        "internalservererror": 500,
        "timeout_error": 504,
    }
    is_error = failure.where == "chunk" or (isinstance(failure.data, Mapping) and bool(failure.data.get("error")))
    return by_type.get(failure.details.type.lower(), 500 if is_error else 200)


def _status_in_words(failure: Failure) -> int | None:
    """Return the status that the words of an error object mean, None where they mean none, or there is no object."""
    text = failure.details.message[:2000] if isinstance(failure.data, Mapping) else ""
    return next((status for pattern, status in _STATUS_IN_WORDS if re.search(pattern, text, re.IGNORECASE)), None)


def named_status(value: Any) -> int | None:
    """Return the HTTP status that a value of an error names, as a number or as text; None if it names none."""
    text = str(value)
    return int(text) if re.fullmatch(r"[45][0-9]{2}", text) else None


def class_of_status(status: int) -> type[e.ChatportError]:
    """Return the class that an HTTP status suggests when nothing better is known.

    408 and 409 are the server's (a timeout, a lock) and pass; 424 and 425 too. A 200 that is no reply is malformed.
    """
    exact: dict[int, type[e.ChatportError]] = {
        401: e.AuthenticationError,
        402: e.QuotaExceededError,
        403: e.PermissionDeniedError,
        404: e.ModelNotFoundError,
        408: e.ServerError,
        409: e.ServerError,
        424: e.ServerError,
        425: e.ServerError,
        429: e.RateLimitError,
        498: e.OverloadedError,
        501: e.UnsupportedFeatureError,
        503: e.OverloadedError,
        529: e.OverloadedError,
    }
    if status in exact:
        return exact[status]
    if status >= 500:
        return e.ServerError
    return e.BadRequestError if status >= 400 else e.MalformedReplyError


def read_error(data: Any, body: str = "") -> ErrorDetails:
    """Return an error's message, type, code and param from any of the shapes servers use.

    Known shapes: `{"error": {…}}`, `{"error": "text"}`, the flat `{"message", "code"}`, `{"detail": …}` of FastAPI
    (text or a list), `{"error_msg"}`, `{"errors": […]}`, a list of one of these, a bare string, and pages of HTML.
    """
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return ErrorDetails(message=data[:_LONGEST_TEXT])
    if not isinstance(data, Mapping):
        return ErrorDetails(message=_plain(body))
    inner = data.get("error")
    if isinstance(inner, str):
        return _details({**data, "message": inner, "type": data.get("type") or data.get("error_type")})
    if isinstance(inner, Mapping):
        return _details(inner, outer=data)
    return _details(data)


def _details(data: Mapping[str, Any], outer: Mapping[str, Any] | None = None) -> ErrorDetails:
    message = next(
        (
            _text(data[name])
            for name in ("message", "error_msg", "msg", "detail", "errors", "error_message")
            if data.get(name)
        ),
        "",
    )
    code = data.get("code", data.get("error_code"))
    if code is None and outer is not None:
        code = outer.get("code")
    message, kind, word, param = (
        _text(value)[:_LONGEST_TEXT] for value in (message, data.get("type"), code, data.get("param"))
    )
    return ErrorDetails(message, kind, word, param, data)


def _text(value: Any, levels: int = 8) -> str:
    if value is None or isinstance(value, bool) or not levels:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(item, levels - 1) for item in value)))
    if isinstance(value, Mapping):
        where = value.get("loc")
        place = ".".join(str(part) for part in where) + ": " if isinstance(where, list) else ""
        return place + _text(value.get("msg") or value.get("message") or "", levels - 1)
    return str(value)


_TAGS = re.compile(r"<(script|style|head)\b.*?(?:</\1>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
"""Each tag may also end with the text: a page of beginnings would else be searched to its end for every one of them."""


def _plain(body: str) -> str:
    """Return the words of a text or HTML body, short."""
    text = _TAGS.sub(" ", body) if "<" in body else body
    return " ".join(text.split())[:300]
