"""What others share cannot be written to by a hook: the error names it, and nobody's calls are changed."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Generator
from types import MappingProxyType, ModuleType
from typing import Any

import attrs
import msgspec
import pytest

import chatport
from chatport import hookimpl
from chatport.basics.frozen import FrozenDict, FrozenList, FrozenValueError, freeze
from chatport.call import Tool
from chatport.engine.commands import Head, HttpRequest
from chatport.facts import Facts, ModelEntry, ModelFacts
from chatport.plugins import installed
from chatport.plugins.installed import InstalledPlugin
from chatport.provider import Dialect, FieldRule, Prefill, Provider
from chatport.testing import sse

FACTS = Facts("acme", "2026-01-01", models=(ModelEntry("*", {"quirks": {"plain": {"deep": [1]}}}),))


class Describes:
    @hookimpl
    def describe_model(self, model: str) -> ModelFacts:
        return FACTS.describe(model)


DIALECT = Dialect(
    finish_reasons={"eos": "stop"},
    fields={"top_k": FieldRule("not taken")},
    prefill=Prefill({"prefix": True}, {"mode": ["a"]}),
)
VENDOR = Provider(
    "acme", "Acme", "http://acme.invalid/v1", headers={"x-vendor": "1"}, dialect=DIALECT, hooks=(Describes(),),
    settings={"region": "where"}, auth=chatport.provider.Auth(required=False), timeouts={"silence": 5.0},
)  # fmt: skip


class Transport:
    """Answers, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Transport:
        self.requests.append(request)
        self.head = Head(200, {"content-type": "text/event-stream"})
        self._pieces = iter(
            [sse({"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}), b""]
        )
        return self

    def read(self, seconds: float | None) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Nothing is open."""


def client(*plugins: Any) -> tuple[chatport.Client, Transport]:
    transport = Transport()
    config = {"providers": {"acme": {"region": "north"}}}
    return chatport.Client(config=config, providers=[VENDOR], plugins=plugins, transport=transport), transport


def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


EXTRA = {"top": {"inner": [1, {"x": 1}]}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "hello", "cache": {"kind": "short"}}], "mark": {"a": [1]}}
]
ARGUMENTS: dict[str, Any] = {
    "model": "acme:m", "extra": EXTRA, "output": SCHEMA,
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}, get_weather],
}  # fmt: skip

WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "headers": lambda call, context: context.provider.headers.update({"x-evil": "1"}),
    "vendor settings": lambda call, context: context.provider.settings.clear(),
    "timeouts": lambda call, context: context.provider.timeouts.pop("silence"),
    "finish reasons": lambda call, context: context.provider.dialect.finish_reasons.setdefault("x", "stop"),
    "field rules": lambda call, context: context.provider.dialect.fields.__delitem__("top_k"),
    "prefill": lambda call, context: context.provider.dialect.prefill.body["mode"].append("b"),
    "settings": lambda call, context: context.settings.__setitem__("region", "south"),
    "quirks": lambda call, context: context.facts.quirks["plain"]["deep"].append(2),
    "a field of the context": lambda call, context: setattr(context, "model", "other"),
    "extra": lambda call, context: call.extra.__setitem__("x", 1),
    "inside of extra": lambda call, context: call.extra["top"]["inner"][1].update(x=2),
    "a message": lambda call, context: call.messages[0].extra["mark"]["a"].clear(),
    "a part": lambda call, context: call.messages[0].content[0].extra["cache"].update(kind="long"),
    "a tool of the caller": lambda call, context: call.tools[0].schema["properties"].pop("a"),
    "a tool from a function": lambda call, context: call.tools[1].schema.update(title="x"),
    "the structure": lambda call, context: call.output.schema["properties"].clear(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_is_an_error_that_names_hook_and_plugin(write: Callable[[Any, Any], Any]) -> None:
    """And it changes nothing: neither what the caller gave, nor a call of another client, nor a later one of this."""

    class Writes:
        provider = "acme"

        @hookimpl(wrapper=True)
        def shape_request(self, call: Any, context: Any) -> Generator[None, Any, Any]:
            write(call, context)
            return (yield)

    given = copy.deepcopy((EXTRA, SCHEMA, MESSAGES))
    clean, before = client()
    clean.chat(MESSAGES, **ARGUMENTS)
    writing, transport = client(Writes())
    with pytest.raises(chatport.PluginError) as caught:
        writing.chat(MESSAGES, **ARGUMENTS)
    text = str(caught.value)
    assert text.startswith("A shape_request hook of acme failed: Frozen")
    assert "test_frozen" in text
    assert not transport.requests
    assert given == (EXTRA, SCHEMA, MESSAGES)
    clean.chat(MESSAGES, **ARGUMENTS)
    assert before.requests[0] == before.requests[1]


def test_the_error_names_the_package_of_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("acme_patches")
    source = """
import chatport

provider = "acme"

@chatport.hookimpl
def decode_chunk(chunk, state, context):
    context.provider.headers["x-evil"] = "1"
"""
    exec(compile(source, "acme_patches.py", "exec"), vars(module))
    monkeypatch.setitem(__import__("sys").modules, "acme_patches", module)
    plugin = InstalledPlugin("acme.fix", "acme_patches", "acme-patches", "2.1")
    monkeypatch.setattr(installed, "_scan", lambda group: (plugin,) if group == installed.PATCHES_GROUP else ())
    with pytest.raises(chatport.PluginError) as caught:
        client()[0].chat("hello", model="acme:m")
    assert "A decode_chunk hook of acme failed" in str(caught.value)
    assert "That was in acme_patches.decode_chunk, of acme-patches 2.1." in str(caught.value)
    assert "x-evil" not in VENDOR.headers


def test_the_events_of_a_call_are_the_same_for_all_who_listen() -> None:
    """An observer that writes into one is a warning, and the next one reads what was told."""
    told: list[Any] = []

    def writes(event: str, fields: Any) -> None:
        fields["call_id"] = "another"

    transport = Transport()
    asking = chatport.Client(
        config={},
        providers=[VENDOR],
        transport=transport,
        observers=[writes, lambda event, fields: told.append(fields)],
    )
    with pytest.warns(RuntimeWarning, match="The observer .*writes failed at .*: FrozenValueError"):
        asking.chat("hello", model="acme:m")
    assert len({fields["call_id"] for fields in told}) == 1
    assert told[0]["call_id"] != "another"


# --- the values themselves


def test_a_frozen_value_reads_as_a_plain_one() -> None:
    plain = {"a": [1, {"b": (2, [3])}], "c": {"d": {4}}, "e": None}
    frozen = freeze(plain)
    assert frozen == plain
    assert isinstance(frozen, dict)
    assert isinstance(frozen["a"], list)
    assert json.loads(json.dumps({"a": frozen["a"]})) == {"a": [1, {"b": [2, [3]]}]}
    assert msgspec.json.encode(frozen["a"]) == b'[1,{"b":[2,[3]]}]'
    assert freeze(frozen) is frozen
    assert freeze(MappingProxyType({"a": 1})) == {"a": 1}
    plain["a"] = []
    assert frozen["a"] != []


def test_a_copy_is_plain_and_its_owners() -> None:
    frozen = freeze({"a": [{"b": 1}]})
    for copied in ({**frozen}, dict(frozen), frozen.copy(), copy.copy(frozen), frozen | {}):
        copied["new"] = 1
        assert type(copied) is dict
    deep = copy.deepcopy(frozen)
    deep["a"][0]["b"] = 2
    assert frozen == {"a": [{"b": 1}]}
    again = pickle.loads(pickle.dumps(frozen))
    assert again == frozen
    assert type(again) is FrozenDict
    assert type(again["a"]) is FrozenList
    assert type(copy.copy(frozen["a"])) is list


DICT_WRITES: list[Callable[[Any], Any]] = [
    lambda v: v.__setitem__("a", 1), lambda v: v.__delitem__("a"), lambda v: v.__ior__({}), lambda v: v.clear(),
    lambda v: v.pop("a"), lambda v: v.popitem(), lambda v: v.setdefault("b", 1), lambda v: v.update(b=1),
]  # fmt: skip
LIST_WRITES: list[Callable[[Any], Any]] = [
    lambda v: v.__setitem__(0, 1), lambda v: v.__delitem__(0), lambda v: v.__iadd__([1]), lambda v: v.__imul__(2),
    lambda v: v.append(1), lambda v: v.extend([1]), lambda v: v.insert(0, 1), lambda v: v.remove(1),
    lambda v: v.pop(), lambda v: v.clear(), lambda v: v.sort(), lambda v: v.reverse(),
]  # fmt: skip


@pytest.mark.parametrize("write", DICT_WRITES)
def test_no_method_writes_into_a_frozen_dict(write: Callable[[Any], Any]) -> None:
    frozen = freeze({"a": 1})
    with pytest.raises(FrozenValueError, match="make a new one"):
        write(frozen)
    assert frozen == {"a": 1}


@pytest.mark.parametrize("write", LIST_WRITES)
def test_no_method_writes_into_a_frozen_list(write: Callable[[Any], Any]) -> None:
    frozen = freeze([1])
    with pytest.raises(FrozenValueError, match="make a new one"):
        write(frozen)
    assert frozen == [1]


def test_every_method_that_writes_is_known() -> None:
    """A Python that adds one to dict or list shows here."""
    own = {name for name in (*vars(FrozenDict), *vars(FrozenList)) if not name.startswith("__")}
    reading = {"copy", "fromkeys", "get", "items", "keys", "values", "count", "index"}
    assert {name for name in (*dir(dict), *dir(list)) if not name.startswith("__")} - reading == own


def test_a_value_that_contains_itself_is_refused_in_our_words() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]
    for make in (lambda: Tool("t", schema=endless), lambda: client()[0].chat("hello", model="acme:m", extra=endless)):
        with pytest.raises(chatport.BadRequestError, match="more than 200 levels"):
            make()


def test_a_provider_is_frozen_when_it_is_made_and_not_again() -> None:
    """What many calls share is frozen once: making another value of it copies nothing."""
    again = attrs.evolve(VENDOR, name="other")
    assert again.headers is VENDOR.headers
    assert again.dialect.fields is DIALECT.fields
    asking, _ = client()
    vendor = asking._vendors.provider("acme")
    first, second = vendor.context("m", ModelFacts()), vendor.context("n", ModelFacts())
    assert first.settings is second.settings
