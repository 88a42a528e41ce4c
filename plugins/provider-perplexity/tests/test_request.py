"""What a call becomes at Perplexity: the Agent API's own names, Sonar's leftovers, and the Orchestrator."""

from __future__ import annotations

import pytest

from chatport import (
    AudioPart,
    Client,
    FilePart,
    ImagePart,
    Message,
    OutputSpec,
    PolicyError,
    TextPart,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
)
from chatport.plugins.registry import load_provider

AGENT = "https://api.perplexity.ai/v1/responses"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return city


@pytest.fixture
def orchestrated(isolated):
    def ask(messages="hi", *, model="perplexity:openai/gpt-6-astra", table=None, **options):
        table = {"api_key": "k", "api": "orchestrator", **(table or {})}
        with Client({"providers": {"perplexity": table}}) as client:
            return client.explain(messages, model=model, **options)

    return ask


def test_the_agent_api_is_the_main_way(explain, notes):
    """PX-0, PX-1, PX-3, PX-E1, PX-L1, PX-F2"""
    shown = explain(["be brief", Message.system("short")], model="perplexity:perplexity/sonar", max_tokens=100)
    assert (shown.url, shown.protocol) == (AGENT, "responses")
    assert "PX-0" in shown.protocol_reason
    assert shown.body == {
        "model": "perplexity/sonar",
        "max_output_tokens": 100,
        "store": False,
        "input": [
            {"type": "message", "role": "user", "content": "be brief"},
            {"type": "message", "role": "system", "content": "short"},
        ],
    }
    assert notes(shown) == set()


@pytest.mark.parametrize("variable", ["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY", "PPLX_API_KEY"])
def test_keys_and_addresses(monkeypatch, variable):
    """PX-B1: the vendor's own SDK has the bare host in its variable."""
    monkeypatch.setenv(variable, "pplx-1")
    with Client() as client:
        assert client.explain("hi", model="perplexity:fast").url == AGENT
    for address in ("https://proxy.example", "https://proxy.example/v1"):
        monkeypatch.setenv("PERPLEXITY_BASE_URL", address)
        table = {"api_key": "k"}
        with Client({"providers": {"perplexity": table}}) as client:
            assert client.explain("hi", model="perplexity:fast").url == "https://proxy.example/v1/responses"


@pytest.mark.parametrize("preset", ["fast", "low", "medium", "high", "xhigh", "pro-search"])
def test_a_name_without_a_vendor_is_a_preset(explain, notes, preset):
    """PX-P5, PX-L1"""
    shown = explain(model=f"perplexity:{preset}")
    assert (shown.body.get("preset"), "model" in shown.body) == (preset, False)
    assert notes(shown) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sonar", "fast"),
        ("sonar-pro", "low"),
        ("sonar-reasoning-pro", "low"),
        ("sonar-reasoning", "low"),
        ("sonar-deep-research", "medium"),
    ],
)
def test_sonars_names_are_followed_aloud(explain, old, new):
    """PX-0, PX-L2, PX-L4: the vendor's guide names a successor, which is a choice."""
    shown = explain(model=f"perplexity:{old}")
    assert shown.body["preset"] == new
    (note,) = shown.adjustments
    assert (note.kind, note.field) == ("redirected", "model")
    assert "a choice and no alias" in note.fact


def test_sonars_wishes_about_the_search_become_the_tool(explain, notes):
    """PX-P10, PX-W1, PX-I1, PX-P3"""
    wishes = {
        "search_domain_filter": ["example.org"],
        "search_recency_filter": "week",
        "web_search_options": {"search_context_size": "low", "user_location": {"country": "NO"}, "search_type": "pro"},
    }
    shown = explain(extra=wishes, tools=[get_weather])
    assert shown.body["tools"][1] == {
        "type": "web_search",
        "search_context_size": "low",
        "user_location": {"country": "NO"},
        "filters": {"search_domain_filter": ["example.org"], "search_recency_filter": "week"},
    }
    assert wishes.keys().isdisjoint(shown.body)
    renamed = {("renamed", name, "PX-P10") for name in wishes}
    assert notes(shown) == renamed | {("dropped", "web_search_options", "PX-W1")}


def test_a_search_tool_of_the_callers_own_is_kept(explain):
    """PX-W1: what it says itself comes first."""
    own = {"type": "web_search", "max_results": 3, "filters": {"search_recency_filter": "day"}}
    shown = explain(tools=[own], extra={"search_recency_filter": "week", "search_after_date_filter": "01/02/2026"})
    filters = {"search_recency_filter": "day", "search_after_date_filter": "01/02/2026"}
    assert shown.body["tools"] == [{**own, "filters": filters}]


