"""What is sent: fact by fact, and the note that tells of each change."""

from __future__ import annotations

import attrs
import pytest

from chatport import AudioPart, Client, Message, Tool, ToolCall, UnsupportedFeatureError, VideoPart
from chatport.inputs.options import read_call
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.standard.details import merged
from chatport.standard.plain import plain_schema
from chatport_openrouter import provider

CLAUDE, GEMINI, GPT = "anthropic/claude-sonnet-4.6", "google/gemini-3.5-flash", "openai/gpt-5.2"
TOOL = Tool("f")
UNCOMPRESSED = [{"id": "context-compression", "enabled": False}]
PLAIN = provider.facts.describe(GEMINI).rules.schemas.plain
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": 0}}, "required": ["a"]}
FORCED = {"tools": [TOOL], "tool_choice": "required"}


def test_a_plain_call(explain):
    """OR-P8: no `stream_options`; OR-P3; OR-P10; OR-B1, OR-B2."""
    explanation = explain(max_tokens=50, temperature=0.5, seed=1)
    assert explanation.url == "https://openrouter.ai/api/v1/chat/completions"
    assert explanation.body == {
        "model": GPT,
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "max_tokens": 50,
        "seed": 1,
        "plugins": UNCOMPRESSED,
    }
    assert explanation.adjustments == ()


REASONING = [
    (GPT, {"reasoning": "xhigh"}, {"effort": "xhigh"}, set()),
    (GPT, {"reasoning": "none"}, {"effort": "none"}, set()),
    (GPT, {"reasoning": 2000}, {"max_tokens": 2000}, set()),
    (GPT, {}, None, set()),
    (GPT, {"reasoning": "low", "extra": {"reasoning": {"exclude": True}}}, {"effort": "low", "exclude": True}, set()),
    (GPT, {"reasoning": 500, "extra": {"reasoning": {"exclude": True}}}, {"max_tokens": 500, "exclude": True}, set()),
    (GPT, {"extra": {"reasoning_effort": "low"}}, {"effort": "low"}, set()),
    (
        GPT,
        {"reasoning": "low", "extra": {"reasoning": {"effort": "high"}}},
        {"effort": "high"},
        {("dropped", "reasoning", "OR-P6")},
    ),
    (
        GPT,
        {"extra": {"reasoning": {"effort": "high", "max_tokens": 9}}},
        {"effort": "high"},
        {("dropped", "reasoning.max_tokens", "OR-P4")},
    ),
    (CLAUDE, {"reasoning": 10}, {"max_tokens": 1024}, {("note", "reasoning.max_tokens", "OR-P5")}),
    (CLAUDE, {"reasoning": 200_000}, {"max_tokens": 128_000}, {("lowered", "reasoning.max_tokens", "OR-P5")}),
    (
        CLAUDE,
        {"reasoning": 5000, "max_tokens": 4000},
        {"max_tokens": 3999},
        {("lowered", "reasoning.max_tokens", "OR-P5")},
    ),
    (CLAUDE, {"reasoning": "high", **FORCED}, None, {("dropped", "reasoning", "OR-T4")}),
    (CLAUDE, {"reasoning": "none", **FORCED}, {"effort": "none"}, set()),
    (GPT, {"reasoning": "high", **FORCED}, {"effort": "high"}, set()),
    (f"~{CLAUDE}", {"reasoning": "high", **FORCED}, None, {("dropped", "reasoning", "OR-T4")}),
]


@pytest.mark.parametrize(("model", "options", "sent", "told"), REASONING)
def test_reasoning_is_one_object(explain, notes, model, options, sent, told):
    explanation = explain(model=model, **options)
    assert explanation.body.get("reasoning") == sent
    assert "reasoning_effort" not in explanation.body
    assert notes(explanation) == told


