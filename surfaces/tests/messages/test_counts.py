"""The counts of an answer: the input is less what the cache took part in, and clients find every name."""

from __future__ import annotations

from typing import Any

import pytest

from chatport import Usage
from chatport_surfaces.messages.endings import wire_usage


@pytest.mark.parametrize(
    ("usage", "counts", "details"),
    [
        (Usage(), (0, 0, 0, 0), None),
        (Usage(input_tokens=9, output_tokens=4), (9, 0, 0, 4), None),
        (Usage(input_tokens=9, cached_input_tokens=2, cache_write_tokens=3), (4, 3, 2, 0), None),
        (Usage(input_tokens=5, cached_input_tokens=2, cache_write_tokens=3), (0, 3, 2, 0), None),
        (Usage(input_tokens=4, cached_input_tokens=2, cache_write_tokens=3), (0, 3, 2, 0), None),
        (Usage(output_tokens=4, reasoning_tokens=0), (0, 0, 0, 4), {"thinking_tokens": 0}),
        (Usage(output_tokens=4, reasoning_tokens=3), (0, 0, 0, 4), {"thinking_tokens": 3}),
    ],
)
def test_the_counts_in_the_words_of_the_protocol(usage: Usage, counts: tuple[int, ...], details: Any) -> None:
    fresh, written, cached, output = counts
    assert wire_usage(usage) == {
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
        "output_tokens_details": details,
        "cache_creation": None,
        "inference_geo": None,
        "server_tool_use": None,
        "service_tier": None,
    }
