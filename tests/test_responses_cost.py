"""A piece of an answer by Responses costs at most 1.3 times what it costs by chat, in what is done for it."""

from __future__ import annotations

import pytest
from benchmarks.decoding import KINDS, decoding

from .steps import count_steps

FEW, MANY = 50, 250


def steps_of_a_piece(protocol: str, kind: str) -> float:
    """Return what one more piece costs, without the beginning and the end of the answer."""
    counts = [count_steps(decoding(protocol, kind, pieces)) for pieces in (FEW, MANY)]
    return float(counts[1] - counts[0]) / (MANY - FEW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_takes_the_short_way(kind: str) -> None:
    decoding("responses", kind, FEW)()  # what is loaded when it is first used is loaded
    assert steps_of_a_piece("responses", kind) <= 1.3 * steps_of_a_piece("chat", kind)
