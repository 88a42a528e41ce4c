"""What a vendor once said never sticks a conversation: it is read as well as can be, and sent on to every vendor."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import chatport
from chatport import Message, Reply, ToolCall
from chatport.inputs.history import mended
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator, replay

from .steps import count_steps

CHOSEN = {"openai": "gpt-6-sol"}  # where the emulator's first model cannot call tools
PROVIDERS = ["compatible", *(name for name in installed_providers() if load_provider(name).emulator is not None)]
HALF = "\ud83d"


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


# --- replies, as odd as they may come


def standard(calls: Sequence[Any], content: Any = "", streamed: bool = False, **more: Any) -> str:
    """Return a reply of the standard's shape, or its stream."""
    message = {"role": "assistant", "content": content, "tool_calls": list(calls), **more}
    if not streamed:
        return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]})
    chunks = [
        {"choices": [{"index": 0, "delta": message}]},
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def messages_protocol(blocks: Sequence[Any], streamed: bool = False, index: Any = None) -> str:
    """Return a reply of the Messages protocol, or its stream; `index` is what stands for the block's number in it."""
    if not streamed:
        return json.dumps({"type": "message", "model": "m", "content": list(blocks), "stop_reason": "tool_use"})
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "x", "model": "m", "content": []}}]
    for number, block in enumerate(blocks):
        place = number if index is None else index
        events.append({"type": "content_block_start", "index": place, "content_block": block})
        events.append({"type": "content_block_stop", "index": place})
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


# --- the conversation that goes on


class Vendor:
    """A provider, its emulator in process, and a client that speaks to it."""

    def __init__(self, name: str) -> None:
        self.emulator = Emulator(name)
        self.client = chatport.Client(config=self.emulator.config(), transport=self.emulator)
        self.target = f"{name}:{CHOSEN.get(name) or self.emulator.vendor.models[0]}"

    def goes_on(self, reply: Reply) -> Reply:
        """Answer all calls, ask for more, and hold what was sent against what any vendor takes."""
        results = [Message.tool(call, f"result {number}") for number, call in enumerate(reply.tool_calls)]
        messages: list[Any] = [Message.user("call: get_weather"), reply, *results, Message.user("say: gone on")]
        options: dict[str, Any] = {"model": self.target, "tools": [get_weather], "max_tokens": 4000}
        answer = self.client.chat(messages, **options)
        sent = self.emulator.requests[-1].content
        check_sent(json.loads(sent.decode("utf-8")), len(reply.tool_calls))
        assert answer.text == "gone on"
        return answer


def check_sent(body: Any, count: int) -> None:
    """Every call that was sent has an id of its own, a name in the usual letters, and an object as its arguments."""
    calls: list[tuple[Any, Any, Any]] = []
    for message in body.get("messages", ()):
        for call in message.get("tool_calls") or ():
            function = call["function"]
            calls.append((call["id"], function["name"], strictly(function["arguments"])))
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block.get("type") == "tool_use":
                calls.append((block["id"], block["name"], block["input"]))
    for item in body.get("input", ()):
        if item.get("type") == "function_call":
            calls.append((item["call_id"], item["name"], strictly(item["arguments"])))
    assert len(calls) == count
    assert len({call_id for call_id, _, _ in calls}) == count
    for call_id, name, arguments in calls:
        assert isinstance(call_id, str)
        assert call_id.isprintable()
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name), name
        assert isinstance(arguments, dict)


def strictly(text: str) -> Any:
    """Decode JSON as the strictest of servers do."""
    import msgspec

    return msgspec.json.decode(text.encode("utf-8"))


@cache
def vendor(name: str) -> Vendor:
    return Vendor(name)


def goes_on_everywhere(provider: str, body: str, streamed: bool) -> Reply:
    reply = replay(provider, body=body, stream=streamed)
    for name in PROVIDERS:
        try:
            vendor(name).goes_on(reply)
        except Exception as error:
            raise AssertionError(f"{provider} → {name}: {error}") from error
    return reply


