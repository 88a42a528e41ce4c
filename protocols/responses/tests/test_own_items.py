"""A call that came in this protocol goes out in its client's own items, in their order, if they still say the same."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import chatport
from chatport import FilePart, Message, Native, TextPart, ToolCall, VendorPart

TABLE = {"kind": "compatible", "base_url": "https://acme.example/v1", "api_key": "sk-1", "protocol": "responses"}
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA1"}
ITEMS: list[dict[str, Any]] = [
    {"type": "function_call", "call_id": "c1", "name": "look", "namespace": "ns", "arguments": '{"a":1}'},
    THOUGHT,
    {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "message", "role": "assistant", "phase": "final_answer",
     "content": [{"type": "output_text", "text": "So.", "annotations": []}]},
]  # fmt: skip
CALLS = (ToolCall("c1", "ns__look", '{"a":1}'), ToolCall("c2", "patch", '{"input":"*** Begin"}'))
ANSWER = Message(
    "assistant",
    (VendorPart(THOUGHT), VendorPart(ITEMS[3]), TextPart("So.")),
    CALLS,
    opaque={"items": ITEMS},
)
RESULTS = [Message.tool("c1", "r1"), Message.tool("c2", "r2")]


def explain(messages: Any, **options: Any) -> chatport.Explanation:
    with chatport.Client({"providers": {"acme": TABLE}}) as client:
        return client.explain(messages, model="acme:m", **options)


def sent(*messages: Message, **options: Any) -> Any:
    return explain(["hi", *messages], native=Native("responses", options)).body["input"][1:]


def test_the_items_of_a_turn_go_out_in_their_order() -> None:
    assert sent(ANSWER, *RESULTS)[:5] == ITEMS


def test_results_have_the_form_of_their_calls() -> None:
    assert [item["type"] for item in sent(ANSWER, *RESULTS)[5:]] == ["function_call_output", "custom_tool_call_output"]


def test_a_turn_of_others_goes_out_as_its_client_wrote_it() -> None:
    content = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    item = {"type": "message", "role": "user", "content": content}
    assert sent(Message("user", (TextPart("a"), TextPart("b")), opaque={"items": [item]})) == [item]
    output = {"type": "shell_call_output", "call_id": "s", "output": []}
    assert sent(Message("user", (VendorPart(output),), opaque={"items": [output]})) == [output]


@pytest.mark.parametrize(
    "changed",
    [
        attrs.evolve(ANSWER, content=(VendorPart(THOUGHT), TextPart("Else."))),
        attrs.evolve(ANSWER, tool_calls=(attrs.evolve(CALLS[0], arguments="{}"), CALLS[1])),
        attrs.evolve(ANSWER, tool_calls=(attrs.evolve(CALLS[0], name="other"), CALLS[1])),
        attrs.evolve(ANSWER, tool_calls=(CALLS[0], attrs.evolve(CALLS[1], arguments='{"input":"*** Else"}'))),
    ],
    ids=["text", "arguments", "name", "free text"],
)
def test_a_changed_turn_is_said_anew_with_the_items_that_only_this_protocol_has(changed: Message) -> None:
    items = sent(changed, *RESULTS)
    assert items[0] == THOUGHT
    assert [item.get("type", "message") for item in items if item.get("type") != "web_search_call"][:4] == [
        "reasoning", "message", "function_call", "function_call",
    ]  # fmt: skip


def test_arguments_that_are_no_json_go_out_mended() -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "nope"}
    answer = Message("assistant", (), (ToolCall("c1", "look", "nope"),), opaque={"items": [item]})
    assert sent(answer, RESULTS[0])[0] == {**item, "arguments": '{"arguments":"nope"}'}


@pytest.mark.parametrize("calls", [CALLS, ()], ids=["calls", "text"])
def test_thoughts_alone_go_before_what_they_led_to(calls: tuple[ToolCall, ...]) -> None:
    """Some clients give back what a stream had told before its text began."""
    answer = Message("assistant", (TextPart("So."),), calls, opaque={"items": [THOUGHT]})
    items = sent(answer, *(RESULTS if calls else ()))
    assert items[:2] == [THOUGHT, {"role": "assistant", "content": "So."}]
    assert [item["type"] for item in items[2:]] == ["function_call"] * len(calls) + ["function_call_output"] * len(
        calls
    )


def test_thoughts_alone_that_led_to_nothing_stay_away() -> None:
    assert sent(Message("assistant", opaque={"items": [THOUGHT]}), Message.user("go on"))[0]["role"] == "user"


def test_another_providers_items_stay_away() -> None:
    items = sent(attrs.evolve(ANSWER, origin="elsewhere"), *RESULTS)
    assert [item.get("type", "message") for item in items][:3] == ["message", "function_call", "function_call"]
    assert "gAAAA1" not in str(items)


def test_a_thought_that_only_the_server_has_kept_is_left_out() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    answer = Message("assistant", (VendorPart(thought), TextPart("So.")), opaque={"items": [thought, ITEMS[4]]})
    assert sent(answer) == [ITEMS[4]]
    assert [item["type"] for item in sent(answer, store=True)] == ["reasoning", "message"]


def test_instructions_are_said_once() -> None:
    shown = explain([Message.system("Be brief."), "hi"], native=Native("responses", {"instructions": "Be brief."}))
    assert (shown.body["instructions"], shown.body["input"]) == ("Be brief.", [{"role": "user", "content": "hi"}])
    shown = explain([Message.system("Be long."), "hi"], native=Native("responses", {"instructions": "Be brief."}))
    assert [item["role"] for item in shown.body["input"]] == ["system", "user"]


def test_a_format_in_this_protocols_words_counts() -> None:
    own = {"type": "json_schema", "name": "out", "description": "d", "schema": {"type": "object"}}
    native = Native("responses", {"text": {"format": own}})
    assert explain("hi", output={"type": "object", "title": "out"}, native=native).body["text"] == {"format": own}


def test_what_is_the_clients_own_is_told() -> None:
    shown = explain("hi", native=Native("responses", {"client_metadata": {"thread": "t"}}))
    assert "client_metadata" not in shown.body
    assert [(note.kind, note.field, note.fact) for note in shown.adjustments] == [
        ("dropped", "client_metadata", "RS-C1")
    ]


def test_a_file_at_an_address_has_its_own_field() -> None:
    file = FilePart(data="https://a.example/b.pdf", filename="b.pdf")
    assert explain([Message.user(file)]).body["input"][0]["content"] == [
        {"type": "input_file", "file_url": "https://a.example/b.pdf", "filename": "b.pdf"}
    ]


def test_facts_do_not_speak_of_the_parts_and_choices_of_a_call_that_came_in_this_protocol() -> None:
    rules = {"messages": {"part_types": ["text"], "fact": "AC-1"}, "tools": {"choices": ["auto"], "fact": "AC-2"}}
    tables = {"providers": {"acme": TABLE}, "models": {"acme:m": {"rules": rules}}}
    choice = {"type": "mcp", "server_label": "s"}
    with chatport.Client(tables) as client:
        shown = client.explain(
            ["hi", ANSWER, *RESULTS],
            model="acme:m",
            tools=[{"type": "web_search"}],
            tool_choice=choice,
            native=Native("responses"),
        )
    assert shown.body["tool_choice"] == choice
    assert THOUGHT in shown.body["input"]
    assert shown.adjustments == ()
