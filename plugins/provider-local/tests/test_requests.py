"""What each server's hooks make of a call, fact by fact. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport import AsyncClient, Client, ImagePart, Message, ToolCall, UnsupportedFeatureError
from chatport.plugins.registry import load_provider

Explain = Callable[..., Any]
Notes = Callable[[Any], set[tuple[str, str, str]]]

PROVIDERS = ("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


def get_time(zone: str) -> str:
    """Tell the time."""
    return zone


def names(explained: Any) -> list[str]:
    return [tool["function"]["name"] for tool in explained.body.get("tools", ())]


class TestEveryServer:
    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_a_plain_call_needs_no_key_and_no_warning(self, provider: str, explain: Explain) -> None:
        request = explain(provider, temperature=0.5, max_tokens=9)
        assert request.body["messages"] == [{"role": "user", "content": "hello"}]
        assert (request.body["temperature"], request.body["max_tokens"]) == (0.5, 9)
        assert "authorization" not in request.headers
        assert request.adjustments == ()

    @pytest.mark.parametrize("provider", ["vllm", "llamacpp", "mlx"])
    def test_ids_for_mistrals_templates(self, provider: str, explain: Explain, notes: Notes) -> None:
        """VL-T9, LC-T8, MX-T1: whatever the server itself has given, its template refuses another form."""
        fact = {"vllm": "VL-T9", "llamacpp": "LC-T8", "mlx": "MX-T1"}[provider]
        calls = tuple(ToolCall(own, "get_weather", "{}") for own in ("chatcmpl-tool-1", "1697377797897", "abcDEF123"))
        history = [Message.user("q"), Message.assistant(tool_calls=calls), *(Message.tool(call, "r") for call in calls)]
        for model in ("mistralai/Ministral-8B-Instruct-2410", "devstral-small", "Mixtral-8x7B"):
            explained = explain(provider, history, model=f"{provider}:{model}")
            sent = [call["id"] for call in explained.body["messages"][1]["tool_calls"]]
            assert [message["tool_call_id"] for message in explained.body["messages"][2:]] == sent
            assert len({*sent}) == 3
            assert all(len(own) == 9 and own.isalnum() for own in sent)
            assert sent[2] == "abcDEF123"
            assert ("renamed", "messages.tool_call_id", fact) in notes(explained)
        other = explain(provider, history, model=f"{provider}:qwen3")
        assert [call["id"] for call in other.body["messages"][1]["tool_calls"]] == [call.id for call in calls]

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_a_developer_message_is_sent_as_system(self, provider: str, explain: Explain) -> None:
        """LP-P1: at least one server refuses the newer role."""
        request = explain(provider, [Message.developer("be brief"), Message.user("hi")])
        assert request.body["messages"][0] == {"role": "system", "content": "be brief"}

    @pytest.mark.parametrize(
        ("provider", "url"),
        [
            ("vllm", "http://127.0.0.1:8000/v1"),  # VL-B1
            ("ollama", "http://127.0.0.1:11434/v1"),  # OL-B1
            ("lmstudio", "http://127.0.0.1:1234/v1"),  # LM-B1
            ("llamacpp", "http://127.0.0.1:8080/v1"),  # LC-B1
            ("mistralrs", "http://127.0.0.1:1234/v1"),  # MR-B1
            ("transformers", "http://127.0.0.1:8000/v1"),  # D1
            ("mlx", "http://127.0.0.1:8080/v1"),  # D1
        ],
    )
    def test_it_is_at_its_usual_port(self, provider: str, url: str, explain: Explain) -> None:
        assert explain(provider).url == f"{url}/chat/completions"

    @pytest.mark.parametrize(
        ("provider", "variable"),
        [("vllm", "VLLM_API_KEY"), ("llamacpp", "LLAMA_API_KEY"), ("lmstudio", "LM_API_TOKEN")],
    )
    def test_a_key_of_the_environment_is_a_bearer(
        self, provider: str, variable: str, explain: Explain, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """VL-B2, LC-B2, LM-B1."""
        monkeypatch.setenv(variable, "a-key")
        assert explain(provider).headers["authorization"] == "Bearer ***"

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_it_is_given_time_to_load_a_model(self, provider: str) -> None:
        """OL-Q1, LM-Q1, VL-Q2, LC-Q1."""
        timeouts = load_provider(provider).timeouts
        assert timeouts["silence"] >= 300
        assert timeouts["first_event"] >= 300

    @pytest.mark.parametrize(
        ("provider", "field"),
        [
            ("vllm", "reasoning_content"),  # VL-R2
            ("ollama", "reasoning"),  # OL-R1
            ("llamacpp", "reasoning_content"),  # LC-R1
            ("mistralrs", "reasoning_content"),  # MR-R1
        ],
    )
    def test_reasoning_goes_back_to_where_it_came_from(self, provider: str, field: str, explain: Explain) -> None:
        turn = Message("assistant", reasoning="hm", origin=provider)
        assert explain(provider, ["hi", turn, "and?"]).body["messages"][1][field] == "hm"
        stranger = Message("assistant", reasoning="hm", origin="other")
        assert field not in explain(provider, ["hi", stranger, "and?"]).body["messages"][1]

    @pytest.mark.parametrize("provider", ["lmstudio", "transformers", "mlx", "local"])
    def test_elsewhere_reasoning_does_not_go_back(self, provider: str, explain: Explain) -> None:
        turn = Message("assistant", reasoning="hm", origin=provider)
        sent = explain(provider, ["hi", turn, "and?"]).body["messages"][1]
        assert sent == {"role": "assistant", "content": ""}

    def test_both_clients_open_every_provider(self) -> None:
        for client in (Client(config={}), AsyncClient(config={})):
            for provider in PROVIDERS[:-1]:
                assert client.explain("hi", model=f"{provider}:m").url.endswith("/chat/completions")


class TestNamedTools:
    @pytest.mark.parametrize(("provider", "fact"), [("llamacpp", "LC-T1"), ("lmstudio", "LM-T1")])
    def test_a_named_choice_is_one_tool_and_a_call_required(
        self, provider: str, fact: str, explain: Explain, notes: Notes
    ) -> None:
        request = explain(provider, tools=[get_weather, get_time], tool_choice="get_time")
        assert request.body["tool_choice"] == "required"
        assert names(request) == ["get_time"]
        assert notes(request) == {("note", "tool_choice", fact)}

    @pytest.mark.parametrize("provider", ["vllm", "mistralrs", "local"])
    def test_where_an_object_is_taken_it_is_sent(self, provider: str, explain: Explain) -> None:
        """VL-T2, MR-T1."""
        request = explain(provider, tools=[get_weather, get_time], tool_choice="get_time")
        assert request.body["tool_choice"] == {"type": "function", "function": {"name": "get_time"}}
        assert names(request) == ["get_weather", "get_time"]

    @pytest.mark.parametrize(("provider", "fact"), [("ollama", "OL-T4"), ("transformers", "TS-P1"), ("mlx", "MX-E1")])
    def test_where_no_choice_is_read_the_list_expresses_it(
        self, provider: str, fact: str, explain: Explain, notes: Notes
    ) -> None:
        def ask(choice: str) -> Any:
            return explain(provider, tools=[get_weather, get_time], tool_choice=choice)

        assert "tool_choice" not in ask("auto").body
        assert notes(ask("auto")) == set()
        assert {"tools", "tool_choice"}.isdisjoint(ask("none").body)
        assert notes(ask("none")) == {("note", "tool_choice", fact)}
        assert "tool_choice" not in ask("get_time").body
        assert names(ask("get_time")) == ["get_time"]
        assert notes(ask("get_time")) == {("lowered", "tool_choice", fact)}
        assert "tool_choice" not in ask("required").body
        assert names(ask("required")) == ["get_weather", "get_time"]
        assert notes(ask("required")) == {("lowered", "tool_choice", fact)}

    def test_who_insists_is_told_before_anything_is_sent(self, explain: Explain) -> None:
        with pytest.raises(UnsupportedFeatureError, match="OL-T4"):
            explain("ollama", tools=[get_time], tool_choice="required", on_unsupported="raise")


class TestEfforts:
    @pytest.mark.parametrize(
        ("provider", "asked", "sent", "note"),
        [
            ("vllm", "minimal", "minimal", None),  # VL-R5
            ("vllm", "max", "max", None),
            ("ollama", "none", "none", None),  # OL-R2
            ("ollama", "minimal", "low", ("note", "reasoning", "OL-R2")),
            ("ollama", "xhigh", "max", ("note", "reasoning", "OL-R2")),
            ("ollama", "max", "max", None),
            ("llamacpp", "xhigh", "xhigh", None),  # LC-R2: the template is asked
            ("mistralrs", "minimal", "low", ("note", "reasoning", "MR-R1")),
            ("mistralrs", "max", "xhigh", ("lowered", "reasoning", "MR-R1")),
            ("lmstudio", "high", "high", ("lowered", "reasoning_effort", "LM-P1")),
        ],
    )
    def test_an_effort_is_sent_as_the_nearest_one_taken(
        self, provider: str, asked: str, sent: str, note: Any, explain: Explain, notes: Notes
    ) -> None:
        request = explain(provider, reasoning=asked)
        assert request.body["reasoning_effort"] == sent
        assert notes(request) == ({note} if note else set())

    @pytest.mark.parametrize(("provider", "fact"), [("transformers", "TS-P1"), ("mlx", "MX-E1")])
    def test_where_there_are_none_thinking_is_switched(
        self, provider: str, fact: str, explain: Explain, notes: Notes
    ) -> None:
        off, on = explain(provider, reasoning="none"), explain(provider, reasoning="high")
        assert off.body["chat_template_kwargs"] == {"enable_thinking": False}
        assert notes(off) == set()
        assert on.body["chat_template_kwargs"] == {"enable_thinking": True}
        assert notes(on) == {("lowered", "reasoning", fact)}
        assert "reasoning_effort" not in {**off.body, **on.body}

    @pytest.mark.parametrize(
        ("provider", "field"), [("vllm", "thinking_token_budget"), ("llamacpp", "reasoning_budget_tokens")]
    )
    def test_a_budget_has_a_field(self, provider: str, field: str, explain: Explain, notes: Notes) -> None:
        """VL-P2, LC-P2."""
        request = explain(provider, reasoning=256)
        assert request.body[field] == 256
        assert notes(request) == set()

    @pytest.mark.parametrize("provider", ["ollama", "mistralrs", "lmstudio", "transformers", "mlx"])
    def test_elsewhere_a_budget_is_dropped_aloud(self, provider: str, explain: Explain, notes: Notes) -> None:
        assert ("dropped", "reasoning", "") in notes(explain(provider, reasoning=256))

    def test_vllm_thinks_off_in_the_template_too(self, explain: Explain) -> None:
        """VL-R4, VL-R5."""
        body = explain("vllm", reasoning="none").body
        assert body["reasoning_effort"] == "none"
        assert body["chat_template_kwargs"] == {"enable_thinking": False}

    def test_what_the_caller_set_in_the_template_stays(self, explain: Explain) -> None:
        own = {"chat_template_kwargs": {"enable_thinking": True, "x": 1}}
        assert explain("vllm", reasoning="none", extra=own).body["chat_template_kwargs"] == own["chat_template_kwargs"]

    def test_the_user_may_correct_the_efforts(self) -> None:
        models = {"ollama:m": {"efforts": ["low", "medium", "high"]}}
        client = Client(config={"models": models})
        assert client.explain("hi", model="ollama:m", reasoning="max").body["reasoning_effort"] == "high"


class TestStructuredOutput:
    @pytest.mark.parametrize("provider", ["vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "local"])
    def test_a_schema_is_sent_where_it_is_enforced(self, provider: str, explain: Explain, notes: Notes) -> None:
        """VL-J1, OL-J1, LM-J1, LC-J1, MR-J1."""
        request = explain(provider, output=SCHEMA)
        assert request.body["response_format"]["json_schema"]["schema"] == SCHEMA
        assert notes(request) == set()

    @pytest.mark.parametrize(("provider", "fact"), [("transformers", "TS-P1"), ("mlx", "MX-E1")])
    def test_where_it_is_ignored_it_is_put_into_words(
        self, provider: str, fact: str, explain: Explain, notes: Notes
    ) -> None:
        request = explain(provider, [Message.system("Be kind."), Message.user("Where?")], output=SCHEMA)
        assert "response_format" not in request.body
        first = request.body["messages"][0]
        assert first["role"] == "system"
        assert first["content"].startswith("Be kind.\n\n")
        assert '"required":["city"]' in first["content"]
        assert notes(request) == {("lowered", "response_format", fact)}

    def test_a_model_that_can_is_believed(self) -> None:
        client = Client(config={"models": {"mlx:m": {"output_formats": ["json_schema"]}}})
        assert "response_format" in client.explain("hi", model="mlx:m", output=SCHEMA).body

    @pytest.mark.parametrize(("provider", "fact"), [("lmstudio", "LM-J1"), ("mistralrs", "MR-J1")])
    def test_any_object_is_a_schema_too(self, provider: str, fact: str, explain: Explain, notes: Notes) -> None:
        request = explain(provider, extra={"response_format": {"type": "json_object"}})
        assert request.body["response_format"]["type"] == "json_schema"
        assert request.body["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert notes(request) == {("renamed", "response_format", fact)}

    def test_llamacpp_keeps_the_tools(self, explain: Explain, notes: Notes) -> None:
        """LC-J1: with both, the schema would win and no call be made."""
        request = explain("llamacpp", tools=[get_weather], output=SCHEMA)
        assert names(request) == ["get_weather"]
        assert "response_format" not in request.body
        assert "JSON Schema" in request.body["messages"][0]["content"]
        assert notes(request) == {("lowered", "response_format", "LC-J1")}


class TestVllm:
    def test_a_forced_call_is_made_strict(self, explain: Explain, notes: Notes) -> None:
        """VL-T3."""
        request = explain("vllm", tools=[get_weather], tool_choice="required")
        assert request.body["tools"][0]["function"]["strict"] is True
        assert notes(request) == {("added", "tools.get_weather.strict", "VL-T3")}
        assert "strict" not in explain("vllm", tools=[get_weather]).body["tools"][0]["function"]

    def test_who_chose_otherwise_keeps_it(self, explain: Explain, notes: Notes) -> None:
        tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}}
        request = explain("vllm", tools=[tool], tool_choice="f")
        assert request.body["tools"][0]["function"]["strict"] is False
        assert notes(request) == set()

    @pytest.mark.parametrize("kind", ["json", "regex", "choice", "grammar"])
    def test_guided_fields_go_where_they_work(self, kind: str, explain: Explain, notes: Notes) -> None:
        """VL-P3."""
        request = explain("vllm", extra={f"guided_{kind}": ["a", "b"], "structured_outputs": {"x": 1}})
        assert request.body["structured_outputs"] == {"x": 1, kind: ["a", "b"]}
        assert f"guided_{kind}" not in request.body
        assert notes(request) == {("renamed", f"guided_{kind}", "VL-P3")}

    def test_other_fields_of_its_own_pass(self, explain: Explain) -> None:
        """VL-P2, VL-P1."""
        assert explain("vllm", extra={"top_k": 5, "min_p": 0.1}).body["top_k"] == 5

    def test_a_plain_call_with_tools_streams_inside(self, explain: Explain) -> None:
        """VL-T6, and VL-P6: stream options only with a stream."""
        request = explain("vllm", tools=[get_weather])
        assert request.stream
        assert request.body["stream_options"] == {"include_usage": True}
        plain = explain("vllm")
        assert not plain.stream
        assert "stream_options" not in plain.body


class TestOllama:
    def test_what_it_would_drop_in_silence_is_dropped_aloud(self, explain: Explain, notes: Notes) -> None:
        """OL-P1, OL-P3."""
        extra = {"top_k": 5, "options": {"num_ctx": 8192}, "n": 2, "keep_alive": "5m", "think": False, "seed": 4}
        request = explain("ollama", extra=extra)
        assert set(request.body) == {"model", "messages", "seed"}
        assert notes(request) == {("dropped", name, "OL-P1") for name in extra if name != "seed"}
        assert any("OLLAMA_CONTEXT_LENGTH" in str(note) for note in request.adjustments)

    def test_the_newer_limit_is_renamed(self, explain: Explain, notes: Notes) -> None:
        request = explain("ollama", extra={"max_completion_tokens": 7})
        assert request.body["max_tokens"] == 7
        assert notes(request) == {("renamed", "max_completion_tokens", "OL-P1")}
        both = explain("ollama", max_tokens=5, extra={"max_completion_tokens": 7})
        assert both.body["max_tokens"] == 5
        assert notes(both) == {("dropped", "max_completion_tokens", "OL-P1")}

    def test_usage_is_asked_for(self, explain: Explain) -> None:
        assert explain("ollama", stream=True).body["stream_options"] == {"include_usage": True}

    def test_a_linked_image_is_refused_before_it_is_sent(self, explain: Explain) -> None:
        """OL-I1."""
        with pytest.raises(UnsupportedFeatureError, match="as a data URL"):
            explain("ollama", [Message.user("what?", ImagePart("https://example.com/a.png"))])
        inline = Message.user("what?", ImagePart("data:image/png;base64,AA=="))
        assert explain("ollama", [inline]).body["messages"][0]["content"][1]["type"] == "image_url"

    def test_text_in_parts_is_sent_as_one(self, explain: Explain) -> None:
        """OL-P4: the layer would make a message of each part."""
        assert explain("ollama", [Message.user("one ", "two")]).body["messages"][0]["content"] == "one two"


class TestLlamaCpp:
    def test_a_plain_call_streams_inside(self, explain: Explain) -> None:
        """LC-Q2."""
        request = explain("llamacpp")
        assert request.stream
        assert request.body["stream"] is True
        assert request.body["stream_options"] == {"include_usage": True}

    def test_one_call_at_a_time_is_not_kept(self, explain: Explain, notes: Notes) -> None:
        """LC-T5."""
        request = explain("llamacpp", tools=[get_time], extra={"parallel_tool_calls": False})
        assert "parallel_tool_calls" not in request.body
        assert notes(request) == {("dropped", "parallel_tool_calls", "LC-T5")}

    def test_the_header_that_outlives_a_disconnect_is_not_sent(self, explain: Explain) -> None:
        """LC-P5."""
        assert "x-conversation-id" not in explain("llamacpp").headers


class TestMistralRs:
    def test_what_it_ignores_is_dropped_aloud(self, explain: Explain, notes: Notes) -> None:
        """MR-P1."""
        request = explain("mistralrs", seed=4, extra={"user": "u", "store": True, "top_k": 3}, stream=True)
        assert set(request.body) == {"model", "messages", "stream", "top_k"}
        assert notes(request) == {("dropped", name, "MR-P1") for name in ("seed", "user", "store")}


class TestTransformers:
    def test_what_it_ignores_is_dropped_aloud(self, explain: Explain, notes: Notes) -> None:
        """TS-P1, and TS-S1: usage comes unasked."""
        request = explain("transformers", extra={"n": 2, "logprobs": True, "top_logprobs": 3}, stream=True)
        assert set(request.body) == {"model", "messages", "stream"}
        assert notes(request) == {("dropped", name, "TS-P1") for name in ("n", "logprobs", "top_logprobs")}


class TestMlx:
    def test_stop_strings_are_dropped_since_they_do_not_stop(self, explain: Explain, notes: Notes) -> None:
        """MX-E1."""
        request = explain("mlx", stop="END")
        assert "stop" not in request.body
        assert notes(request) == {("dropped", "stop", "MX-E1")}


class TestLlamaCppPython:
    TABLE = {"server": "llama-cpp-python"}  # noqa: RUF012

    def test_its_quirks_hold_only_where_it_is_said_to_be(self, explain: Explain, notes: Notes) -> None:
        """LP-P1."""
        known, unknown = explain("local", settings=self.TABLE, output=SCHEMA), explain("local", output=SCHEMA)
        assert known.body["tool_choice"]["type"] == "function"  # LP-T1: such a choice is kept
        assert "response_format" not in known.body
        assert notes(known) == {("lowered", "response_format", "LP-P1")}
        both = explain("local", settings=self.TABLE, output=SCHEMA, tools=[get_time])
        assert both.body["response_format"] == {"type": "json_object"}
        assert "JSON Schema" in both.body["messages"][0]["content"]
        assert unknown.body["response_format"]["type"] == "json_schema"

    def test_fields_without_effect_are_renamed_or_dropped(self, explain: Explain, notes: Notes) -> None:
        """LP-P1."""
        extra = {"max_completion_tokens": 7, "n": 2}
        request = explain("local", settings=self.TABLE, extra=extra, stream=True)
        assert set(request.body) == {"model", "messages", "stream", "max_tokens"}
        assert notes(request) == {("renamed", "max_completion_tokens", "LP-P1"), ("dropped", "n", "LP-P1")}

    def test_a_required_call_is_named_where_it_can_be(self, explain: Explain, notes: Notes) -> None:
        """LP-T1."""
        one = explain("local", settings=self.TABLE, tools=[get_time], tool_choice="required")
        assert one.body["tool_choice"] == {"type": "function", "function": {"name": "get_time"}}
        assert notes(one) == {("renamed", "tool_choice", "LP-T1")}
        two = explain("local", settings=self.TABLE, tools=[get_time, get_weather], tool_choice="required")
        assert notes(two) == {("lowered", "tool_choice", "LP-T1")}


def test_lmstudio_takes_calls_back_under_its_own_names(emulated: Any) -> None:
    """LM-T3: the model is shown snake_case names; LM-S2: later pieces have an empty name."""

    def getWeather(city: str) -> str:
        """Tell the weather."""
        return city

    client, _ = emulated("lmstudio")
    with client.stream("hi", model="lmstudio:emulated-model", tools=[getWeather]) as stream:
        for _ in stream:
            pass
    assert [call.name for call in stream.reply.tool_calls] == ["getWeather"]
    assert stream.reply.tool_calls[0].parsed() == {"city": "text"}


def test_a_past_call_is_sent_with_its_arguments_untouched(explain: Explain) -> None:
    turns = [
        Message.user("a"),
        Message.assistant(tool_calls=(ToolCall("c", "f", '{"a": 1 }'),)),
        Message.tool("c", "x"),
    ]
    assert explain("ollama", turns).body["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a": 1 }'


class TestToolsThatAreNoFunctions:
    SEARCH = {"type": "mcp", "server_url": "https://mcp.example"}  # noqa: RUF012  # nobody writes to it

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_they_stand_beside_functions(self, provider: str, explain: Explain) -> None:
        body = explain(provider, tools=[self.SEARCH, get_weather]).body
        assert [tool["type"] for tool in body["tools"]] == ["function", "mcp"]
        assert body["tools"][1] == self.SEARCH

    def test_only_functions_are_made_strict(self, explain: Explain) -> None:
        """VL-T3"""
        tools = explain("vllm", tools=[self.SEARCH, get_weather], tool_choice="required").body["tools"]
        assert (tools[0]["function"]["strict"], tools[1]) == (True, self.SEARCH)

    def test_a_sole_tool_that_is_no_function_is_not_named(self, explain: Explain) -> None:
        """LP-T1"""
        settings = {"base_url": "http://127.0.0.1:9/v1", "server": "llama-cpp-python"}
        sent = explain("local", tools=[self.SEARCH], tool_choice="required", settings=settings)
        assert sent.body["tool_choice"] == "required"
        assert ("lowered", "tool_choice") in {(note.kind, note.field) for note in sent.adjustments}
