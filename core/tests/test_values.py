"""What `Value` gives is what attrs would have written."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from chatport.basics.values import Value


def _shown(value: object) -> str:
    return f"<{value}>"


@attrs.frozen
class _Written:
    number: Any
    hidden: Any = attrs.field(default=0, repr=False)
    beside: Any = attrs.field(default=0, eq=False)
    unhashed: Any = attrs.field(default=0, hash=False)
    told: Any = attrs.field(default=0, repr=_shown)


@attrs.frozen(eq=False, repr=False)
class _Common(Value):
    number: Any
    hidden: Any = attrs.field(default=0, repr=False)
    beside: Any = attrs.field(default=0, eq=False)
    unhashed: Any = attrs.field(default=0, hash=False)
    told: Any = attrs.field(default=0, repr=_shown)


@attrs.frozen(eq=False, repr=False)
class _Other(Value):
    number: Any


_FIELDS = st.lists(st.sampled_from([0, 1, "", "a", None, float("nan"), ()]), min_size=5, max_size=5)


@given(_FIELDS, _FIELDS)
def test_a_value_compares_and_hashes_and_shows_as_attrs_has_it(one: list[Any], two: list[Any]) -> None:
    written, common = _Written(*one), _Common(*one)
    assert (written == _Written(*two)) is (common == _Common(*two))
    assert (written != _Written(*two)) is (common != _Common(*two))
    assert (hash(written) == hash(_Written(*two))) is (hash(common) == hash(_Common(*two)))
    assert repr(common) == repr(written).replace("_Written", "_Common")


def test_values_of_two_classes_are_never_equal() -> None:
    assert _Other(1) != _Common(1)
    assert _Other(1) != 1
    assert len({_Other(1), _Other(1), _Other(2)}) == 2


def test_what_has_no_hash_makes_a_value_without_one_but_where_it_does_not_count() -> None:
    assert hash(_Common(1, unhashed=[])) == hash(_Common(1))
    with pytest.raises(TypeError, match="unhashable"):
        hash(_Common([]))


def test_a_value_has_slots_and_can_be_copied_and_pickled() -> None:
    value = _Common(1, told="x")
    assert not hasattr(value, "__dict__")
    assert copy.deepcopy(value) == value == pickle.loads(pickle.dumps(value))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.number = 2  # type: ignore[misc]


def test_a_class_inside_a_function_is_shown_by_its_own_name() -> None:
    @attrs.frozen(eq=False, repr=False)
    class Inner(Value):
        number: int

    assert repr(Inner(1)) == "Inner(number=1)"
