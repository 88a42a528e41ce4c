"""An error in or because of a hook names hook, plugin, package and version, and never looks like the vendor's."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import chatport
from chatport import Client, PluginError
from chatport.inputs.faults import first_fault
from chatport.plugins import installed
from chatport.plugins.guarding import guarded
from chatport.plugins.installed import InstalledPlugin
from chatport.testing import Emulator

OWNER = "acme-patches 2.1"
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    """Return a function that makes a client with an installed patch, whose source is given."""

    def make(source: str, *more: Any) -> Client:
        module: Any = ModuleType("acme_patches")
        head = "import chatport\nfrom chatport import *\nfrom chatport import hookimpl\nprovider = 'compatible'\n"
        exec(compile(head + textwrap.dedent(source), "acme_patches.py", "exec"), vars(module))
        monkeypatch.setitem(sys.modules, "acme_patches", module)
        plugin = InstalledPlugin("compatible.fix", "acme_patches", "acme-patches", "2.1")
        monkeypatch.setattr(installed, "_scan", lambda group: (plugin,) if group == installed.PATCHES_GROUP else ())
        emulator = Emulator("compatible")
        return Client(emulator.config(), transport=emulator, plugins=more)

    return make


def ask(client: Client, *, stream: bool = False, message: str = "say: one two") -> chatport.ChatportError:
    """Return the error of a call."""
    options: Any = {"model": "compatible:emulated-model", "tools": [WEATHER]}
    with pytest.raises(chatport.ChatportError) as caught:
        _ = list(client.stream(message, **options)) if stream else client.chat(message, **options)
    return caught.value


def named(error: chatport.ChatportError, hook: str) -> str:
    """Return the text of an error that names hook, plugin, package and version."""
    text = str(error)
    assert f"{hook} hook" in text, text
    assert f"acme_patches.{hook}, of {OWNER}" in text, text
    return text


RAISES = """
@hookimpl
def {hook}({arguments}):
    raise {error}
"""
SHAPES = """
@hookimpl(wrapper=True)
def shape_request():
    wire = yield
    return {0}
"""
ARGUMENTS = {
    "describe_model": "model",
    "translate_tools": "call",
    "shape_request": "call, tools",
    "decode_chunk": "chunk, state, context, request",
    "decode_reply": "data",
    "classify_error": "failure",
}


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_an_error_of_ours_that_a_patch_raises_stays_itself_and_says_whose_it_is(
    patched: Callable[..., Client], hook: str
) -> None:
    error = "BadRequestError('not with me')"
    client = patched(RAISES.format(hook=hook, arguments=ARGUMENTS[hook], error=error))
    message = "error: 400" if hook == "classify_error" else "say: one"
    caught = ask(client, stream=hook == "decode_chunk", message=message)
    assert type(caught) is chatport.BadRequestError
    assert "not with me" in named(caught, hook)
    assert caught.raised_by == f"the {hook} hook acme_patches.{hook}, of {OWNER}"


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_any_other_error_is_a_plugin_error_that_says_whose_it_is(patched: Callable[..., Client], hook: str) -> None:
    client = patched(RAISES.format(hook=hook, arguments=ARGUMENTS[hook], error="KeyError('choices')"))
    message = "error: 400" if hook == "classify_error" else "say: one"
    caught = ask(client, stream=hook == "decode_chunk", message=message)
    assert type(caught) is PluginError
    assert "KeyError: 'choices'" in named(caught, hook)


@pytest.mark.parametrize(
    ("hook", "gives", "words"),
    [
        ("describe_model", "{'tools': True}", "gave dict, not a ModelFacts"),
        ("translate_tools", "[1, 2]", "gave list, not a WireTools"),
        ("shape_request", "'{}'", "gave str, not a WireRequest"),
        ("decode_chunk", "['text']", "gave str among its events"),
        ("decode_chunk", "[None]", "gave None among its events"),
        ("decode_chunk", "TextDelta('x')", "gave TextDelta, not a list of events"),
        ("decode_chunk", "'text'", "gave str among its events"),
        ("decode_reply", "[{'text': 'x'}]", "gave dict among its events"),
        ("decode_reply", "{'text': 'x'}", "gave dict, not a list of events"),
        ("classify_error", "ServerError", "gave the class ServerError, not a Verdict"),
        ("classify_error", "Verdict(ServerError('x'))", "gave a Verdict whose error is ServerError, not a class"),
        ("classify_error", "Verdict(None)", "gave a Verdict whose error is None, not a class of chatport's errors"),
        ("classify_error", "Verdict(ServerError, events=[None])", "gave a Verdict with None among its events"),
        ("classify_error", "Verdict(ValueError)", "gave a Verdict whose error is the class ValueError"),
        ("classify_error", "Verdict(ServerError, events=['x'])", "gave a Verdict with str among its events"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "wrapper"])
def test_a_wrong_result_says_what_came_and_from_whom(
    patched: Callable[..., Client], hook: str, gives: str, words: str, kind: str
) -> None:
    """Also where another plugin, of nobody's fault, is around the one that gave it."""

    class Around:
        provider = "compatible"

        @chatport.hookimpl(wrapper=True)
        def translate_tools(self) -> Any:
            return (yield)

        @chatport.hookimpl(wrapper=True)
        def decode_chunk(self) -> Any:
            return (yield)

    body = f"return {gives}" if kind == "plain" else f"yield\n    return {gives}"
    mark = "@hookimpl" if kind == "plain" else "@hookimpl(wrapper=True)"
    client = patched(f"\n{mark}\ndef {hook}({ARGUMENTS[hook]}):\n    {body}\n", Around())
    message = "error: 400" if hook == "classify_error" else "say: one"
    caught = ask(client, stream=hook == "decode_chunk", message=message)
    assert type(caught) is PluginError
    assert words in named(caught, hook)