def test_mandatory_reasoning_is_not_switched_off(explain, notes):
    """OR-P7: known from the model's facts, which the configuration can correct."""
    explanation = explain(reasoning="none", facts={"efforts": ["low", "high"]})
    assert "reasoning" not in explanation.body
    assert notes(explanation) == {("dropped", "reasoning", "OR-P7")}


def test_structured_output_asks_for_routes_that_have_it(explain, notes):
    """OR-J1, OR-J2, OR-P1"""
    explanation = explain(output=SCHEMA, extra={"provider": {"order": ["openai"]}})
    assert explanation.body["provider"] == {"order": ["openai"], "require_parameters": True}
    assert explanation.body["response_format"]["type"] == "json_schema"
    assert notes(explanation) == {("added", "provider", "OR-J2")}
    for more in ({"extra": {"provider": {"require_parameters": False}}}, {"settings": {"require_parameters": False}}):
        explanation = explain(output=SCHEMA, **more)
        assert (explanation.body.get("provider") or {}).get("require_parameters") is not True
        assert explanation.adjustments == ()
    explanation = explain(settings={"require_parameters": True})
    assert explanation.body["provider"] == {"require_parameters": True}
    assert explanation.adjustments == ()


@pytest.mark.parametrize(("formats", "sent"), [(["json_object"], {"type": "json_object"}), ([], None)])
def test_a_schema_goes_into_words_where_the_facts_say_so(explain, notes, formats, sent):
    explanation = explain(output=SCHEMA, facts={"output_formats": formats})
    assert explanation.body.get("response_format") == sent
    assert explanation.body["messages"][0]["role"] == "system"
    assert ("lowered", "response_format", "OR-J1") in notes(explanation)


def test_a_tool_is_forced_where_the_facts_allow_it(explain, notes):
    """OR-J1; OR-T4: reasoning beside it would be dropped silently; OR-T3: not with a schema of another language."""
    facts = {"output_formats": [], "forced_tool_choice": True}
    explanation = explain(output=SCHEMA, model=CLAUDE, reasoning="low", facts=facts)
    assert explanation.body["tool_choice"]["type"] == "function"
    assert notes(explanation) == {("lowered", "response_format", "OR-J1"), ("dropped", "reasoning", "OR-T4")}
    assert "tools" not in explain(output=SCHEMA, model=GEMINI, facts=facts).body


@pytest.mark.parametrize(
    ("more", "plugins"),
    [
        ({"facts": {"context_tokens": 8192}}, UNCOMPRESSED),
        ({"facts": {"context_tokens": 131072}}, None),
        ({"extra": {"plugins": [{"id": "web"}]}}, [{"id": "web"}, *UNCOMPRESSED]),
        ({"extra": {"plugins": [{"id": "context-compression"}]}}, [{"id": "context-compression"}]),
        ({"extra": {"transforms": ["middle-out"]}}, None),
    ],
)
def test_nothing_is_taken_out_of_the_middle(explain, more, plugins):
    """OR-P10, OR-P11"""
    assert explain(**more).body.get("plugins") == plugins


def test_an_answer_that_ends_in_white_space_is_not_gone_on_from_by_anthropics_routes():
    """OR-P16; OR-P7: thinking that cannot be switched off is not spoken of."""
    models = {"openrouter:deepseek/always": {"efforts": ["low", "high"]}}
    config = load_config({"providers": {"openrouter": {"api_key": "k"}}, "models": models}, environment={})
    vendors = Vendors(config, environment={})
    call, timeouts = read_call("hello")

    def body(prefix, model):
        begun = attrs.evolve(call, prefix=prefix)
        return Routes(vendors).route(begun, f"openrouter:{model}", timeouts=timeouts, options={}).wire.body

    assert body("one ", "deepseek/deepseek-v4-pro")["messages"][-1] == {"role": "assistant", "content": "one "}
    assert body("one", "deepseek/deepseek-v4-pro")["reasoning"] == {"effort": "none"}
    assert "reasoning" not in body("one", "deepseek/always")
    assert body("one", "anthropic/claude-sonnet-4.5")["messages"][-1] == {"role": "assistant", "content": "one"}
    with pytest.raises(UnsupportedFeatureError, match="white space"):
        body("one ", "anthropic/claude-sonnet-4.5")