def test_a_search_that_was_switched_off_stays_off(explain, notes):
    """PX-P6: a preset would search by itself."""
    shown = explain(model="perplexity:fast", extra={"disable_search": True})
    assert (shown.body["max_tool_calls"], "disable_search" in shown.body) == (0, False)
    assert notes(shown) == {("added", "max_tool_calls", "PX-P6"), ("dropped", "disable_search", "PX-P3, PX-I1")}
    assert notes(explain(extra={"disable_search": False})) == set()


def test_what_the_agent_api_does_not_know_is_left_out(explain, notes):
    """PX-P1, PX-P2, PX-P3, PX-I1: one unknown field would fail the whole request."""
    gone = {"return_images": True, "return_related_questions": True, "search_mode": "web", "stream_mode": "full"}
    more = {"top_k": 5, "n": 2, "frequency_penalty": 1, "logprobs": True, "brand_new": 1, "verbosity": "low"}
    shown = explain(extra={**gone, **more, "max_steps": 3}, stop=["#"], seed=7, temperature=3, top_p=0.5)
    assert shown.body.keys() == {"model", "input", "store", "max_steps", "temperature", "top_p"}
    assert shown.body["temperature"] == 2
    assert {note.field for note in shown.adjustments} == {*gone, *more, "stop", "seed", "temperature"}
    facts = {note.field: note.fact for note in shown.adjustments}
    assert (facts["return_images"], facts["brand_new"]) == ("PX-P3, PX-I1", "PX-P1")
    assert notes(explain(extra={"return_images": False, "n": 1, "presence_penalty": 0})) == set()


def test_fields_that_are_added_later_may_be_named(isolated):
    """PX-P1"""
    with Client({"providers": {"perplexity": {"api_key": "k", "extra_fields": ["brand_new"]}}}) as client:
        shown = client.explain("hi", model="perplexity:fast", extra={"brand_new": 1})
    assert (shown.body["brand_new"], shown.adjustments) == (1, ())


def test_what_costs_no_warning(explain, notes):
    """PX-P2, PX-F3"""
    own = {"instructions": "x", "max_tool_calls": 2, "metadata": {"a": "b"}, "language_preference": "no"}
    state = {"previous_response_id": "resp_1", "background": True, "store": True, "models": ["a/b", "c/d"]}
    shown = explain(extra={**own, **state})
    assert shown.body.items() >= {**own, **state}.items()
    assert notes(shown) == set()


def test_anthropics_models_get_a_limit(explain, notes):
    """PX-P4"""
    model = "perplexity:anthropic/claude-opus-5-5"
    shown = explain(model=model)
    assert shown.body["max_output_tokens"] == 8192
    assert notes(shown) == {("added", "max_tokens", "PX-P4")}
    assert notes(explain(model=model, max_tokens=50)) == set()
    assert explain(model=model, extra={"max_output_tokens": 60}).body["max_output_tokens"] == 60
    assert "max_output_tokens" not in explain().body


def test_efforts(explain, notes):
    """PX-R1: no off is known."""
    for effort in ("minimal", "low", "medium", "high", "xhigh", "max"):
        assert explain(reasoning=effort).body["reasoning"] == {"effort": effort}
    shown = explain(reasoning="none")
    assert ("reasoning" in shown.body, notes(shown)) == (False, {("dropped", "reasoning", "PX-R1")})


def test_tools_and_the_choice_among_them(explain, notes):
    """PX-T1, PX-T2, PX-T3, PX-W1, PX-W2"""
    shown = explain(tools=[get_weather], tool_choice="get_weather")
    assert shown.body["tool_choice"] == {"name": "get_weather"}
    assert shown.body["tools"][0].keys() == {"type", "name", "description", "parameters", "strict"}
    search = {"type": "web_search"}
    shown = explain(tools=[search], tool_choice=search)
    assert (shown.body["tools"], shown.body["tool_choice"], notes(shown)) == ([search], search, set())
    assert explain(tools=[get_weather], tool_choice="required").body["tool_choice"] == "required"
    other = explain(tools=[get_weather, {"type": "code_interpreter"}])
    assert [tool["type"] for tool in other.body["tools"]] == ["function"]
    assert notes(other) == {("dropped", "tools", "PX-W1")}
    reserved = explain(tools=[Tool("web_search", "x", SCHEMA)])
    assert reserved.body["tools"][0]["name"] == "my_web_search"
    assert {note.fact for note in reserved.adjustments} == {"PX-T2"}


def test_structured_output_is_asked_for_as_in_chat(explain, notes):
    """PX-J1"""
    shown = explain(output=OutputSpec("place", SCHEMA, strict=False))
    assert shown.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": SCHEMA, "strict": False},
    }
    assert ("text" in shown.body, notes(shown)) == (False, set())
    any_object = explain(extra={"response_format": {"type": "json_object"}}).body["response_format"]
    assert any_object["type"] == "json_schema"