@pytest.mark.parametrize("hook", ["decode_chunk", "decode_reply"])
def test_a_generator_that_fails_late_says_whose_it_is(patched: Callable[..., Client], hook: str) -> None:
    body = "yield TextDelta('a')\n    raise ZeroDivisionError('late')"
    source = f"@hookimpl\ndef {hook}({ARGUMENTS[hook]}):\n    {body}\n"
    caught = ask(patched(source), stream=hook == "decode_chunk")
    assert type(caught) is PluginError
    assert "ZeroDivisionError: late" in named(caught, hook)


@pytest.mark.parametrize(("body", "words"), [("return", "did not yield"), ("yield\n    yield", "has a second yield")])
def test_a_wrapper_that_does_not_yield_once_says_whose_it_is(
    patched: Callable[..., Client], body: str, words: str
) -> None:
    body = body if "yield" in body else "if False:\n        yield\n    return"
    caught = ask(patched(f"@hookimpl(wrapper=True)\ndef shape_request():\n    {body}\n"))
    assert words in named(caught, "shape_request")


def test_a_wrapper_through_which_an_error_only_passes_is_not_blamed(patched: Callable[..., Client]) -> None:
    class Breaks:
        provider = "compatible"

        @chatport.hookimpl
        def shape_request(self) -> Any:
            raise KeyError("mine")

    class Inside(Breaks):
        @chatport.hookimpl(tryfirst=True)
        def shape_request(self) -> Any:
            raise KeyError("mine")

    source = "@hookimpl(wrapper=True, tryfirst=True)\ndef shape_request():\n    return (yield)\n"
    caught = ask(patched(source, Inside()))
    assert "Inside.shape_request" in str(caught)
    assert "acme_patches" not in str(caught)


def test_a_refusal_of_the_standard_is_the_cores_own_word(patched: Callable[..., Client]) -> None:
    """A wrapper stands around it, and has nothing to do with it."""
    client = patched("@hookimpl(wrapper=True)\ndef decode_reply():\n    return (yield)\n")
    body = {"choices": [{"index": n, "message": {"content": "x"}} for n in range(2000)]}
    with pytest.raises(chatport.MalformedReplyError) as caught:
        run_hook_on(client, "decode_reply", body)
    assert caught.value.raised_by == ""


def test_an_error_in_the_standard_names_its_own_step() -> None:
    """Whoever reports it to us says where to look."""
    emulator = Emulator("compatible")
    port = Client(emulator.config(), transport=emulator)._vendors.provider("compatible")
    context, call = port.context("m"), chatport.Call(())
    with pytest.raises(PluginError, match=r"That was in chatport\.standard\.request\.shape_request, of chatport-core"):
        guarded(context, "shape_request", port.plan.shape_request, chatport.WireRequest("/", {}), call, context)


def run_hook_on(client: Client, hook: str, data: Any) -> Any:
    port = client._vendors.provider("compatible")
    context = port.context("m")
    return guarded(
        context, hook, getattr(port.plan, hook), json.loads(json.dumps(data)), context, chatport.WireRequest("/", {})
    )


def test_what_a_hook_made_of_the_request_is_its_fault_where_it_cannot_be_written(
    patched: Callable[..., Client],
) -> None:
    source = SHAPES.format("wire.set('seen', object())")
    assert "cannot be written as JSON" in named(ask(patched(source)), "shape_request")


def test_half_an_emoji_that_a_hook_has_put_in_is_replaced_with_a_warning(patched: Callable[..., Client]) -> None:
    client = patched(SHAPES.format("wire.set('seen', ['\\ud83d!'])"))
    with client:
        explained = client.explain("hi", model="compatible:emulated-model")
        reply = client.chat("say: well", model="compatible:emulated-model")
    assert explained.body["seen"] == ["\N{REPLACEMENT CHARACTER}!"]
    (note,) = [note for note in explained.adjustments if note.kind == "invalid"]
    assert note.field == "seen[0]"
    assert note.reason == "halves of surrogate pairs cannot be written, and are replaced"
    assert reply.text == "well"
    assert [note.field for note in reply.warnings] == ["seen[0]"]


def test_a_hook_that_cannot_write_its_own_text_is_at_fault(patched: Callable[..., Client]) -> None:
    """No half is in the call that could be mended."""
    caught = ask(patched(SHAPES.format("'\\ud83d'.encode()")))
    assert isinstance(caught, PluginError)
    assert isinstance(caught.__cause__, UnicodeEncodeError)
    named(caught, "shape_request")


