"""How long the name of a host may be: a label has 63 letters at most, and a name 253 (RFC 1035, 2.3.4)."""

from __future__ import annotations

import pytest

from chatport.engine.commands import TransportFailure
from chatport.transport.address import address_of

LABEL = "a" * 63
LONGEST = f"{LABEL}.{LABEL}.{LABEL}.{'b' * 61}"


@pytest.mark.parametrize("host", [LABEL, f"{LABEL}.example", LONGEST, "a.example.", "bücher.example"])
def test_a_name_that_can_exist(host: str) -> None:
    address = address_of(f"https://{host}/v1")
    assert address.host == host.replace("bücher", "xn--bcher-kva")


@pytest.mark.parametrize("host", [f"{LABEL}a", f"{LONGEST}b", "a..example", ".example"])
def test_a_name_that_cannot(host: str) -> None:
    with pytest.raises(TransportFailure, match="its host is no name that can exist"):
        address_of(f"https://{host}/v1")
