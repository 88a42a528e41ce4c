"""A network of our own with nothing but loopback in it, and processes that end together, where Linux lets us."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Sequence

__all__ = ["can_be_alone", "is_alone", "raise_loopback", "run_alone", "together"]

_MARK = "CHATPORT_CLIENTS_ALONE"
_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
_PROCESSES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS and IFF_UP, of netdevice(7)


def can_be_alone() -> bool:
    """Whether this machine lets us make namespaces."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_NETWORK, *_PROCESSES, "true"], capture_output=True, check=False).returncode == 0


def is_alone() -> bool:
    """Whether this process was run by `run_alone`."""
    return _MARK in os.environ


def run_alone(command: Sequence[str]) -> int:
    """Run a command in a network of its own; return its status."""
    return subprocess.run([*_NETWORK, *command], env={**os.environ, _MARK: "1"}, check=False).returncode


def raise_loopback() -> None:
    """Bring up the loopback of a new network, which is down."""
    import fcntl  # Linux has namespaces; the tests that ask for one are read on Windows, too

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))


def together(command: Sequence[str]) -> list[str]:
    """Return a command that ends with all that it has started: some clients leave a process behind."""
    return [*(_PROCESSES if is_alone() else ()), *command]
