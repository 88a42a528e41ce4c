"""What a vendor wants back, in a client's hands: it comes back as it was, or not at all."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chatport_surfaces.sealing import Seal, Sealed

SECRET = b"0123456789abcdef"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc"), JSON, max_size=3), st.text("pqr", min_size=1))
def test_what_was_closed_is_opened(opaque: Any, origin: str) -> None:
    sealed = Sealed(origin, opaque, {"call_1": {"signature": "x"}}, None)
    text = Seal(SECRET).close(sealed)
    assert text.isascii()
    assert " " not in text
    assert Seal.is_sealed(text)
    assert Seal(SECRET).open(text) == sealed


def test_a_vendors_own_text() -> None:
    seal = Seal()
    assert seal.open(seal.close(Sealed("anthropic", text="EqQB+/=="))) == Sealed("anthropic", text="EqQB+/==")


def test_a_change_anywhere_is_noticed() -> None:
    """Of any byte: the tag, the packed content, and the whole turned into another provider's."""
    seal = Seal(SECRET)
    text = seal.close(Sealed("acme", {"turn": [1, 2, 3]}))
    mark, _, body = text.partition(".")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    for at in range(len(raw)):
        changed = bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]])
        assert seal.open(f"{mark}.{base64.urlsafe_b64encode(changed).decode()}") is None
    for end in range(len(text)):
        assert seal.open(text[:end]) is None


@pytest.mark.parametrize(
    "text", [None, 3, "", "cp1.", "cp1.%%%", "cp1.é", "cp1.AAAA", "EqQBCkYIAxgC", "cp1." + "A" * 999]
)
def test_anything_else_is_not_ours(text: Any) -> None:
    assert Seal(SECRET).open(text) is None


def test_another_secret_opens_nothing() -> None:
    text = Seal(SECRET).close(Sealed("acme"))
    assert Seal(b"another secret, as long").open(text) is None
    assert Seal().open(text) is None
    assert Seal.is_sealed(text)


def test_without_a_secret_all_seals_of_a_process_are_one() -> None:
    assert Seal().open(Seal().close(Sealed("acme"))) == Sealed("acme")


def test_a_secret_is_long_and_stays_inside() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Seal(b"short")
    seal = Seal(SECRET)
    assert SECRET.decode() not in repr(seal)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(seal)
