"""classify_error: a table of codes in the vendor's two spellings, and a few messages that say more than their code."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from chatport import errors as e
from chatport.call import Context, Failure, Verdict
from chatport.hooks import hookimpl

_CODES: Mapping[str, type[e.ChatportError]] = {
    "invalidapikey": e.AuthenticationError,  # QW-E1
    "invalid_api_key": e.AuthenticationError,
    "arrearage": e.QuotaExceededError,  # QW-E2: a 400 that means an unpaid bill
    "datainspectionfailed": e.ContentFilterError,  # QW-E3, QW-S8
    "data_inspection_failed": e.ContentFilterError,
    "faqruleblocked": e.ContentFilterError,
    "customroleblocked": e.ContentFilterError,
    "ipinfringementsuspect": e.ContentFilterError,
    "accessdenied": e.PermissionDeniedError,  # QW-E6
    "model.accessdenied": e.PermissionDeniedError,
    "workspace.accessdenied": e.PermissionDeniedError,
    "accessdenied.unpurchased": e.PermissionDeniedError,
    "allocationquota.freetieronly": e.QuotaExceededError,  # QW-E7
    "modelnotfound": e.ModelNotFoundError,  # QW-E8
    "model_not_supported": e.ModelNotFoundError,  # QW-N3
    "throttling": e.RateLimitError,  # QW-E9
    "throttling.ratequota": e.RateLimitError,
    "limit_requests": e.RateLimitError,
    "throttling.burstrate": e.RateLimitError,  # QW-E10
    "limit_burst_rate": e.RateLimitError,
    "throttling.allocationquota": e.RateLimitError,  # QW-E11: tokens per minute; elsewhere this code means no money
    "insufficient_quota": e.RateLimitError,
    "commoditynotpurchased": e.QuotaExceededError,  # QW-E12
    "prepaidbilloverdue": e.QuotaExceededError,
    "postpaidbilloverdue": e.QuotaExceededError,
    "systemerror": e.ServerError,  # QW-E13
    "modelservicefailed": e.ServerError,
    "modelservingerror": e.OverloadedError,  # QW-E15
    "modelunavailable": e.OverloadedError,
}

# A message that overrules its code, which is then a very general one. Compared in lower case.
_MESSAGES: tuple[tuple[str, Verdict], ...] = (
    ("free allocated quota exceeded", Verdict(e.QuotaExceededError)),  # QW-E12
    ("range of input length should be", Verdict(e.ContextLengthError)),  # QW-E4
    ("total message token length exceed", Verdict(e.ContextLengthError)),
    ("tool call is not supported", Verdict(e.UnsupportedFeatureError)),  # QW-T6
    ("list index out of range", Verdict(e.BadRequestError)),  # QW-P12: a 500 for a last message that is not the user's
    ("file parsing in progress", Verdict(e.BadRequestError, retryable=True)),  # QW-M5
)


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    message = failure.details.message.lower()
    for marker, verdict in _MESSAGES:
        if marker in message:
            return verdict
    code = (failure.details.code or failure.details.type).lower()
    error = _CODES.get(code)
    if error is e.AuthenticationError:
        return Verdict(error, message=_with_region(failure, context))
    if code == "requesttimeout":  # QW-E14
        return Verdict(e.ServerError, message=f"{failure.details.message} (a stream has no such limit)")
    if error is None:  # QW-E5, QW-E13, QW-E16: the standard reads their status and message
        return None
    return Verdict(error)


def _with_region(failure: Failure, context: Context) -> str:
    """QW-B4: a good key of another region is refused in the same words as a bad one."""
    host = urlsplit(context.base_url).hostname
    return f"{failure.details.message} (A key belongs to one region; this call went to {host}.)"
