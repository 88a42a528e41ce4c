"""The ladder of structured output, the fields a dialect rules on, and an answer that is continued."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import attrs
import pytest

from chatport import (
    Call,
    Client,
    Context,
    Dialect,
    FieldRule,
    Message,
    OutputSpec,
    Prefill,
    UnsupportedFeatureError,
    WireRequest,
    hookimpl,
)
from chatport.events import TextDelta, ToolCallDelta
from chatport.standard.output import fit_output, say_json, schema_in_words
from chatport.testing import Emulator, VendorEmulator

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OUTPUT = OutputSpec("place", SCHEMA)


class Ladder:
    """A vendor that takes some formats only, as a patch over the plain standard."""

    provider = "compatible"

    def __init__(self, *formats: str, forced_tool: bool = False) -> None:
        self.formats = formats
        self.forced_tool = forced_tool

    @hookimpl(wrapper=True)
    def shape_request(self, call: Call) -> Generator[None, WireRequest, WireRequest]:
        wire = yield
        return fit_output(wire, call, self.formats, "no schemas here", "XX-J1", forced_tool=self.forced_tool)


def client_of(patch: Any, emulator: Emulator | None = None) -> Client:
    emulator = emulator or Emulator("compatible")
    return Client(config=emulator.config(), transport=emulator, plugins=[patch])


@pytest.mark.parametrize(
    ("patch", "sent"),
    [
        (Ladder("json_schema"), {"response_format"}),
        (Ladder("json_object", forced_tool=True), {"tools", "tool_choice"}),
        (Ladder("json_object"), {"response_format"}),
        (Ladder(), set()),
    ],
)
def test_the_strictest_form_that_is_taken_is_sent(patch: Ladder, sent: set[str]) -> None:
    explanation = client_of(patch).explain("Where?", model="compatible:emulated-model", output=SCHEMA)
    assert set(explanation.body) & {"response_format", "tools", "tool_choice"} == sent
    lowered = [note for note in explanation.adjustments if note.kind == "lowered"]
    assert [note.fact for note in lowered] == ([] if "json_schema" in patch.formats else ["XX-J1"])


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_forced_tool_call_comes_back_as_the_text(stream: bool) -> None:
    client = client_of(Ladder("json_object", forced_tool=True))
    if stream:
        with client.stream("Where?", model="compatible:emulated-model", output=SCHEMA) as events:
            seen = list(events)
        assert not [event for event in seen if isinstance(event, ToolCallDelta)]
        assert "".join(event.text for event in seen if isinstance(event, TextDelta)) == events.reply.text
        reply = events.reply
    else:
        reply = client.chat("Where?", model="compatible:emulated-model", output=SCHEMA)
    assert reply.parsed() == {"city": "text"}
    assert (reply.finish_reason, reply.tool_calls) == ("stop", ())
    assert reply.raw_finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "options", [{"tools": [{"name": "other"}]}, {"output": {"type": "array"}}], ids=["own tools", "no object"]
)
def test_where_a_tool_cannot_be_forced_the_next_step_is_taken(options: Any) -> None:
    client = client_of(Ladder("json_object", forced_tool=True))
    explanation = client.explain("Where?", model="compatible:emulated-model", **{"output": SCHEMA, **options})
    assert explanation.body["response_format"] == {"type": "json_object"}
    assert explanation.body["messages"][0]["role"] == "system"


def test_without_a_structured_output_there_is_no_schema_to_say() -> None:
    """Neither where the call has none, nor where the request no longer has it."""
    messages = [{"role": "user", "content": "x"}]
    asked = WireRequest("/x", {"messages": messages, "response_format": {"type": "json_schema"}})
    for wire, call in ((asked, Call(())), (WireRequest("/x", {"messages": messages}), Call((), output=OUTPUT))):
        assert schema_in_words(wire, call, "json_object", "no schemas here") is wire
    told = schema_in_words(asked, Call((), output=OUTPUT), "json_object", "no schemas here", "XX-J3")
    assert told.body["response_format"] == {"type": "json_object"}
    assert [(note.kind, note.field, note.fact, note.reason) for note in told.adjustments] == [
        ("lowered", "response_format", "XX-J3", "no schemas here: the schema stands in a system message")
    ]


def test_the_word_json_is_said_once() -> None:
    wire = WireRequest("/x", {"messages": [{"role": "user", "content": "Give me JSON"}]})
    assert say_json(wire) is wire
    wire = WireRequest("/x", {"messages": [{"role": "assistant", "content": "json"}, {"role": "user", "content": "x"}]})
    told = say_json(wire, "XX-J2")
    assert told.body["messages"][0] == {"role": "system", "content": "Answer in JSON."}
    assert [note.fact for note in told.adjustments] == ["XX-J2"]


# --- the model's answer against the schemas


class Wrong(VendorEmulator):
    """Calls the first tool with arguments that do not fit its schema."""

    def completion(self, body: Mapping[str, Any], script: Any) -> dict[str, Any]:
        wrong = attrs.evolve(script, calls=((script.calls[0][0], '{"days": 0, "x": [1]}'),))
        return super().completion(body, wrong)


def test_arguments_that_do_not_fit_are_a_warning_that_names_the_place() -> None:
    emulator = Emulator("compatible")
    emulator.vendor = Wrong()
    tool = {"name": "f", "parameters": {"type": "object", "properties": {"days": {"type": "integer", "minimum": 1}}}}
    reply = client_of(Ladder("json_schema"), emulator).chat("x", model="compatible:emulated-model", tools=[tool])
    assert [(note.kind, note.field) for note in reply.warnings] == [("invalid", "tool_calls[0].arguments.days")]


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"x": {"$ref": "https://a.example/s"}}},
        {"required": "days", "properties": []},
        {"properties": {"days": {"minimum": {}}}},
    ],
    ids=["elsewhere", "lists", "numbers"],
)
def test_a_schema_that_cannot_be_checked_costs_no_reply(parameters: Any) -> None:
    emulator = Emulator("compatible")
    emulator.vendor = Wrong()
    tool = {"name": "f", "parameters": parameters}
    reply = client_of(Ladder("json_schema"), emulator).chat("x", model="compatible:emulated-model", tools=[tool])
    assert {note.kind for note in reply.warnings} == {"unchecked"}
    assert reply.tool_calls[0].parsed() == {"days": 0, "x": [1]}


# --- fields by rule


def body_of(
    rules: Mapping[str, FieldRule], extra: Mapping[str, Any], **options: Any
) -> tuple[dict[str, Any], list[Any]]:
    from chatport.setup.config import load_config
    from chatport.setup.vendors import Vendors

    config = load_config({"providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1"}}})
    vendors = Vendors(config)
    ready = vendors.provider("x")
    dialect = attrs.evolve(ready.provider.dialect, fields=rules)
    context = Context(attrs.evolve(ready.provider, dialect=dialect), "m", ready.base_url)
    call = Call((Message.user("hi"),), extra=extra, **options)
    wire = ready.plan.shape_request(call, ready.plan.translate_tools(call, context), context)
    return dict(wire.body), [(note.kind, note.field, note.fact) for note in wire.adjustments]


RULES = {
    "n": FieldRule("one answer each", "XX-P1", same=(1,)),
    "user": FieldRule("sent as user_id", "XX-P2", rename="user_id"),
    "temperature": FieldRule("goes from 0 to 1 here", "XX-P3", least=0, most=1),
    "parallel_tool_calls": FieldRule("cannot be switched off", "XX-P4", same=(True,)),
}


@pytest.mark.parametrize(
    ("extra", "options", "left", "notes"),
    [
        ({"n": 1}, {}, {}, []),
        ({"n": 2}, {}, {}, [("dropped", "n", "XX-P1")]),
        ({"n": True}, {}, {}, [("dropped", "n", "XX-P1")]),
        ({"user": "ann"}, {}, {"user_id": "ann"}, [("renamed", "user", "XX-P2")]),
        ({"user": "ann", "user_id": "bob"}, {}, {"user_id": "bob"}, [("dropped", "user", "XX-P2")]),
        ({}, {"temperature": 2}, {"temperature": 1}, [("lowered", "temperature", "XX-P3")]),
        ({}, {"temperature": 0.5}, {"temperature": 0.5}, []),
        ({"parallel_tool_calls": True}, {}, {}, []),
        ({"parallel_tool_calls": False}, {}, {}, [("dropped", "parallel_tool_calls", "XX-P4")]),
    ],
)
def test_a_rule_drops_renames_or_holds_in_range(extra: Any, options: Any, left: Any, notes: Any) -> None:
    body, found = body_of(RULES, extra, **options)
    assert {name: value for name, value in body.items() if name not in ("model", "messages")} == left
    assert found == notes


# --- the beginning of an answer


def test_an_answer_goes_on_from_its_beginning_where_the_vendor_has_a_way() -> None:
    call = Call((Message.user("Count."),), prefix="one two")
    context = _context(Dialect(prefill=Prefill({"partial": True}, {"continue_final_message": True}, "XX-C1")))
    body = context.plan.shape_request(call, context.plan.translate_tools(call, context.context), context.context).body
    assert body["messages"][-1] == {"role": "assistant", "content": "one two", "partial": True}
    assert body["continue_final_message"] is True


@pytest.mark.parametrize("by", ["output", "extra"])
def test_a_schema_beside_a_beginning_is_said_in_words(by: str) -> None:
    """Such an answer cannot begin as JSON must: whichever way the schema was given."""
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "out", "schema": schema}}
    given: Any = {"output": OutputSpec("out", schema)} if by == "output" else {"extra": {"response_format": form}}
    call = Call((Message.user("Count."),), prefix='{"count": ', **given)
    context = _context(Dialect(prefill=Prefill({"partial": True}, fact="XX-C1")))
    wire = context.plan.shape_request(call, context.plan.translate_tools(call, context.context), context.context)
    assert "response_format" not in wire.body
    assert '"count"' in str(wire.body["messages"][0]["content"])


def test_without_a_way_it_is_refused_before_anything_is_sent() -> None:
    call = Call((Message.user("Count."),), prefix="one two")
    context = _context(Dialect())
    with pytest.raises(UnsupportedFeatureError, match="documents no way to go on"):
        context.plan.shape_request(call, context.plan.translate_tools(call, context.context), context.context)


@attrs.frozen
class _Ready:
    plan: Any
    context: Context


def _context(dialect: Dialect) -> _Ready:
    from chatport.setup.config import load_config
    from chatport.setup.vendors import Vendors

    config = load_config({"providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1"}}})
    ready = Vendors(config).provider("x")
    return _Ready(ready.plan, Context(attrs.evolve(ready.provider, dialect=dialect), "m", ready.base_url))


# --- a provider in another form


def test_a_setting_can_choose_another_form_of_the_provider() -> None:
    from chatport import Provider
    from chatport.setup.config import load_config
    from chatport.setup.vendors import Vendors

    def adapt(provider: Provider, settings: Mapping[str, Any]) -> Provider:
        path = "/v2/chat" if settings.get("surface") == "new" else provider.dialect.chat_path
        return attrs.evolve(provider, dialect=attrs.evolve(provider.dialect, chat_path=path))

    provider = Provider("acme", "Acme", "https://acme.example", settings={"surface": "new"}, adapt=adapt)
    assert json.dumps(provider.settings)
    for settings, path in (({}, "/chat/completions"), ({"surface": "new"}, "/v2/chat")):
        vendors = Vendors(load_config({"providers": {"acme": {"api_key": "k" * 20, **settings}}}))
        vendors._plain_provider_value = lambda name, table: provider  # type: ignore[method-assign]
        assert vendors.provider("acme").provider.dialect.chat_path == path


class Talking(VendorEmulator):
    """Says something beside the call it is made to make, or nothing but that."""

    calls = True

    def __init__(self, *, calls: bool = True) -> None:
        super().__init__()
        self.calls = calls

    def script(self, body: Mapping[str, Any]) -> Any:
        script = super().script(body)
        return attrs.evolve(script, text='{"city": "said"}', calls=script.calls if self.calls else (), finish="stop")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("calls", "city"), [(True, "text"), (False, "said")])
def test_what_is_said_beside_the_forced_call_is_no_part_of_the_answer(stream: bool, calls: bool, city: str) -> None:
    """Unless there is no call: then it is the answer."""
    emulator = Emulator("compatible")
    emulator.vendor = Talking(calls=calls)
    client = client_of(Ladder("json_object", forced_tool=True), emulator)
    if stream:
        with client.stream("Where?", model="compatible:emulated-model", output=SCHEMA) as events:
            text = "".join(event.text for event in events if isinstance(event, TextDelta))
        reply = events.reply
        assert text == reply.text
    else:
        reply = client.chat("Where?", model="compatible:emulated-model", output=SCHEMA)
    assert reply.parsed() == {"city": city}
