"""The official SDKs through the gateway: the tests of `surfaces/tests/test_sdks.py`, by another entrance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from surfaces.tests.talkers import entered
from surfaces.tests.test_sdks import (
    RETRY,
    SDKS,
    Door,
    Entrance,
    test_a_stream_that_breaks_off_raises as test_a_stream_that_breaks_off_raises,
    test_an_image as test_an_image,
    test_errors_are_the_sdks_own_and_it_does_not_ask_again as test_errors_are_the_sdks_own_and_it_does_not_ask_again,
    test_leaving_a_stream_early_stops_the_vendor as test_leaving_a_stream_early_stops_the_vendor,
    test_parallel_tools_with_thinking_over_three_turns as test_parallel_tools_with_thinking_over_three_turns,
    test_structured_output as test_structured_output,
    test_text as test_text,
    test_thoughts_are_shown as test_thoughts_are_shown,
)

from chatport.testing import Emulator

from .conftest import Served, served


@pytest.fixture(scope="module")
def gateways() -> Iterator[dict[str, tuple[Served, list[str]]]]:
    """One gateway for each vendor that is asked for, on ports of this machine, as long as the tests last."""
    with ExitStack() as opened:

        class Gateways(dict[str, tuple[Served, list[str]]]):
            def __missing__(self, vendor: str) -> tuple[Served, list[str]]:
                seen: list[str] = []
                observers = [lambda name, fields: seen.append(name)]
                made = served(vendor, emulator=Emulator(vendor), observers=observers, on_a_port=True, retry=RETRY)
                self[vendor] = (opened.enter_context(made), seen)
                return self[vendor]

        yield Gateways()


@pytest.fixture
def entrance(gateways: dict[str, tuple[Served, list[str]]]) -> Entrance:
    """By HTTP, to a gateway on a port."""

    @asynccontextmanager
    async def through(sdk: str, backend: str, vendor: str) -> AsyncIterator[Door]:
        gateway, seen = gateways[vendor]
        gateway.emulator.misbehave(())
        seen.clear()
        url = gateway.url + ("/v1" if sdk == "openai" else "")
        async with entered(SDKS[sdk][backend != "sync"](api_key="-", base_url=url)) as made:
            yield Door(made, gateway.emulator, seen)

    return through