def test_routing_fields_pass_through(explain):
    """OR-P9, OR-P12, OR-P13, OR-P14, OR-P15, OR-F1, OR-F3"""
    extra = {
        "provider": {"only": ["a"], "sort": {"by": "price", "partition": "none"}, "max_price": {"prompt": 1}},
        "models": [CLAUDE],
        "service_tier": "flex",
        "session_id": "s",
        "prompt_cache_key": "k",
        "verbosity": "low",
        "cache_control": {"type": "ephemeral"},
        "user": "u",
    }
    explanation = explain(extra=extra)
    assert extra.items() <= explanation.body.items()
    assert explanation.adjustments == ()


def test_odd_values_are_left_to_the_vendor(explain):
    extra = {"plugins": "x", "provider": "x", "response_format": "x", "reasoning": True}
    message = {"role": "assistant", "content": "a", "reasoning_details": ["x", {"type": 5}]}
    for model in (CLAUDE, GEMINI):
        body = explain([message, "q"], model=model, extra=extra).body
        assert extra.items() <= body.items()
        assert body["messages"][0]["reasoning_details"] == message["reasoning_details"]


def test_limits_of_numbers(explain):
    """OR-P2, OR-T1"""
    with pytest.raises(UnsupportedFeatureError, match="4 stop"):
        explain(stop=["a", "b", "c", "d", "e"])
    explanation = explain(tools=[Tool("x" * 80)], extra={"parallel_tool_calls": False})
    assert len(explanation.body["tools"][0]["function"]["name"]) == 64
    assert explanation.body["parallel_tool_calls"] is False


def opened(environment, **table):
    config = load_config({"providers": {"openrouter": table}}, environment={"CHATPORT_CONFIG": ""})
    return Vendors(config, environment=environment).provider("openrouter")


def test_addresses_keys_and_attribution(explain):
    """OR-B1, OR-B3, OR-B4, OR-B5"""
    environment = {
        "OPENROUTER_API_KEY": "k",
        "OPENROUTER_HTTP_REFERER": "https://a.example",
        "OPENROUTER_APP_TITLE": "A",
        "OPENROUTER_APP_CATEGORIES": "cli-agent",
    }
    vendor = opened(environment)
    assert vendor.base_url == "https://openrouter.ai/api/v1"
    assert vendor.headers() == {
        "http-referer": "https://a.example",
        "x-openrouter-title": "A",
        "x-openrouter-categories": "cli-agent",
    }
    assert opened(environment, base_url="https://eu.openrouter.ai/api/v1").key is not None
    assert opened({**environment, "OPENROUTER_BASE_URL": "https://us.openrouter.ai/api/v1"}).base_url.startswith(
        "https://us."
    )
    assert opened(environment, cache_seconds=600, title="B").headers() == {
        **vendor.headers(),
        "x-openrouter-title": "B",
        "x-openrouter-cache-ttl": "600",
    }
    headers = explain(settings={"cache": False, "metadata": True}).headers
    assert (headers["x-openrouter-cache"], headers["x-openrouter-metadata"]) == ("false", "enabled")


# --- reasoning details


def text(piece=None, index=0, **more):
    return {"type": "reasoning.text", "index": index, **({} if piece is None else {"text": piece}), **more}


def sealed(data, index=0, **more):
    return {"type": "reasoning.encrypted", "index": index, "data": data, **more}


