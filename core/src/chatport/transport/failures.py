"""What the errors of sockets and TLS become, in the same words and kinds as over httpx.

Callers raise the result outside their `except` block: the frames of the original hold the request with its key.
"""

from __future__ import annotations

import ssl
from typing import Literal

from ..engine.commands import TransportFailure

__all__ = ["broken", "no_connection", "stale"]


def no_connection(error: BaseException) -> TransportFailure:
    """Return the failure of a connection that did not come to stand."""
    if isinstance(error, ssl.SSLError):  # a certificate that is not trusted is one too
        return TransportFailure(f"No secure connection: {error}", stage="connect", kind="tls")
    if isinstance(error, UnicodeError):  # a host name that cannot be one
        return TransportFailure(f"The address is not valid: {error}", stage="connect", kind="invalid_url")
    words = str(error).strip().rstrip(".") or type(error).__name__
    return TransportFailure(f"No connection: {words}", stage="connect", kind="connect")


def broken(error: BaseException | None, stage: Literal["send", "head", "body"]) -> TransportFailure:
    """Return the failure of a connection that broke, and did not end in order."""
    words = str(error or "").strip().rstrip(".") or "The connection was closed"
    return TransportFailure(words, stage=stage, kind="WriteError" if stage == "send" else "ReadError")


def stale(failure: TransportFailure) -> TransportFailure:
    """Return the failure of a request that met the end of a connection kept from before.

    It is not sent again here. The server may have read it before it closed, and a chat request is a POST that costs
    money: only something that knows it may run twice may repeat it (RFC 9110, 9.2.2; 9112, 9.3.1). That is the
    engine, which counts the attempt. httpx does the same; aiohttp and Go repeat only what is idempotent. What can be
    told for sure, that a connection had ended before anything was written to it, the pool finds out.
    """
    words = f"The server closed a connection, which it had kept open, just as it was used again ({failure})"
    return TransportFailure(words, stage="head", kind="stale_connection")