ODD_ARGUMENTS: dict[str, Any] = {
    "nothing": None,
    "an empty text": "",
    "blanks": " \n",
    "cut": '{"city": "Os',
    "cut in an escape": '{"city": "\\ud83',
    "a list": "[1, 2]",
    "a number": "7",
    "a text": '"Oslo"',
    "null": "null",
    "no JSON": "city=Oslo",
    "not a number": '{"a": NaN}',
    "out of range": '{"a": 1e999}',
    "a huge integer": '{"a": ' + "9" * 400 + "}",
    "a monstrous integer": '{"a": ' + "9" * 5000 + "}",
    "half an emoji as an escape": '{"city": "\\ud83d"}',
    "half an emoji": '{"city": "' + HALF + '"}',
    "half an emoji as a key": '{"' + HALF + '": 1}',
    "half an emoji at the end": '{"city": 1}' + HALF,
    "an object": {"city": "Oslo"},
    "an object with half an emoji": {"city": HALF, HALF: [HALF + "x", "x" + HALF]},
    "a decoded list": [1, {"a": HALF}],
    "a decoded number": 7,
    "true": True,
    "deep": "[" * 500 + "]" * 500,
    "two objects": "{}{}",
    "an object and more": '{"a": 1} and then',
    "controls": '{"a": "\u0000\u001b[2J"}',
    "a mark of byte order": '\ufeff{"a": 1}',
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("arguments", ODD_ARGUMENTS.values(), ids=ODD_ARGUMENTS)
def test_odd_arguments_go_on(arguments: Any, streamed: bool) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    goes_on_everywhere("compatible", standard([call], streamed=streamed), streamed)
    if not isinstance(arguments, str) or not any("\ud800" <= c <= "\udfff" for c in arguments):
        block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": arguments}
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        goes_on_everywhere("anthropic", messages_protocol([thought, block], streamed), streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "ids",
    [
        (None, None),
        ("", ""),
        ("0", "0"),
        (0, 1),
        (7, "7"),
        ("a", "a_1"),
        ("a", "a"),
        (["a"], {"a": 1}),
        (True, 1.5),
        (HALF, HALF),
        ("\x1b[2J", "a b\nc"),
        ("x" * 500, "x" * 500),
        ("functions.f:0", "functions.f:0"),
    ],
    ids=str,
)
def test_odd_ids_go_on(ids: tuple[Any, Any], streamed: bool) -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    calls = [{"id": own, "index": number, "function": function} for number, own in enumerate(ids)]
    reply = goes_on_everywhere("compatible", standard(calls, streamed=streamed), streamed)
    assert len({call.id for call in reply.tool_calls}) == len(reply.tool_calls) == 2
    blocks = [{"type": "tool_use", "id": own, "name": "get_weather", "input": {"city": "Oslo"}} for own in ids]
    goes_on_everywhere("anthropic", messages_protocol(blocks, streamed), streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "name", [None, "", " ", "get weather!", "f" * 300, "é", HALF, 7, ["f"], "a\n\x1b", "get_weather"]
)
def test_odd_names_go_on(name: Any, streamed: bool) -> None:
    call = {"id": "c1", "function": {"name": name, "arguments": "{}"}}
    goes_on_everywhere("compatible", standard([call], streamed=streamed), streamed)
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    blocks = [thought, {"type": "tool_use", "id": "c1", "name": name, "input": {}}]
    goes_on_everywhere("anthropic", messages_protocol(blocks, streamed), streamed)


@pytest.mark.parametrize("index", ["0", 0.0, [0], {"a": 1}, True, "one", -1, 10**30])
def test_odd_indexes_go_on(index: Any) -> None:
    call = {"id": "c1", "index": index, "function": {"name": "get_weather", "arguments": "{}"}}
    goes_on_everywhere("compatible", standard([call], streamed=True), True)
    block = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Oslo"}}
    reply = goes_on_everywhere("anthropic", messages_protocol([block], True, index), True)
    assert [call.arguments for call in reply.tool_calls] == ['{"city": "Oslo"}']


def test_blocks_without_an_index_stay_apart() -> None:
    blocks = [{"type": "tool_use", "id": f"c{number}", "name": "get_weather", "input": {}} for number in range(2)]
    body = messages_protocol(blocks, True).replace('"index": 0, ', "").replace('"index": 1, ', "")
    assert '"index"' not in body.replace('"index": 0}', "").replace('"index": 1}', "")
    assert [call.id for call in goes_on_everywhere("anthropic", body, True).tool_calls] == ["c0", "c1"]


ODD_BLOCKS: dict[str, Any] = {
    "a call without input": {"type": "tool_use", "id": "c1", "name": "get_weather"},
    "a call without anything": {"type": "tool_use"},
    "a call with text as input": {"type": "tool_use", "id": "c1", "name": "get_weather", "input": '{"city": "Oslo"}'},
    "thoughts without a signature": {"type": "thinking", "thinking": "Hm."},
    "thoughts with a number as signature": {"type": "thinking", "thinking": "Hm.", "signature": 7},
    "thoughts that are a list": {"type": "thinking", "thinking": ["Hm."], "signature": "c2ln"},
    "withheld thoughts without data": {"type": "redacted_thinking"},
    "a text that is none": {"type": "text", "text": {"a": 1}},
    "a text without text": {"type": "text"},
    "half an emoji": {"type": "text", "text": HALF},
    "no type": {"text": "a"},
    "a type that is a list": {"type": ["text"], "text": "a"},
    "citations that are a number": {"type": "text", "text": "a", "citations": 7},
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("block", ODD_BLOCKS.values(), ids=ODD_BLOCKS)
def test_odd_blocks_go_on(block: Any, streamed: bool) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    for blocks in ([block], [thought, block], [block, {"type": "text", "text": "a"}]):
        goes_on_everywhere("anthropic", messages_protocol(blocks, streamed), streamed)


ODD_CONTENT: dict[str, Any] = {
    "nothing": None,
    "half an emoji": HALF,
    "an object": {"a": HALF},
    "unknown parts": [{"type": "video", "video": 1}, {"type": "text", "text": "a"}],
    "odd parts": [None, 7, {"type": "text", "text": 7}],
    "half an emoji in a part": [{"type": "text", "text": "a" + HALF}],
}
ODD_MORE: dict[str, Any] = {
    "half an emoji in thoughts": {"reasoning_content": HALF},
    "thoughts that are a list": {"reasoning_content": [HALF]},
    "half an emoji in details": {"reasoning_details": [{"type": "reasoning.text", "text": HALF, "signature": HALF}]},
    "odd details": {"reasoning_details": [7, None, "a", {"type": ["x"], "index": {}}, {"type": "reasoning.text"}]},
    "details that are text and number": {
        "reasoning_details": [{"type": "t", "index": 0, "text": "a"}, {"type": "t", "index": 0, "text": 7}]
    },
    "a refusal": {"refusal": HALF},
    "a refusal that is a list": {"refusal": [1]},
    "files": {"annotations": [{"type": "file", "file": HALF}]},
    "audio": {"audio": {"id": 7, "data": HALF, "transcript": [1]}},
    "an old call": {"function_call": {"name": HALF, "arguments": [1]}},
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", ["compatible", "openrouter"])
@pytest.mark.parametrize("content", ODD_CONTENT.values(), ids=ODD_CONTENT)
def test_odd_content_goes_on(content: Any, provider: str, streamed: bool) -> None:
    goes_on_everywhere(provider, standard([], content, streamed), streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", ["compatible", "openrouter", "moonshot"])
@pytest.mark.parametrize("more", ODD_MORE.values(), ids=ODD_MORE)
def test_odd_fields_go_on(more: Any, provider: str, streamed: bool) -> None:
    goes_on_everywhere(provider, standard([], "a", streamed, **more), streamed)


# --- what is told of it


def sent(messages: list[Any], name: str = "compatible") -> tuple[list[Any], Reply]:
    answer = vendor(name).client.chat(messages, model=vendor(name).target, tools=[get_weather], max_tokens=4000)
    body = json.loads(vendor(name).emulator.requests[-1].content)
    return body.get("messages", body.get("input")), answer


def conversation(*calls: ToolCall) -> list[Any]:
    results = [Message.tool(call, "r") for call in calls]
    return [Message.user("a"), Message.assistant(tool_calls=calls), *results, Message.user("say: b")]


@pytest.mark.parametrize(
    ("came", "arguments"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{ "a" : 1e400000 }', '{"arguments":"{ \\"a\\" : 1e400000 }"}'),
        ('{"a": [', '{"arguments":"{\\"a\\": ["}'),
        ("[1]", '{"arguments":[1]}'),
        ("null", "{}"),
        ("", "{}"),
        ('{"a": "\\ud83d"}', '{"a":"�"}'),
    ],
)
def test_what_the_model_wrote_is_still_told(came: str, arguments: str) -> None:
    """Good arguments stay to the byte; others stand inside an object, so that the model can see its mistake."""
    messages, answer = sent(conversation(ToolCall("c1", "get_weather", came)))
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == arguments
    warned = [warning for warning in answer.warnings if warning.field == "messages[1].tool_calls[0].arguments"]
    assert bool(warned) == (came != arguments and bool(came))
    assert all(warning.kind == "invalid" for warning in warned)


def test_a_strict_caller_is_not_refused_for_what_a_vendor_wrote() -> None:
    messages = conversation(ToolCall("c1", "", '{"a": ['))
    for name in PROVIDERS:
        options: dict[str, Any] = {"model": vendor(name).target, "on_unsupported": "raise"}
        vendor(name).client.explain(messages, **options)


def test_results_follow_the_calls_of_one_id_in_order() -> None:
    calls = (ToolCall("0", "get_weather", "{}"), ToolCall("0", "get_weather", '{"city": "Oslo"}'))
    messages, answer = sent([*conversation(*calls), *conversation(*calls)])
    ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert ids == results == ["0", "0_2", "0_3", "0_2_2"]
    assert [warning.kind for warning in answer.warnings] == ["renamed"] * 3


def test_no_id_is_of_two_answers_where_that_is_refused() -> None:
    calls = (ToolCall("0", "get_weather", "{}"), ToolCall("0", "get_weather", '{"city": "Oslo"}'))
    messages, _ = sent([*conversation(*calls), *conversation(*calls)], "anthropic")
    blocks = [block for message in messages for block in message["content"] if isinstance(block, dict)]
    ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert len(set(ids)) == 4
    assert [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] == ids


def test_a_call_that_was_cut_and_never_made_is_left_out() -> None:
    cut = ToolCall("c2", "get_weather", '{"ci', complete=False)
    whole = ToolCall("c1", "get_weather", "{}")
    asked = [Message.user("a"), Message.assistant("b", tool_calls=(whole, cut))]
    for name in PROVIDERS:
        sent([*asked, Message.tool(whole, "r"), Message.user("say: c")], name)
    messages, answer = sent([*asked, Message.tool(whole, "r"), Message.user("say: c")])
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1"]
    assert [warning.field for warning in answer.warnings] == ["messages[1].tool_calls"]
    messages, _ = sent([*asked, Message.tool(whole, "r"), Message.tool(cut, "s"), Message.user("say: c")])
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1", "c2"]


def test_an_ordinary_conversation_is_not_touched() -> None:
    calls = (ToolCall("functions.get_weather:0", "get_weather", ' {"city":  "Oslo"}'),)
    messages, answer = sent(conversation(*calls))
    assert messages[1]["tool_calls"][0] == {
        "id": "functions.get_weather:0",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ' {"city":  "Oslo"}'},
    }
    assert not answer.warnings


def test_many_calls_of_one_id_cost_no_more_each() -> None:
    def cost(count: int) -> int:
        calls = tuple(ToolCall("0", "get_weather", "{}") for _ in range(count))
        messages = (Message.assistant(tool_calls=calls), *(Message.tool(call, "r") for call in calls))
        return count_steps(lambda: mended(messages, ["get_weather"]))

    assert cost(800) < 9 * cost(100)


class _Fragile:
    """A patch that trusts what a model wrote."""

    provider = "compatible"

    @chatport.hookimpl(wrapper=True)
    def shape_request(self, call: Any) -> Any:
        wire = yield
        for message in call.messages:
            for made in message.tool_calls:
                made.parsed()["city"]
        return wire


def test_a_hooks_mistake_on_odd_data_blames_the_hook() -> None:
    emulator = Emulator("compatible")
    client = chatport.Client(emulator.config(), transport=emulator, plugins=[_Fragile()])
    messages = conversation(ToolCall("c1", "get_weather", "[1]"))
    with pytest.raises(chatport.PluginError, match=r"shape_request hook of compatible .*KeyError.*test_history"):
        client.chat(messages, model=f"compatible:{emulator.vendor.models[0]}")


# --- anything at all

TEXTS = st.sampled_from(["", " ", "a", HALF, "é", "\x1b", "{}", "[", '{"a":1}', "null", "\\ud83d"]) | st.text(
    max_size=4
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def made_of(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: fits | VALUES for name, fits in keys.items()})


CALL = made_of(id=TEXTS, index=st.integers(0, 2), function=made_of(name=TEXTS, arguments=TEXTS))
DETAIL = made_of(
    type=st.sampled_from(["reasoning.text", "reasoning.encrypted"]), text=TEXTS, signature=TEXTS, index=VALUES
)
MORE = made_of(reasoning_content=TEXTS, reasoning_details=st.lists(DETAIL | VALUES, max_size=3), refusal=TEXTS)
BLOCK = made_of(
    type=st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"]),
    text=TEXTS,
    thinking=TEXTS,
    signature=TEXTS,
    data=TEXTS,
    id=TEXTS,
    name=TEXTS,
    input=VALUES,
)
EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(provider: str, body: str, streamed: bool) -> Reply | chatport.ChatportError:
    try:
        return replay(provider, body=body, stream=streamed)
    except chatport.ChatportError as error:
        return error


def goes_on_if_a_reply(provider: str, body: str, streamed: bool) -> None:
    """What is no reply leaves nothing to go on with; but no hook may have failed."""
    result = outcome(provider, body, streamed)
    assert not isinstance(result, chatport.PluginError), result
    if isinstance(result, Reply):
        goes_on_everywhere(provider, body, streamed)


@EXAMPLES
@given(st.sampled_from(PROVIDERS), st.lists(CALL, max_size=3), TEXTS | VALUES, MORE, st.booleans())
def test_any_reply_goes_on(provider: str, calls: list[Any], content: Any, more: Any, streamed: bool) -> None:
    goes_on_if_a_reply(provider, standard(calls, content, streamed, **more), streamed)


@EXAMPLES
@given(st.lists(BLOCK | VALUES, max_size=3), st.booleans())
def test_any_reply_of_the_messages_protocol_goes_on(blocks: list[Any], streamed: bool) -> None:
    goes_on_if_a_reply("anthropic", messages_protocol(blocks, streamed), streamed)
