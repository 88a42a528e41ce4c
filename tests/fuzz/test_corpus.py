"""The kept inputs: one for each dialect and kind, and one for each thing that was ever found broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatport import ChatportError

from .exchange import KINDS, read_exchange
from .properties import PROVIDERS, check

FILES = sorted(Path(__file__).with_name("corpus").iterdir())


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_property_holds(path: Path) -> None:
    exchange = read_exchange(path.read_bytes())
    assert exchange is not None
    for provider in PROVIDERS:
        check(provider, exchange)


def test_the_seeds_are_good_answers() -> None:
    """Each kind has one that is decoded without an error, by somebody: else the fuzzer would begin with nothing."""
    good = set()
    for path in FILES:
        exchange = read_exchange(path.read_bytes())
        if path.name.startswith("seed-") and exchange is not None:
            good |= {exchange.kind for name in PROVIDERS if not isinstance(check(name, exchange), ChatportError)}
    assert good == set(KINDS)
