"""An error's message, type, code and param, from any of the shapes in which servers and the proxies before them say it.

Shapes only: what the words mean is settled in `errors`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import jsoncodec
from ..call import ErrorDetails

__all__ = ["bare_name", "named_words", "quota_names", "read_error", "said_wait_seconds", "said_words"]

_LONGEST_TEXT = 8_000
"""Characters of an error that are read: patterns run over them, and some take time with the square of the length."""
_MOST_LEVELS = 6
"""Errors within errors: a router passes on what a gateway passed on of what a server said."""

_LONGEST_WAIT = 1e9

_MESSAGES = (
    *("message", "Message", "error_msg", "msg", "detail", "errors", "error_message", "error_description"),
    *("status_msg", "faultstring", "description", "title"),
)
_CODES = ("code", "error_code", "errorcode", "__type", "reason")
_KINDS = ("type", "error_type")


def read_error(data: Any, body: str = "") -> ErrorDetails:
    """Return an error's message, type, code and param from any of the shapes servers use.

    Known shapes: `{"error": {…}}`, `{"error": "text"}`, the flat `{"message", "code"}`, `{"detail": …}` (a text, a list
    or another error), `{"error_msg"}`, `{"errors": […]}`, `{"base_resp": {…}}`, `{"fault": {…}}`, a list of one of
    these, one of these as a text inside the message, a bare string, and pages of HTML.
    """
    return _read(data, body, _MOST_LEVELS)


def _read(data: Any, body: str, levels: int) -> ErrorDetails:
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return _unpacked(ErrorDetails(message=data[:_LONGEST_TEXT]), levels)
    if not isinstance(data, Mapping):
        return ErrorDetails(message=_plain(body))
    inner = _inner(data)
    if isinstance(inner, str):
        kind = data.get("type") or data.get("error_type")
        return _unpacked(_details({**data, "message": inner, "type": kind}), levels)
    if inner is None:
        return _unpacked(_details(data), levels)
    if levels and _inner(inner) is not None and not any(inner.get(name) for name in _MESSAGES):
        return _read(inner, body, levels - 1)
    return _unpacked(_details(inner, outer=data), levels)


def _inner(data: Mapping[str, Any]) -> Any:
    """Return the error inside an answer, an object or its text; None where the answer is the error itself."""
    for name in ("error", "detail", "base_resp", "fault"):
        inner = data.get(name)
        if name != "error" and any(data.get(message) for message in ("message", "Message", "msg")):
            continue
        if isinstance(inner, list) and name == "error" and inner and isinstance(inner[0], Mapping):
            return inner[0]
        if isinstance(inner, Mapping) or (isinstance(inner, str) and name == "error"):
            return inner
    return None


def _unpacked(details: ErrorDetails, levels: int) -> ErrorDetails:
    """Return what a message says that is itself an error in JSON; without one, the details as they are."""
    text = details.message.strip()
    if not levels or text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return details
    try:
        data = jsoncodec.decode_text(text)
    except ValueError:
        return details
    within = _read(data, "", levels - 1)
    if not within.message:
        return details
    kind, code, param = (within.type or details.type, within.code or details.code, within.param or details.param)
    return ErrorDetails(within.message, kind, code, param, within.data)


def _details(data: Mapping[str, Any], outer: Mapping[str, Any] | None = None) -> ErrorDetails:
    message = next((text for name in _MESSAGES if data.get(name) and (text := _text(data[name]))), "")
    code, kind = _first(data, _CODES), _first(data, _KINDS)
    if code is None and "status_msg" in data:
        code = data.get("status_code")
    if code is None and outer is not None:
        code = _first(outer, _CODES)
    if code is None:
        code = next((_first(each, _CODES) for each in _listed(data.get("errors"))), None)
    if isinstance(kind, str) and kind.startswith(("about:", "http:", "https:")):
        kind = None  # RFC 9457: an address that explains the error
    if kind is None and _is_word(data.get("status")):
        kind = data["status"]  # as in google.rpc.Status, whose code is the number
    message, kind, word, param = (_text(value)[:_LONGEST_TEXT] for value in (message, kind, code, data.get("param")))
    return ErrorDetails(message, kind, word.rpartition("#")[2], param, data)


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((data[name] for name in names if isinstance(data.get(name), str | int | float)), None)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z_]{2,60}", value) is not None


def _listed(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else ()


def _text(value: Any, levels: int = 8) -> str:
    if value is None or isinstance(value, bool) or not levels:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(item, levels - 1) for item in value)))
    if isinstance(value, Mapping):
        where = value.get("loc")
        place = ".".join(str(part) for part in where) + ": " if isinstance(where, list) else ""
        names = ("msg", "message", "detail", "error", "errors")
        return place + next((text for name in names if (text := _text(value.get(name), levels - 1))), "")
    return str(value)


# --- all that an error says


def said_words(details: ErrorDetails) -> str:
    """Return an error's text: its message, and its `param` where that is no name but the words themselves."""
    if " " not in details.param or details.param in details.message:
        return details.message
    return f"{details.message}: {details.param}" if details.message else details.param