MERGED = [
    ([text("a"), text("b"), text(signature="s")], [text("ab", signature="s")]),
    ([text("a"), sealed("x"), text("b")], [text("ab"), sealed("x")]),  # Gemini: one index for both types
    ([text("a", 0), text("b", 1), text("c", 1)], [text("a", 0), text("bc", 1)]),
    ([text("a", signature="s"), text("b", signature="t")], [text("a", signature="s"), text("b", signature="t")]),
    ([sealed("x", id="1"), sealed("y", id="2")], [sealed("x", id="1"), sealed("y", id="2")]),
    ([sealed("x", id="1"), sealed("x", id="1")], [sealed("x", id="1")]),
    ([sealed("x"), sealed("y")], [sealed("xy")]),
    ([text("a", None), text("b", None)], [text("a", None), text("b", None)]),
    ([text("a", id=None, format="f"), text("b", id="i", format=None)], [text("ab", id="i", format="f")]),
    ([{"type": "reasoning.summary", "index": 0, "summary": "a"}] * 2, [
        {"type": "reasoning.summary", "index": 0, "summary": "aa"}
    ]),
    (["odd", {"type": "reasoning.server_tool_call"}], ["odd", {"type": "reasoning.server_tool_call"}]),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "items"), MERGED)
def test_pieces_become_items(pieces, items):
    """OR-S8, OR-R2, OR-R5; OR-I10: once, when they are sent."""
    before = repr(pieces)
    assert merged(pieces) == items
    assert merged(items) == items or items == [sealed("xy")]
    assert repr(pieces) == before


def history(details, *, origin="openrouter", **more):
    calls = (ToolCall("1", "f", '{"b":1,"a":2}'), ToolCall("2", "f", "{}"))
    answer = Message.assistant("", tool_calls=calls)
    answer = attrs.evolve(answer, origin=origin, reasoning="plain", opaque={"reasoning_details": details, **more})
    return ["q", answer, Message.tool("1", "r"), Message.tool("2", "r")]


A, G, OA, U = ({"format": name} for name in ("anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", None))
SUITED = [
    (CLAUDE, [text("a", **A), text(signature="s", **A)], [text("a", signature="s", **A)], set()),
    (CLAUDE, [text("a", **A)], None, {"OR-R4"}),
    (CLAUDE, [text("a", **U)], None, {"OR-R4"}),
    (CLAUDE, [sealed("x", **A)], [sealed("x", **A)], set()),
    (GEMINI, [text("a", **G), sealed("x", **G)], [sealed("x", **G)], {"OR-R4"}),
    (GEMINI, [text("a", signature="s", **A)], None, {"OR-R6"}),
    (GPT, [sealed("x", **OA)], [sealed("x", **OA)], set()),
    (GPT, [text("a", **U)], [text("a", **U)], set()),
    ("moonshotai/kimi-k3", [text("a", format="unknown")], [text("a", format="unknown")], set()),
    ("moonshotai/kimi-k3", [sealed("x", **OA)], [sealed("x", **OA)], set()),
    ("openrouter/auto", [text("a", signature="s", **A)], [text("a", signature="s", **A)], set()),
]


@pytest.mark.parametrize(("model", "details", "sent", "facts"), SUITED)
def test_details_go_back(explain, notes, model, details, sent, facts):
    """OR-R1 to OR-R6; OR-I5; OR-I9: the arguments' text is as it came; the plain reasoning never goes back."""
    explanation = explain(history(details), model=model, tools=[TOOL])
    answer = explanation.body["messages"][1]
    assert answer.get("reasoning_details") == sent
    assert "reasoning" not in answer
    assert answer["content"] is None  # OR-T6
    assert answer["tool_calls"][0]["function"]["arguments"] == '{"b":1,"a":2}'
    assert notes(explanation) == {("note", "messages.reasoning_details", fact) for fact in facts}


def test_details_stay_with_their_provider(explain):
    assert "reasoning_details" not in explain(history([sealed("x", **OA)], origin="openai")).body["messages"][1]


