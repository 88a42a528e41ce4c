"""What an error means: by code, then type, then message, then status; unknown shapes get a sensible class.

The order matters: a code is the vendor's own decision, a message only its wording, and a status alone often lies
(a 429 may mean "no money left", a 500 "your request is wrong"). The names and words themselves are data, in
`error_words`; whether the input is too long is told by `context_words`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from .. import errors as e
from ..call import Context, Failure, Verdict
from ..facts.vendor_rules import ErrorRule
from .error_shapes import bare_name, named_words, quota_names, read_error as read_error, said_wait_seconds, said_words
from .error_words import (
    BARE,
    CODES,
    DAY,
    MINUTE,
    MONEY,
    NEVER_WAS,
    OVERLOADED,
    SERVERS_FAULT,
    SPENT,
    STATUS_OF_NAME,
    TOO_FAST,
    UNSETTLED,
    UNSUPPORTED,
    VAGUE_CODES,
    WORDS,
)

__all__ = ["class_of_status", "classify_by_rules", "classify_error", "effective_status", "named_status", "read_error"]

_LONGEST_TEXT = 8_000
"""Characters of an error that the rules of facts look at."""
_LONGEST_SAID = 2_000
"""Characters of an error's words that patterns run over."""


def classify_error(failure: Failure, context: Context) -> Verdict:
    verdict = classify_by_rules(failure, context)
    if verdict is not None:
        return verdict
    names, status = list(named_words(failure.details, failure.headers)), effective_status(failure)
    text = (said_words(failure.details) or failure.body)[:_LONGEST_SAID].lower()
    named = next((CODES[name] for name in names if name in CODES), None)
    if named is e.RateLimitError or (status == 429 and (named is None or "quotaexceeded" in names)):
        return _of_limit(failure, text, named, status)
    if named is not None:
        return Verdict(named)
    if status in UNSETTLED or status < 400 or status == 402:
        error = _of_words(text, status)
        if error is not None:
            return Verdict(error, retryable=False)
        if status in (400, 403, 500) and _found(text, TOO_FAST):
            return _of_limit(failure, text, named, status)
    elif status == 401 and _found(text, *MONEY):
        return Verdict(e.QuotaExceededError)
    if failure.status < 400 and failure.data is not None and failure.details.message and _is_open(failure):
        said = next((error for error, pattern in BARE if _found(text, pattern)), None)
        if said is e.RateLimitError:
            return _of_limit(failure, text, named, 429)
        if said is not None:
            return Verdict(said)
    vague = next((VAGUE_CODES[name] for name in names if name in VAGUE_CODES), None)
    error = vague if vague is not None and status in (400, 500) else class_of_status(status)
    return Verdict(error, True if error is e.MalformedReplyError and _is_cut(failure) else None)


def _is_cut(failure: Failure) -> bool:
    """Whether a 200 holds no answer where one was to be: nothing, half of its JSON, a page, or no choice at all.

    A whole value of another shape comes from another kind of server, and will come again.
    """
    data = failure.data
    return not data or (isinstance(data, Mapping) and "choices" in data)


def _of_words(text: str, status: int) -> type[e.ChatportError] | None:
    """Return what the words alone mean, None where they say nothing that is known."""
    from .context_words import says_too_long  # patterns that only errors need
    from .wrong_path import says_wrong_path

    if says_too_long(text):
        return e.ContextLengthError
    for error, patterns in WORDS:
        if _found(text, *patterns):
            return error
    if status in (400, 422) and _found(text, *UNSUPPORTED):
        return e.UnsupportedFeatureError
    return e.ModelNotFoundError if status < 400 and says_wrong_path(text) else None


def _of_limit(failure: Failure, text: str, named: type[e.ChatportError] | None, status: int) -> Verdict:
    """Return what a limit that was met means: too fast, no money, no room, or a request that never fits.

    Servers say "quota" for what passes in a minute, for what comes back tomorrow, and for an empty account. The names
    of the quotas decide, then the words about money, then the period; a wait that is told says that it passes.
    """
    from .context_words import is_over_rate  # patterns that only errors need

    quotas = quota_names(failure.details)
    if quotas:
        lasts = _found(quotas.lower(), DAY) or _found(text, NEVER_WAS)
        return Verdict(e.QuotaExceededError if lasts else e.RateLimitError)
    by_minute = _found(text, MINUTE)
    if _found(text, *MONEY) and not by_minute:
        return Verdict(e.QuotaExceededError)
    passes = by_minute or "retry-after" in failure.headers or said_wait_seconds(failure.details) is not None
    spent = named is e.QuotaExceededError or _found(text, SPENT) or (named is None and _found(text, DAY))
    if spent and not passes:
        return Verdict(e.QuotaExceededError)
    if is_over_rate(text):
        return Verdict(e.ContextLengthError if status == 413 else e.RateLimitError, retryable=False)
    if named is None and "temporarily blocked" in text:
        return Verdict(e.PermissionDeniedError)
    if named is None and _found(text, *OVERLOADED) and "rate limit" not in text.replace("-", " "):
        return Verdict(e.OverloadedError)
    return Verdict(e.RateLimitError)


def _found(text: str, *patterns: str) -> bool:
    return any(re.search(pattern, text) is not None for pattern in patterns)


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
    status = _inner_status(failure)
    if status is not None:
        return status
    is_error = failure.where == "chunk" or (isinstance(failure.data, Mapping) and bool(failure.data.get("error")))
    return 500 if is_error else 200


def _inner_status(failure: Failure) -> int | None:
    """Return the status of the response, or that an error inside a 200 names; None if it names none."""
    if failure.status >= 400:
        return failure.status
    status, details = _number(failure), failure.details
    if status is not None:
        return status
    if isinstance(failure.data, Mapping) and _found(details.message[:_LONGEST_SAID].lower(), SERVERS_FAULT):
        return 500
    return STATUS_OF_NAME.get(bare_name(details.type))


def _is_open(failure: Failure) -> bool:
    """Whether an error inside a 200 says of itself no more than that it is one: its words may say what it is."""
    return _number(failure) is None and _inner_status(failure) in (None, 500)


def _number(failure: Failure) -> int | None:
    """Return the status that an error names as a number."""
    details = failure.details
    named = map(named_status, (details.code, details.data.get("status_code"), details.data.get("status")))
    return next((status for status in named if status is not None), None)


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
