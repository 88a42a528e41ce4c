"""Shapes that are some vendor's own pass: through the plain standard as they are, to others as their facts say."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from chatport import Client, ImagePart, Message, UnsupportedFeatureError, VendorPart
from chatport.call import Call, Tool, ToolChoice
from chatport.errors import BadRequestError
from chatport.facts.models import ModelFacts
from chatport.inputs.messages import read_messages
from chatport.inputs.tools import bare_tools, read_server_tools, read_tool_choice, read_tools
from chatport.limits.estimate import estimate_input_tokens, estimate_output_tokens


def weather(city: str) -> str:
    """The weather now."""
    return city


TOOLS = read_tools([weather, {"name": "other"}])

PARTS: list[dict[str, Any]] = [
    {"type": "document_url", "document_url": "https://h.example/x.pdf", "document_name": "x"},
    {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0="},
    {"type": "input_audio", "input_audio": "ZkxhQw=="},
    {"type": "input_audio", "input_audio": {"data": "https://h.example/x.wav"}},
    {"type": "audio_url", "audio_url": {"url": "https://h.example/x.wav"}},
    {"type": "video_url", "video_url": {"url": "https://h.example/x.mp4"}, "fps": 2},
    {"type": "video", "video": ["https://h.example/1.jpg", "https://h.example/2.jpg"]},
    {"type": "file_url", "file_url": {"url": "https://h.example/x.pdf"}},
    {"type": "file", "file_id": "file-1"},
    {"type": "file", "file": {"file_data": "https://h.example/x.pdf", "filename": "x", "format": "pdf"}},
    {"type": "image_url", "image_url": {"url": "https://h.example/x.png", "max_pixels": 9}},
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
    {"type": "reference", "reference_ids": [1, 2]},
    {"image_url": "https://h.example/x.png"},
]
ADDRESSES = [
    "gs://bucket/x.png",
    "file:///srv/x.png",
    "s3://bucket/x.png",
    "oss://x",
    "ms://x",
    "data:application/octet-stream;base64,eA==",
    "data:text/html,x",
    "data:,x",
    "iVBORw0KGgo" * 12,
]
OWN_TOOLS: list[dict[str, Any]] = [
    {"type": "web_search", "search_context_size": "low"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "mcp", "server_url": "https://mcp.example", "require_approval": "never"},
    {"type": "browser_search"},
    {"type": "retrieval", "retrieval": {"knowledge_id": "k"}},
    {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}},
    {"type": "builtin_function", "function": {"name": "$web_search"}},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    {"google_search": {}},
]
CHOICES: list[Any] = [
    "any",
    "sometimes",
    {"type": "auto"},
    {"type": "tool", "name": "weather"},
    {"type": "custom", "custom": {"name": "sh"}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    {"type": "web_search"},
    {"function": {"name": "elsewhere"}},
    {"type": "function", "function": {"name": "weather", "strict": True}},
]

Shape = Callable[..., Any]


@pytest.fixture
def sent() -> Shape:
    """Give the body that the plain standard sends, whose notes must be none."""
    client = Client(config={"providers": {"x": {"kind": "compatible", "base_url": "https://x.example/v1"}}})

    def shape(messages: Any, **options: Any) -> Any:
        explained = client.explain(messages, model="x:m", on_unsupported="raise", **options)
        assert explained.adjustments == ()
        return explained.body

    return shape


# --- through the plain standard, as they are


@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool"])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: "-".join(map(str, part.values()))[:40])
def test_a_part_of_a_vendors_own_is_sent_as_it_is(part: dict[str, Any], role: str, sent: Shape) -> None:
    """In every role, beside other parts, in its place; and what the caller holds stays the caller's."""
    given = copy.deepcopy(part)
    message = {"role": role, "content": [{"type": "text", "text": "a"}, part, "b"]}
    body = sent([message if role != "tool" else {**message, "tool_call_id": "c"}])
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a"}, given, {"type": "text", "text": "b"}]
    assert sent([Message.user(VendorPart(part))])["messages"][0]["content"] == [given]
    assert part == given


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_image_may_be_anywhere(url: str, sent: Shape) -> None:
    """Which addresses a server reads is its own matter: each is sent."""
    is_bare = "://" not in url and not url.startswith("data:")  # base64, whose beginning tells what it is
    whole = f"data:image/png;base64,{url}" if is_bare and url.startswith("iVBOR") else url
    expected = [{"type": "image_url", "image_url": {"url": whole}}]
    assert sent([Message.user(ImagePart(url))])["messages"][0]["content"] == expected
    for image in (url, {"url": url}):
        content = [{"type": "image_url", "image_url": image}]
        assert sent([{"role": "user", "content": content}])["messages"][0]["content"] == expected