def test_details_in_a_dict_are_checked_too(explain, notes):
    """OR-R4; OR-R5: an empty list stays one."""
    message = {"role": "assistant", "content": "a", "reasoning": "plain", "reasoning_details": []}
    assert explain(["q", message, "q"]).body["messages"][1]["reasoning_details"] == []
    message |= {"reasoning_details": [text("a", **A)]}
    explanation = explain(["q", message, "q"], model=CLAUDE)
    assert explanation.body["messages"][1] == {"role": "assistant", "content": "a"}
    assert notes(explanation) == {("note", "messages.reasoning_details", "OR-R4")}


OPEN = {"type": "reasoning", "summary": []}
OF_CLAUDE = {**OPEN, "format": "anthropic-claude-v1", "encrypted_content": "a"}
OF_GPT = {**OPEN, "format": "openai-responses-v1", "encrypted_content": "b"}
UNSIGNED = {**OPEN, "format": "anthropic-claude-v1", "content": [{"type": "reasoning_text", "text": "hm"}]}
SIGNED = {**UNSIGNED, "signature": "s"}
THOUGHTS = [
    (GPT, [OF_GPT], [OF_GPT], []),
    (GPT, [OF_CLAUDE, OF_GPT, OF_CLAUDE], [OF_GPT], ["OR-R6"]),
    (CLAUDE, [OF_GPT, OF_CLAUDE, UNSIGNED, SIGNED], [OF_CLAUDE, SIGNED], ["OR-R4", "OR-R6"]),
    (GEMINI, [OF_CLAUDE], [], ["OR-R6"]),
]


@pytest.mark.parametrize(("model", "thoughts", "sent", "facts"), THOUGHTS)
def test_thoughts_go_back_in_responses_to_a_model_that_takes_them(model, thoughts, sent, facts):
    """RS-V7, OR-R3, OR-R4, OR-R6: each loss is told once."""
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So."}]}
    answer = attrs.evolve(Message.assistant("So."), origin="openrouter", opaque={"items": [*thoughts, said]})
    with Client({"providers": {"openrouter": {"api_key": "k", "protocol": "responses"}}}) as client:
        shown = client.explain(["q", answer, "q"], model=f"openrouter:{model}")
    user = {"role": "user", "content": "q"}
    assert shown.body["input"] == [user, *sent, said, user]
    assert [(note.kind, note.field, note.fact) for note in shown.adjustments] == [
        ("note", "input", fact) for fact in facts
    ]


def test_parsed_files_go_back(explain):
    """OR-M3"""
    files = [{"type": "file", "file": {"hash": "h", "content": []}}]
    assert explain(history([], annotations=files)).body["messages"][1]["annotations"] == files


# --- Gemini's schemas


