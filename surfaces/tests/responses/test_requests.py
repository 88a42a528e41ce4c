"""What a client's request becomes: its own words for a vendor of this protocol, and for others what they know."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport_surfaces import ClientRequest, Seal
from chatport_surfaces.responses import ResponsesSurface

from .asking import MODELS, World, results, user, world

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
LOOK = {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": False}
ALLOWED = {"type": "allowed_tools"}
NAMESPACE = {"type": "namespace", "name": "ns", "description": "Agents.", "tools": [LOOK]}
PATCH = {"type": "custom", "name": "patch", "description": "Patches.",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}}  # fmt: skip


def explained(vendor: str, given: Any = "hi", **body: Any) -> chatport.Explanation:
    with world(vendor) as made:
        return made.explained(given, **body)


def refused(given: Any = "hi", **body: Any) -> Any:
    with world("deepseek") as made:
        error = made.whole(given, 400, **body)["error"]
        assert not made.emulator.requests
        return error


def notes(shown: chatport.Explanation) -> list[str]:
    return sorted(note.field for note in shown.adjustments if note.kind == "dropped")


# --- input


def test_every_role_and_part_has_its_place() -> None:
    items: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
            ],
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "A cat."}]},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "Well."},
    ]
    body = explained("anthropic", items, instructions="Be nice.").body
    assert [block["text"] for block in body["system"]] == ["Be nice.", "Be brief."]
    assert [(turn["role"], [part["type"] for part in turn["content"]]) for turn in body["messages"]][:2] == [
        ("user", ["text", "image", "document"]),
        ("assistant", ["text"]),
    ]
    own = explained("openai", items, instructions="Be nice.").body
    assert own["instructions"] == "Be nice."
    assert [item["content"] for item in own["input"]] == [item["content"] for item in items]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([{"role": "tool", "content": "x"}], "input[0].role"),
        ([{"role": "user", "content": 1}], "input[0].content"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
        ([{"type": "function_call", "name": "a", "arguments": "{}"}], "input[0].call_id"),
        ([{"type": "function_call_output", "output": "x"}], "input[0].call_id"),
        ([user("a"), {"type": "reasoning", "summary": "x"}], "input[1].summary"),
        ([{"type": 1}], "input[0].type"),
        ([{"role": "user", "content": [{"type": "input_file", "filename": "a.txt"}]}], "input[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "input[0].content[0].data"),
        (1, "input"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(given: Any, where: str) -> None:
    error = refused(given)
    assert error["message"].startswith(f"{where} ")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "no store is configured"),
        ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "item_not_found", "Nothing is kept here"),
        ({"input": [{"id": "rs_1"}]}, "item_not_found", "store: false"),
        ({"background": True}, None, "in the background"),
        ({"conversation": "conv_1"}, None, "No conversations are kept"),
        ({"model": ""}, "missing_required_parameter", "Missing required parameter: 'model'."),
        ({"tools": [{"type": "function"}]}, "invalid_value", "tools[0].name"),
        ({"tool_choice": {"type": "function", "name": "nope"}}, "invalid_value", "not among the tools"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "invalid_value", "text.format.schema"),
        ({"instructions": ["x"]}, "invalid_value", "instructions must be a text."),
        ({"reasoning": "high"}, "invalid_value", "reasoning must be an object."),
        ({"text": ["x"]}, "invalid_value", "text must be an object."),
        (
            {"tools": [{"type": "function", "name": "look", "parameters": "x"}]},
            "invalid_value",
            "tools[0].parameters must be a JSON schema.",
        ),
        ({"tool_choice": 3}, "invalid_value", "tool_choice must be a text or an object."),
        ({"tool_choice": ["auto"]}, "invalid_value", "tool_choice must be a text or an object."),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "invalid_value",
            "input[0].content[0] has neither file_id, nor file_data, nor file_url.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_sent(body: Any, code: Any, words: str) -> None:
    error = refused(**{"given": "hi", **{("given" if k == "input" else k): v for k, v in body.items()}})
    assert error["code"] == code
    assert words in error["message"]
    expected = "previous_response_id" if code == "previous_response_not_found" else None
    assert error["param"] == expected


def test_a_body_that_is_no_object_is_refused() -> None:
    with world("deepseek") as made:
        for body in (b"", b"[]", b"{"):
            answer: Any = made.surfaces.answer(ClientRequest("POST", "/v1/responses", body=body))
            assert answer.status == 400
            assert ("x-should-retry", "false") in answer.headers


def test_an_unknown_model_is_the_clients_mistake() -> None:
    with world("deepseek") as made:
        error = made.whole("hi", 400, model="nobody:m")["error"]
        assert error["code"] == "model_not_found"


# --- options


def test_options_have_a_word_everywhere() -> None:
    body = explained(
        "deepseek", temperature=0.5, top_p=0.5, max_output_tokens=100, reasoning={"effort": "none"},
        text={"format": {"type": "json_schema", "name": "out", "schema": SCHEMA}}, tools=[LOOK],
        parallel_tool_calls=True,
    ).body  # fmt: skip
    assert (body["temperature"], body["max_tokens"], body["thinking"]) == (0.5, 100, {"type": "disabled"})
    assert body["response_format"] == {"type": "json_object"}
    assert "parallel_tool_calls" not in body


def test_an_option_that_is_taken_is_said_once_and_without_a_word() -> None:
    shown = explained("qwen", temperature=0.5, top_p=0.25, max_output_tokens=100)
    assert [shown.body[name] for name in ("temperature", "top_p", "max_tokens")] == [0.5, 0.25, 100]
    assert notes(shown) == []
    assert notes(explained("deepseek", top_p=0.5, reasoning={"effort": "none"})) == ["top_p"]


def test_an_effort_fits_the_model_and_a_summary_is_the_clients_own() -> None:
    body = explained("openai", reasoning={"effort": "minimal", "summary": "auto", "context": "all_turns"}).body
    assert body["reasoning"] == {"effort": "low", "summary": "auto", "context": "all_turns"}


def test_a_vendor_of_the_protocol_gets_all_other_fields_as_they_are() -> None:
    own = {
        "metadata": {"a": "b"}, "prompt_cache_key": "k", "safety_identifier": "u", "truncation": "auto",
        "service_tier": "flex", "top_logprobs": 2, "include": ["message.output_text.logprobs"],
        "text": {"verbosity": "low", "format": {"type": "json_object"}}, "parallel_tool_calls": True,
        "tools": [LOOK, NAMESPACE, PATCH, {"type": "web_search"}], "max_tool_calls": 3,
        "context_management": [{"type": "compaction"}],
    }  # fmt: skip
    body = explained("openai", model="openai:gpt-4.1", **own).body
    assert {name: body.get(name) for name in own} == own
    assert body["store"] is False


def test_another_vendor_gets_none_of_them_and_each_loss_is_told() -> None:
    shown = explained(
        "anthropic", prompt_cache_key="k", safety_identifier="u", truncation="auto", service_tier="flex",
        text={"verbosity": "low"}, include=["web_search_call.action.sources"], max_tool_calls=3,
        tools=[LOOK, {"type": "web_search"}], tool_choice={"type": "web_search"}, reasoning={"context": "all_turns"},
    )  # fmt: skip
    assert notes(shown) == [
        "include", "max_tool_calls", "prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "text",
        "tool_choice", "tools.web_search", "truncation",
    ]  # fmt: skip


def test_what_asks_for_nothing_or_is_done_here_is_no_loss() -> None:
    shown = explained(
        "anthropic", metadata={"a": "b"}, truncation="disabled", service_tier="auto", store=True, tools=[LOOK],
        text={"format": {"type": "text"}, "verbosity": "medium"}, reasoning={"effort": "high", "summary": "auto"},
        stream_options={"include_obfuscation": False}, parallel_tool_calls=True, tool_choice="auto",
        include=["reasoning.encrypted_content"],
    )  # fmt: skip
    assert notes(shown) == []


def test_probabilities_are_asked_for_in_the_words_of_chat() -> None:
    body = explained("deepseek", top_logprobs=2, include=["message.output_text.logprobs"]).body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


# --- tools


def test_a_namespace_is_flattened_with_its_words() -> None:
    tools = explained("deepseek", tools=[NAMESPACE]).body["tools"]
    assert [(tool["function"]["name"], tool["function"]["description"]) for tool in tools] == [
        ("ns__look", "Agents.\n\nLooks.")
    ]


def test_a_free_text_is_an_argument_and_its_grammar_is_told() -> None:
    function = explained("deepseek", tools=[PATCH]).body["tools"][0]["function"]
    assert function["description"] == "Patches.\n\nThe input fits this lark grammar:\nstart: /a+/"
    assert function["parameters"]["required"] == ["input"]


@pytest.mark.parametrize(
    ("strict", "schema", "sent"),
    [
        (None, SCHEMA, True),
        (None, {**SCHEMA, "required": []}, None),
        (None, {**SCHEMA, "properties": {"a": {"type": "string", "minLength": 1}}}, None),
        (None, None, None),
        (False, SCHEMA, False),
        (True, SCHEMA, True),
    ],
)  # fmt: skip
def test_a_tool_is_strict_unless_it_says_otherwise_or_cannot_be(strict: Any, schema: Any, sent: Any) -> None:
    tool = {"type": "function", "name": "look", "parameters": schema, "strict": strict}
    with world("deepseek") as made:
        asked = read(made, tools=[tool])
    assert asked.options["tools"][0].strict is sent


def read(made: World, **body: Any) -> Any:
    content = json.dumps({"model": made.model, "input": "hi", **body}).encode()
    return ResponsesSurface().read(ClientRequest("POST", "/v1/responses", body=content), made.surfaces.context)


@pytest.mark.parametrize(
    ("choice", "sent", "names"),
    [
        ("required", "required", ["look", "ns__look", "patch"]),
        ({"type": "function", "name": "look"}, "look", ["look", "ns__look", "patch"]),
        ({"type": "function", "name": "look", "namespace": "ns"}, "ns__look", ["look", "ns__look", "patch"]),
        ({"type": "custom", "name": "patch"}, "patch", ["look", "ns__look", "patch"]),
        ({**ALLOWED, "mode": "required", "tools": [{"type": "custom", "name": "patch"}]}, "required", ["patch"]),
        ({**ALLOWED, "tools": [{"type": "function", "name": "look"}]}, "auto", ["look"]),
    ],
)  # fmt: skip
def test_a_choice_is_made_among_the_names_that_are_sent(choice: Any, sent: str, names: list[str]) -> None:
    with world("deepseek") as made:
        asked = read(made, tools=[LOOK, NAMESPACE, PATCH], tool_choice=choice)
    assert asked.options["tool_choice"] == sent
    assert [tool.name for tool in asked.options["tools"]] == names


def test_a_choice_in_the_protocols_own_words_goes_to_a_vendor_of_it() -> None:
    for choice in (
        {"type": "web_search"},
        {"type": "custom", "name": "patch"},
        {"type": "function", "name": "look", "namespace": "ns"},
        {"type": "function", "name": "look"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    ):
        tools = [LOOK, NAMESPACE, PATCH, {"type": "web_search"}]
        shown = explained("openai", tools=tools, tool_choice=choice)
        assert shown.body["tool_choice"] == choice
        assert shown.body["tools"] == tools
        assert notes(shown) == []


def test_tools_that_come_with_an_item_are_offered_and_said_once() -> None:
    item = {"type": "additional_tools", "role": "developer", "tools": [LOOK]}
    shown = explained("deepseek", [item, user("hi")])
    assert [tool["function"]["name"] for tool in shown.body["tools"]] == ["look"]
    own = explained("openai", [item, user("hi")]).body
    assert own["input"] == [item, user("hi")]
    assert not own.get("tools")


# --- earlier answers


def test_a_turn_of_the_protocols_own_items_goes_back_as_it_came() -> None:
    turn: list[Any] = [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "call_id": "c1", "name": "look", "namespace": "ns", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gBBBB"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** a"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ]
    items: list[Any] = [
        user("hi"),
        *turn,
        *results(turn),
        {"type": "computer_call_output", "call_id": "c", "output": {}},
    ]
    shown = explained("openai", items, tools=[NAMESPACE, PATCH])
    assert shown.body["input"] == items
    assert notes(shown) == []
    other = explained("deepseek", items, tools=[NAMESPACE, PATCH])
    assert notes(other) == [
        "messages.content.computer_call_output", "messages.content.reasoning", "messages.content.web_search_call",
    ]  # fmt: skip
    assert [message["role"] for message in other.body["messages"]] == ["user", "assistant", "tool", "tool"]
    calls = [call["function"] for call in other.body["messages"][1]["tool_calls"]]
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        ("ns__look", {}), ("patch", {"input": "*** a"}),
    ]  # fmt: skip


def test_ids_that_another_vendor_gave_are_left_out() -> None:
    turn = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gAAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
         "content": [{"type": "output_text", "text": "So.", "annotations": [], "logprobs": []}]},
    ]  # fmt: skip
    assert explained("openai", [user("hi"), *turn, user("more")]).body["input"][1:3] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "message", "role": "assistant", "phase": "commentary",
         "content": [{"type": "output_text", "text": "So.", "annotations": []}]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}, "x": 1, "y": None},
            chatport.AudioPart("AAAA", "mp3", {"x": 1}),
        ),
        (
            {"type": "input_audio", "input_audio": "x"},
            chatport.VendorPart({"type": "input_audio", "input_audio": "x"}),
        ),
        ({"type": "input_file", "file_id": "file-1"}, chatport.FilePart("file-1")),
        (
            {"type": "input_file", "file_url": "https://a.example/b.pdf"},
            chatport.FilePart(data="https://a.example/b.pdf"),
        ),
    ],
)
def test_sounds_and_files_are_parts(part: Any, wanted: Any) -> None:
    with world("deepseek") as made:
        (message,) = read(made, input=[{"role": "user", "content": [part]}]).messages
    assert message.content == (wanted,)


def test_a_phase_is_no_word_of_others() -> None:
    turn = {"role": "assistant", "phase": "commentary", "content": "So."}
    shown = explained("deepseek", [user("hi"), turn, user("more")])
    assert notes(shown) == ["messages.phase"]


@pytest.mark.parametrize("vendor", ["anthropic", "deepseek", "openai"])
def test_a_sealed_text_of_another_secret_reaches_nobody(vendor: str) -> None:
    with world("anthropic", seal=Seal(b"another secret..")) as other:
        output = other.whole("think: hm\nsay: x", reasoning={"effort": "high", "summary": "auto"})["output"]
    assert output[-1]["encrypted_content"].startswith("cp1.")
    shown = explained(vendor, [user("a"), *output, user("b")])
    assert "cp1." not in json.dumps(shown.body)
    assert "hm" not in json.dumps(shown.body["input" if vendor == "openai" else "messages"])


def test_counting_answers_with_an_estimate() -> None:
    with world("deepseek") as made:
        answer: Any = made.answer({"input": "one two three four", "tools": [LOOK]}, "/v1/responses/input_tokens")
        counted = json.loads(answer.body)
        assert counted["object"] == "response.input_tokens"
        assert counted["input_tokens"] > 4
        assert not made.emulator.requests


def test_all_models_are_there() -> None:
    for vendor in MODELS:
        assert explained(vendor).body["model"] == MODELS[vendor].partition(":")[2]
