"""Events as blocks: whatever order they come in, blocks are one after the other, and nothing is lost or told twice."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, strategies as st

from chatport import Event, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, ToolCallEnded, Usage, UsageReported
from chatport_surfaces.blocks import Block, Blocks, Closed, Opened, Piece

TEXT = st.text(max_size=5)
EVENTS = st.one_of(
    st.builds(TextDelta, TEXT, st.just(0)),
    st.builds(ReasoningDelta, TEXT, st.just(0)),
    st.builds(RefusalDelta, TEXT, st.just(0)),
    st.builds(lambda index, text: ToolCallDelta(index, f"id{index}", f"f{index}", text), st.integers(0, 3), TEXT),
    st.just(UsageReported(Usage())),
    st.builds(TextDelta, TEXT, st.just(1)),
)


def blocks_of(events: Sequence[Event], *, ends: bool = True) -> list[Block]:
    """Return the blocks of an answer, and check that they come one after the other."""
    made, opened, seen, told = Blocks(), None, list[Block](), dict[int, str]()

    def check(batch: Sequence[Opened | Piece | Closed]) -> None:
        nonlocal opened
        for event in batch:
            match event:
                case Opened(block):
                    assert opened is None
                    assert block.index == len(seen)
                    seen.append(block)
                    opened, told[block.index] = block, ""
                case Piece(block, text):
                    assert block is opened
                    assert text
                    told[block.index] += text
                case Closed(block):
                    assert block is opened
                    opened = None

    for event in events:
        check(list(made.take(event)))
    if ends:
        check(list(made.end()))
        assert opened is None
    assert made.all == seen
    assert all(block.text == told[block.index] for block in seen)
    return seen


def ended(events: Sequence[Event]) -> list[ToolCallEnded]:
    """Return the ends of the calls, as the core tells them at the end of an answer."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            calls.setdefault(event.index, []).append(event.arguments)
    return [ToolCallEnded(index, f"id{index}", f"f{index}", "".join(pieces) or "{}") for index, pieces in calls.items()]


@given(st.lists(EVENTS, max_size=30), st.booleans(), st.randoms(use_true_random=False))
def test_in_any_order_nothing_is_lost(events: list[Event], is_whole: bool, random: object) -> None:
    ends = ended(events) if is_whole else []
    random.shuffle(ends)  # type: ignore[attr-defined]
    blocks = blocks_of([*events, *ends])
    for kind, cls in (("text", TextDelta), ("reasoning", ReasoningDelta), ("refusal", RefusalDelta)):
        said = "".join(event.text for event in events if isinstance(event, cls) and event.choice == 0)
        assert "".join(block.text for block in blocks if block.kind == kind) == said
    calls = {block.id: (block.name, block.text) for block in blocks if block.kind == "call"}
    for call in ended(events):
        told = "" if call.arguments == "{}" and not is_whole else call.arguments
        assert calls.pop(call.id) == (call.name, told) or (not is_whole and call.arguments == "{}")
    assert not calls
    assert all(block.is_whole for block in blocks if block.kind == "call") or not is_whole


def test_what_comes_in_order_is_told_at_once() -> None:
    """A piece waits only where another block has to end first."""
    made = Blocks()
    told = [
        [type(item).__name__ for item in made.take(event)]
        for event in (
            ReasoningDelta("hm"),
            TextDelta("a"),
            TextDelta("b"),
            ToolCallDelta(0, "c0", "f", '{"a"'),
            ToolCallDelta(0, "c0", "f", ":1}"),
            ToolCallDelta(1, "c1", "g", "{}"),
            ToolCallEnded(0, "c0", "f", '{"a":1}'),
            ToolCallEnded(1, "c1", "g", "{}"),
        )
    ]
    assert told == [
        ["Opened", "Piece"],
        ["Closed", "Opened", "Piece"],
        ["Piece"],
        ["Closed", "Opened", "Piece"],
        ["Piece"],
        [],
        ["Closed", "Opened", "Piece"],
        ["Closed"],
    ]


def test_a_call_without_arguments_has_an_object() -> None:
    blocks = blocks_of([ToolCallDelta(0, "c", "f", ""), ToolCallEnded(0, "c", "f", "{}")])
    assert [(block.text, block.is_whole) for block in blocks] == [("{}", True)]


def test_an_end_without_a_piece_is_a_call() -> None:
    blocks = blocks_of([TextDelta("a"), ToolCallEnded(0, "c", "f", '{"a":1}')])
    assert [(block.kind, block.text, block.is_whole) for block in blocks] == [
        ("text", "a", False),
        ("call", '{"a":1}', True),
    ]


def test_a_call_that_was_cut_is_not_whole() -> None:
    blocks = blocks_of([ToolCallDelta(0, "c", "f", '{"a'), ToolCallDelta(1, "d", "g", "{")])
    assert [(block.id, block.text, block.is_whole) for block in blocks] == [("c", '{"a', False), ("d", "{", False)]
