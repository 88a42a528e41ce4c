"""Types of the caller's own: pydantic's, lists and scalars, asked for again, and seen while they are being written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_type

import anyio
import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import given, strategies as st
from typing_extensions import TypedDict

import chatport
from chatport import BadRequestError, MalformedReplyError, OutputSpec, Reply, ToolCall
from chatport.errors import MisuseError
from chatport.schemas.partial import value_so_far
from chatport.testing import Emulator, Script, VendorEmulator

from .runs import BACKENDS, MODEL, Scripted, play


class City(pydantic.BaseModel):
    """A city."""

    name: str
    inhabitants: int = pydantic.Field(gt=0)

    @pydantic.field_validator("name")
    @classmethod
    def is_named(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("a city has a name")
        return name.strip()


class Country(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    cities: list[City]
    kind: Literal["kingdom", "republic"] = "republic"


class Node(pydantic.BaseModel):
    children: list[Node] = []


@pydantic.dataclasses.dataclass
class Even:
    number: int

    @pydantic.field_validator("number")
    @classmethod
    def is_even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("an odd number")
        return number


@dataclass
class Plain:
    city: City
    more: list[City]


@attrs.frozen
class Holder:
    even: list[Even]


@attrs.frozen
class Deep:
    holders: dict[str, Holder]


class Table(TypedDict):
    city: City


class Duck:
    """What only has the two methods, and nothing of pydantic."""

    def __init__(self, sound: str) -> None:
        self.sound = sound

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "object", "properties": {"sound": {"type": "string"}}, "required": ["sound"]}

    @classmethod
    def model_validate(cls, value: Any) -> Duck:
        return cls(value["sound"].upper())


def parsed(output: Any, text: str) -> Any:
    class Says(VendorEmulator):
        def script(self, body: Mapping[str, Any]) -> Script:
            return Script(text)

    emulator = Emulator("compatible")
    emulator.vendor = Says()
    with chatport.Client(emulator.config(), transport=emulator) as client:
        return client.chat("go", model=MODEL, output=output).parsed()


PARIS: Any = {"name": " Paris ", "inhabitants": 2}
FITS: list[tuple[Any, Any, Any]] = [
    (City, PARIS, City(name="Paris", inhabitants=2)),
    (Country, {"cities": [PARIS]}, Country(cities=[City(name="Paris", inhabitants=2)])),
    (Node, {"children": [{"children": []}]}, Node(children=[Node()])),
    (Even, {"number": 4}, Even(4)),
    (Plain, {"city": PARIS, "more": [PARIS]}, Plain(City(name="Paris", inhabitants=2), [City(**PARIS)])),
    (Table, {"city": PARIS}, {"city": City(**PARIS)}),
    (dict[str, Even], {"a": {"number": 2}}, {"a": Even(2)}),
]
ROOTS: list[tuple[Any, Any, Any]] = [
    (list[City], [PARIS], [City(**PARIS)]),
    (list[Even], [{"number": 2}], [Even(2)]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (int, 3, 3),
    (str, "a", "a"),
    (bool, True, True),
    (float, 0.5, 0.5),
    (Literal["yes", "no"], "no", "no"),
    (City | None, None, None),
    (City | None, PARIS, City(**PARIS)),
    (City | Even, {"number": 2}, Even(2)),
    (City | int, 3, 3),
    (Even | None, None, None),
    (Even | None, {"number": 2}, Even(2)),
    (list[Even] | int, [{"number": 2}], [Even(2)]),
    (Annotated[list[Even], msgspec.Meta(min_length=1)], [{"number": 2}], [Even(2)]),
    (Annotated[int, pydantic.Field(gt=3)], 4, 4),
    (list[Annotated[str, msgspec.Meta(max_length=2)]], ["ab"], ["ab"]),
]


@pytest.mark.parametrize(("kind", "given_value", "value"), FITS)
def test_an_answer_is_read_as_the_callers_type(kind: Any, given_value: Any, value: Any) -> None:
    assert parsed(kind, json.dumps(given_value)) == value


@pytest.mark.parametrize(("kind", "given_value", "value"), ROOTS)
def test_what_is_no_object_is_asked_for_inside_of_one(kind: Any, given_value: Any, value: Any) -> None:
    assert parsed(kind, json.dumps({"value": given_value})) == value
    assert parsed(kind, json.dumps(given_value)) == value  # a model that left the object out is understood


@pytest.mark.parametrize(
    ("kind", "given_value", "words"),
    [
        (City, {"name": " ", "inhabitants": 1}, "a city has a name"),
        (City, {"name": "a", "inhabitants": 0}, "greater than 0"),
        (Country, {"cities": [{"name": "a", "inhabitants": 1}], "kind": "empire"}, "kingdom"),
        (Even, {"number": 3}, "an odd number"),
        (list[Even], {"value": [{"number": 2}, {"number": 3}]}, "an odd number"),
        (dict[str, Even], {"a": {"number": 3}}, "an odd number"),
        (City | Even, {"value": {"number": 3}}, "an odd number"),
        (Even | None, {"value": {"number": 3}}, "an odd number"),
        (list[Even] | int, {"value": [{"number": 3}]}, "an odd number"),
        (Annotated[list[Even], msgspec.Meta(min_length=1)], {"value": [{"number": 3}]}, "an odd number"),
        (Annotated[list[Even], msgspec.Meta(min_length=1)], {"value": []}, "of length >= 1"),
        (Plain, {"city": {"name": " ", "inhabitants": 1}, "more": []}, "a city has a name"),
        (Annotated[int, pydantic.Field(gt=3)], {"value": 3}, "greater than 3"),
        (list[int], {"value": ["a"]}, "Expected `int`"),
        (int, {"other": 3}, "Expected `int`"),
    ],
)
def test_validators_are_run(kind: Any, given_value: Any, words: str) -> None:
    with pytest.raises(MalformedReplyError, match=words) as caught:
        parsed(kind, json.dumps(given_value))
    assert caught.value.partial is not None


def test_a_class_with_the_two_methods_will_do() -> None:
    value = parsed(Duck, '{"sound": "quack"}')
    assert (type(value), value.sound) == (Duck, "QUACK")
    assert [duck.sound for duck in parsed(list[Duck], '{"value": [{"sound": "a"}]}')] == ["A"]


@pytest.mark.parametrize("kind", [Holder, Deep, list[Holder]])
def test_validators_that_would_be_passed_over_are_refused(kind: Any) -> None:
    with pytest.raises(BadRequestError, match=r"Holder\.even is Even, a dataclass with validators of pydantic"):
        chatport.schema_of(kind)


def test_two_types_of_one_name_are_refused() -> None:
    class Inner(pydantic.BaseModel):
        x: int

    class Outer(pydantic.BaseModel):
        inner: Inner

    def other() -> type[pydantic.BaseModel]:
        class Inner(pydantic.BaseModel):
            y: str

        return pydantic.create_model("Other", inner=(Inner, ...))

    @dataclass
    class Both:
        one: Any
        two: Any

    Both.__annotations__.update(one=Outer, two=other())
    with pytest.raises(BadRequestError, match="two different types in it are called Inner"):
        chatport.schema_of(Both)


# --- tools


def test_tools_take_them_too() -> None:
    seen: list[Any] = []

    def visit(city: City, even: Even, evens: list[Even], few: Annotated[int, pydantic.Field(lt=3)] = 1) -> str:
        seen.append((city, even, evens, few))
        return "visited"

    good = {"city": PARIS, "even": {"number": 2}, "evens": [{"number": 4}], "few": 2}
    for backend in BACKENDS:
        calls = [("visit", given) for given in (good, {**good, "even": {"number": 3}}, {**good, "few": 3})]
        run = play(backend, Scripted([calls]), tools=[visit])
        outcomes = [result.outcome for result in run.steps[0].results]
        assert outcomes == ["ok", "invalid", "invalid"]
        assert "an odd number" in run.steps[0].results[1].content
        assert "less than 3" in run.steps[0].results[2].content
    assert seen == [(City(**PARIS), Even(2), [Even(4)], 2)] * 3
    call = ToolCall("c", "visit", json.dumps(good))
    assert chatport.run_tool(call, [visit]) == "visited"


def test_what_a_tool_gives_may_be_a_model() -> None:
    def find() -> list[City]:
        return [City(**PARIS)]

    def one() -> Even:
        return Even(2)

    assert chatport.run_tool(ToolCall("c", "find", "{}"), [find]) == '[{"name":"Paris","inhabitants":2}]'
    assert chatport.run_tool(ToolCall("c", "one", "{}"), [one]) == '{"number":2}'


# --- what is sent


@pytest.mark.parametrize("name", ["compatible", "openai", "gemini", "anthropic", "deepseek", "mistral"])
def test_vendors_are_asked_for_an_object(name: str) -> None:
    """The emulators refuse what the vendors refuse, and write what fits the schema that they were sent."""
    if name != "compatible":
        pytest.importorskip(f"chatport_{name}")
    emulator = Emulator(name)
    models = {
        "compatible": MODEL, "openai": "openai:gpt-5.6-luna", "gemini": "gemini:gemini-3.5-flash",
        "anthropic": "anthropic:claude-haiku-4-5", "deepseek": "deepseek:deepseek-flash",
        "mistral": "mistral:mistral-medium-latest",
    }  # fmt: skip
    with chatport.Client(emulator.config(), transport=emulator) as client:
        for kind in (list[int], City, list[Country], Literal["a", "b"]):
            reply = client.chat("go", model=models[name], output=kind)
            assert reply.output is not None
            assert reply.output.schema["type"] == "object"
            assert reply.parsed() is not None, reply.text


def test_a_schema_that_the_caller_wrote_stays_as_it_is() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert parsed(schema, "[1]") == [1]
    emulator = Emulator("compatible")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        sent = client.explain("go", model=MODEL, output=schema).body["response_format"]["json_schema"]["schema"]
    assert sent == schema


def test_a_spec_of_an_outer_object_is_kept_with_a_reply() -> None:
    spec = OutputSpec("n", {"type": "object", "properties": {"value": {"type": "array"}}}, inside="value")
    reply = Reply('{"value": [1]}', output=spec)
    assert Reply.from_json(reply.to_json()).parsed() == [1]


# --- asking again


class Learns(VendorEmulator):
    """Writes these answers, one after the other."""

    def __init__(self, *answers: str, finish: str = "stop") -> None:
        super().__init__()
        self.texts = answers
        self.finish = finish

    def script(self, body: Mapping[str, Any]) -> Script:
        asked = sum(message["role"] == "assistant" for message in body["messages"])
        return Script(self.texts[min(asked, len(self.texts) - 1)], finish=self.finish)


def asked(backend: str, vendor: VendorEmulator, **options: Any) -> Reply:
    emulator = Emulator("compatible")
    emulator.vendor = vendor
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator) as client:
            return client.chat("go", model=MODEL, **options)

    async def main() -> Reply:
        async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
            return await client.chat("go", model=MODEL, **options)

    return anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_invalid_answer_is_asked_for_again_with_what_is_wrong(backend: str) -> None:
    vendor = Learns("no JSON", '{"number": 3}', '{"number": 4}')
    reply = asked(backend, vendor, output=Even, retry_invalid=2)
    assert reply.parsed() == Even(4)
    assert len(vendor.requests) == len(reply.attempts) == 3
    last = vendor.requests[-1].json()["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]
    assert "an odd number" in last[-1]["content"]
    assert reply.usage.input_tokens == 30
    assert any("asked 2 more times" in warning.reason for warning in reply.warnings)

    vendor = Learns("no JSON")
    reply = asked(backend, vendor, output=Even, retry_invalid=1)
    assert len(vendor.requests) == 2
    with pytest.raises(MalformedReplyError):
        reply.parsed()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_asked_again_in_vain(backend: str) -> None:
    cut, fine = Learns('{"numb', finish="length"), Learns('{"number": 4}')
    for vendor in (cut, fine):
        asked(backend, vendor, output=Even, retry_invalid=3)
        assert len(vendor.requests) == 1
    with pytest.raises(BadRequestError, match="there is none"):
        asked(backend, fine, retry_invalid=1)
    with pytest.raises(BadRequestError, match="whole number from 0"):
        asked(backend, fine, output=Even, retry_invalid=-1)
    assert len(fine.requests) == 1


# --- while it is being written


def begins(part: Any, whole: Any) -> bool:
    """Whether a value may be what another one was while it was being written."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and begins(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(begins, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    return bool(part == whole)


