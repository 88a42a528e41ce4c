"""Whatever goes wrong behind the gateway, its client sees a whole answer or an error of its own protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatport.testing import Emulator, Fault, faults

from .asking import PROTOCOLS, Protocol, Seen, World

TEXT = "alpha beta gamma delta epsilon"
PROMPT = f"say: {TEXT}"
TIMEOUTS = {"silence": 20, "first_event": 30, "between_events": 20, "total": 60}
on_vendors = pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
in_protocols = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])

BREAKS: tuple[Fault, ...] = (
    faults.status(401),
    faults.status(404),
    faults.status(500),
    faults.status(503),
    faults.rate_limited(3),
    faults.error_event(0),
    faults.error_event(4),
    faults.echo_key(),
    faults.refuse_connection(),
    faults.reset_before_head(),
    faults.stall("before_head"),
    faults.stall("before_first_event"),
    faults.heartbeats_only(),
    faults.short_content_length(),
    faults.gzip_cut(),
    faults.malformed_chunk(0),
    faults.malformed_chunk(4),
    faults.html_page(),
    faults.html_page(502),
    faults.json_instead_of_stream(),
    faults.redirect("https://elsewhere.example/v1"),
    faults.huge_line(9),
    faults.deep_json(100_000),
    faults.gzip_bomb(80),
    faults.endless_header(),
    faults.empty_deltas_for_ever(),
    faults.slow(bytes_per_second=0.1),
)
"""What no answer survives."""
MAY_BE_WHOLE: tuple[Fault, ...] = (
    faults.drop_finish(),
    faults.missing_last_chunk(),
    faults.drop_done(),
    faults.two_objects_on_a_line(),
    faults.wrong_content_type(),
    faults.slow(bytes_per_second=5000),
    faults.stall(after_events=3, seconds=5),
)
"""What may leave what proves an answer: its finish, or its vendor's own end event."""


def test_all_of_the_kit_is_here() -> None:
    tried = {fault.name.partition("(")[0] for fault in (*BREAKS, *MAY_BE_WHOLE)} | {"cut"}
    assert tried == set(faults.__all__) - {"Fault", "Faults"}


def ask(vendor: str, fault: Fault, protocol: Protocol, *, stream: bool, backend: str = "asyncio") -> Seen:
    """Return what a client sees of a fault, and check that it is honest: no text that was not said, no key."""
    world = World(vendor, lambda number, request: fault, timeouts=TIMEOUTS)
    seen = world.ask(protocol, PROMPT, stream=stream, backend=backend)
    assert TEXT.startswith(seen.text)
    assert (seen.outcome == "whole") == (seen.text == TEXT) or seen.outcome == "failed"
    assert b"emulated-key" not in seen.data
    return seen


@on_vendors
@in_protocols
@plain_and_streamed
@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault.name)
def test_what_breaks_an_answer_is_an_error(vendor: str, protocol: Protocol, fault: Fault, *, stream: bool) -> None:
    assert ask(vendor, fault, protocol, stream=stream).outcome in ("refused", "failed")


@on_vendors
@in_protocols
@plain_and_streamed
@pytest.mark.parametrize("fault", MAY_BE_WHOLE, ids=lambda fault: fault.name)
def test_what_is_only_odd_is_one_of_both(vendor: str, protocol: Protocol, fault: Fault, *, stream: bool) -> None:
    ask(vendor, fault, protocol, stream=stream)


def places(vendor: str, protocol: Protocol) -> tuple[int, int]:
    """Return how many events, and bytes, the whole stream behind has."""
    world = World(vendor)
    assert world.ask(protocol, PROMPT, stream=True).outcome == "whole"
    body = world.emulator.vendor.respond(world.emulator.requests[-1]).body
    return body.count(b"\n\n"), len(body)


def check_cuts(vendor: str, protocol: Protocol, cuts: Iterator[Fault]) -> list[Seen]:
    """Return what is seen of each cut: from the first on at which it can be told to be whole, it stays so."""
    found = [ask(vendor, fault, protocol, stream=True) for fault in cuts]
    outcomes = [seen.outcome for seen in found]
    assert outcomes == sorted(outcomes, key=["refused", "failed", "whole"].index)
    assert {"refused", "failed"} <= set(outcomes)
    return found


@on_vendors
@in_protocols
@pytest.mark.parametrize("how", ["clean", "reset", "closed"])
def test_a_cut_behind_any_event(vendor: str, protocol: Protocol, how: Any) -> None:
    events, _ = places(vendor, protocol)
    found = check_cuts(vendor, protocol, (faults.cut(after_events=after, how=how) for after in range(events)))
    assert len(found) >= 8
    assert {seen.text for seen in found} >= {"alpha", "alpha beta", "alpha beta gamma"}


@on_vendors
@in_protocols
def test_a_cut_at_bytes_between(vendor: str, protocol: Protocol) -> None:
    """At every 41st byte, which falls anywhere in a line."""
    _, size = places(vendor, protocol)
    check_cuts(vendor, protocol, (faults.cut(at_byte=at) for at in range(0, size, 41)))


@on_vendors
@in_protocols
@pytest.mark.parametrize("make", [faults.error_event, faults.malformed_chunk, lambda n: faults.stall(after_events=n)],
                         ids=["error_event", "malformed_chunk", "stall"])  # fmt: skip
def test_errors_and_silence_behind_any_event(vendor: str, protocol: Protocol, make: Any) -> None:
    events, _ = places(vendor, protocol)
    for after in range(events):
        seen = ask(vendor, make(after), protocol, stream=True)
        assert seen.outcome != "whole" or after >= events - 4  # behind the vendor's finish, which proves it whole


@in_protocols
@plain_and_streamed
@pytest.mark.parametrize("fault", [faults.cut(after_events=3), faults.status(503), faults.stall(after_events=3)])
def test_the_same_on_trio(protocol: Protocol, fault: Fault, *, stream: bool) -> None:
    ask("deepseek", fault, protocol, stream=stream, backend="trio")


@in_protocols
@plain_and_streamed
def test_a_plain_answer_is_never_half(protocol: Protocol, *, stream: bool) -> None:
    """Cut at any byte of a plain answer."""
    world = World("deepseek")
    world.ask(protocol, PROMPT, stream=False)
    size = len(Emulator("deepseek").vendor.respond(world.emulator.requests[-1]).body)
    for at in range(0, size, 29):
        assert ask("deepseek", faults.cut(at_byte=at), protocol, stream=False).outcome == "refused"