def test_pictures_and_other_content(explain):
    """PX-M1, PX-M2: a picture has no detail here."""
    shown = explain([Message.user("see", ImagePart("https://a.example/b.png", "low"))])
    assert shown.body["input"][0]["content"][1] == {"type": "input_image", "image_url": "https://a.example/b.png"}
    for part in (FilePart(data=b"%PDF-1.7", filename="a.pdf"), AudioPart(b"RIFF", "wav"), FilePart(file_id="f")):
        with pytest.raises(UnsupportedFeatureError):
            explain([Message.user("see", part)])


def test_earlier_calls_and_answers(explain):
    """PX-T1, PX-F2, PX-P1: results say whose they are, and an answer is a text."""
    items = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me "}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "thought_signature": "sig"},
    ]
    call = ToolCall("c", "look", "{}")
    answer = Message(
        "assistant", (TextPart("Let me "),), tool_calls=(call,), origin="perplexity", opaque={"items": items}
    )
    result = Message.tool("c", TextPart("seen"), ImagePart("https://a.example/b.png"))
    sent = explain(["hi", answer, result]).body["input"]
    assert sent[1] == {"type": "message", "role": "assistant", "content": "Let me "}
    assert sent[2] == items[1]
    assert sent[3] == {
        "type": "function_call_output",
        "call_id": "c",
        "output": "seen",
        "name": "look",
        "thought_signature": "sig",
    }
    assert sent[4]["content"][-1] == {"type": "input_image", "image_url": "https://a.example/b.png"}
    foreign = explain(["hi", Message.assistant("", tool_calls=(call,)), Message.tool("c", "seen")]).body["input"]
    assert (foreign[2]["name"], "thought_signature" in foreign[2]) == ("look", False)


# --- the Orchestrator


def test_the_orchestrator_speaks_chat(orchestrated, notes):
    """PX-2, PX-3, PX-E2, PX-P8"""
    shown = orchestrated(tools=[get_weather], stop=["#"], reasoning="none", max_tokens=5, output=SCHEMA)
    assert shown.url == "https://api.perplexity.ai/orchestrator/v1/chat/completions"
    assert (shown.body["stop"], shown.body["reasoning_effort"], shown.body["max_tokens"]) == (["#"], "none", 5)
    assert shown.body["response_format"]["type"] == "json_schema"
    assert notes(shown) == set()


def test_the_orchestrator_speaks_responses_too(orchestrated):
    """PX-E2, PX-S5: in the protocol's own words, where it is asked for."""
    shown = orchestrated(table={"protocol": "responses"}, output=SCHEMA)
    assert shown.url == "https://api.perplexity.ai/orchestrator/v1/responses"
    assert shown.body["text"]["format"]["type"] == "json_schema"


def test_what_the_orchestrator_refuses_or_ignores(orchestrated, notes):
    """PX-P9"""
    refused = {"logit_bias": {"1": 1}, "top_logprobs": 1, "verbosity": "low", "web_search_options": {}}
    ignored = {"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}}
    only_default = {"n": 2, "logprobs": True, "store": True, "presence_penalty": 1, "frequency_penalty": 1}
    shown = orchestrated(extra={**refused, **ignored, **only_default}, seed=1)
    gone = {*refused, *ignored, *only_default, "seed"}
    assert gone.isdisjoint(shown.body)
    assert notes(shown) == {("dropped", name, "PX-P9") for name in gone}
    same = {"n": 1, "logprobs": False, "store": False, "presence_penalty": 0, "frequency_penalty": 0}
    assert notes(orchestrated(extra=same)) == set()
    assert orchestrated(extra={"response_format": {"type": "json_object"}}).body["response_format"]["type"] == (
        "json_schema"
    )


def test_nothing_is_known_of_where_requests_go():
    """PX-D1, PX-D2: a policy that wants to know refuses."""
    tables = {"providers": {"perplexity": {"api_key": "k"}}, "policy": {"forbid_training": True}}
    with Client(tables) as client, pytest.raises(PolicyError):
        client.explain("hi", model="perplexity:fast")


def test_prices_and_windows():
    """PX-U1, PX-L3"""
    facts = load_provider("perplexity").facts
    (price,) = facts.describe("perplexity/sonar").prices
    assert (price.input, price.cached_input, price.output) == (0.25, 0.0625, 2.5)
    assert facts.describe("openai/gpt-6-astra").context_tokens == 272_000


def test_embeddings_and_prefixes_are_not_there(explain):
    """PX-E3, PX-F1"""
    provider = load_provider("perplexity")
    assert (provider.dialect.embeddings_path, provider.dialect.prefill) == (None, None)
    assert provider.timeouts["total"] == 900  # PX-B3