@pytest.mark.parametrize("tool", OWN_TOOLS, ids=lambda tool: str(next(iter(tool.values()))))
def test_a_tool_that_is_no_function_is_sent_as_it_is(tool: dict[str, Any], sent: Shape) -> None:
    """Alone, and behind the functions among which it is given; nothing of it is lost."""
    assert sent("hi", tools=[tool])["tools"] == [tool]
    body = sent("hi", tools=[weather, tool, {"type": "function", "function": {"name": "other"}}])
    assert [t.get("function", {}).get("name") for t in body["tools"][:2]] == ["weather", "other"]
    assert body["tools"][2:] == [tool]
    given: list[Any] = [weather, tool, {"name": "other"}]
    assert [read.name for read in read_tools(given)] == ["weather", "other"]
    assert read_server_tools(given) == (tool,)
    assert read_server_tools([weather]) == read_server_tools(None) == ()


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_choice_in_a_vendors_own_words_is_sent_as_it_is(choice: Any, sent: Shape) -> None:
    """A word or a dict that names none of the tools alone, beside functions and beside none."""
    assert sent("hi", tools=[weather], tool_choice=choice)["tool_choice"] == choice
    assert sent("hi", tools=[{"type": "web_search"}], tool_choice=choice)["tool_choice"] == choice
    assert sent("hi", tool_choice=choice)["tool_choice"] == choice
    read = read_tool_choice(choice, TOOLS)
    assert read == ToolChoice("vendor", value=choice)
    if isinstance(choice, dict):
        with pytest.raises(TypeError):
            read.value["type"] = "x"


def test_a_choice_may_be_about_tools_in_extra(sent: Shape) -> None:
    """No tools here does not mean that there are none; but what forces nothing needs no word where there are none."""
    assert sent("hi", tool_choice="required")["tool_choice"] == "required"
    assert sent("hi", tool_choice="auto", extra={"tools": [OWN_TOOLS[0]]})["tool_choice"] == "auto"
    assert "tool_choice" not in sent("hi", tool_choice="auto")
    assert "tool_choice" not in sent("hi", tool_choice="none")


def test_a_bare_function_names_the_tool(sent: Shape) -> None:
    """The dict of a choice may leave its type out."""
    assert read_tool_choice({"function": {"name": "other"}}, TOOLS) == ToolChoice("named", "other")
    body = sent("hi", tools=[weather], tool_choice={"function": {"name": "weather"}})
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 3), ("temperature", -1), ("top_p", 2), ("top_p", -0.5),
        ("max_tokens", 0), ("max_tokens", -1), ("seed", -1),
    ],
)  # fmt: skip
def test_a_number_goes_as_far_as_the_vendor_lets_it(option: str, value: float, sent: Shape) -> None:
    """Where a scale ends is said by a vendor's facts: without any, the number is sent."""
    assert sent("hi", **{option: value})[option] == value


@pytest.mark.parametrize("word", ["default", "auto", "ultra", "enormous", "adaptive"])
def test_an_effort_may_be_a_vendors_own_word(word: str, sent: Shape) -> None:
    assert sent("hi", reasoning=word)["reasoning_effort"] == word
    assert sent("hi", extra={"reasoning_effort": word})["reasoning_effort"] == word


