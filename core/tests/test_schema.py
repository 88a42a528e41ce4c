"""From Python to JSON Schema and back."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import attrs
import jsonschema
import msgspec
import pytest

from chatport.call import OutputSpec, Tool, ToolChoice
from chatport.errors import BadRequestError, MalformedReplyError
from chatport.inputs.arguments import check_arguments, misfits, run_tool
from chatport.inputs.output import read_output
from chatport.inputs.schemas import schema_of
from chatport.inputs.tools import read_tool_choice, read_tools
from chatport.types import Reply, ToolCall


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@attrs.frozen
class AttrsCity:
    name: str
    people: int = 0


@dataclass
class DataCity:
    name: str
    people: int = 0


class StructCity(msgspec.Struct):
    name: str
    people: int = 0


class DictCity(TypedDict, total=False):
    name: str
    people: int


class Node(msgspec.Struct):
    value: int
    children: list[Node] = []


def tool_of(function: Callable[..., Any]) -> Tool:
    (tool,) = read_tools([function])
    jsonschema.Draft202012Validator.check_schema(dict(tool.schema))
    return tool


# --- types


@pytest.mark.parametrize("kind", [AttrsCity, DataCity, StructCity])
def test_classes(kind: Any) -> None:
    """Attrs classes, dataclasses and structs give the same object schema."""
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert schema["properties"] == {"name": {"type": "string"}, "people": {"type": "integer", "default": 0}}
    assert schema["required"] == ["name"]


def test_typed_dicts() -> None:
    """A TypedDict gives an object schema with its required keys."""
    schema = schema_of(DictCity)
    assert set(schema["properties"]) == {"name", "people"}
    assert not schema.get("required")


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Annotated[int, msgspec.Meta(ge=1)], {"type": "integer", "minimum": 1}),
        (Any, {}),
    ],
    ids=str,
)
def test_plain_annotations(annotation: Any, schema: dict[str, Any]) -> None:
    """Plain annotations are read as they are."""
    assert schema_of(annotation) == schema


def test_shared_and_recursive_types() -> None:
    """Types inside types are definitions; one that refers to itself stays a reference."""
    nested = schema_of(list[StructCity])
    assert nested["items"] == {"$ref": "#/$defs/StructCity"}
    assert set(nested["$defs"]) == {"StructCity"}
    recursive = schema_of(Node)
    jsonschema.Draft202012Validator.check_schema(recursive)
    jsonschema.validate({"value": 1, "children": [{"value": 2}]}, recursive)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"value": 1, "children": [{"value": "x"}]}, recursive)


@pytest.mark.parametrize("annotation", [object, Callable[[], int], complex, 5], ids=str)
def test_what_json_cannot_carry(annotation: Any) -> None:
    """A type that JSON cannot carry is refused by name."""
    with pytest.raises(BadRequestError, match=r"No JSON Schema can be made of"):
        schema_of(annotation)


class Lost(msgspec.Struct):
    x: Undefined  # type: ignore[name-defined]  # noqa: F821  # that is what is tested


def test_a_class_with_a_field_of_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(BadRequestError, match=r"No JSON Schema can be made of .*Lost'>: name 'Undefined' is not"):
        schema_of(Lost)


# --- tools


def weather(city: str, unit: Unit = Unit.CELSIUS, days: Annotated[int, msgspec.Meta(ge=1)] = 1) -> str:
    """Tell the weather.

    In any city.

    Args:
        city: the city's name
        unit (Unit): of the temperature
        days: how many
            days ahead
        nobody: is not an argument

    Returns:
        a sentence: this is no argument
    """
    return f"{city} {unit.name} {days}"


def test_a_function_becomes_a_tool() -> None:
    """Name, summary, types, defaults and descriptions of the arguments come from the function."""
    tool = tool_of(weather)
    assert (tool.name, tool.description) == ("weather", "Tell the weather.\n\nIn any city.")
    properties = tool.schema["properties"]
    assert properties["city"] == {"type": "string", "description": "the city's name"}
    assert properties["unit"]["description"] == "of the temperature"
    assert properties["days"]["minimum"] == 1
    assert "nobody" not in properties
    assert tool.schema["required"] == ["city"]
    assert "title" not in tool.schema
    assert tool.function is weather


def test_docstrings_of_the_other_style() -> None:
    """`:param name:` describes an argument; what is returned is not part of the description."""

    def look(word: str) -> str:
        """Look a word up.

        :param word: the word
        :return: its meaning
        :raises KeyError: never
        """
        return word

    tool = tool_of(look)
    assert tool.description == "Look a word up."
    assert tool.schema["properties"]["word"]["description"] == "the word"


def test_functions_of_all_kinds() -> None:
    """Functions without annotations, arguments or text, methods and keyword-only arguments are tools too."""

    def bare(x, *, y=None):  # type: ignore[no-untyped-def]  # that is what is tested
        pass

    class Shop:
        def buy(self, what: AttrsCity) -> None: ...

    def nothing() -> None: ...

    async def later(x: int) -> int:
        """Wait."""
        return x

    assert tool_of(bare).schema["required"] == ["x"]
    assert set(tool_of(bare).schema["properties"]) == {"x", "y"}
    assert set(tool_of(Shop().buy).schema["properties"]) == {"what"}
    assert tool_of(nothing).schema["required"] == []
    assert tool_of(nothing).schema["properties"] == {}
    assert tool_of(later).description == "Wait."


def test_dicts_and_tools_are_taken() -> None:
    """An OpenAI-shaped dict, its inner part alone, and a Tool are taken as they are."""
    inner = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    expected = Tool("f", "d", {"type": "object"}, True)
    for tool in ({"type": "function", "function": inner}, inner, expected):
        assert read_tools([tool]) == (expected,)
    assert read_tools([{"name": "f"}]) == (Tool("f"),)
    assert read_tools(None) == ()
    assert read_tools([]) == ()


def test_an_argument_may_have_a_default_that_can_change() -> None:
    def tagged(tags: list[str] = ["a"], more: dict[str, int] = {"b": 1}) -> str:  # noqa: B006  # what is tested
        """Tag it."""
        return f"{tags} {more}"

    tool = tool_of(tagged)
    assert tool.schema["required"] == []
    assert tool.schema["properties"]["tags"]["items"] == {"type": "string"}
    assert run_tool(call_of("tagged", "{}"), [tagged]) == "['a'] {'b': 1}"
    assert run_tool(call_of("tagged", '{"tags": ["c"]}'), [tagged]) == "['c'] {'b': 1}"


def locked(what: bytes = bytearray(b"x")) -> None: ...  # type: ignore[assignment]  # that is what is tested
def no_name(x: Undefined) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # that is what is tested
def rest(*args: int) -> None: ...
def more(**kwargs: int) -> None: ...
def positional(x: int, /) -> None: ...
def odd(x: complex) -> None: ...
def lost(x: Lost) -> None: ...


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ("x", "tools must be a list"),
        ({"name": "f"}, "tools must be a list"),
        (weather, "tools must be a list"),
        (5, "tools must be a list"),
        ([5], "tools[0] must be a function, a Tool or a dict, not int"),
        ([weather, None], "tools[1] must be a function"),
        ([{}], "tools[0] has no name"),
        ([{"function": {}}], "tools[0] has no name"),
        ([{"function": 5}], "tools[0] has no name"),
        ([{"name": "f", "parameters": 5}], "tools[0].parameters must be a JSON Schema"),
        ([weather, weather], "Two tools are called 'weather'"),
        ([no_name], "tools[0]: the annotations of"),
        ([rest], "tools[0]: the parameter 'args'"),
        ([more], "tools[0]: the parameter 'kwargs'"),
        ([positional], "tools[0]: the parameter 'x'"),
        ([odd], "No JSON Schema can be made of"),
        ([lost], "lost'>: name 'Undefined' is not defined"),
        ([locked], "tools[0]: no JSON Schema can be made of the arguments of locked: "),
    ],
)
def test_a_wrong_tool_is_refused_with_its_place(tools: Any, words: str) -> None:
    """A tool that cannot be one is refused, and the text says which."""
    with pytest.raises(BadRequestError) as caught:
        read_tools(tools)
    assert words in str(caught.value)


TOOLS = read_tools([weather, {"name": "auto"}, {"name": "other"}])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("weather", ToolChoice("named", "weather")),
        ("auto", ToolChoice("named", "auto")),  # a tool of that name is meant
        (weather, ToolChoice("named", "weather")),
        (TOOLS[2], ToolChoice("named", "other")),
        ({"type": "function", "function": {"name": "other"}}, ToolChoice("named", "other")),
    ],
)
def test_tool_choices(choice: Any, expected: ToolChoice | None) -> None:
    """A choice is a mode, or a tool: by name, as function, as Tool, or as the standard's dict."""
    assert read_tool_choice(choice, TOOLS) == expected
    assert read_tool_choice("auto", ()) == ToolChoice("auto")


