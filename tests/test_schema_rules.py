"""Random tools and schemas, for every vendor: what is sent keeps the vendor's rules, and what is lost is said.

The rules are read by `schema_rules`, written from the vendors' documents and not from our translation. What a schema
means is read by the `jsonschema` package.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import chatport
from chatport import BadRequestError, OutputSpec, Tool
from chatport.plugins.installed import installed_providers
from chatport.testing import Emulator

from .in_chat_words import in_chat_words
from .schema_rules import (
    anthropic,
    cerebras,
    deepseek,
    fireworks,
    gemini,
    glm,
    groq,
    local,
    minimax,
    mistral,
    moonshot,
    openai,
    openrouter,
    perplexity,
    qwen,
    siliconflow,
    together,
    xai,
)  # fmt: skip
from .schema_rules.reading import nodes

Rules = Callable[[dict[str, Any]], list[str]]
VENDORS: dict[str, tuple[Rules, tuple[str, ...]]] = {
    "azure": (openai.violations, ("gpt-4o", "gpt-5-mini")),
    "anthropic": (anthropic.violations, ("claude-opus-5-5", "claude-haiku-4-5", "claude-sonnet-4-6")),
    "cerebras": (cerebras.violations, ("gpt-oss-120b", "qwen-3.8-27b")),
    "deepseek": (deepseek.violations, ("deepseek-flash",)),
    "fireworks": (fireworks.violations, ("accounts/fireworks/models/gpt-oss-120b",)),
    "gemini": (gemini.violations, ("gemini-3.5-flash", "gemini-2.5-flash-lite")),
    "glm": (glm.violations, ("glm-5.3", "glm-4.6v")),
    "groq": (groq.violations, ("openai/gpt-oss-120b", "qwen/qwen3-32b", "moonshotai/kimi-k2-instruct-0905")),
    "mistral": (mistral.violations, ("mistral-small-latest", "mistral-large-latest")),
    "minimax": (minimax.violations, ("MiniMax-M3", "MiniMax-M2.7")),
    "moonshot": (moonshot.violations, ("kimi-k3", "kimi-k2.6", "kimi-k2.7-code")),
    "openai": (openai.violations, ("gpt-4o", "gpt-4", "gpt-5.4")),
    "openrouter": (
        openrouter.violations,
        ("google/gemini-3.5-flash", "~google/gemini-pro-latest", "openai/gpt-5.2", "anthropic/claude-sonnet-4.6"),
    ),
    "qwen": (qwen.violations, ("qwen3-max", "qwen3-coder-plus", "qwen3.7-plus")),
    "siliconflow": (siliconflow.violations, ("Qwen/Qwen3-8B", "deepseek-ai/DeepSeek-V3")),
    "perplexity": (perplexity.violations, ("perplexity/sonar", "fast")),
    "xai": (xai.violations, ("grok-4.7", "grok-4.20-0309-non-reasoning")),
    "together": (together.violations, ("openai/gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct-Turbo")),
    "vertex": (gemini.violations, ("gemini-3.5-flash",)),
    "llamacpp": (local.string_choice, ("any",)),
    "lmstudio": (local.string_choice, ("any",)),
    "vllm": (local.violations, ("any",)),
    "ollama": (local.violations, ("any",)),
}
ALIKE = {"bedrock", "local", "mistralrs", "mlx", "transformers"}  # of these servers no rule on schemas is known

# --- random schemas

NAMES = st.sampled_from(["a", "b", "title", "$ref", "naïve key"])
TEXTS = st.sampled_from(["x", "yy", "2020-01-01", ""])
SCALARS = st.one_of(TEXTS, st.integers(-2, 9), st.booleans(), st.none(), st.just(2.5))
REFERENCES = ("#/$defs/Leaf", "#/$defs/Node", "#/$defs/Node/properties/next")
NOTES = st.fixed_dictionaries(
    {}, optional={"title": st.just("T"), "description": st.just("d"), "default": st.none(), "examples": st.just(["x"])}
)


def _kind(kind: str, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=optional)


TEXTUAL = _kind(
    "string",
    minLength=st.integers(0, 2),
    maxLength=st.integers(2, 9),
    pattern=st.sampled_from(["^x", "^(?!q)", "y$"]),
    format=st.sampled_from(["date", "uuid", "uri", "iban"]),
)
PLAIN = st.one_of(
    TEXTUAL,
    _kind("integer", minimum=st.integers(-1, 2), maximum=st.integers(3, 9), multipleOf=st.just(2)),
    _kind("number", exclusiveMinimum=st.integers(-2, 0), exclusiveMaximum=st.integers(4, 9)),
    _kind("boolean"),
    st.sampled_from(["string", "integer", "object"]).map(lambda kind: {"type": [kind, "null"]}),
    st.lists(SCALARS, min_size=1, max_size=3, unique_by=json.dumps).map(lambda values: {"enum": values}),
    st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda values: {"type": "string", "enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.sampled_from(REFERENCES).map(lambda reference: {"$ref": reference}),
    st.sampled_from(REFERENCES).map(lambda reference: {"$ref": reference, "minProperties": 1}),
    st.just({}),
)


@st.composite
def _object(draw: st.DrawFn, parts: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(NAMES, parts, max_size=3))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if draw(st.booleans()):
        schema["required"] = sorted(properties) if draw(st.booleans()) else sorted(properties)[:1]
    more = draw(st.sampled_from([None, None, False, True, {"type": "string"}]))
    if more is not None:
        schema["additionalProperties"] = more
    if draw(st.integers(0, 7)) == 0:
        schema["patternProperties"] = {"^x-": {"type": "integer", "minimum": 0}}
    if draw(st.integers(0, 7)) == 0:
        schema["minProperties"] = 1
    return schema


def _nested(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=3)
    array = {"items": parts, "minItems": st.integers(0, 2), "maxItems": st.integers(2, 4), "uniqueItems": st.just(True)}
    return st.one_of(
        _object(parts),
        _object(parts),
        _kind("array", **array),
        st.builds(
            lambda places, rest: {"type": "array", "prefixItems": places, "items": rest},
            several,
            st.one_of(st.just(False), parts),
        ),
        several.map(lambda branches: {"anyOf": branches}),
        st.lists(TEXTUAL, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches, "minLength": 1}),
        several.map(lambda branches: {"oneOf": branches}),
        several.map(lambda branches: {"allOf": branches}),
        parts.map(lambda part: {"type": "string", "not": part}),
        st.builds(lambda one, two: {"type": "object", "if": one, "then": two}, parts, parts),
    )


PARTS = st.builds(lambda schema, notes: {**notes, **schema}, st.recursive(PLAIN, _nested, max_leaves=6), NOTES)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a schema with an object at its root, and definitions of which one refers to itself."""
    root = draw(_object(PARTS))
    if draw(st.integers(0, 9)) == 0:
        root = {"$ref": "#/$defs/Node"}
    if "#/$defs" not in json.dumps(root):
        return root
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "leaf": draw(PARTS)}}
    return {**root, "$defs": {"Leaf": {"type": "string", "maxLength": 5}, "Node": node}}


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the schema of a tool's arguments, which is a union now and then, or has conditions at its root."""
    schema = draw(schemas())
    kind = draw(st.sampled_from([None, None, None, "anyOf", "oneOf", "allOf", "not"]))
    if kind is None:
        return schema
    branches = draw(st.lists(_object(PLAIN), min_size=1, max_size=3))
    if kind in ("anyOf", "oneOf"):  # what an open branch does not describe may be anything there; joined, it has a type
        branches = [{**branch, "additionalProperties": False} for branch in branches]
    if draw(st.booleans()) and kind != "not":
        schema = {word: value for word, value in schema.items() if word == "$defs"}
    if '"#/$defs' in json.dumps(branches) and "$defs" not in schema:
        node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
        schema = {**schema, "$defs": {"Leaf": {"type": "string", "maxLength": 5}, "Node": node}}
    return {**schema, kind: branches[0] if kind == "not" else branches}