@pytest.mark.parametrize("turn", [{}, {"content": ""}, {"content": []}, {"content": None}], ids=str)
def test_a_user_turn_may_be_empty(turn: dict[str, Any], sent: Shape) -> None:
    assert sent([{"role": "user", **turn}])["messages"] == [{"role": "user", "content": ""}]
    assert sent([Message("user")])["messages"] == [{"role": "user", "content": ""}]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "7"},
        {"role": "wizard", "content": "Abracadabra."},
        {"role": "ipython", "content": [{"type": "text", "text": "1"}, PARTS[0]], "call": 5},
        {"role": "model", "content": "a", "tool_calls": [{"id": "c", "parameters": {}}]},
    ],
    ids=lambda message: str(message["role"]),
)
def test_a_role_may_be_a_vendors_own_word(message: dict[str, Any], sent: Shape) -> None:
    """With all that the message has."""
    assert sent([message, "go on"])["messages"][0] == message


def test_the_older_form_of_a_call_is_sent(sent: Shape) -> None:
    """Who has it in a history gets it back where it is still known."""
    answer = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert sent([answer, "go on"])["messages"][0] == answer


def test_calls_of_tools_that_are_no_functions_are_sent(sent: Shape) -> None:
    """With those of functions among them, and with their results."""
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    plain = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": None, "tool_calls": [custom, plain]}
    results = [{"role": "tool", "tool_call_id": call_id, "content": "7"} for call_id in ("c1", "c2")]
    assert sent(["hi", answer, *results])["messages"][1:] == [answer, *results]


def test_a_call_without_an_id_gets_one_with_its_result() -> None:
    """Some servers give none, and want none; with an id every vendor takes it, which is told."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    history: list[Any] = ["hi", {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "7"}]
    client = Client(config={"providers": {"x": {"kind": "compatible", "base_url": "https://x.example/v1"}}})
    explained = client.explain(history, model="x:m")
    answer, result = explained.body["messages"][1:]
    assert answer["tool_calls"][0]["id"] == result["tool_call_id"] != ""
    assert {note.kind for note in explained.adjustments} == {"renamed"}


@pytest.mark.parametrize("call_id", ["", "c9", None])
def test_a_result_may_answer_a_call_that_is_not_there(call_id: str | None, sent: Shape) -> None:
    """Some servers take what others refuse; an id that is not given is not sent."""
    result = (
        {"role": "tool", "content": "7"}
        if call_id is None
        else {"role": "tool", "tool_call_id": call_id, "content": "7"}
    )
    assert sent(["hi", result])["messages"][1] == result


# --- what is not meant is still refused


@pytest.mark.parametrize("tool", [{"type": 5}, {"type": []}], ids=str)
def test_a_tool_that_does_not_say_what_it_is_is_refused(tool: Any) -> None:
    with pytest.raises(BadRequestError, match=r"tools\[1\]\.type must say what the tool is"):
        read_server_tools([weather, tool])


def test_a_message_value_has_one_of_our_roles() -> None:
    """A role of a vendor's own is written in a dict, which is its shape; a value of ours has ours."""
    with pytest.raises(BadRequestError, match=r"messages\[0\]\.role must be one of system, developer"):
        read_messages([Message("wizard")])  # type: ignore[arg-type]  # tested


def test_a_vendor_part_is_a_dict() -> None:
    with pytest.raises(BadRequestError, match="VendorPart has a dict for its value, not str"):
        VendorPart("x")  # type: ignore[arg-type]  # tested


# --- the values themselves


def test_nothing_can_be_written_into_a_vendor_part() -> None:
    """It is shared by the hooks of several calls; what the caller gave is not touched."""
    given: dict[str, Any] = {"type": "video", "video": ["a"]}
    part = VendorPart(given)
    given["video"].append("b")
    assert part.value == {"type": "video", "video": ["a"]}
    assert (part.kind, part.extra) == ("video", {})
    assert VendorPart({"image": "x"}).kind == ""
    with pytest.raises(TypeError):
        part.value["type"] = "x"  # type: ignore[index]  # tested
    assert pickle.loads(pickle.dumps(part)) == part
    assert Message.user("a", part).text == "a"


