"""Keeps the key out of what the HTTP libraries log at DEBUG while they send a request of ours.

httpcore logs the headers of every response, in which a server may echo the key, and what is wrong with its bytes; httpx
its reason phrase; hpack (HTTP/2, in a client that was passed in) the headers of every request. Other requests that the
program makes with the same libraries are not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..engine.commands import HttpRequest
from ..redaction import hide_key
from ..secret import Secret

__all__ = ["hiding_key"]

_LOGGERS = (
    *(f"{core}.{part}" for core in ("httpcore", "httpcore2") for part in ("connection", "http11", "http2", "proxy")),
    *("httpx", "httpx2", "hpack.hpack", "hpack.table"),
)

_key: ContextVar[Secret | None] = ContextVar("chatport_key", default=None)


@contextmanager
def hiding_key(request: HttpRequest) -> Iterator[None]:
    """Replace the key of a request by `***` in the records that are logged inside the block."""
    token = _key.set(None if request.auth is None else request.auth[2])
    try:
        yield
    finally:
        _key.reset(token)


def _hide(record: logging.LogRecord) -> bool:
    key = _key.get()
    if key:
        message = record.getMessage()
        hidden = hide_key(message, key.reveal())
        if hidden != message:
            record.msg, record.args = hidden, None
    return True


for _name in _LOGGERS:  # a filter holds for the records of its own logger, not for those of the loggers below
    logging.getLogger(_name).addFilter(_hide)