@pytest.mark.parametrize(
    "choice",
    ["wether", "requierd", "", [], {}, 5, odd, Tool("wether")],
)
def test_a_wrong_choice_is_refused(choice: Any) -> None:
    """A tool that is not among the tools is refused, and so is a misspelt word."""
    with pytest.raises(BadRequestError, match=r"tool_choice"):
        read_tool_choice(choice, TOOLS)


# --- running


def call_of(name: str, arguments: str, complete: bool = True) -> ToolCall:
    return ToolCall("c1", name, arguments, complete)


def test_a_tool_is_run() -> None:
    """The function is called with its arguments converted by its annotations; the result is text for the model."""
    assert run_tool(call_of("weather", '{"city": "Bonn", "unit": "f"}'), [weather]) == "Bonn FAHRENHEIT 1"

    def population(city: AttrsCity, extra: list[int] | None = None) -> Any:
        return {"name": city.name, "people": city.people + 1, "extra": extra}

    text = run_tool(call_of("population", '{"city": {"name": "Bonn"}}'), [weather, population])
    assert text == '{"name":"Bonn","people":1,"extra":null}'


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}"])
def test_a_tool_that_takes_nothing_is_run_whatever_stands_for_nothing(arguments: str) -> None:
    """Models write null, or nothing at all, where there are no arguments."""

    def catalog(depth: int = 1) -> str:
        return f"depth {depth}"

    call = call_of("catalog", arguments)
    assert run_tool(call, [catalog]) == "depth 1"
    assert check_arguments(call, [catalog]) == {}
    assert not [*misfits((call,), read_tools([catalog]))]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("other", "{}", "The model calls 'other', and no function of this name was given"),
        ("weather", "[1]", "The arguments for 'weather' are not an object but list"),
        ("weather", '{"city": 5}', "The arguments for 'weather' do not fit"),
        ("weather", "{}", "The arguments for 'weather' do not fit: missing a required argument: 'city'"),
        ("weather", '{"city": "x", "country": "y"}', "do not fit: got an unexpected keyword argument 'country'"),
        ("weather", '{"city": "x", "unit": "k"}', "do not fit: Invalid enum value 'k'"),
        ("weather", '{"city": "x", "days": 0}', "do not fit: Expected `int` >= 1"),
        ("schema_only", "{}", "no function of this name was given"),
    ],
)
def test_arguments_that_do_not_fit(name: str, arguments: str, words: str) -> None:
    """What the model wrote is checked against the annotations, constraints included, before the function runs."""
    with pytest.raises(BadRequestError) as caught:
        run_tool(call_of(name, arguments), [weather, {"name": "schema_only"}])
    assert words in str(caught.value)


