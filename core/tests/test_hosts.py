"""Which hosts are this machine, in every way to write them; and no stranger that looks like one of them."""

from __future__ import annotations

import pytest

from chatport.basics.hosts import is_loopback, is_named
from chatport.transport.address import address_of

HERE = (
    "localhost", "LocalHost", "localhost.", "ollama.localhost", "a.b.LOCALHOST.", "127.0.0.1", "127.1.2.3",
    "127.255.255.254", "127.1", "0x7f.1", "0x7F000001", "2130706433", "0177.0.0.1", "::1", "[::1]", "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "[::FFFF:127.9.9.9]",
)  # fmt: skip
ELSEWHERE = (
    None, "", ".", "example.com", "localhost.example.com", "notlocalhost", "localhost-1", "127.0.0.1.example.com",
    "127.0.0.1.", "128.0.0.1", "126.255.255.255", "10.0.0.1", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1", "127.0.0.256",
    "127.0.0.1 x", "1270.1", "127..1", "99999999999999999999", "9" * 5000, "l\u043ecalhost", "localhost\n",
)  # fmt: skip


@pytest.mark.parametrize("host", HERE)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_anybody_else(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["ollama.localhost", "LOCALHOST", "a.b.localhost."])
def test_a_name_of_this_machine_is_not_looked_up_elsewhere(name: str) -> None:
    """A key may go to it in the clear, so a server of names must not say where that is."""
    address = address_of(f"http://{name}:8080/v1")
    assert (address.host, address.origin) == ("localhost", ("http", "localhost", 8080))
    assert address.authority == f"{name.lower()}:8080"
    assert address_of(f"https://{name}/").host == name.lower()


@pytest.mark.parametrize(
    ("pattern", "host", "is_meant"),
    [
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "eu.api.example.com", False),
        ("*.example.com", "api.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.example.com", "example.com.evil.example", False),
        ("", "example.com", False),
    ],
)
def test_a_pattern_names_a_host_or_all_that_is_under_a_name(pattern: str, host: str, is_meant: bool) -> None:
    assert is_named(pattern, host) is is_meant
