"""A value of the wrong kind, given to anything public, is an error of ours that says what it is: never one from inside.

The table has an example of each public class that people make; what a class, a function or a method takes is read from
its signature. Each argument in turn is given every wrong value there is below.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, get_type_hints

import pytest

import chatport
from chatport import (
    BadRequestError,
    Budget,
    ChatportError,
    ConfigurationError,
    Message,
    PluginError,
    Provider,
    TextPart,
    Tool,
    ToolCall,
    Usage,
)
from chatport.inputs.options import CHAT_OPTIONS, read_call
from chatport.testing import Emulator, decode_events, replay


def odd(value: Any) -> Any:
    """Return a value as one of no known type, as code without types gives it."""
    return value


WRONG: list[Any] = [
    3, None, object(), b"x", [], {}, [3], [None], {"a": 3}, {3: 3}, "bot", float("nan"), True, (), (3,), int,
    {"function": 3}, {"type": "function", "function": {"name": 3}},
]  # fmt: skip

PROVIDER = Provider("p", "P", "https://p.example/v1")
MADE: Mapping[str, tuple[Any, ...]] = {
    "Adjustment": ("note", "f", "r"),
    "Alternative": (),
    "Approval": ("allow",),
    "Attempt": ("t", "ok", 1.0),
    "AudioPart": ("AAAA", "wav"),
    "Auth": (),
    "Call": ((Message.user("a"),),),
    "Change": ("f", 1, 2, "p"),
    "Citation": (),
    "Config": (),
    "Context": (PROVIDER, "m", "https://p.example/v1"),
    "Cost": (1.0,),
    "Dialect": (),
    "Discovery": ("p", "https://p.example/v1"),
    "Embeddings": (((1.0,),), "m", Usage()),
    "ErrorDetails": (),
    "Explanation": ("t", "POST", "u", {}, {}, False, ()),
    "Facts": ("p", "2026-01-01"),
    "Failure": (400, {}, "response", None, "", chatport.ErrorDetails()),
    "FieldRule": (),
    "FilePart": ("id",),
    "HostFacts": (),
    "ImagePart": ("https://p.example/a.png",),
    "MapProgress": (),
    "MapResult": (0, "an item"),
    "Media": ("image",),
    "Message": ("user", (TextPart("a"),)),
    "ModelFacts": (),
    "ModelInfo": ("m",),
    "Native": ("messages",),
    "OutputSpec": ("n", {"type": "object"}),
    "Policy": (),
    "Prefill": (),
    "Protocol": ("loud", lambda provider: provider),
    "Provider": ("p", "P", "https://p.example/v1"),
    "RateLimits": (),
    "Reply": ("{}",),
    "Run": ((Message.user("say: a"),),),
    "RunStep": (chatport.Reply("a"),),
    "Secret": ("k",),
    "TextPart": ("a",),
    "Tool": ("f",),
    "ToolCall": ("c", "lookup", '{"a":1}'),
    "ToolChoice": ("auto",),
    "ToolResult": (ToolCall("c", "lookup", '{"a":1}'), "x"),
    "Totals": (),
    "VendorPart": ({"type": "x"},),
    "VideoPart": ("https://p.example/a.mp4",),
    "Usage": (),
    "Verdict": (chatport.ServerError,),
    "WireRequest": ("/x", {}),
    "WireTools": (),
}
ELSEWHERE = {
    # tested below, or by themselves
    *("AsyncClient", "Client", "Budget", "check_arguments", "load_config", "load_facts", "run_tool", "schema_of"),
    *("run_tool_async",),  # which is run_tool, awaited
    *("hookimpl", "ProviderHooks", "HOOK_API", "__version__"),
    *(
        "AsyncMapStream",
        "Ledger",  # what a service writes
        "Pending",
        "Reservation",
        "AsyncReplyStream",
        "AsyncRunStream",
        "MapStream",
        "ModelPrice",
        "ReplyStream",
        "RunStream",
        "Chunk",
        "StreamState",
        "Fingerprint",
        "TargetHealth",
    ),  # made by the core alone
    *("ChatOptions", "Event", "FinishReason", "MessagesInput", "Part", "RunEvent"),  # names of types
}
FUNCTIONS = {"locate", "adapt", "discover", "function", "play"}  # a function of the caller's own may raise anything


def lookup(a: int) -> str:
    """Look it up."""
    return "x"


@cache
def emulator() -> Emulator:
    return Emulator("compatible")


MODEL = "compatible:emulated-model"


@cache
def client() -> chatport.Client:
    return chatport.Client(emulator().config(), transport=emulator())


def leaks(call: Callable[[], Any]) -> str:
    """Return what is wrong with the error that a call raises: one from inside is; ours, and none, are not."""
    try:
        call()
    except ChatportError as error:
        return "" if str(error) else "an error without words"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})"
    return ""


def all_leaks(given: Iterator[tuple[str, Callable[[], Any]]]) -> list[str]:
    return [f"{what}: {problem}" for what, call in given if (problem := leaks(call))]


def use(value: Any) -> None:
    """Put a value to the use that it is made for."""
    match value:
        case chatport.TextPart() | chatport.ImagePart() | chatport.AudioPart() | chatport.FilePart():
            client().explain([Message("user", (value,))], model=MODEL)
        case Message():
            client().explain([value], model=MODEL)
        case chatport.Native():
            client().explain("q", model=MODEL, native=value)
        case ToolCall():
            client().explain(["q", Message("assistant", (), (value,)), Message.tool(value, "r")], model=MODEL)
            value.parsed()
            chatport.run_tool(value, [lookup])
        case Tool():
            client().explain("q", model=MODEL, tools=[value])
        case chatport.OutputSpec():
            client().chat("say: {}", model=MODEL, output=value).parsed()
        case chatport.Secret():
            table = {"kind": "compatible", "base_url": "https://x.example", "api_key": value}
            chatport.Client({"providers": {"x": table}}).explain("a", model="x:m")
        case Provider():
            with chatport.Client({"providers": {"p": {"api_key": "k"}}}, providers=[value]) as own:
                own.explain("a", model="p:m")
            Emulator(value)
        case chatport.Dialect():
            use(Provider("p", "P", "https://p.example/v1", dialect=value))
        case chatport.Auth():
            use(Provider("p", "P", "https://p.example/v1", auth=value))
        case chatport.Prefill():
            use(chatport.Dialect(prefill=value))
        case chatport.Facts():
            use(Provider("p", "P", "https://p.example/v1", facts=value))
        case chatport.Config():
            chatport.Client(value)
        case chatport.Policy():
            use(chatport.Config(policy=value))
        case chatport.Run():
            client().run(value, model=MODEL, tools=[lookup])
            repr((value.usage, value.cost, value.open_calls))
        case chatport.ToolResult():
            client().explain(["q", Message("assistant", (), (value.call,)), value.message], model=MODEL)
        case chatport.Reply():
            read_call(["q", value])
            value.parsed()
        case _:
            repr(value)


def test_every_public_name_is_in_the_table() -> None:
    errors = {name for name in chatport.__all__ if name.endswith("Error")}
    pieces = {name for name in chatport.__all__ if hasattr(getattr(chatport, name), "__struct_fields__")}
    assert set(chatport.__all__) == {*MADE, *ELSEWHERE, *errors, *pieces}


@pytest.mark.parametrize("name", MADE)
def test_values(name: str) -> None:
    """Each is refused where it is made, or where it is used."""
    cls = getattr(chatport, name)
    names = list(inspect.signature(cls).parameters)
    good = dict(zip(names, MADE[name], strict=False))
    use(cls(**good))

    def tried() -> Iterator[tuple[str, Callable[[], Any]]]:
        for field in names:
            for wrong in WRONG:
                if not (field in FUNCTIONS and callable(wrong)):
                    yield (
                        f"{name}({field}={wrong!r})",
                        partial(lambda field, wrong: use(cls(**{**good, field: wrong})), field, wrong),
                    )

    assert not all_leaks(tried())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: chatport.Auth(odd(5)), r"Auth\(header=…\) is a"),
        (lambda: chatport.Prefill(odd(5)), r"Prefill\(message=…\) is a"),
        (lambda: chatport.Dialect(stop_limit=odd("5")), r"Dialect\(stop_limit=…\) is a"),
        (lambda: chatport.Discovery("p", odd(5)), r"Discovery\(base_url=…\) is a"),
        (lambda: chatport.Provider("p", "P", odd(5)), r"Provider\(base_url=…\) is a"),
    ],
)
def test_what_a_package_declares_is_refused_where_it_is_made(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


CONSTRUCTORS: Mapping[str, Callable[[Any], Any]] = {
    "Message.system": Message.system,
    "Message.developer": Message.developer,
    "Message.user": Message.user,
    "Message.assistant": Message.assistant,
    "Message.assistant calls": lambda wrong: Message.assistant("a", tool_calls=wrong),
    "Message.tool": lambda wrong: Message.tool(wrong, "r"),
    "Message.tool content": lambda wrong: Message.tool("c", wrong),
    "ImagePart.from_bytes": lambda wrong: chatport.ImagePart.from_bytes(wrong, "image/png"),
    "ImagePart.from_file": lambda wrong: None if wrong == "bot" else chatport.ImagePart.from_file(wrong),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors(name: str) -> None:
    made = CONSTRUCTORS[name]
    assert not all_leaks((f"{name}({wrong!r})", partial(lambda wrong: use(made(wrong)), wrong)) for wrong in WRONG)


ARGUMENTS = ("config", "plugins", "providers", "transport", "clock", "observers")


@pytest.mark.parametrize("cls", [chatport.Client, chatport.AsyncClient])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_clients(cls: Any, name: str) -> None:
    assert set(inspect.signature(cls).parameters) - {"unknown"} == set(ARGUMENTS)

    def used(wrong: Any) -> None:
        made = cls(**{"config": emulator().config(), "transport": emulator(), name: wrong})
        made.explain("a", model=MODEL)
        if cls is chatport.Client:
            made.chat("say: a", model=MODEL)

    wrongs = [wrong for wrong in WRONG if not (name == "observers" and wrong == [int])]
    assert not all_leaks((f"{name}={wrong!r}", partial(used, wrong)) for wrong in wrongs)


@pytest.mark.parametrize("name", sorted(CHAT_OPTIONS))
def test_options(name: str) -> None:
    def used(method: str, wrong: Any) -> None:
        getattr(client(), method)("say: a", **{"model": MODEL, "tools": [lookup], name: wrong})

    calls = [(method, wrong) for method in ("explain", "chat") for wrong in WRONG]
    assert not all_leaks((f"{m}({name}={wrong!r})", partial(used, m, wrong)) for m, wrong in calls)


ODD_MESSAGES: list[Any] = [
    [{"role": 3}],
    [{"role": ["user"], "content": "x"}],
    [{"role": "user", "content": 3}],
    [{"role": "user", "content": [3]}],
    [{"role": "user", "content": [{"type": 3}]}],
    [{"role": "user", "content": [{"type": ["text"]}]}],
    [{"role": "assistant", "tool_calls": [3]}],
    [{"role": "assistant", "tool_calls": [{"id": 3, "function": {"name": "a"}}]}],
    [{"role": "tool", "tool_call_id": [], "content": "a"}],
    [[]],
]
GIVEN: Mapping[str, Callable[[Any], Any]] = {
    "chat": lambda wrong: client().chat(wrong, model=MODEL),
    "stream": lambda wrong: list(client().stream(wrong, model=MODEL)),
    "run": lambda wrong: client().run(wrong, model=MODEL),
    **{
        f"run {name}": lambda wrong, name=name: client().run(  # type: ignore[misc]
            "call: lookup {}", **{"model": MODEL, "tools": [lookup], "max_steps": 2, name: wrong}
        )
        for name in ("tools", "max_steps", "max_seconds", "approve", "threads", "tool_choice")
    },
    "retry_invalid": lambda wrong: client().chat("say: a", model=MODEL, output={"type": "object"}, retry_invalid=wrong),
    "models": lambda wrong: client().models(wrong),
    "facts": lambda wrong: client().facts(wrong),
    "embed": lambda wrong: client().embed(wrong, model=MODEL),
    "embed model": lambda wrong: client().embed("a", model=wrong),
    "embed extra": lambda wrong: client().embed("a", model=MODEL, extra=wrong),
    "embed timeout": lambda wrong: client().embed("a", model=MODEL, timeout=wrong),
    **{
        f"budget {name}": lambda wrong, name=name: repr(client().budget(**{name: wrong}))  # type: ignore[misc]
        for name in inspect.signature(Budget).parameters
    },
    "run_tool": lambda wrong: chatport.run_tool(wrong, [lookup]),
    "run_tool tools": lambda wrong: chatport.run_tool(ToolCall("c", "lookup", '{"a":1}'), wrong),
    "run_tool result": lambda wrong: chatport.run_tool(ToolCall("c", "f", "{}"), [Tool("f", function=lambda: wrong)]),
    "check_arguments": lambda wrong: chatport.check_arguments(wrong, [lookup]),
    "check_arguments tools": lambda wrong: chatport.check_arguments(ToolCall("c", "lookup", '{"a":1}'), wrong),
    "schema_of": lambda wrong: chatport.schema_of(wrong),
    "load_config": lambda wrong: chatport.load_config(wrong),
    "load_config environment": lambda wrong: chatport.load_config({}, environment=wrong),
    "load_facts": lambda wrong: chatport.load_facts(wrong),
    "load_facts filename": lambda wrong: chatport.load_facts("chatport_openai", wrong),
    **{
        f"{cls.__name__}.from_json": lambda wrong, cls=cls: cls.from_json(wrong)  # type: ignore[misc]
        for cls in (Message, chatport.Reply, chatport.Run)
    },
    "hookimpl": lambda wrong: chatport.hookimpl(wrong),
    "Emulator": lambda wrong: Emulator(wrong),
    **{
        f"Emulator {name}": lambda wrong, name=name: Emulator("compatible", **{name: wrong})  # type: ignore[misc]
        for name in ("port", "pace_seconds", "faults", "repeat", "clock")
    },
}


@pytest.mark.parametrize("name", GIVEN)
def test_functions_and_methods(name: str) -> None:
    call = GIVEN[name]
    wrongs = [*WRONG, *ODD_MESSAGES] if name in ("chat", "stream", "run") else WRONG
    assert not all_leaks((f"{name}({wrong!r})", partial(call, wrong)) for wrong in wrongs)


@pytest.mark.parametrize("function", [replay, decode_events])
@pytest.mark.parametrize("name", ["provider", "status", "headers", "body", "stream", "model", "request"])
def test_recordings(function: Any, name: str) -> None:
    assert set(inspect.signature(function).parameters) == set(get_type_hints(function)) - {"return"}
    good = {"provider": "compatible", "status": 200, "headers": {}, "body": "{}", "stream": False}
    assert not all_leaks((f"{name}={wrong!r}", partial(function, **{**good, name: wrong})) for wrong in WRONG)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: chatport.Client(odd(3)),
            ConfigurationError,
            "config is a Config, the path of a file, or a dict of tables",
        ),
        (
            lambda: client().chat("a", model=odd(3)),
            ConfigurationError,
            'model is a text, "provider:model" or an alias',
        ),
        (lambda: client().embed(odd(None), model=MODEL), BadRequestError, "embed takes a text or a list of texts"),
        (lambda: use(Message(role=odd("asistant"))), BadRequestError, "Did you mean 'assistant'?"),
        (lambda: Message("user", odd("hi")), BadRequestError, "Message.user"),
        (lambda: chatport.ToolChoice(odd("requird")), BadRequestError, "Did you mean 'required'?"),
        (lambda: TextPart(odd(5)), BadRequestError, "TextPart(text=…) is a text, not a value of the type int"),
        (lambda: Provider("p", "P", odd(3)), ConfigurationError, "Provider(base_url=…) is a text"),
        (lambda: chatport.hookimpl(odd("shape_request")), PluginError, "@hookimpl marks a function"),
        (lambda: chatport.load_facts("no.such.package"), PluginError, "cannot be used"),
    ],
)
def test_what_they_say(call: Any, error: type[ChatportError], words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_a_key_in_the_wrong_place_is_not_shown() -> None:
    key = "sk-canary-1234567890"
    for wrong in ([key], {"api_key": [key]}, (key,)):
        with pytest.raises(ConfigurationError) as caught:
            chatport.Client(odd(wrong))
        assert "canary" not in str(caught.value)
        with pytest.raises(ConfigurationError) as caught:
            Provider("p", "P", wrong)  # type: ignore[arg-type]  # tested
        assert "canary" not in str(caught.value)