ODD_NAMES = st.sampled_from(
    ["look", "search", "a.b", "a/b", "a_b", "9lives", "_x", "ä", "x" * 80, "x" * 79 + "y", "json"]
)
TOOLS = st.lists(
    st.builds(
        lambda name, schema, strict: Tool(name, "", schema, strict),
        ODD_NAMES,
        arguments(),
        st.sampled_from([None, True]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda tool: tool.name,
)


# --- what a schema demands, and what became of it

COUNTED = {"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
COUNTED |= {"multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "patternProperties", "not", "if"}
CONTAINERS = {"patternProperties", "not", "if"}  # what stands in them is looked at by itself


def demands(schema: dict[str, Any], is_covered: Callable[[str], bool]) -> Iterator[tuple[str, str, Any]]:
    """Give path, keyword and value of every demand in the parts of a schema that are in use, and not covered."""
    queue, seen = [("", schema)], set()
    while queue:
        start, part = queue.pop()
        for path, node in nodes({key: value for key, value in part.items() if key != "$defs"}, start):
            if not _enumerates(node):  # an enum says the rest by what it leaves out
                yield from ((path, keyword, node[keyword]) for keyword in COUNTED & node.keys())
            reference = node.get("$ref")
            if isinstance(reference, str) and reference not in seen and not is_covered(path):
                seen.add(reference)
                queue.append((reference.removeprefix("#/").replace("/", "."), _target(reference, schema)))


def _target(reference: str, root: dict[str, Any]) -> Any:
    target: Any = root
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def _enumerates(node: dict[str, Any]) -> bool:
    inside = [part for word in ("allOf", "anyOf", "oneOf") for part in node.get(word, ()) if isinstance(part, dict)]
    return "const" in node or "enum" in node or any(map(_enumerates, inside))


def unsaid(original: dict[str, Any], sent: dict[str, Any], warned: Mapping[str, str], field: str) -> list[str]:
    """List the demands that are gone from a schema as sent without a warning that names their place, or one around."""
    kept = {(key, None if key in CONTAINERS else str(value)) for _, node in nodes(sent) for key, value in node.items()}
    places = [_flat(name.removeprefix(field).lstrip(".")) for name in warned if name.startswith(field)]
    places += [place.removesuffix(".type") for place in places if place.endswith(".type")]  # two types exclude all
    folded = {name.rpartition(".")[2] for name, reason in warned.items() if "places, the first is this" in reason}

    def is_covered(path: str) -> bool:
        joined = re.sub(r"^(anyOf|oneOf)\[\d\]\.?", "", _flat(path))  # a union at the root may have become one with it
        return is_named(_flat(path)) or is_named(joined)

    def is_named(place: str) -> bool:
        above, _, keyword = place.rpartition(".")
        named = any(place == other or place.startswith((f"{other}.", f"{other}[")) for other in places)
        named = named or any(other.startswith(f"{above}.anyOf[") and other.endswith(keyword) for other in places)
        return named or bool(folded & set(re.split(r"[.\[]", place)))

    return [
        f"{path}.{keyword}"
        for path, keyword, value in demands(original, is_covered)
        if not is_covered(f"{path}.{keyword}") and (keyword, None if keyword in CONTAINERS else str(value)) not in kept
    ]


def _flat(path: str) -> str:
    """What `allOf` joins is one place."""
    return re.sub(r"\.?allOf\[\d\]", "", path).lstrip(".")


def plain(schema: Any) -> Any:
    """Read `nullable`, a keyword of OpenAPI, as JSON Schema would say it."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if schema.get("nullable") is True else rest


def values(schema: Any, root: dict[str, Any], dice: random.Random, depth: int = 0) -> Any:
    """Return a value that has a good chance to fit a schema."""
    if not isinstance(schema, dict) or depth > 6:
        return dice.choice([None, "x", 3])
    if isinstance(schema.get("$ref"), str):
        return values(_target(schema["$ref"], root), root, dice, depth + 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if schema.get(keyword):
            return values(dice.choice(schema[keyword]), root, dice, depth + 1)
    if "enum" in schema or "const" in schema:
        return dice.choice(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", dice.choice(["string", "integer", "null", "boolean"]))
    kind = dice.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        names = [n for n in schema.get("properties", {}) if n in schema.get("required", ()) or dice.random() < 0.6]
        made = {name: values(schema["properties"][name], root, dice, depth + 1) for name in names}
        return (
            {**made, "zz": "more"} if dice.random() < 0.2 and schema.get("additionalProperties") is not False else made
        )
    if kind == "array":
        items = [values(part, root, dice, depth + 1) for part in schema.get("prefixItems", ())]
        more = 0 if schema.get("items") is False else dice.randint(0, 2)
        return items + [values(schema.get("items", True), root, dice, depth + 1) for _ in range(more)]
    choices: dict[str, list[Any]] = {
        "string": ["x", "xyy", "", "yyyyyyyyyyy", "q"],
        "integer": [0, 1, 2, 4, 7, 10, -3],
        "number": [1, 2.5, -7.5],
    }
    return dice.choice(choices.get(kind, [True, False] if kind == "boolean" else [None]))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def check(
    original: dict[str, Any], sent: dict[str, Any], warned: Mapping[str, str], field: str, *, closed: bool
) -> None:
    """Hold a schema as sent against the one that was asked for."""
    assert not unsaid(original, sent, warned, field)
    read, dice = plain(sent), random.Random(json.dumps(original, sort_keys=True))
    lossless = not any(name.startswith(field) for name in warned)
    for _ in range(6):
        value = values(original, original, dice)
        if fits(value, original) and not closed:
            assert fits(value, read), f"{value} fitted, and no longer does: {original} as {sent}"
        for tried in (value, values(read, read, dice)):
            if lossless and fits(tried, read):
                assert fits(tried, original), f"{tried} fits only now, unsaid: {original} as {sent}"


# --- the tests


Explain = Callable[..., chatport.Explanation | None]


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Explain]:
    """What would be sent, None where it is refused as it should be."""
    monkeypatch.setenv("CHATPORT_CONFIG", "")
    tables: dict[str, dict[str, str]] = {name: {"api_key": "test-key"} for name in VENDORS}
    tables["vertex"]["project"], tables["azure"]["resource"] = "a-project", "acme"
    with chatport.Client(config={"providers": tables}) as client:

        def explained(target: str, **options: Any) -> chatport.Explanation | None:
            try:
                shown = client.explain("Say it in JSON.", model=target, max_tokens=900, **options)
            except BadRequestError:
                return None
            return attrs.evolve(shown, body=in_chat_words(shown.body))

        yield explained


def _tools_of(body: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], bool]]:
    """Return the schema of each tool as sent, and whether it is strict, by its name."""
    entries = [tool.get("function", tool) for tool in body.get("tools") or ()]
    return {e["name"]: (e.get("parameters", e.get("input_schema")), bool(e.get("strict"))) for e in entries}


def _output_of(body: Mapping[str, Any]) -> tuple[dict[str, Any], bool] | None:
    native = (body.get("output_config") or {}).get("format")
    if native:
        return native["schema"], True
    spec = (body.get("response_format") or {}).get("json_schema")
    return (spec["schema"], bool(spec.get("strict"))) if spec else None


def sparingly(name: str) -> settings:
    """More examples where there are rules on schemas. To shrink one would take minutes: each try is a whole request."""
    most = 15 if name in ("anthropic", "cerebras", "deepseek", "groq", "moonshot", "openai", "openrouter") else 5
    most = 15 if name in ("anthropic", "deepseek", "gemini", "groq", "moonshot", "openai", "openrouter") else 5
    checks = list(HealthCheck)
    return settings(
        max_examples=most, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=checks
    )


def test_every_provider_has_its_rules() -> None:
    assert VENDORS.keys() | ALIKE == set(installed_providers())


@pytest.mark.parametrize("name", VENDORS)
def test_tools_keep_the_rules_and_losses_are_said(name: str, explain: Explain) -> None:
    rules, models = VENDORS[name]

    @sparingly(name)
    @given(st.sampled_from(models), TOOLS, st.sampled_from([None, "auto", "required", "named", "none"]))
    def holds(model: str, tools: list[Tool], choice: str | None) -> None:
        wanted = tools[0].name if choice == "named" else choice
        explanation = explain(f"{name}:{model}", tools=tools, tool_choice=wanted)
        if explanation is None:
            return
        body = json.loads(json.dumps(explanation.body))
        assert not rules(body), body
        warned = {note.field: note.reason for note in explanation.adjustments if note.kind in ("lowered", "dropped")}
        renamed = {note.field: note.reason for note in explanation.adjustments if note.kind == "renamed"}
        for tool in tools:
            sent = [
                entry for own, entry in _tools_of(body).items() if own == tool.name or _says(renamed, tool.name, own)
            ]
            for schema, strict in sent:
                check(dict(tool.schema), schema, warned, f"tools.{tool.name}.parameters", closed=strict)

    holds()


def _says(renamed: Mapping[str, str], own: str, sent: str) -> bool:
    return repr(sent) in renamed.get(f"tools.{own}.name", "")


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=5, unique=True))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_names_stay_apart_and_come_back(names: list[str]) -> None:
    """Names as sent are unique, and a call by one of them reaches the caller under the tool's own name."""
    for provider in ("openai", "anthropic", "qwen", "moonshot"):
        emulator = Emulator(provider)
        model = "gpt-4o" if provider == "openai" else emulator.vendor.models[0]
        target = f"{provider}:{model}"
        tools = [Tool(name) for name in names]
        with chatport.Client(config=emulator.config(), transport=emulator) as client:
            sent = list(_tools_of(client.explain("x", model=target, tools=tools).body))
            assert len(set(sent)) == len(names)
            reply = client.chat(f"call: {sent[-1]} {{}}", model=target, tools=tools)
            assert [call.name for call in reply.tool_calls] == [names[-1]]


@pytest.mark.parametrize("name", VENDORS)
def test_outputs_keep_the_rules_and_losses_are_said(name: str, explain: Explain) -> None:
    rules, models = VENDORS[name]

    @sparingly(name)
    @given(st.sampled_from(models), schemas(), st.booleans())
    def holds(model: str, schema: dict[str, Any], strict: bool) -> None:
        output = OutputSpec("answer", schema, strict)
        explanation = explain(f"{name}:{model}", output=output)
        if explanation is None:
            return
        body = json.loads(json.dumps(explanation.body))
        assert not rules(body), body
        warned = {note.field: note.reason for note in explanation.adjustments if note.kind in ("lowered", "dropped")}
        sent = _output_of(body)
        if sent is None:
            assert {"response_format", "output"} & set(warned)
        else:
            check(schema, sent[0], warned, "output", closed=sent[1])

    holds()


@pytest.mark.parametrize(
    "name",
    [
        *("anthropic", "cerebras", "fireworks", "gemini", "groq", "moonshot", "openai", "openrouter", "perplexity"),
        "xai",
    ],
)
def test_emulators_take_what_the_rules_allow(name: str) -> None:
    """The emulators that check schemas are a third reading of the rules."""
    emulator = Emulator(name)
    models = [model for model in VENDORS[name][1] if model in emulator.vendor.models] or emulator.vendor.models[:1]

    @settings(sparingly(""), max_examples=8)
    @given(st.sampled_from(models), TOOLS)
    def takes(model: str, tools: list[Tool]) -> None:
        with chatport.Client(config=emulator.config(), transport=emulator) as client:
            try:
                client.chat("say: hello", model=f"{name}:{model}", tools=tools, max_tokens=900)
            except BadRequestError as error:
                refused.append(error)

    refused: list[BadRequestError] = []
    takes()
    assert not [error for error in refused if error.status is not None]
