"""The thinking switch, what it excludes, and the reasoning of earlier turns."""

from __future__ import annotations

import attrs
import pytest

from chatport import Message, ToolCall, UnsupportedFeatureError

PRO = "deepseek:deepseek-v4-pro"
UNKNOWN = "deepseek:deepseek-v9-turbo"
CALL = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def answer(reasoning: str | None = None, origin: str | None = "deepseek") -> Message:
    return attrs.evolve(Message.assistant("", tool_calls=(CALL,)), reasoning=reasoning, origin=origin)


def tool_loop(reasoning: str | None = None, origin: str | None = "deepseek") -> list[Message]:
    return [Message.user("Weather?"), answer(reasoning, origin), Message.tool(CALL, "Sunny")]


def test_nothing_is_sent_when_nothing_is_asked(explain):
    body = explain().body
    assert "thinking" not in body
    assert "reasoning_effort" not in body


@pytest.mark.parametrize("model", ["deepseek:deepseek-flash", PRO, UNKNOWN])
@pytest.mark.parametrize("effort", ["low", "high", "max"])
def test_efforts_are_sent_as_they_are(explain, model, effort):
    explanation = explain(model=model, reasoning=effort)
    assert explanation.body["thinking"] == {"type": "enabled"}
    assert explanation.body["reasoning_effort"] == effort
    assert explanation.adjustments == ()


@pytest.mark.parametrize(
    "options", [{"reasoning": "none"}, {"reasoning": False}, {"extra": {"reasoning_effort": "none"}}]
)
def test_none_switches_thinking_off(explain, options):
    explanation = explain(**options)
    assert explanation.body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in explanation.body
    assert explanation.adjustments == ()


@pytest.mark.parametrize(("effort", "kind"), [("minimal", "note"), ("medium", "note"), ("xhigh", "lowered")])
def test_folded_efforts_are_told(explain, notes, effort, kind):
    explanation = explain(reasoning=effort)
    assert explanation.body["reasoning_effort"] == effort
    assert notes(explanation) == {(kind, "reasoning", "DS-P13")}


def test_budgets_do_not_exist(explain, notes):
    explanation = explain(reasoning=2048)
    assert explanation.body["thinking"] == {"type": "enabled"}
    assert "reasoning_effort" not in explanation.body
    assert ("dropped", "reasoning") in {(kind, field) for kind, field, _ in notes(explanation)}
    explanation = explain(extra={"thinking": {"type": "enabled", "budget_tokens": 2048}})
    assert explanation.body["thinking"] == {"type": "enabled"}
    assert notes(explanation) == {("dropped", "thinking.budget_tokens", "DS-P11")}


def test_a_switch_in_extra_is_the_callers(explain):
    explanation = explain(extra={"thinking": {"type": "adaptive"}})
    assert explanation.body["thinking"] == {"type": "adaptive"}
    assert explanation.adjustments == ()


def test_temperature_depends_on_thinking(explain, notes):
    explanation = explain(temperature=0.3)
    assert "temperature" not in explanation.body
    assert notes(explanation) == {("dropped", "temperature", "DS-P5")}
    explanation = explain(temperature=0.3, reasoning="none")
    assert explanation.body["temperature"] == 0.3
    assert explanation.adjustments == ()


@pytest.mark.parametrize(
    ("model", "reasoning", "asked", "sent", "kind"),
    [
        ("deepseek:deepseek-flash", None, 0.5, 0.95, "lowered"),
        ("deepseek:deepseek-flash", None, 0.97, 0.97, None),
        ("deepseek:deepseek-flash", "none", 0.5, None, "dropped"),
        (PRO, None, 0.5, None, "dropped"),
        (PRO, "none", 0.5, 0.5, None),
        (UNKNOWN, None, 0.5, 0.95, "lowered"),
    ],
)
def test_top_p_depends_on_model_and_thinking(explain, notes, model, reasoning, asked, sent, kind):
    explanation = explain(model=model, reasoning=reasoning, top_p=asked)
    assert explanation.body.get("top_p") == sent
    assert notes(explanation) == ({(kind, "top_p", "DS-P6")} if kind else set())


