"""Messages, replies and runs as JSON text, sums of usage and cost, and a reply in a notebook."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

import chatport
from chatport import (
    AudioPart,
    BadRequestError,
    Cost,
    FilePart,
    ImagePart,
    Message,
    Reply,
    Run,
    TextPart,
    ToolCall,
    Usage,
    VendorPart,
    VideoPart,
)
from chatport.testing import Emulator, faults
from chatport.types.notebook import harmless, markdown_of

from .runs import BACKENDS, MODEL, Scripted, play

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
dicts = st.dictionaries(texts, json_values, max_size=3)
parts = st.one_of(
    st.builds(TextPart, texts, dicts),
    st.builds(ImagePart, texts.map("https://x.example/".__add__), st.none() | texts, dicts),
    st.builds(AudioPart, st.just("AAAA"), st.just("wav"), dicts),
    st.builds(VideoPart, st.just("https://x.example/a.mp4"), dicts),
    st.builds(FilePart, texts, st.none(), st.none() | texts, dicts),
    st.builds(VendorPart, dicts),
)
calls = st.builds(ToolCall, texts, texts, texts, st.booleans(), dicts)
optional = st.none() | texts
messages = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    st.lists(parts, max_size=3).map(tuple),
    st.lists(calls, max_size=2).map(tuple),
    tool_call_id=optional, name=optional, refusal=optional, reasoning=optional, origin=optional, opaque=dicts,
    extra=dicts,
)  # fmt: skip
counts = st.none() | st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
costs = st.builds(Cost, st.floats(0, 100), st.sampled_from(["USD", "CNY"]), texts)
replies: st.SearchStrategy[Reply] = st.builds(
    Reply,
    text=texts,
    reasoning=optional,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error", "other"]),
    usage=usages,
    cost=st.none() | costs,
    attempts=st.lists(st.builds(chatport.Attempt, texts, texts, st.floats(0, 9)), max_size=2).map(tuple),
    warnings=st.lists(st.builds(chatport.Adjustment, st.just("note"), texts, texts), max_size=2).map(tuple),
    alternatives=st.lists(st.builds(chatport.Alternative, texts), max_size=1).map(tuple),
    citations=st.lists(
        st.builds(chatport.Citation, optional, optional, st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9))),
        max_size=2,
    ).map(tuple),
    media=st.lists(st.builds(chatport.Media, st.just("image"), data=st.just("AAAA")), max_size=1).map(tuple),
    rate_limits=st.none() | st.builds(chatport.RateLimits, st.integers(0, 9), requests_reset_seconds=st.floats(0, 9)),
    logprobs=json_values,
    audio=st.none() | st.dictionaries(texts, texts, max_size=2),
    opaque=dicts,
)
results = st.builds(
    chatport.ToolResult,
    calls,
    texts,
    st.sampled_from(["ok", "error", "denied"]),
    st.floats(0, 9),
    st.just(ValueError()),
)
runs = st.builds(
    Run,
    st.lists(messages, max_size=3).map(tuple),
    st.lists(st.builds(chatport.RunStep, replies, st.lists(results, max_size=2).map(tuple)), max_size=2).map(tuple),
    st.sampled_from(["done", "open", "stopped", "limit", "error"]),
)


@given(st.one_of(messages, replies, runs))
def test_what_is_kept_is_read_again(value: Any) -> None:
    text = value.to_json()
    assert type(value).from_json(text) == value
    assert type(value).from_json(text.encode()) == value


@given(st.one_of(messages, replies, runs), st.data())
def test_whatever_is_read_is_a_value_or_an_error_that_says_where(value: Any, data: st.DataObject) -> None:
    """Each place of a kept text in turn holds something else."""
    whole = json.loads(value.to_json())
    node: Any = whole
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(json_values)
    with suppress(BadRequestError):
        read = type(value).from_json(json.dumps(whole))
        assert type(value).from_json(read.to_json()) == read


OF_FORM_1 = """{"chatport":"message","form":1,"value":{"role":"assistant","content":[{"part":"text","text":"Hi"}],
"tool_calls":[{"id":"c","name":"f","arguments":"{}"}],"origin":"anthropic","opaque":{"signature":"s"}}}"""


def test_what_was_kept_by_the_first_version_is_read_by_each_later_one() -> None:
    kept = Message.from_json(OF_FORM_1)
    assert kept == Message(
        "assistant", (TextPart("Hi"),), (ToolCall("c", "f", "{}"),), origin="anthropic", opaque={"signature": "s"}
    )
    assert json.loads(kept.to_json()) == json.loads(OF_FORM_1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"chatport":"message","form":2,"value":{}}',
            r"kept by a newer Chatport, in form 2; .* forms up to 1\. Update",
        ),
        ('{"chatport":"reply","form":1,"value":{}}', "This is a reply, and not a message"),
        ('{"chatport":"message","form":1,"value":{"role":"user","later":1}}', "message has the field 'later'"),
        ('{"chatport":"message","form":1,"value":{}}', "message lacks the field 'role'"),
        ('{"chatport":"message","form":1,"value":{"role":"bot"}}', "message.role is 'system' or"),
        (
            '{"chatport":"message","form":1,"value":{"role":"user","content":[{"part":"x"}]}}',
            r"content\[0\] is a part:",
        ),
        ('{"chatport":"message","form":1,"value":[]}', "message is an object, not a value of the type list"),
        (
            '{"chatport":"message","form":1,"value":{"role":"user","content":"hi"}}',
            "message.content is a list, not a value of the type str",
        ),
        (
            '{"chatport":"message","form":1,"value":{"role":"user","extra":[5]}}',
            "message.extra is an object, not a value of the type list",
        ),
        ('{"chatport":"message","form":true,"value":{}}', "is no number"),
        ('{"role":"user","content":"hi"}', "not what Message.to_json writes"),
        ('{"chatport":[],"form":1}', "not what Message.to_json writes"),
        ("[", "This is no JSON"),
        ("[" * 100_000, "This is no JSON"),
        (b"\xff", "This is no JSON"),
    ],
)
def test_what_is_not_read(text: Any, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        Message.from_json(text)


@pytest.mark.parametrize("span", [[1], [1, 2, 3], []])
def test_a_span_has_a_beginning_and_an_end(span: list[int]) -> None:
    kept = {"chatport": "reply", "form": 1, "value": {"citations": [{"span": span}]}}
    with pytest.raises(BadRequestError, match=r"reply\.citations\[0\]\.span is a list of 2, not"):
        Reply.from_json(json.dumps(kept))


def test_what_json_has_not_is_said() -> None:
    with pytest.raises(BadRequestError, match="This Message cannot be written as JSON"):
        Message("user", extra={"x": object()}).to_json()


def test_a_reply_is_kept_without_the_vendors_bytes_and_with_its_schema() -> None:
    emulator = Emulator("compatible")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        reply = client.chat("go", model=MODEL, output={"type": "object", "properties": {"a": {"type": "integer"}}})
    again = Reply.from_json(reply.to_json())
    assert again == reply
    assert (again.raw, again.usage.raw) == (None, {})
    assert again.parsed() == reply.parsed() == {"a": 1}
    assert again.attempts == reply.attempts


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_goes_on_from_what_was_kept(backend: str) -> None:
    def work(number: int) -> int:
        return number

    model = Scripted([[("work", {"number": 1}), ("work", {"number": 2})]])
    run = play(backend, model, tools=[work], approve=lambda call: chatport.Approval.wait())
    again = Run.from_json(run.to_json())
    assert again == run
    after = play(backend, model, again, tools=[work])
    assert [result.content for result in after.steps[0].results] == ["1", "2"]
    assert Run.from_json(after.to_json()) == after


def test_what_a_vendor_wants_back_is_kept() -> None:
    pytest.importorskip("chatport_anthropic")
    emulator = Emulator("anthropic")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        options: Any = {"model": "anthropic:claude-haiku-4-5", "reasoning": 2000}
        reply = client.chat("think: hm\nsay: yes", **options)
        assert reply.opaque
        client.chat(["q", reply, "and?"], **options)
        client.chat(["q", Message.from_json(reply.message.to_json()), "and?"], **options)
        client.chat(["q", Reply.from_json(reply.to_json()), "and?"], **options)
    first, *others = [json.loads(request.content) for request in emulator.requests[1:]]
    assert others == [first, first]


# --- sums


def test_usage_adds_up_and_what_is_unknown_stays_unknown() -> None:
    one, other = Usage(10, 5, 4, reasoning_tokens=2), Usage(1, 2, raw={"x": 1})
    assert one + other == Usage(11, 7)
    assert sum([one, one, one]) == Usage(30, 15, 12, None, 6)
    assert str(one) == "10 tokens in (4 cached), 5 out (2 reasoning)"
    assert str(Usage(None, 12_345)) == "? tokens in, 12,345 out"
    with pytest.raises(TypeError):
        _ = one + 1


def test_costs_of_one_currency_add_up_and_compare() -> None:
    cheap, dear = Cost(0.25, basis="a"), Cost(0.5, basis="b")
    assert sum([cheap, dear]) == Cost(0.75)
    assert cheap + cheap == Cost(0.5, basis="a")
    assert cheap < dear
    assert cheap <= cheap
    assert dear > cheap
    assert dear >= Cost(0.5)
    assert max([cheap, dear]) is dear
    assert f"{dear:.2f} {cheap} {Cost(3, 'CNY'):.1f} {Cost(1, 'CHF'):.0f}" == "$0.50 $0.250000 ¥3.0 CHF 1"
    other = Cost(1, "CNY")
    for mixed in (lambda: cheap + other, lambda: cheap < other, lambda: cheap <= other):
        with pytest.raises(ValueError, match="A cost in USD and one in CNY: no rate between them is known"):
            mixed()
    for wrong in (lambda: cheap < 1, lambda: cheap <= 1, lambda: cheap + 1):
        with pytest.raises(TypeError):
            wrong()


def test_the_cost_of_a_run_is_known_only_as_a_whole() -> None:
    def run_of(*costs: Cost | None) -> Run:
        return Run((), tuple(chatport.RunStep(Reply(cost=cost)) for cost in costs))

    assert run_of(Cost(1), Cost(2)).cost == Cost(3)
    assert run_of(Cost(1), None).cost is None
    assert run_of(Cost(1), Cost(1, "CNY")).cost is None
    assert run_of().cost is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_running_totals_of_a_client(backend: str) -> None:
    pytest.importorskip("chatport_openai")
    emulator = Emulator("openai")
    config = emulator.config(retry={"attempts": 1})
    model = "openai:gpt-5.6-luna"
    replies = list[Any]()

    def checked(client: Any) -> None:
        totals = client.totals
        assert totals.calls == len(replies) == 3
        assert totals.usage.input_tokens == sum(reply.usage.input_tokens for reply in replies) > 0
        assert totals.usage.output_tokens == sum(reply.usage.output_tokens or 0 for reply in replies) > 0
        assert totals.without_cost + len([reply for reply in replies if reply.cost]) == 3
        assert totals.costs[0].amount == pytest.approx(sum(reply.cost.amount for reply in replies if reply.cost))
        assert str(totals).startswith("3 calls: ")

    if backend == "sync":
        with chatport.Client(config, transport=emulator) as client:
            assert client.totals == chatport.Totals()
            replies.append(client.chat("say: one", model=model))
            with client.stream("say: two", model=model) as stream:
                list(stream)
            replies.append(stream.reply)
            emulator.misbehave([faults.status(500)])
            with pytest.raises(chatport.ServerError):
                client.chat("say: three", model=model)
            client.models("openai")
            replies.append(client.embed("a", model="openai:text-embedding-3-small"))
            checked(client)
        return

    async def main() -> None:
        async with chatport.AsyncClient(config, transport=emulator) as client:
            replies.append(await client.chat("say: one", model=model))
            async with client.stream("say: two", model=model) as stream:
                async for _ in stream:
                    pass
            replies.append(stream.reply)
            await client.models("openai")
            replies.append(await client.embed("a", model="openai:text-embedding-3-small"))
            checked(client)

    anyio.run(main, backend=backend)


def test_totals_of_many_calls_and_several_currencies() -> None:
    from chatport.engine.machine import _MANY_ANSWERS
    from chatport.engine.shared import Tally

    tally = Tally()
    tally.answers.extend([(Usage(1, 2), Cost(0.5)), (Usage(1), Cost(1.0, "CNY")), (Usage(), None)])
    totals = tally.totals()
    assert totals == chatport.Totals(3, Usage(2, 2), (Cost(1.0, "CNY"), Cost(0.5)), 2, 1)
    assert str(totals) == "3 calls: 2 tokens in, 2 out, ¥1.000000 + $0.500000 (and 1 of unknown cost)"

    emulator = Emulator("compatible")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        for _ in range(_MANY_ANSWERS + 1):
            client.chat("say: a", model=MODEL)
        assert len(client._shared.tally.answers) == 1  # what waits does not grow without end
        assert client.totals.calls == _MANY_ANSWERS + 1


def test_what_a_stream_had_cost_when_it_was_left() -> None:
    """After the block too, and from a vendor that tells its input first."""
    pytest.importorskip("chatport_anthropic")
    emulator = Emulator("anthropic")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        with client.stream("say: one two three", model="anthropic:claude-haiku-4-5") as stream:
            for event in stream:
                if isinstance(event, chatport.TextDelta):
                    break
        part = stream.partial
    assert part.usage.input_tokens
    assert part.cost is not None
    assert part.cost < Cost(1)
    assert Reply.from_json(part.to_json()) == part


# --- in a notebook


def test_a_reply_in_a_notebook() -> None:
    reply = Reply(
        "**Hi** $5", tool_calls=(ToolCall("c", "f", '{"a": "`x`"}'),), finish_reason="length", usage=Usage(1, 2),
        cost=Cost(0.5), provider="p", model="m", warnings=(chatport.Adjustment("note", "a", "b"),),
    )  # fmt: skip
    assert markdown_of(reply) == (
        '**Hi** $5\n\n* `f {"a": "\'x\'"}`\n\n*`p:m` · 1 tokens in, 2 out · \\$0.500000 · ended by length · 1 warning*'
    )
    assert reply._repr_markdown_() == markdown_of(reply)
    assert "**Refused:** no" in markdown_of(Reply(refusal="no"))


PIECES = st.sampled_from(
    [
        "```",
        "````",
        "~~~",
        "`",
        "\n",
        "\r",
        "  ",
        "- ",
        "> ",
        "<img src=x>",
        "![a](b)",
        "text",
        "    ",
        "```py",
        "``` a`b",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_looking_at_a_reply_loads_nothing(text: str) -> None:
    """What another reader of Markdown makes of it has no picture and no tag of the model's."""
    from markdown_it import MarkdownIt

    shown = MarkdownIt("commonmark").render(harmless(text))
    assert "<img" not in shown


def test_fenced_code_is_shown_as_it_is() -> None:
    text = "before <b>\n```cpp\nvector<int> ![x]\n```\nafter <b>\n~~~\n<i>\n~~~"
    assert harmless(text) == "before &lt;b>\n```cpp\nvector<int> ![x]\n```\nafter &lt;b>\n~~~\n<i>\n~~~"