@pytest.mark.parametrize("kind", [{}, {"type": "custom"}], ids=str)
def test_a_function_in_another_protocols_shape_keeps_its_schema(kind: dict[str, Any]) -> None:
    """`input_schema` is what `parameters` is elsewhere."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    (tool,) = read_tools([{**kind, "name": "f", "description": "d", "input_schema": schema}])
    assert (tool.name, tool.description, tool.schema) == ("f", "d", schema)


def test_a_tool_of_only_a_name_is_a_function_and_told() -> None:
    """Nothing else can be meant by it, and what is made of it is said."""
    assert read_tools([{"name": "f"}])[0].name == "f"
    (note,) = bare_tools([{"name": "f"}, {"name": "g", "parameters": {"type": "object"}}, weather])
    assert (note.kind, note.field) == ("note", "tools.f")


def test_what_is_a_vendors_own_is_counted() -> None:
    """An estimate knows of it: text by its length, what is elsewhere as a file, no limit as none."""
    plain = estimate_input_tokens(Call((Message.user("hi"),)))
    thinking, video = VendorPart({"type": "thinking", "thinking": "word " * 400}), VendorPart(PARTS[5])
    assert 400 < estimate_input_tokens(Call((Message.user("hi", thinking),))) - plain < 800
    assert estimate_input_tokens(Call((Message.user("hi", video),))) - plain >= 4000
    heavy = VendorPart({"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + "A" * 400_000}})
    assert estimate_input_tokens(Call((Message.user(heavy),))) > 60_000
    assert estimate_input_tokens(Call((Message.user("hi"),), server_tools=(OWN_TOOLS[0],))) > plain
    assert estimate_input_tokens(Call((Message.user("hi"),), server_tools=({"x": object()},))) > plain
    assert estimate_output_tokens(Call((), max_tokens=-1), ModelFacts()) == estimate_output_tokens(
        Call(()), ModelFacts()
    )
    assert estimate_output_tokens(Call((), max_tokens=0), ModelFacts()) == 0


# --- to a vendor whose facts speak


@pytest.fixture
def shaped(monkeypatch: pytest.MonkeyPatch) -> Shape:
    """Give the body for a vendor with these facts, and the notes."""

    def shape(facts: dict[str, Any], messages: Any = "hi", **options: Any) -> Any:
        config = {
            "providers": {"x": {"kind": "compatible", "base_url": "https://x.example/v1"}},
            "models": {"x:m": facts},
        }
        explained = Client(config=config).explain(messages, model="x:m", **options)
        return explained.body, [(note.kind, note.field) for note in explained.adjustments]

    return shape


KNOWN = {"part_types": ["text", "image_url"], "fact": "AC-1"}


def test_parts_of_a_kind_that_is_unknown_there_are_left_out_and_told(shaped: Shape) -> None:
    """Another vendor's thinking is of no use here; and with `raise` it is an error."""
    answer = {"role": "assistant", "content": [PARTS[11], {"type": "text", "text": "a"}]}
    facts = {"rules": {"messages": KNOWN}}
    body, notes = shaped(facts, ["q", answer, "b"])
    assert body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    assert notes == [("dropped", "messages.content")]
    assert shaped(facts, ["q", {"role": "assistant", "content": [PARTS[11]]}])[0]["messages"][1]["content"] == ""
    with pytest.raises(UnsupportedFeatureError, match="unknown here: thinking"):
        shaped(facts, ["q", answer, "b"], on_unsupported="raise")


@pytest.mark.parametrize("number", [0, 2, 4, 5, 6, 7])
def test_media_of_a_kind_that_is_unknown_there_are_refused(number: int, shaped: Shape) -> None:
    """To leave out what the question is about would be silently wrong."""
    message = {"role": "user", "content": ["what is this?", PARTS[number]]}
    with pytest.raises(UnsupportedFeatureError, match=r"AC-1"):
        shaped({"rules": {"messages": KNOWN}}, [message])


