"""The TLS context that all connections of a process share: it takes long to make, and says the same for all."""

from __future__ import annotations

import os
import ssl

from ..basics.blocking import Job, Room
from ..basics.bounded import MOST_CERTIFICATES, Bounded
from ..basics.forks import new_lock
from ..engine.commands import TransportFailure
from .failures import no_descriptors

__all__ = ["client_context", "context_if_made", "made_context"]

_ROOM = Room("readings of certificates", stuck_after_seconds=60)
_lock = new_lock()
_made: Bounded[tuple[str | None, str | None], ssl.SSLContext] = Bounded(MOST_CERTIFICATES)


def _certificates() -> tuple[str | None, str | None]:
    """Return the file or the folder that the environment names; they are read again if it names others."""
    file = os.environ.get("SSL_CERT_FILE") or None
    return (file, None) if file else (None, os.environ.get("SSL_CERT_DIR") or None)


def context_if_made() -> ssl.SSLContext | None:
    """Return the context if that takes no time, None if `client_context` has to be called, in a thread at best."""
    return _made.get(_certificates())


def made_context() -> Job[ssl.SSLContext]:
    """Begin `client_context` in a thread of our own, or join those who wait for it. Raises StuckError."""
    return _ROOM.job(_certificates(), client_context)


def client_context() -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, by SSL_CERT_FILE, SSL_CERT_DIR, or certifi.

    Raises TransportFailure (tls) if the certificates cannot be read.
    """
    wanted = _certificates()
    with _lock:
        context = _made.get(wanted)
        if context is None:
            context = _make(*wanted)
            _made.put(wanted, context)
        return context


def _make(file: str | None, folder: str | None) -> ssl.SSLContext:
    if file is None and folder is None:
        import certifi

        file = certifi.where()
    try:
        context = ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:  # ssl.SSLError is one
        nothing_left = no_descriptors(error)
        if nothing_left is not None:
            raise nothing_left from None
        words = f"No secure connection: the certificates in {file or folder} cannot be read ({error})"
        raise TransportFailure(words, stage="connect", kind="tls") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
