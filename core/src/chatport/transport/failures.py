"""What the errors of sockets and TLS become, in the same words and kinds as over httpx.

Callers raise the result outside their `except` block: the frames of the original hold the request with its key.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Literal

from ..engine.commands import TransportFailure

__all__ = ["NO_DESCRIPTORS", "broken", "no_connection", "no_descriptors", "stale"]

NO_DESCRIPTORS = "no_descriptors"
_MOST_CAUSES = 20


def no_connection(error: BaseException, host: str, port: int) -> TransportFailure:
    """Return the failure of a connection that did not come to stand: what was wrong, and where."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    nothing_left = no_descriptors(error)
    if nothing_left is not None:
        return nothing_left
    if isinstance(error, ssl.SSLError):  # a certificate that is not trusted is one too
        return TransportFailure(f"No secure connection to {where}: {error}", stage="connect", kind="tls")
    if isinstance(error, UnicodeError):  # a host name that cannot be one
        return TransportFailure(f"The address is not valid: {error}", stage="connect", kind="invalid_url")
    words = str(error).strip().rstrip(".") or type(error).__name__
    if any(isinstance(cause, socket.gaierror) for cause in _causes(error)):
        words = f"the host name cannot be resolved ({words})"
    return TransportFailure(f"No connection to {where}: {words}", stage="connect", kind="connect")


def no_descriptors(error: BaseException) -> TransportFailure | None:
    """Return the failure to open a socket because the process or the machine has too many files open, else None."""
    for cause in _causes(error):
        is_left = not isinstance(cause, OSError) or cause.errno not in (errno.EMFILE, errno.ENFILE)
        if is_left and isinstance(
            cause, socket.gaierror
        ):  # a look-up that found no descriptor says only that it failed
            is_left = _has_descriptors()
        if not is_left:
            words = (
                "No connection: this process has too many files or sockets open (EMFILE). The vendor is not at fault: "
                "close what is no longer used, make fewer calls at once, or raise the limit (ulimit -n)"
            )
            return TransportFailure(words, stage="connect", kind=NO_DESCRIPTORS)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes, and those in groups, which event loops make of several addresses."""
    waiting: list[BaseException | None] = [error]
    for _ in range(_MOST_CAUSES):
        cause = waiting.pop(0) if waiting else None
        if cause is not None:
            yield cause
            waiting += [*(cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()), cause.__cause__]
            waiting.append(cause.__context__)


def _has_descriptors() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True


def broken(error: BaseException | None, stage: Literal["send", "head", "body"]) -> TransportFailure:
    """Return the failure of a connection that broke, and did not end in order."""
    words = str(error or "").strip().rstrip(".") or "The connection was closed"
    if isinstance(error, OSError) and error.errno == errno.ENOTSOCK:  # see `forks.leave_to_parent`
        words = "The connection belongs to the process from which this one was forked: make the call again here"
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