@pytest.mark.parametrize("choice", ["required", "get_weather"])
@pytest.mark.parametrize("model", ["deepseek:deepseek-flash", PRO, UNKNOWN])
def test_a_forced_call_switches_thinking_off(explain, notes, choice, model):
    explanation = explain(model=model, tools=[get_weather], tool_choice=choice)
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert explanation.body["tool_choice"] == ("required" if choice == "required" else named)
    assert explanation.body["thinking"] == {"type": "disabled"}
    assert notes(explanation) == {("lowered", "thinking", "DS-T3")}


def test_a_forced_call_beats_asked_reasoning(explain, notes):
    explanation = explain(tools=[get_weather], tool_choice="required", reasoning="high")
    assert explanation.body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in explanation.body
    assert notes(explanation) == {("lowered", "reasoning", "DS-T3")}
    with pytest.raises(UnsupportedFeatureError):
        explain(tools=[get_weather], tool_choice="required", reasoning="high", on_unsupported="raise")


def test_a_forced_call_without_thinking_needs_nothing(explain):
    explanation = explain(tools=[get_weather], tool_choice="required", reasoning="none", temperature=0.1)
    assert explanation.body["temperature"] == 0.1
    assert explanation.adjustments == ()


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_free_choices_leave_thinking_alone(explain, choice):
    explanation = explain(tools=[get_weather], tool_choice=choice)
    assert explanation.body["tool_choice"] == choice
    assert "thinking" not in explanation.body


def test_temperature_has_its_effect_beside_a_forced_call(explain, notes):
    explanation = explain(tools=[get_weather], tool_choice="required", temperature=0.1)
    assert explanation.body["temperature"] == 0.1
    assert notes(explanation) == {("lowered", "thinking", "DS-T3")}


def test_reasoning_goes_back_in_tool_use(explain):
    """DS-0.4, DS-R3, DS-R4"""
    explanation = explain(tool_loop("I should look it up."), tools=[get_weather])
    assert explanation.body["messages"][1]["reasoning_content"] == "I should look it up."
    assert explanation.adjustments == ()
    plain = [
        Message.user("a"),
        attrs.evolve(Message.assistant("b"), reasoning="r", origin="deepseek"),
        Message.user("c"),
    ]
    assert explain(plain).body["messages"][1]["reasoning_content"] == "r"


@pytest.mark.parametrize("origin", ["deepseek", "qwen"])
def test_lost_reasoning_is_filled(explain, notes, origin):
    reasoning = None if origin == "deepseek" else "of another vendor"
    explanation = explain(tool_loop(reasoning, origin), tools=[get_weather])
    assert explanation.body["messages"][1]["reasoning_content"] == " "
    assert notes(explanation) == {("added", "messages.reasoning_content", "DS-R6")}


def test_only_what_is_lost_is_filled(explain):
    history = [*tool_loop("real"), Message.assistant("Sunny."), Message.user("And now?")]
    messages = explain(history, tools=[get_weather]).body["messages"]
    assert [message.get("reasoning_content") for message in messages] == [None, "real", None, " ", None]


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (tool_loop(), {"reasoning": "none"}),
        ([Message.user("a"), Message.assistant("b"), Message.user("c")], {}),
    ],
)
def test_no_blank_where_none_is_needed(explain, messages, options):
    explanation = explain(messages, **options)
    assert not any("reasoning_content" in message for message in explanation.body["messages"])
    assert explanation.adjustments == ()


def test_r1_is_the_other_way_round(explain, notes):
    host = {"base_url": "https://r1.example.com/v1"}
    explanation = explain(tool_loop("old"), model="deepseek:DeepSeek-R1", settings=host, reasoning="high")
    assert not any("reasoning_content" in message for message in explanation.body["messages"])
    assert "thinking" not in explanation.body
    assert notes(explanation) == {("dropped", "reasoning", "DS-R7")}