def test_what_the_caller_gave_is_no_plugins_fault(patched: Callable[..., Client]) -> None:
    client = patched("@hookimpl(wrapper=True)\ndef shape_request():\n    return (yield)\n")
    with pytest.raises(chatport.ConfigurationError, match="cannot be written as JSON") as caught:
        client.chat("hi", model="compatible:m", extra={"odd": object()})
    assert caught.value.raised_by == ""


def deep(levels: int) -> dict[str, Any]:
    """Return a schema with so many inside it."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def tool(parameters: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}


def form(schema: Any) -> dict[str, Any]:
    spec = {"name": "o", "schema": schema}
    return {"extra": {"response_format": {"type": "json_schema", "json_schema": spec}}}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (tool(deep(101)), "tools.f.parameters is nested in more than 100 levels of schemas"),
        (tool({5: 1}), "tools.f.parameters has the keyword 5, which is no text"),
        (tool({"anyOf": [{}, {5: 1}]}), "tools.f.parameters.anyOf[1] has the keyword 5, which is no text"),
        (tool({"items": 5}), "tools.f.parameters.items must be a schema or a list of them"),
        (tool({"allOf": [{}, 5]}), "tools.f.parameters.allOf[1] must be a schema, not int"),
        (tool({"properties": {"a": 5}}), "tools.f.parameters.properties.a must be a schema, not int"),
        (
            tool({"x": object()}),
            "tools.f.parameters cannot be written as JSON: Encoding objects of type object is unsupported",
        ),
        ({"output": {"properties": {"a": {"required": "b"}}}}, "output.properties.a.required must be a list of names"),
        (form(True), "extra.response_format.json_schema.schema must be an object, not bool"),
        (form(5), "extra.response_format.json_schema.schema must be a schema, not int"),
        (
            form({"properties": {"a": {"minimum": "1"}, "b": {"minimum": "2"}}}),
            "extra.response_format.json_schema.schema.properties.a.minimum must be a number",
        ),
        (tool(deep(100)), None),
        (tool({"anyOf": [True, False]}), None),
        ({"extra": {"response_format": {"json_schema": "x"}}}, None),
        ({"extra": {"response_format": {"json_schema": {"name": "out"}}}}, None),
        ({"extra": {"response_format": "x"}}, None),
    ],
)
def test_a_schema_on_which_a_hook_fails_is_blamed_where_it_is_itself_at_fault(
    patched: Callable[..., Client], options: dict[str, Any], fault: str | None
) -> None:
    client = patched(RAISES.format(hook="shape_request", arguments="call, tools", error="KeyError('x')"))
    with pytest.raises(chatport.ChatportError) as caught:
        client.explain("hi", model="compatible:m", **options)
    if fault is None:
        assert "KeyError: 'x'" in named(caught.value, "shape_request")
    else:
        assert type(caught.value) is chatport.BadRequestError
        refused = f"{fault}: compatible takes no such schema as it is, and it cannot be fitted."
        assert str(caught.value).startswith(refused)


def test_a_value_in_a_schema_may_be_nested_too_deeply_to_be_written() -> None:
    value: list[Any] = []
    value.append(value)
    assert first_fault({"const": value}, "output") == "output has a value that is nested too deeply"


def test_a_header_that_cannot_be_sent_is_its_hooks_fault(patched: Callable[..., Client]) -> None:
    source = SHAPES.format("wire.with_headers({'x-a': 'b\\r\\nc'})")
    assert "x-a" in named(ask(patched(source)), "shape_request")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("chunk, contxt", "decode_chunk has no argument 'contxt'. Did you mean 'context'?"),
        ("chunk, requst", "has no argument 'requst'. Did you mean 'request'?"),
        ("zzz", "has no argument 'zzz'. Its arguments are: chunk, state, context, request"),
    ],
)
def test_a_wrong_argument_has_its_near_miss(patched: Callable[..., Client], arguments: str, words: str) -> None:
    caught = ask(patched(f"@hookimpl\ndef decode_chunk({arguments}): ...\n"))
    assert isinstance(caught, PluginError)
    assert words in str(caught)
    assert OWNER in str(caught)


def test_a_hook_that_does_not_exist_is_named_with_its_package(patched: Callable[..., Client]) -> None:
    caught = ask(patched("@hookimpl\ndef shape_requests(call): ...\n"))
    assert "Did you mean 'shape_request'?" in str(caught)
    assert OWNER in str(caught)


def test_an_error_keeps_who_raised_it_when_it_is_pickled() -> None:
    import pickle

    error = chatport.BadRequestError("no")
    error.raised_by = "the shape_request hook x.y, of z 1"
    assert str(pickle.loads(pickle.dumps(error))) == "no Raised by the shape_request hook x.y, of z 1."


def test_every_hook_has_its_arguments_here() -> None:
    """The table above is the contract."""
    for hook, arguments in ARGUMENTS.items():
        known = list(inspect.signature(getattr(chatport.ProviderHooks, hook)).parameters)
        assert set(arguments.split(", ")) <= set(known)
