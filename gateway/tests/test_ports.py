"""Where it listens: each form of an address on one port, all or none of them, and why one cannot be had."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from chatport import ConfigurationError
from chatport_gateway.notifying import tell_manager
from chatport_gateway.ports import open_sockets


def forms(*hosts: str) -> Any:
    """Return what looks names up, and finds these addresses of IPv4."""

    def find(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    return find


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/proc/sys/net/ipv6"), reason="Linux with IPv6")
def test_an_address_of_ipv6_is_of_ipv6_alone() -> None:
    """So that the same port of IPv4 is another one's, or opened beside it."""
    [made] = open_sockets("::", 0)
    with made:
        assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert made.getsockname()[0] == "::"
        with socket.create_connection(("::1", made.getsockname()[1]), timeout=5):
            pass


def test_all_forms_of_a_name_are_on_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", forms("127.0.0.2", "127.0.0.1", "127.0.0.2"))
    opened = open_sockets("name.example", 0)
    names = [one.getsockname() for one in opened]
    for one in opened:
        one.close()
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


def test_where_one_form_cannot_be_had_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(socket, "getaddrinfo", forms("127.0.0.1", "192.0.2.1"))
    with pytest.raises(
        ConfigurationError, match=r"^\[admin\] host is 'a', which is no address of this machine"
    ) as caught:
        open_sockets("a", port, "[admin]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "Port 80 of 127.0.0.1 needs more rights than this program has. Ports from 1024 on do not.",
        ),
        (
            PermissionError(errno.EPERM, "Operation not permitted"),
            "Port 80 of 127.0.0.1 needs more rights than this program has. Ports from 1024 on do not.",
        ),
        (OSError(errno.EINVAL, "Invalid argument"), "Port 80 of 127.0.0.1 cannot be had: Invalid argument."),
        (OSError("odd"), "Port 80 of 127.0.0.1 cannot be had: odd."),
        (
            socket.gaierror(-2, "no"),
            "[gateway] host is '127.0.0.1', which is no address and no name that is known here.",
        ),
        (
            OSError(errno.EADDRINUSE, "in use"),
            "Port 80 of 127.0.0.1 is taken: something listens there already. Stop it, or give another port "
            "with --port.",
        ),
    ],
)
def test_why_an_address_cannot_be_had(monkeypatch: pytest.MonkeyPatch, error: OSError, words: str) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigurationError) as caught:
        open_sockets("127.0.0.1", 80)
    assert str(caught.value) == words


# --- who starts it


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")
def test_the_manager_of_services_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a socket in a folder, or by one that has a name alone."""
    places = [(str(tmp_path / "s"), str(tmp_path / "s"))]
    if os.path.exists("/proc/self"):
        name = os.urandom(8).hex()
        places.append((f"@{name}", f"\0{name}"))
    for given, bound in places:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(bound)
            manager.setblocking(False)
            monkeypatch.setenv("NOTIFY_SOCKET", given)
            tell_manager("READY=1")
            assert manager.recv(100) == b"READY=1"
        tell_manager("STOPPING=1")  # nobody is there any more


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")
@pytest.mark.parametrize("address", ["", "s", "vsock:2:1"])
def test_no_manager_is_told_of_what_is_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("s")
        manager.setblocking(False)
        tell_manager("READY=1")
        with pytest.raises(BlockingIOError):
            manager.recv(100)