texts = st.text(st.characters(exclude_categories=["Cs"]))
objects = st.dictionaries(st.text('ab"\\{', max_size=3), st.deferred(lambda: json_values), max_size=4)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-999, 999)
    | st.floats(-9, 9)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\ é😀', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text('ab"\\{', max_size=3), json_values, max_size=4), st.booleans(), st.sampled_from([None, 2])
)
def test_what_is_there_so_far_is_the_beginning_of_the_whole(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    seen: Any = None
    for end in range(len(text) + 1):
        part = value_so_far(text[:end])
        assert part is None or begins(part, value), (text[:end], part)
        assert seen is None or begins(seen, part), text[:end]  # nothing is taken back
        seen = part
    assert seen == value


@given(st.text('{}[]:,"\\ua1 \n-e.', max_size=30))
def test_what_is_no_json_gives_a_value_or_none(text: str) -> None:
    value_so_far(text)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_structure_is_seen_while_it_is_written(backend: str) -> None:
    text = json.dumps({"value": [{"name": "Paris and more", "inhabitants": 2}, {"name": "Rome", "inhabitants": 3}]})
    emulator = Emulator("compatible")
    emulator.vendor = Learns(text)
    seen: list[Any] = []
    if backend == "sync":
        with chatport.Client(emulator.config(), transport=emulator) as client:
            with client.stream("go", model=MODEL, output=list[City]) as stream:
                assert stream.partial_parsed is None
                for _ in stream:
                    seen.append(stream.partial_parsed)
            cities = stream.reply.parsed()
    else:

        async def main() -> Any:
            async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
                async with client.stream("go", model=MODEL, output=list[City]) as stream:
                    async for _ in stream:
                        seen.append(stream.partial_parsed)
                return stream.reply.parsed()

        cities = anyio.run(main, backend=backend)
    assert seen[-1] == json.loads(text)["value"]
    assert any(part and part[0].get("name") == "Paris and" for part in seen)
    assert all(part is None or begins(part, seen[-1]) for part in seen)
    assert [city.name for city in cities] == ["Paris and more", "Rome"]


# --- for type checkers


def test_the_type_of_an_answer_is_known_to_type_checkers() -> None:
    """`make types` reads this; here it is only run."""
    emulator = Emulator("compatible")
    with chatport.Client(emulator.config(), transport=emulator) as client:
        reply = client.chat("go", model=MODEL, output=City)
        assert_type(reply, Reply[City])
        assert_type(reply.parsed(), City)
        assert_type(client.chat("go", model=MODEL, output=list[int]).parsed(), list[int])
        assert_type(client.chat("go", model=MODEL, output={"type": "object"}), Reply[Any])
        assert_type(client.chat("say: a", model=MODEL), Reply[Any])
        plain: chatport.Reply = reply
        wider: Reply[pydantic.BaseModel] = reply
        assert plain is wider
        numbers = client.map([1], lambda number: f"say: {number + 1}", model=MODEL, output=City)
        assert_type(numbers, chatport.MapStream[City])
        assert_type(next(numbers), chatport.MapResult[City])
        assert_type(client.map(["say: a"], model=MODEL), chatport.MapStream[Any])

    async def later(client: chatport.AsyncClient) -> None:
        assert_type(await client.chat("go", output=City), Reply[City])
        async with client.map([1], lambda number: f"{number + 1}", output=City) as results:
            async for result in results:
                assert_type(result.parsed(), City)

    messages: chatport.MessagesInput = ["go", reply, {"role": "user", "content": "x"}]
    options: chatport.ChatOptions = {"model": MODEL, "reasoning": "low"}
    assert chatport.Client(emulator.config(), transport=emulator).explain(messages, **options).body
    assert later is not None


def test_a_result_that_no_map_has_made_has_no_answer() -> None:
    with pytest.raises(MisuseError, match="has neither a reply nor an error: no map has made it"):
        chatport.MapResult(0, "item").parsed()