def named_words(details: ErrorDetails, headers: Mapping[str, str]) -> Iterator[str]:
    """Give the words of an error that are names: the narrowest first, as a vendor's own decision is the better word."""
    data = details.data
    for each in _listed(data.get("details")):
        yield bare_name(each.get("reason"))
    inner = data.get("innererror", data.get("inner_error"))
    if isinstance(inner, Mapping):
        yield bare_name(inner.get("code"))
    nested = data.get("details")
    if isinstance(nested, Mapping):
        yield bare_name(nested.get("error_code"))
    yield bare_name(details.code)
    yield bare_name(details.type)
    for each in _listed(data.get("errors")):
        yield from (bare_name(each.get("code")), bare_name(each.get("reason")))
    for name in ("status", "reason", "__type", "error_type", "name"):
        yield bare_name(data.get(name))
    yield bare_name(headers.get("x-amzn-errortype", ""))


def bare_name(value: Any) -> str:
    """Return a name as letters and digits alone: `RateLimitReached` and `rate_limit_reached` are one name."""
    if not isinstance(value, str | int):
        return ""
    word = str(value).partition(":")[0].rpartition("#")[2]
    return re.sub(r"[^a-z0-9]+", "", word[:200].lower())


# --- what an error says of a limit


def quota_names(details: ErrorDetails) -> str:
    """Return the names of the quotas that were exceeded, as google.rpc says them, in words; "" where none is named."""
    names: list[Any] = []
    for each in _listed(details.data.get("details")):
        for violation in _listed(each.get("violations")):
            names += (violation.get("quotaId"), violation.get("quotaMetric") if not violation.get("quotaId") else None)
        metadata = each.get("metadata")
        if isinstance(metadata, Mapping):
            names += (metadata.get("quota_limit"), metadata.get("quota_unit"))
    text = " ".join(name[:200] for name in names if isinstance(name, str))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)


def said_wait_seconds(details: ErrorDetails) -> float | None:
    """Return the longest wait that an error's fields tell: google.rpc's `RetryInfo`, or a number by a usual name."""
    data = details.data
    waits = [_duration_seconds(each.get("retryDelay")) for each in _listed(data.get("details"))]
    named = (data.get(name) for name in ("retry_after", "retry_after_seconds", "retryAfter", "resets_in_seconds"))
    waits += [_duration_seconds(value) for value in named]
    return max((wait for wait in waits if wait is not None), default=None)


def _duration_seconds(value: Any) -> float | None:
    if isinstance(value, Mapping):  # a protobuf duration, with its fields
        return _duration_seconds(value.get("seconds"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value < _LONGEST_WAIT else None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,12})?s?", value.strip()):
        return float(value.strip().rstrip("s"))
    return None


# --- pages


_TAGS = re.compile(r"<(script|style|head)\b.*?(?:</\1>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
"""Each tag may also end with the text: a page of beginnings would else be searched to its end for every one of them."""
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)


def _plain(body: str) -> str:
    """Return the words of a text or HTML body, short."""
    text = _TAGS.sub(" ", body) if "<" in body else body
    words = " ".join(text.split())
    if not words and (title := _TITLE.search(body[:20_000])) is not None:
        words = " ".join(title[1].split())
    return words[:300]
