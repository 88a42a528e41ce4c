"""Keeps the key out of what the HTTP libraries log at DEBUG while they send a request of ours.

httpcore logs the headers of every response, in which a server may echo the key, what is wrong with its bytes, and the
password for a SOCKS proxy; httpx its reason phrase; hpack (HTTP/2, in a client that was passed in) the headers of every
request. Other requests that the program makes with the same libraries are not touched.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from contextvars import ContextVar

from ..basics.secret import Secret
from ..decoding.redaction import hide_key
from ..engine.commands import HttpRequest

__all__ = ["hiding_key"]

_LOGGERS = (
    *(
        f"{core}.{part}"
        for core in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
    *("httpx", "httpx2", "hpack.hpack", "hpack.table"),
)

_AUTH = " auth="  # what is behind it in a record of httpcore.socks is the last thing there

_hidden: ContextVar[tuple[Secret, ...] | None] = ContextVar("chatport_hidden", default=None)


def hiding_key(request: HttpRequest, others: tuple[Secret, ...] = ()) -> AbstractContextManager[None]:
    """Replace the key of a request, and other secrets, by `***` in the records that are logged inside the block.

    It may be entered again, once it was left.
    """
    return _Hiding((*request.secrets, *others))


class _Hiding:
    """A class, since one is entered for every piece of a body."""

    __slots__ = ("_secrets", "_token")

    def __init__(self, secrets: tuple[Secret, ...]) -> None:
        self._secrets = secrets

    def __enter__(self) -> None:
        self._token = _hidden.set(self._secrets)

    def __exit__(self, *raised: object) -> None:
        _hidden.reset(self._token)


def _hide(record: logging.LogRecord) -> bool:
    secrets = _hidden.get()
    if secrets is None:  # no request of ours
        return True
    message = told = record.getMessage()
    if _AUTH in told and record.name.endswith(".socks"):
        told = told.partition(_AUTH)[0] + f"{_AUTH}***"
    for secret in filter(None, secrets):
        told = hide_key(told, secret.reveal())
    if told != message:
        record.msg, record.args = told, None
    return True


for _name in _LOGGERS:  # a filter holds for the records of its own logger, not for those of the loggers below
    logging.getLogger(_name).addFilter(_hide)