@pytest.mark.parametrize(("number", "kind"), [(0, "file"), (2, "audio"), (5, "video"), (8, "file"), (10, "image")])
def test_media_that_a_model_does_not_take_are_refused_in_every_shape(number: int, kind: str, shaped: Shape) -> None:
    message = {"role": "user", "content": [PARTS[number]]}
    with pytest.raises(UnsupportedFeatureError, match=f"takes text, and messages.0. has an? {kind} part"):
        shaped({"input": ["text"]}, [message])
    assert shaped({"input": ["text", kind]}, [message])[0]["messages"] == [message]


def test_a_result_without_its_call_is_refused_where_the_facts_say_so(shaped: Shape) -> None:
    facts = {"rules": {"messages": {"orphan_results": False, "fact": "AC-2"}}}
    asked = {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "7"}
    assert shaped(facts, ["hi", asked, result])[0]["messages"][2] == result
    for history in (
        ["hi", result, asked],
        ["hi", asked, {**result, "tool_call_id": "c2"}],
        ["hi", {**result, "tool_call_id": ""}],
    ):
        with pytest.raises(UnsupportedFeatureError, match=r"which no earlier assistant turn makes: .* \(AC-2\)"):
            shaped(facts, history)


def test_tools_of_a_type_that_is_not_taken_are_left_out_and_told(shaped: Shape) -> None:
    """A choice that was about them goes with them."""
    facts = {"rules": {"tools": {"kinds": ["function"], "fact": "AC-3"}}}
    body, notes = shaped(facts, tools=[weather, OWN_TOOLS[0]])
    assert [tool["type"] for tool in body["tools"]] == ["function"]
    assert notes == [("dropped", "tools")]
    body, notes = shaped(facts, tools=[OWN_TOOLS[0]], tool_choice={"type": "web_search"})
    assert not body.keys() & {"tools", "tool_choice"}
    assert notes == [("dropped", "tools"), ("dropped", "tool_choice")]
    assert shaped({"tools": False}, tools=[OWN_TOOLS[0]])[0]["tools"] == [OWN_TOOLS[0]]  # which is no function
    with pytest.raises(UnsupportedFeatureError, match="at most 1 tools, not 2"):
        shaped({"max_tools": 1}, tools=[weather, OWN_TOOLS[0]])


FOUR = {"choices": ["auto", "none", "required", "named"], "fact": "AC-4"}