S = {"type": "string"}
SCHEMAS = [
    ({"type": "object", "title": "T", "examples": [1], "properties": {"title": {**S, "title": "A"}}},
     {"type": "object", "properties": {"title": S}}, []),
    ({"$defs": {"P": {"type": "object", "properties": {"x": S}}}, "properties": {"p": {"$ref": "#/$defs/P"}}},
     {"properties": {"p": {"type": "object", "properties": {"x": S}}}}, []),
    ({"anyOf": [S, {"type": "null"}]}, {**S, "nullable": True}, []),
    ({"anyOf": [S, {"type": "integer"}, {"type": "null"}]}, {"anyOf": [S, {"type": "integer"}], "nullable": True}, []),
    ({"$defs": {"P": S}, "anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]}, {**S, "nullable": True}, []),
    ({"type": ["string", "null"]}, {**S, "nullable": True}, []),
    ({"const": "a"}, {**S, "enum": ["a"]}, []),
    ({**S, "enum": ["a", None]}, {**S, "enum": ["a"], "nullable": True}, []),
    ({"type": "integer", "enum": [1, 2], "description": "D"},
     {"type": "integer", "description": "D (enum: [1,2])"}, ["enum"]),
    ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "description": "(exclusiveMinimum: 0)"},
     ["exclusiveMinimum"]),
    ({"$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}}}, "$ref": "#/$defs/N"},
     {"properties": {"n": {"type": "object", "description": "again a N"}}}, ["$defs.N.properties.n.$ref"]),
    ({"type": "array", "items": {"const": 1}}, {"type": "array", "items": {"description": "(enum: [1])"}},
     ["items.const"]),
    ({"$ref": "#/nowhere/0"}, {}, ["$ref"]),
    ({"properties": {"a": {"const": None}, "b": True}}, {"properties": {"a": {"nullable": True}, "b": True}},
     ["properties.a.const"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "sent", "losses"), SCHEMAS)
def test_schemas_for_gemini(explain, notes, schema, sent, losses):
    """OR-T3: in tools and in structured output, for this family of models only."""
    reduced, lost = plain_schema(schema, PLAIN)
    assert (reduced, [f"{loss.path}.{loss.keyword}".lstrip(".") for loss in lost]) == (sent, losses)
    explanation = explain(model=GEMINI, tools=[Tool("f", "", schema)], extra={"response_format": wanted(schema)})
    assert explanation.body["tools"][0]["function"]["parameters"] == sent
    assert explanation.body["response_format"] == wanted(sent)
    told = {
        ("lowered", f"{option}.{place}", "OR-T3") for option in ("tools.f.parameters", "output") for place in losses
    }
    assert notes(explanation) == {("added", "provider", "OR-J2"), *told}
    other = explain(model="mistralai/mistral-large", tools=[Tool("f", "", schema)])
    assert other.body["tools"][0]["function"]["parameters"] == schema


@pytest.mark.parametrize(
    ("model", "given", "is_replaced"),
    [
        (GPT, "fc_" + "0" * 50, True),
        (GPT, "functions.f:0", False),
        (CLAUDE, "functions.f:0", True),
        (CLAUDE, "fc_" + "0" * 50, False),
        (GEMINI, "tool.f:" + "0" * 50, False),
    ],
)
def test_ids_are_made_to_fit_the_route(explain, notes, model, given, is_replaced):
    """OR-T8: each route has its rule; Gemini's own ids are long, and come back as they are."""
    call = ToolCall(given, "f", "{}")
    explanation = explain(["q", Message.assistant(tool_calls=(call,)), Message.tool(call, "r")], model=model)
    sent = explanation.body["messages"][1]["tool_calls"][0]["id"]
    assert explanation.body["messages"][2]["tool_call_id"] == sent
    assert (sent != given) is is_replaced
    assert (("renamed", "messages.tool_call_id", "OR-T8") in notes(explanation)) is is_replaced


@pytest.mark.parametrize(("model", "is_joined"), [(GPT, True), (CLAUDE, True), ("mistralai/mistral-large", False)])
def test_a_union_at_the_root_becomes_one_object(explain, notes, model, is_joined):
    """OR-T9: where the route behind it refuses one, and nowhere else."""
    schema = {**SCHEMA, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    explanation = explain(model=model, tools=[Tool("f", "", schema)])
    sent = explanation.body["tools"][0]["function"]["parameters"]
    assert ("anyOf" not in sent) is is_joined
    assert (("lowered", "tools.f.parameters.anyOf", "OR-T9") in notes(explanation)) is is_joined


def wanted(schema):
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}


def test_sound_and_video(explain):
    """OR-M2: sound is bare base64, and no address; a video may be either."""
    parts = [AudioPart("data:audio/wav;base64,AAAA"), VideoPart("https://x.example/a.mp4"), VideoPart.from_bytes(b"x")]
    content = explain(Message.user("?", *parts), model=GEMINI).body["messages"][0]["content"]
    assert content[1]["input_audio"] == {"data": "AAAA", "format": "wav"}
    assert [part["video_url"]["url"] for part in content[2:]] == [
        "https://x.example/a.mp4",
        "data:video/mp4;base64,eA==",
    ]
    with pytest.raises(UnsupportedFeatureError, match="OR-M2"):
        explain(Message.user("?", AudioPart("https://x.example/a.wav", "wav")), model=GEMINI)