def test_a_cut_call_is_not_run() -> None:
    """A call whose arguments were cut, or are not JSON, is not run."""
    for call in (call_of("weather", "{}", complete=False), call_of("weather", "{")):
        with pytest.raises(MalformedReplyError):
            run_tool(call, [weather])


def test_an_error_of_the_function_is_its_own() -> None:
    """What the function raises reaches the caller as it is."""

    def fails() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        run_tool(call_of("fails", "{}"), [fails])


# --- structured output


def test_outputs() -> None:
    """A type gives its schema and name; a schema is taken as it is, named by its title."""
    spec = read_output(AttrsCity)
    assert spec is not None
    assert (spec.name, spec.type, spec.strict) == ("AttrsCity", AttrsCity, True)
    schema = {"title": "A city!", "type": "object"}
    assert read_output(schema) == OutputSpec("A_city_", schema)
    assert read_output({"type": "object"}) == OutputSpec("output", {"type": "object"})
    assert read_output(spec) is spec
    assert read_output(None) is None
    listed = read_output(list[AttrsCity])
    assert listed is not None
    assert listed.name == "list"
    with pytest.raises(BadRequestError, match=r"output is an empty schema"):
        read_output({})
    with pytest.raises(BadRequestError, match=r"No JSON Schema can be made of"):
        read_output(complex)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Bonn"}',
        '```json\n{"name": "Bonn"}\n```',
        '\n```\n{"name": "Bonn"}```\n ',
        ' ```json \n\n{"name": "Bonn"}\n\n```',
        '```\r\n{"name": "Bonn"}\r\n```\r\n',
    ],
)
def test_output_is_parsed(text: str) -> None:
    """The text becomes the type that was asked for, out of a Markdown fence too; a plain schema gives plain values."""
    for kind in (AttrsCity, DataCity, StructCity):
        assert Reply(text=text, finish_reason="stop", output=read_output(kind)).parsed() == kind("Bonn")
    assert Reply(text=text, finish_reason="stop").parsed() == {"name": "Bonn"}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(text="{}", finish_reason="stop", output=read_output(AttrsCity)), "missing required field `name`"),
        (Reply(text="hello", finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text="", finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text="```", finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text='```json\n{"name": "B"}', finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text='```python\n{"name": "B"}\n```', finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text='```json{"name": "B"}```', finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text="```" + "\n" * 200_000, finish_reason="stop"), "is not the structure that was asked for"),
        (Reply(text='{"name": 5}', finish_reason="stop", output=read_output(AttrsCity)), "Expected `str`, got `int`"),
        (Reply(text='{"name": "B"}', finish_reason="length"), "cut at its token limit; raise max_tokens"),
        (Reply(text='{"name": "B"}', refusal="no", finish_reason="stop"), "The model refused: no"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_output_that_cannot_be_parsed(reply: Reply, words: str) -> None:
    """A refusal, a cut text and one of another shape are errors that keep the reply."""
    with pytest.raises(MalformedReplyError, match=words) as caught:
        reply.parsed()
    assert caught.value.partial is reply


# --- what a model returns is held against the schema as the caller gave it

DAYS = {
    "name": "forecast",
    "parameters": {
        "type": "object",
        "properties": {
            "days": {"type": "integer", "minimum": 1},
            "places": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["days"],
    },
}


def test_arguments_are_held_against_the_original_schema() -> None:
    assert check_arguments(ToolCall("1", "forecast", '{"days": 3}'), [DAYS]) == {"days": 3}
    with pytest.raises(
        BadRequestError, match=r"do not fit its schema: days is 0, which is not at least 1; places\[0\]"
    ):
        check_arguments(ToolCall("1", "forecast", '{"days": 0, "places": [5]}'), [DAYS])
    with pytest.raises(BadRequestError, match=r"no function of this name"):
        check_arguments(ToolCall("1", "other", "{}"), [DAYS])
    with pytest.raises(MalformedReplyError, match=r"not valid JSON"):
        check_arguments(ToolCall("1", "forecast", "{"), [DAYS])


def test_a_function_with_a_schema_of_its_own_is_held_to_it() -> None:
    def forecast(days: int) -> str:
        return f"{days} days"

    tool = Tool("forecast", schema=DAYS["parameters"], function=forecast)  # type: ignore[arg-type]  # a dict literal
    assert run_tool(ToolCall("1", "forecast", '{"days": 3}'), [tool]) == "3 days"
    with pytest.raises(BadRequestError, match=r"days is 0, which is not at least 1"):
        run_tool(ToolCall("1", "forecast", '{"days": 0}'), [tool])


def test_a_structure_given_as_a_schema_is_checked() -> None:
    spec = read_output({"type": "object", "properties": {"n": {"maximum": 5}}, "required": ["n"]})
    assert Reply(text='{"n": 5}', finish_reason="stop", output=spec).parsed() == {"n": 5}
    with pytest.raises(
        MalformedReplyError, match=r"not the structure that was asked for: n is 6, which is not at most 5"
    ):
        Reply(text='{"n": 6}', finish_reason="stop", output=spec).parsed()


# --- answers that cannot be held against their schema

ONLY_A = {"type": "object", "properties": {"a": {"items": {"pattern": "^(a+)+$"}}}, "required": ["a"]}
LONG = '{"a": [' + ", ".join(['"' + "a" * 5_000 + '"'] * 30) + "]}"


@pytest.mark.slow
def test_a_reply_that_is_too_costly_to_check_is_kept_in_the_error() -> None:
    reply = Reply(text=LONG, finish_reason="stop", output=read_output(ONLY_A))
    with pytest.raises(MalformedReplyError, match=r"could not be held against its schema: .* 500000 steps") as caught:
        reply.parsed()
    assert caught.value.partial is reply


@pytest.mark.slow
def test_arguments_that_are_too_costly_to_check_are_passed_to_nothing() -> None:
    ran: list[Any] = []

    def f(a: list[str]) -> str:
        ran.append(a)
        return "ran"

    tool = Tool("f", schema=ONLY_A, function=f)
    call = ToolCall("1", "f", LONG)
    for use in (check_arguments, run_tool):
        with pytest.raises(BadRequestError, match=r"could not be held against its schema: .* 500000 steps") as caught:
            use(call, [tool])
        assert caught.value.raw == LONG
    assert not ran
    assert run_tool(ToolCall("1", "f", '{"a": ["aaa"]}'), [tool]) == "ran"


def test_what_could_not_be_checked_is_a_warning_of_its_own_kind() -> None:
    tools = [Tool("f", schema=ONLY_A), Tool("g", schema={"$ref": "https://a.example/s", "pattern": 5})]
    notes = list(misfits([ToolCall("1", "g", "{}"), ToolCall("2", "f", LONG), ToolCall("3", "f", "{}")], tools))
    assert [(note.kind, note.field) for note in notes] == [
        ("unchecked", "tool_calls[0].arguments"),
        ("unchecked", "tool_calls[0].arguments"),
        ("unchecked", "tool_calls[1].arguments"),
        ("unchecked", "tool_calls[2].arguments"),  # all calls of a reply share the steps
    ]
    assert "50000 steps" in notes[2].reason


def test_a_schema_that_says_nothing_can_be_checked_lets_the_value_pass() -> None:
    """No answer can bring that about, so there is nothing to guard against."""
    output = read_output({"$ref": "https://a.example/s", "required": "x"})
    assert Reply(text="{}", finish_reason="stop", output=output).parsed() == {}


class Picky(msgspec.Struct):
    n: int

    def __post_init__(self) -> None:
        raise LookupError(self.n)


def test_an_exception_of_a_type_keeps_the_reply() -> None:
    reply = Reply(text='{"n": 1}', finish_reason="stop", output=read_output(Picky))
    with pytest.raises(MalformedReplyError, match="not the structure") as caught:
        reply.parsed()
    assert caught.value.partial is reply

    def f(n: Picky) -> str:
        return "ran"

    with pytest.raises(BadRequestError, match="do not fit"):
        run_tool(ToolCall("1", "f", '{"n": {"n": 1}}'), [f])
