"""Where a call goes and what it says, fact by fact. Nothing is sent."""

from __future__ import annotations

import pytest

import chatport
from chatport import Client, ImagePart, Message, TextPart, Tool, ToolCall, VideoPart

BASES = {
    None: "https://api.z.ai/api/paas/v4",
    ("china", None): "https://open.bigmodel.cn/api/paas/v4",
    ("international", "coding"): "https://api.z.ai/api/coding/paas/v4",
    ("china", "coding"): "https://open.bigmodel.cn/api/coding/paas/v4",
    (None, "coding"): "https://api.z.ai/api/coding/paas/v4",
    (None, "general"): "https://api.z.ai/api/paas/v4",
}
F = Tool("f", schema={"type": "object", "properties": {}})
G = Tool("g", strict=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
IMAGE = ImagePart("data:image/png;base64,AAAA")


@pytest.mark.parametrize("place", BASES)
def test_region_and_plan_make_the_address(explain, place):  # GL-0.1, GL-0.2, GL-B1, GL-D1
    settings = {k: v for k, v in zip(("region", "plan"), place or (), strict=False) if v}
    assert explain(settings=settings).url == f"{BASES[place]}/chat/completions"


@pytest.mark.parametrize(("settings", "words"), [({"region": "mars"}, "china"), ({"plan": "gold"}, "coding")])
def test_a_place_that_is_none_is_refused(explain, settings, words):  # GL-0.1
    with pytest.raises(chatport.ConfigurationError, match=words):
        explain(settings=settings)


@pytest.mark.parametrize("variable", ["ZAI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "GLM_API_KEY"])
def test_keys_and_address_from_the_environment(monkeypatch, variable):  # GL-B2, GL-B4
    monkeypatch.setenv(variable, "id.secret")
    monkeypatch.setenv("ZAI_API_BASE", "https://open.bigmodel.cn/api/paas/v4/")
    with Client(config={"providers": {}}) as client:
        sent = client.explain("hi", model="glm:glm-5.2")
    assert sent.headers["authorization"] == "Bearer ***"
    assert sent.url == "https://open.bigmodel.cn/api/paas/v4/chat/completions"
    with (
        Client(config={"providers": {"glm": {"base_url": "https://api.z.ai.evil.example/v4"}}}) as client,
        pytest.raises(chatport.ConfigurationError, match=variable),
    ):
        client.explain("hi", model="glm:glm-5.2")


FIELDS = [
    # what is asked, what of it is sent, and the notes
    ({"temperature": 1.7}, {"temperature": 1}, {("lowered", "temperature", "GL-P3")}),  # GL-X7
    ({"temperature": 0.333}, {"temperature": 0.333}, set()),
    ({"temperature": 0}, {"temperature": 0}, set()),
    ({"top_p": 0}, {"top_p": 0.01}, {("lowered", "top_p", "GL-P4")}),
    ({"top_p": 1.0}, {"top_p": 1.0}, set()),
    (
        {"temperature": 0.5, "extra": {"do_sample": False}},
        {"do_sample": False, "temperature": None},
        {("dropped", "temperature", "GL-P5")},
    ),
    ({"seed": 3}, {"seed": None}, {("dropped", "seed", "GL-P2")}),
    (
        {"extra": {"logprobs": True, "frequency_penalty": 1}},
        {"logprobs": None, "frequency_penalty": None},
        {("dropped", "logprobs", "GL-P2"), ("dropped", "frequency_penalty", "GL-P2")},
    ),
    (
        {"extra": {"n": 2, "parallel_tool_calls": False}},
        {"n": None, "parallel_tool_calls": None},
        {("dropped", "n", "GL-P1"), ("dropped", "parallel_tool_calls", "GL-P1")},
    ),
    ({"extra": {"n": 1, "parallel_tool_calls": True}}, {"n": None, "parallel_tool_calls": None}, set()),  # GL-T4
    ({"max_tokens": 200_000}, {"max_tokens": 131_072}, {("lowered", "max_tokens", "")}),  # GL-P6
    (
        {"extra": {"max_completion_tokens": 9}},
        {"max_tokens": 9, "max_completion_tokens": None},
        {("renamed", "max_completion_tokens", "GL-P6")},
    ),
    ({"stop": ["two words", "x"]}, {"stop": ["two words", "x"]}, set()),  # GL-P7
    ({"extra": {"user": "user-123"}}, {"user_id": "user-123", "user": None}, {("renamed", "user", "GL-P12")}),
    ({"extra": {"user": "joe"}}, {"user_id": None, "user": None}, {("dropped", "user", "GL-P12")}),
    ({"extra": {"request_id": "my-own-id"}}, {"request_id": "my-own-id"}, set()),  # GL-P1, GL-P12
    ({"stream": True}, {"stream": True, "stream_options": None}, set()),  # GL-P8, GL-S4
    ({"extra": {"stream_options": {"include_usage": True}}}, {"stream_options": None}, set()),
]


@pytest.mark.parametrize(("asked", "sent", "said"), FIELDS)
def test_fields(explain, notes, asked, sent, said):
    got = explain(**asked)
    assert {field: got.body.get(field) for field in sent} == sent
    assert notes(got) == said


def test_too_many_stop_strings(explain):  # GL-P7
    with pytest.raises(chatport.UnsupportedFeatureError, match="4 stop"):
        explain(stop=list("abcde"))


def test_the_mark_of_another_path_is_taken_off(explain, notes):  # GL-X6
    got = explain(model="glm-5.2[1m]")
    assert (got.body["model"], notes(got)) == ("glm-5.2", {("renamed", "model", "GL-X6")})


LOW, NOTE, DROP = (("lowered", "reasoning", f"GL-P{n}") for n in (10, 11, 10))
HARD = ("lowered", "reasoning", "GL-P11")
SAID = ("note", "reasoning", "GL-P11")
THINKING = [
    # GL-P9, GL-P10, GL-P11: model, what is asked, type of thinking, effort, notes
    ("glm-5.3", None, None, None, set()),
    ("glm-5.3", "none", "enabled", "low", {LOW}),  # GL-0.4
    ("glm-5.3", "minimal", "enabled", "low", {SAID}),
    ("glm-5.3", "low", "enabled", "low", set()),
    ("glm-5.3", "medium", "enabled", "high", {SAID}),
    ("glm-5.3", "xhigh", "enabled", "max", {SAID}),
    ("glm-5.3", 4096, "enabled", None, {("dropped", "reasoning", "")}),
    ("glm-6", "none", "enabled", "low", {LOW}),
    ("glm-5.2", None, None, None, set()),
    ("glm-5.2", "none", "disabled", None, set()),
    ("glm-5.2", "low", "enabled", "low", {SAID}),
    ("glm-5.2", "max", "enabled", "max", set()),
    ("glm-5.1", "none", "disabled", None, set()),
    ("glm-4.7-flash", "high", "enabled", None, {SAID}),
    ("glm-4.6", "medium", "enabled", None, {SAID}),
    ("glm-4.5-air", "max", "enabled", None, {HARD}),
    ("glm-4-plus", "none", None, None, set()),
    ("glm-4-plus", "high", None, None, {("dropped", "reasoning", "GL-P10")}),
]


@pytest.mark.parametrize(("model", "asked", "switch", "effort", "said"), THINKING)
def test_thinking(explain, notes, model, asked, switch, effort, said):
    got = explain(model=model, reasoning=asked)
    assert got.body.get("thinking") == (None if switch is None else {"type": switch})
    assert got.body.get("reasoning_effort") == effort
    assert notes(got) == said


OWN = [
    ("glm-5.2", None, {"clear_thinking": False}, {"clear_thinking": False}, set()),  # GL-R2
    ("glm-5.2", "max", {"clear_thinking": False}, {"clear_thinking": False, "type": "enabled"}, set()),
    ("glm-5.2", None, {"type": "adaptive"}, {"type": "enabled"}, {("lowered", "thinking.type", "GL-P9")}),
    ("glm-5.3", None, {"type": "disabled"}, {"type": "enabled"}, {LOW}),
]


@pytest.mark.parametrize(("model", "asked", "own", "sent", "said"), OWN)
def test_the_vendors_own_switch(explain, notes, model, asked, own, sent, said):
    got = explain(model=model, reasoning=asked, extra={"thinking": own})
    assert (got.body["thinking"], notes(got)) == (sent, said)


def test_reasoning_goes_back_to_its_origin_only(explain, notes):  # GL-R1, GL-R2, GL-R3
    def history(origin, reasoning="why"):
        answer = Message("assistant", (TextPart("a"),), reasoning=reasoning, origin=origin)
        return [Message.user("q"), answer, Message.user("q")]

    kept = {"extra": {"thinking": {"clear_thinking": False}}}
    assert explain(history("glm")).body["messages"][1]["reasoning_content"] == "why"
    assert "reasoning_content" not in explain(history("deepseek")).body["messages"][1]
    assert notes(explain(history("glm"), **kept)) == set()
    assert notes(explain(history("glm", None), **kept)) == {("note", "messages.reasoning_content", "GL-R2")}


def test_roles_names_and_flat_content(explain, notes):  # GL-P14, GL-P15, GL-P16, GL-X1
    marked = TextPart("a", {"cache_control": {"type": "ephemeral"}})
    call = ToolCall("c1", "f", "{}")
    messages = [
        Message.developer("d"),
        Message("user", (marked,), name="joe"),
        Message("assistant", (), (call,)),
        Message.tool(call, marked, TextPart("b")),
    ]
    got = explain(messages, tools=[F])
    developer, user, answer, result = got.body["messages"]
    assert (developer["role"], answer["content"], result["content"]) == ("system", "", "ab")
    assert user == {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
    assert notes(got) == {("dropped", "messages.name", "GL-P14"), ("dropped", "messages[3].content", "GL-P15")}
    with pytest.raises(chatport.UnsupportedFeatureError, match="GL-P15"):
        explain([messages[1], messages[2], Message.tool(call, IMAGE)], "glm-4.6v", tools=[F])


def test_tool_choice(explain, notes):  # GL-T2, GL-T3
    def ask(**options):
        got = explain("hi", tools=[F, G], **options)
        names = [tool["function"]["name"] for tool in got.body.get("tools", ())]
        said = notes(got) - {("dropped", "tools.g.strict", "GL-T3")}
        return names, got.body.get("tool_choice"), got.body["messages"][0]["content"], said

    forced = {("lowered", "tool_choice", "GL-T2")}
    assert ask() == (["f", "g"], None, "hi", set())
    assert ask(tool_choice="auto") == (["f", "g"], "auto", "hi", set())
    left_out = ([], None, "hi", {("note", "tool_choice", "GL-T2")})
    assert ask(tool_choice="none") == left_out
    in_words = (["f", "g"], "required", "Answer by calling one of the tools, not with text.", forced)
    assert ask(tool_choice="required") == in_words
    named = {"type": "function", "function": {"name": "g"}}  # taken, and called, in the recordings; not promised
    assert ask(tool_choice="g") == (["g"], named, "Answer by calling the tool g, not with text.", forced)
    assert ask(tool_choice="any") == (*in_words[:3], {*forced, ("renamed", "tool_choice", "GL-T2")})
    assert ask(extra={"tool_choice": "none"}) == left_out
    assert ask(extra={"tool_choice": "required"}) == in_words
    search = {"type": "web_search", "web_search": {"enable": True}}  # GL-T1: another kind of tool
    assert explain(extra={"tools": [search]}).body["tools"] == [search]
    strict = explain(tools=[F, G])
    assert all("strict" not in tool["function"] for tool in strict.body["tools"])
    assert notes(strict) == {("dropped", "tools.g.strict", "GL-T3")}


@pytest.mark.parametrize(("model", "sent"), [("glm-5.3", True), ("glm-4.6", True), ("glm-4.5", None)])
def test_arguments_are_streamed_where_they_can_be(explain, model, sent):  # GL-S5
    assert explain(model=model, tools=[F], stream=True).body.get("tool_stream") is sent
    assert "tool_stream" not in explain(model=model, tools=[F]).body
    own = {"tool_stream": False}
    assert explain(model=model, tools=[F], stream=True, extra=own).body["tool_stream"] is False


def test_names_and_number_of_tools(explain, notes):  # GL-T1
    odd = Tool("wetter.morgen")
    assert "." not in explain(tools=[odd]).body["tools"][0]["function"]["name"]
    with pytest.raises(chatport.UnsupportedFeatureError, match="128"):
        explain(tools=[Tool(f"t{n}") for n in range(129)])


@pytest.mark.parametrize(
    ("model", "sent"), [("glm-5.3", {"type": "json_object"}), ("glm-5.2", {"type": "json_object"}), ("glm-4.6v", None)]
)
def test_a_schema_goes_into_words(explain, notes, model, sent):  # GL-J1, GL-J2, GL-X8
    raw = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
    for options in ({"output": SCHEMA}, {"extra": raw}):
        got = explain(model=model, **options)
        assert got.body.get("response_format") == sent
        assert '"a":{"type":"integer"}' in got.body["messages"][0]["content"]
        assert notes(got) == {("lowered", "response_format", "GL-J1")}
    plain = explain(model=model, extra={"response_format": {"type": "json_object"}})
    assert plain.body.get("response_format") == sent
    assert notes(plain) == (set() if sent else {("lowered", "response_format", "GL-J1")})


def test_videos(explain):  # GL-M1, GL-M3
    clip = Message.user("look", VideoPart("https://x.example/a.mp4"))
    sent = explain([clip], "glm-4.6v").body["messages"][0]["content"][1]
    assert sent == {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}}
    with pytest.raises(chatport.UnsupportedFeatureError):
        explain([clip], "glm-5.3")


def test_images(explain):  # GL-M1, GL-M2, GL-M3
    def url(model, **settings):
        return explain([Message.user("what?", IMAGE)], model, settings=settings).body["messages"][0]["content"][1]

    assert url("glm-4.6v")["image_url"]["url"] == url("glm-5.3-flash")["image_url"]["url"] == IMAGE.url
    assert url("glm-4v-plus")["image_url"] == {"url": "AAAA"}
    for model, settings in (("glm-5.3", {}), ("glm-4.6", {}), ("glm-4.6v", {"plan": "coding"})):
        with pytest.raises(chatport.UnsupportedFeatureError, match="image"):
            url(model, **settings)


@pytest.mark.parametrize(
    ("model", "window", "output", "price"),
    [
        ("glm-5.3", 1_000_000, 131_072, (1.4, 0.26, 4.4)),
        ("glm-5.2", 1_000_000, 131_072, (1.4, 0.26, 4.4)),
        ("glm-5.1", 200_000, 131_072, (1.4, 0.26, 4.4)),
        ("glm-5", 204_800, 131_072, (1.0, 0.2, 3.2)),
        ("glm-5v-turbo", 200_000, 131_072, (1.2, 0.24, 4.0)),
        ("glm-4.7", 204_800, 131_072, (0.6, 0.11, 2.2)),
        ("glm-4.7-flashx", 200_000, 131_072, (0.07, 0.01, 0.4)),
        ("glm-4.5-flash", 131_072, 98_304, (0, 0, 0)),
        ("glm-4.5-air", 131_072, 98_304, (0.2, 0.03, 1.1)),
        ("glm-4.6v", 128_000, 32_768, (0.3, None, 0.9)),
        ("glm-4.6v-flash", 128_000, 32_768, None),
        ("glm-4-plus", 128_000, 4_096, None),
        ("glm-6", None, None, None),
    ],
)
def test_limits_and_prices(model, window, output, price):  # GL-U1, GL-P6
    from chatport_glm import provider

    facts = provider.facts.describe(model, BASES[None])
    assert (facts.context_tokens, facts.max_output_tokens) == (window, output)
    assert [(p.input, p.cached_input, p.output) for p in facts.prices] == ([price] if price else [])
    assert facts.retired is None
    for elsewhere in (BASES[("china", None)], BASES[(None, "coding")]):  # other currency, or a subscription
        assert provider.facts.describe(model, elsewhere).prices == ()
