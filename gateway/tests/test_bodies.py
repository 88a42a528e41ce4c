"""The bodies of requests: each way to pack them, and their bounds met exactly."""

from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard

from chatport_gateway.bodies import Refused, unpacked

BODY = b'{"model": "main"}' * 20
PACKED = {
    "": BODY,
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "zstd": zstandard.compress(BODY),
    " GZip ": gzip.compress(BODY),
    "identity, gzip": gzip.compress(BODY),
    "gzip, zstd": zstandard.compress(gzip.compress(BODY)),
}
_PACKERS = ("gzip", "x-gzip", "deflate", "zstd")


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_is_unpacked_in_the_order_in_which_it_was_packed(encoding: str) -> None:
    assert unpacked(PACKED[encoding], encoding, 10_000) == BODY


@pytest.mark.parametrize("encoding", _PACKERS)
def test_a_body_unpacks_to_as_much_as_is_taken_and_not_to_one_byte_more(encoding: str) -> None:
    assert unpacked(PACKED[encoding], encoding, len(BODY)) == BODY
    with pytest.raises(Refused) as raised:
        unpacked(PACKED[encoding], encoding, len(BODY) - 1)
    assert (raised.value.status, raised.value.reason) == (413, f"The body is larger than {len(BODY) - 1} bytes.")


@pytest.mark.parametrize("encoding", _PACKERS)
def test_a_body_that_is_not_packed_as_it_says(encoding: str) -> None:
    with pytest.raises(Refused) as raised:
        unpacked(BODY, encoding, 10_000)
    assert raised.value.status == 400
    assert raised.value.reason.startswith(f"The body is not valid {encoding}: ")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_packed_body_that_ends_too_early(encoding: str) -> None:
    with pytest.raises(Refused) as raised:
        unpacked(PACKED[encoding][:-1], encoding, 10_000)
    assert (raised.value.status, raised.value.reason) == (
        400,
        f"The body is not valid {encoding}: it ends too early.",
    )


@pytest.mark.parametrize("encoding", ["br", "gzip, br"])
def test_an_encoding_that_is_not_taken(encoding: str) -> None:
    with pytest.raises(Refused) as raised:
        unpacked(BODY, encoding, 10_000)
    assert (raised.value.status, raised.value.reason) == (
        415,
        "The content encoding 'br' is not taken: gzip, deflate and zstd are.",
    )
    assert str(raised.value) == raised.value.reason
