"""Whatever a schema is like, what is sent of it has a measure, or an error says why nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import chatport
from chatport import BadRequestError, OutputSpec, Tool, UnsupportedFeatureError
from chatport.plugins.installed import installed_providers

from .fuzz.schemas import MODELS, MOST_BYTES
from .steps import count_steps

Explain = Callable[..., chatport.Explanation]
PROVIDERS = [name for name in installed_providers() if name != "local"]
MOST_LINES = 3_000_000


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Explain]:
    monkeypatch.setenv("CHATPORT_CONFIG", "")
    tables = {name: {"api_key": "test-key"} for name in PROVIDERS}
    tables["azure"]["resource"], tables["bedrock"]["region"] = "acme", "us-east-1"
    tables["vertex"]["project"] = "a-project"
    tables["deepseek"]["base_url"] = "https://api.deepseek.com/beta"  # where strict tools are
    with chatport.Client({"providers": tables}) as client:

        def explained(name: str, schema: Any, *, as_output: bool = False) -> chatport.Explanation:
            option: dict[str, Any] = (
                {"output": OutputSpec("answer", schema)} if as_output else {"tools": [Tool("f", "", schema, True)]}
            )
            return client.explain("JSON", model=f"{name}:{MODELS.get(name, 'm')}", max_tokens=900, **option)

        yield explained


# --- sizes


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": [*properties], "additionalProperties": False,
    }  # fmt: skip


def doubled(levels: int = 16, **more: Any) -> dict[str, Any]:
    """Return definitions of which each refers to the next one twice: 2^levels when they are written out."""
    definitions = {
        str(n): closed(a={"$ref": f"#/$defs/{n + 1}"}, b={"$ref": f"#/$defs/{n + 1}"}) for n in range(levels)
    }
    return {**closed(a={"$ref": "#/$defs/0"}), "$defs": {**definitions, str(levels): {"type": "string"}}, **more}


def crowd(size: int = 12) -> dict[str, Any]:
    """Return definitions that all refer to one another: as many ways as there are orders of them."""
    references = {f"p{n}": {"$ref": f"#/$defs/{n}"} for n in range(size)}
    return {**closed(a={"$ref": "#/$defs/0"}), "$defs": {str(n): closed(**references) for n in range(size)}}


def nested(levels: int, around: Callable[[Any], Any], leaf: Any) -> dict[str, Any]:
    for _ in range(levels):
        leaf = around(leaf)
    return closed(a=leaf)


GROWING = {
    "twice at each level": doubled(),
    "twice by allOf": {
        **closed(a={"$ref": "#/$defs/0"}),
        "$defs": {
            **{
                str(n): closed(**{name: {"allOf": [{"$ref": f"#/$defs/{n + 1}"}]} for name in ("a", "b")})
                for n in range(16)
            },
            "16": closed(),
        },
    },
    "all by all": crowd(),
    "one type twice": nested(
        25, lambda part: {"type": ["object", "object"], "properties": {"a": part}}, {"type": "string"}
    ),
    "beside a union": nested(25, lambda part: {"anyOf": [{}, {}], "properties": {"a": part}}, {"type": "string"}),
    "not": nested(40, lambda part: {"type": "object", "properties": {"a": {"not": part}}}, {"enum": [1, 2]}),
    "if": nested(40, lambda part: {"if": part, "then": part if not isinstance(part, dict) else {}}, {"enum": [1, 2]}),
    "oneOf": nested(40, lambda part: {"oneOf": [{"type": "string"}, part]}, {"enum": [1, 2]}),
    "long words": doubled(10, description="x", title="y") | {"$defs": {
        **doubled(10)["$defs"], "10": {"type": "string", "description": "word " * 10_000},
    }},
    "long rules": doubled(10) | {"$defs": {
        **doubled(10)["$defs"], "10": {"type": "object", "not": {"enum": ["word " * 10_000]}},
    }},
}  # fmt: skip


@pytest.mark.parametrize("as_output", [False, True], ids=["tool", "output"])
@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("name", PROVIDERS)
def test_what_is_sent_has_a_measure(name: str, kind: str, as_output: bool, explain: Explain) -> None:
    schema = GROWING[kind]
    sent: list[int] = []

    def shape() -> None:
        try:
            sent.append(len(json.dumps(explain(name, schema, as_output=as_output).body)))
        except UnsupportedFeatureError as error:
            assert len(str(error)) < 1_000  # noqa: PT017  # either is right

    assert count_steps(shape) < MOST_LINES
    assert all(size < max(MOST_BYTES, 9 * len(json.dumps(schema))) for size in sent)


def test_a_vendor_that_takes_references_gets_them_as_they_are(explain: Explain) -> None:
    """Circles too: what is not written out does not grow."""
    for schema in (doubled(), crowd()):
        for name in ("openai", "moonshot"):
            sent: Any = explain(name, schema).body["tools"]
            assert {*sent[0]["function"]["parameters"]["$defs"]} == {*schema["$defs"]}
            assert len(json.dumps(sent)) < 3 * len(json.dumps(schema))


def test_the_error_names_the_tool_and_the_way_out(explain: Explain) -> None:
    with pytest.raises(
        UnsupportedFeatureError, match=r"tools\.f\.parameters becomes too large .* refer to fewer places"
    ):
        explain("openrouter", doubled())


# --- faults

FAULTS: dict[str, Any] = {
    "properties": [], "required": 5, "anyOf": {}, "oneOf": 5, "allOf": "x", "$defs": [1], "definitions": 7,
    "type": {"a": 1}, "enum": 5, "patternProperties": 5, "items": "x", "additionalProperties": "x", "not": 5,
    "if": [], "prefixItems": {}, "$ref": [], "minItems": "x", "format": [], "pattern": {}, "dependentRequired": [],
}  # fmt: skip


@pytest.mark.parametrize("as_output", [False, True], ids=["tool", "output"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_broken_schema_is_passed_on_or_named_and_never_blamed_on_a_hook(
    name: str, as_output: bool, explain: Explain
) -> None:
    for keyword, value in FAULTS.items():
        for schema in (
            {"type": "object", keyword: value},
            closed(a={keyword: value}),
            closed(a={"type": ["object", "array", "string"], keyword: value}),
            closed(a={"allOf": [{keyword: value}, {"minItems": 1, "type": "array", "enum": [1]}]}),
            {**closed(a={"$ref": "#/$defs/a"}), "$defs": {"a": {keyword: value}}},
        ):
            try:
                explain(name, schema, as_output=as_output)
            except BadRequestError as error:
                assert len(str(error)) < 2_000  # noqa: PT017  # either is right


def test_a_fault_is_named_with_its_place(explain: Explain) -> None:
    with pytest.raises(BadRequestError, match=r"tools\.f\.parameters\.properties\.a\.anyOf must be a list of schemas"):
        explain("moonshot", closed(a={"anyOf": 5}))
    with pytest.raises(BadRequestError, match=r"output\.properties\.a must be a schema, not int"):
        explain("moonshot", closed(a=5), as_output=True)


@pytest.mark.parametrize("as_output", [False, True], ids=["tool", "output"])
@pytest.mark.parametrize("levels", [90, 150, 400])
@pytest.mark.parametrize("keyword", ["items", "not", "allOf"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_deep_schema_is_sent_or_named(
    name: str, keyword: str, levels: int, as_output: bool, explain: Explain
) -> None:
    schema = nested(
        levels, lambda part: {"type": "array", keyword: [part] if keyword == "allOf" else part}, {"type": "string"}
    )
    try:
        explain(name, schema, as_output=as_output)
    except BadRequestError as error:
        assert "levels" in str(error) or "inside one another" in str(error)  # noqa: PT017  # either is right
        assert levels > 90
