"""What a request becomes: options for any vendor, its own words for one that speaks the protocol."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport import BadRequestError, FilePart, ImagePart, Message, TextPart, Tool, ToolCall, VendorPart
from chatport_surfaces import Seal
from chatport_surfaces.messages import surface

from .asking import SECRET, read, request_of

MARK = {"cache_control": {"type": "ephemeral"}}
FUNCTION: dict[str, Any] = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def talk(*turns: Any, **fields: Any) -> Any:
    return read({"messages": list(turns), **fields}).messages


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def explain(body: Any, model: str, headers: Any = None) -> Any:
    asked = read(body, headers)
    config = {"providers": {name: {"api_key": "k"} for name in ("anthropic", "openai", "deepseek", "qwen")}}
    with chatport.Client(config) as client:
        return client.explain(list(asked.messages), model=model, native=asked.native, **asked.options)


# --- messages


@pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief.", **MARK}]])
def test_system_is_a_text_or_blocks_with_marks(system: Any) -> None:
    extra = {} if isinstance(system, str) else MARK
    first, second = talk({"role": "user", "content": "hi"}, system=system)
    assert first == Message("system", (TextPart("Be brief.", extra),))
    assert second == Message.user("hi")


def test_a_system_turn_stays_in_its_place() -> None:
    roles = [message.role for message in talk({"role": "user", "content": "a"}, {"role": "system", "content": "now b"})]
    assert roles == ["user", "system"]


def test_images_and_documents() -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}, **MARK}
    far = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    pdf = {"type": "document", "title": "T", "source": {**image["source"], "media_type": "application/pdf"}}
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}, "context": "c"}
    linked = {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}
    (message,) = talk(user(image, far, pdf, plain, linked))
    assert message.content == (
        ImagePart("data:image/png;base64,AAAA", extra=MARK),
        ImagePart("https://a.example/b.png"),
        FilePart(data="data:application/pdf;base64,AAAA", filename="T"),
        FilePart(data="data:text/plain;base64,aMOp", extra={"context": "c"}),
        FilePart(data="https://a.example/b.pdf"),
    )


def test_what_only_the_vendor_has_stays_as_it_is() -> None:
    """An uploaded file, search results, and blocks that are newer than this code."""
    blocks: list[Any] = [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "newer", "x": 1},
    ]
    (message,) = talk(user(*blocks))
    assert message.content == tuple(VendorPart(block) for block in blocks)


def test_results_are_messages_of_their_own() -> None:
    image: Any = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    turn = user(
        {"type": "tool_result", "tool_use_id": "a", "content": "one", "is_error": False, **MARK},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"}, image]},
        {"type": "tool_result", "tool_use_id": "c", "is_error": True},
        {"type": "text", "text": "go on"},
    )
    assert talk(turn) == [
        Message("tool", (TextPart("one"),), tool_call_id="a", extra=MARK),
        Message("tool", (TextPart("two"), ImagePart("https://a.example/b.png")), tool_call_id="b"),
        Message("tool", (), tool_call_id="c", extra={"is_error": True}),
        Message.user("go on"),
    ]


def test_what_stands_before_a_result_is_a_message_before_it() -> None:
    first = {"type": "tool_result", "tool_use_id": "a", "content": "one"}
    turn = user({"type": "text", "text": "so"}, {"type": "text", "text": "far"}, first, {"type": "text", "text": "on"})
    assert talk(turn) == [
        Message("user", (TextPart("so"), TextPart("far"))),
        Message("tool", (TextPart("one"),), tool_call_id="a"),
        Message.user("on"),
    ]
    assert talk(user({"type": "text", "text": ""}, first)) == [Message("tool", (TextPart("one"),), tool_call_id="a")]
    assert talk(user()) == [Message("user", ())]


def test_an_answer_keeps_the_order_of_its_blocks() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": {"type": "code_x"}}
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"signature": "theirs"}}
    answer = {
        "role": "assistant",
        "content": [{"type": "text", "text": "t"}, server, call, {"type": "text", "text": "u"}],
    }
    first, second = talk({"role": "user", "content": "a"}, answer)[1:]
    made = ToolCall("toolu_1", "f", '{"a":1}', extra={"caller": {"type": "code_x"}})
    assert first == Message("assistant", (TextPart("t"), VendorPart(server)), (made,))
    assert second == Message.assistant("u")


def test_what_says_nothing_is_not_carried() -> None:
    """Clients give our own answers back with all of their fields, which would be words of the protocol elsewhere."""
    text = {"type": "text", "text": "t", "citations": None}
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [text, call]}]
    assert talk(*turns)[1] == Message("assistant", (TextPart("t"),), (ToolCall("toolu_1", "f", "{}"),))


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"messages": []}, "messages: at least one"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": ["hi"]}, "messages.0: "),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text: Field required"),
        ({"messages": [user({"text": "x"})]}, "messages.0.content.0.type: Field required"),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.0.source: Field required"),
        ({"messages": [user({"type": "tool_result"})]}, "messages.0.content.0.tool_use_id"),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema"),
        ({"tools": {"name": "f"}}, "tools: "),
        ({"tool_choice": "auto"}, "tool_choice: "),
        ({"thinking": {}}, "thinking.type: Field required"),
        ({"stream": "yes"}, "stream: "),
        ({"model": 5}, "model: "),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_a_wrong_shape_is_named(body: Any, place: Any) -> None:
    with pytest.raises(BadRequestError, match=place.replace(".", r"\.")):
        read(body)


# --- tools


def test_tools_and_their_marks() -> None:
    given = read(
        {
            "tools": [
                {**FUNCTION, "description": "d", "strict": True, **MARK},
                {"type": "custom", **FUNCTION, "name": "g"},
                SEARCH,
            ]
        }
    )
    assert given.options["tools"] == [
        Tool("f", "d", FUNCTION["input_schema"], True, extra=MARK),
        Tool("g", "", FUNCTION["input_schema"]),
        SEARCH,
    ]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "tool", "name": "web_search"}, {"type": "tool", "name": "web_search"}),
    ],
)
@pytest.mark.parametrize("parallel", [True, False])
def test_the_choice_among_them(choice: Any, wanted: Any, parallel: Any) -> None:
    asked = read({"tools": [FUNCTION, SEARCH], "tool_choice": {**choice, "disable_parallel_tool_use": not parallel}})
    assert asked.options["tool_choice"] == wanted
    assert asked.options.get("extra") == (None if parallel else {"parallel_tool_calls": False})


def test_the_choice_as_vendors_get_it() -> None:
    body = {"tools": [FUNCTION, SEARCH], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    own = explain(body, "anthropic:claude-sonnet-4-6")
    assert own.body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert own.body["tools"][1] == SEARCH
    other = explain(body, "deepseek:deepseek-flash")
    assert ("dropped", "tools.web_search_20250305") in [(note.kind, note.field) for note in other.adjustments]
    forced = {**body, "tool_choice": {"type": "tool", "name": "web_search"}}
    assert explain(forced, "anthropic:claude-sonnet-4-6").body["tool_choice"] == {"type": "tool", "name": "web_search"}
    assert "tool_choice" in [note.field for note in explain(forced, "deepseek:deepseek-flash").adjustments]


# --- thinking and structure


@pytest.mark.parametrize(
    ("thinking", "effort", "wanted"),
    [
        ({"type": "adaptive"}, None, True),
        ({"type": "adaptive"}, "high", "high"),
        ({"type": "enabled", "budget_tokens": 2000}, None, 2000),
        ({"type": "enabled", "budget_tokens": 2000}, "max", "max"),
        ({"type": "disabled"}, "high", "none"),
        ({"type": "between_tools"}, None, "low"),
        ({"type": "newer"}, "low", "low"),
        (None, "medium", "medium"),
        (None, None, None),
    ],
)
def test_thinking_and_effort_are_reasoning(thinking: Any, effort: Any, wanted: Any) -> None:
    config = {} if effort is None else {"output_config": {"effort": effort}}
    asked = read({"thinking": thinking, **config})
    assert asked.options.get("reasoning") == wanted
    assert ("thinking" in asked.native.told) is (thinking is not None and thinking["type"] != "newer")
    assert asked.native.fields.get("thinking") == thinking
    assert asked.native.fields.get("output_config") == config.get("output_config")


@pytest.mark.parametrize(
    "model", ["openai:gpt-4o-mini", "qwen:qwen3-coder-plus", "openai:gpt-6-sol", "deepseek:deepseek-flash"]
)
def test_an_adaptive_request_does_not_fail_where_nothing_thinks(model: Any) -> None:
    """The clients send it to any name (claude-code#55211)."""
    sent = explain({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, model)
    assert "thinking" not in sent.body or sent.body["thinking"] != {"type": "adaptive"}
    assert "output_config" not in sent.body


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_structured_output(place: Any) -> None:
    wanted = {"type": "json_schema", "schema": SCHEMA}
    body = {place: {"format": wanted, "effort": "low"} if place == "output_config" else wanted}
    asked = read(body)
    assert asked.options["output"] == SCHEMA
    own = explain(body, "anthropic:claude-sonnet-4-6")
    assert own.body["output_config"]["format"] == wanted
    assert own.body["output_config"].get("effort") == ("low" if place == "output_config" else None)
    assert "output_format" not in own.body
    sent = explain(body, "openai:gpt-4o-mini")
    assert sent.body["response_format"]["json_schema"]["schema"]["properties"] == SCHEMA["properties"]


# --- the rest


def test_plain_options() -> None:
    asked = read({"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["x"], "stream": True})
    assert dict(asked.options) == {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["x"]}
    assert asked.stream is True
    assert asked.native.fields == {}


def test_the_protocols_own_words_go_to_who_speaks_it_and_are_told_elsewhere() -> None:
    body = {
        "top_k": 5,
        "metadata": {"user_id": "somebody"},
        "service_tier": "standard_only",
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "mcp_servers": [],
        "inference_geo": "us",
        "newer": {"x": 1},
    }
    headers = {"anthropic-beta": "context-management-2025-06-27, oauth-2025-04-20,newer-beta"}
    own = explain(body, "anthropic:claude-sonnet-4-6", headers)
    assert {name: own.body[name] for name in body} == body
    assert (
        own.headers["anthropic-beta"] == "context-management-2025-06-27,newer-beta"
    )  # the client's sign-in is not ours
    other = explain(body, "deepseek:deepseek-flash", headers)
    assert not other.body.keys() & body.keys()
    assert "user" not in other.body  # metadata.user_id is nobody's identity
    assert {note.field for note in other.adjustments} >= {*body, "betas"}


def test_defaults_say_nothing() -> None:
    asked = read({"service_tier": "auto", "top_k": None, "tools": [], "stop_sequences": []})
    assert dict(asked.options) == {}
    assert asked.native.told >= asked.native.fields.keys()


def test_tokens_are_those_of_the_same_call() -> None:
    body = {"tools": [FUNCTION], "system": "s", "thinking": {"type": "adaptive"}}
    context: Any = type("Context", (), {"seal": Seal(SECRET)})()
    request = request_of({"model": "m", "messages": [user()], **body}, path="/v1/messages/count_tokens")
    counted = surface.read(request, context)
    assert counted.kind == "tokens"
    assert counted.options == read(body).options
    assert counted.native is None