@pytest.mark.parametrize(
    ("choice", "known"),
    [
        ("any", "required"),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "function", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
    ids=str,
)
def test_another_vendors_choice_is_said_in_the_standards_words(choice: Any, known: Any, shaped: Shape) -> None:
    body, notes = shaped({"rules": {"tools": FOUR}}, tools=[weather], tool_choice=choice)
    assert body["tool_choice"] == known
    assert notes == [("renamed", "tool_choice")]


@pytest.mark.parametrize("choice", ["sometimes", {"type": "web_search"}, {"type": "tool", "name": "x"}], ids=str)
def test_a_choice_that_has_no_other_words_is_left_out_and_told(choice: Any, shaped: Shape) -> None:
    body, notes = shaped({"rules": {"tools": FOUR}}, tools=[weather], tool_choice=choice)
    assert "tool_choice" not in body
    assert notes == [("dropped", "tool_choice")]


def test_a_listed_type_of_choice_is_sent(shaped: Shape) -> None:
    rule = {**FOUR, "choices": [*FOUR["choices"], "any", "allowed_tools"]}
    for choice in ("any", CHOICES[5]):
        body, notes = shaped({"rules": {"tools": rule}}, tools=[weather], tool_choice=choice)
        assert (body["tool_choice"], notes) == (choice, [])


def test_a_model_that_cannot_be_forced_is_asked_in_words_whosever_word_it_is(shaped: Shape) -> None:
    body, notes = shaped({"forced_tool_choice": False}, tools=[weather], tool_choice="any")
    assert body["tool_choice"] == "auto"
    assert "one of the tools" in body["messages"][0]["content"]
    assert ("lowered", "tool_choice") in notes


def test_a_choice_that_is_taken_without_a_promise_is_sent_and_asked_for_in_words(shaped: Shape) -> None:
    rule = {"choices": ["auto"], "hints": ["required", "named"], "fact": "AC-5"}
    for choice, words in (("weather", "the tool weather"), ("required", "one of the tools")):
        body, notes = shaped({"rules": {"tools": rule}}, tools=[weather, Tool("g")], tool_choice=choice)
        named = {"type": "function", "function": {"name": "weather"}}
        assert body["tool_choice"] == (named if choice == "weather" else choice)
        assert len(body["tools"]) == (1 if choice == "weather" else 2)  # what is not there is not called
        assert words in body["messages"][0]["content"]
        assert notes == [("lowered", "tool_choice")]


def test_a_choice_of_no_tool_leaves_the_tools_alone(shaped: Shape) -> None:
    """Where a named choice is said by that tool alone, one that names none of them would leave nothing."""
    other = {"type": "function", "function": {"name": "elsewhere"}}
    for rule in ({"choices": ["auto", "none", "required"]}, {"choices": ["auto"]}):
        body, notes = shaped({"rules": {"tools": rule}}, tools=[weather], tool_choice=other)
        assert (len(body["tools"]), "tool_choice" in body, notes) == (1, False, [("dropped", "tool_choice")])


def test_an_effort_that_the_facts_do_not_list_is_left_out_and_told(shaped: Shape) -> None:
    """A listed word is sent, whosever it is; `default` means no more than to say nothing."""
    facts = {"reasoning": True, "efforts": ["low", "high", "ultra"]}
    assert shaped(facts, reasoning="ultra")[0]["reasoning_effort"] == "ultra"
    body, notes = shaped(facts, reasoning="enormous")
    assert ("reasoning_effort" in body, notes) == (False, [("dropped", "reasoning")])
    body, notes = shaped(facts, reasoning="default")
    assert ("reasoning_effort" in body, notes) == (False, [("note", "reasoning")])
    assert shaped({"reasoning": False}, reasoning="enormous")[1] == [("dropped", "reasoning")]
    body, notes = shaped({"reasoning": True, "efforts": ["ultra"]}, reasoning="high")
    assert (body["reasoning_effort"], notes) == ("ultra", [("lowered", "reasoning")])


def test_what_reasoning_excludes_is_seen_in_every_word(shaped: Shape) -> None:
    """A forced call is one in another vendor's words as well, and a free choice is none."""
    facts = {"reasoning": True, "default_effort": "high", "efforts": ["none", "high"]}
    facts["rules"] = {"reasoning": {"gives_way_to": {"forced_choice": "AC-6"}}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}
    for choice in ("any", {"type": "tool", "name": "weather"}, allowed):
        assert shaped(facts, tools=[weather], tool_choice=choice)[0]["reasoning_effort"] == "none", choice
    for choice in ("auto", {"type": "auto"}, CHOICES[5]):
        assert "reasoning_effort" not in shaped(facts, tools=[weather], tool_choice=choice)[0], choice


def test_an_address_of_the_vendors_own_is_neither_the_webs_nor_inline(shaped: Shape) -> None:
    """What the facts say of addresses is about the web's: an upload's own scheme is the vendor's matter."""
    parts = {"image": {"addresses": False, "inline": False, "fact": "AC-7"}}
    assert shaped({"rules": {"parts": parts}}, [Message.user(ImagePart("gs://b/x.png"))])[1] == []
    for url in ("https://h.example/x.png", "data:image/png;base64,eA=="):
        with pytest.raises(UnsupportedFeatureError, match="AC-7"):
            shaped({"rules": {"parts": parts}}, [Message.user(ImagePart(url))])
