"""The options of a call: what can be meant is read, what cannot is refused by name."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from chatport import AsyncClient, Auth, Client, Provider, Tool
from chatport.call import Call, ToolChoice
from chatport.client.base import is_httpx
from chatport.errors import BadRequestError, ConfigurationError, UnsupportedFeatureError
from chatport.inputs.options import read_call
from chatport.testing import Emulator
from chatport.transport.sockets_async import SocketsAsyncTransport
from chatport.types import Message


def lookup(word: str) -> str:
    """Look a word up."""
    return word


def read(**options: Any) -> Call:
    return read_call("hi", **options)[0]


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("temperature", 0, 0),
        ("temperature", 2, 2),
        ("temperature", 0.5, 0.5),
        ("top_p", 1, 1),
        ("top_p", 0.0, 0.0),
        ("max_tokens", 1, 1),
        ("seed", -5, -5),
        ("seed", 0, 0),
        ("stop", "a", ("a",)),
        ("stop", ["a", "b"], ("a", "b")),
        ("stop", ("a",), ("a",)),
        ("stop", [], ()),
        ("reasoning", "high", "high"),
        ("reasoning", "none", "none"),
        ("reasoning", True, "medium"),
        ("reasoning", False, "none"),
        ("reasoning", 2048, 2048),
        ("extra", {"a": 1}, {"a": 1}),
        ("extra", {}, {}),
        ("on_unsupported", "raise", "raise"),
    ],
)
def test_an_option_is_read(option: str, value: Any, field: Any) -> None:
    """Every value that can be meant is taken."""
    assert getattr(read(**{option: value}), option) == field


def test_what_is_left_out_is_not_there() -> None:
    """Without options the call is the messages; None means left out."""
    assert read() == Call((Message.user("hi"),))
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "tools",
            "tool_choice",
            "output",
            "reasoning",
            "temperature",
            "top_p",
            "max_tokens",
            "stop",
            "seed",
            "timeout",
            "extra",
        )
    )
    assert read_call("hi", **nothing) == (Call((Message.user("hi"),)), {})


WRONG: list[tuple[str, Any, str]] = [
    ("temperature", math.nan, "temperature is a number, not nan"),
    ("temperature", math.inf, "temperature is a number"),
    ("temperature", True, "temperature is a number, not True"),
    ("temperature", "1", "temperature is a number"),
    ("temperature", 1 + 0j, "temperature is a number"),
    ("top_p", False, "top_p is a number"),
    ("top_p", math.nan, "top_p is a number"),
    ("max_tokens", 1.0, "max_tokens is a whole number"),
    ("max_tokens", True, "max_tokens is a whole number, not True"),
    ("max_tokens", "9", "max_tokens is a whole number"),
    ("seed", 1.5, "seed is a whole number, not 1.5"),
    ("seed", True, "seed is a whole number"),
    ("stop", "", "stop is a text, or a list of texts"),
    ("stop", [""], "stop is a text"),
    ("stop", ["a", 5], "stop is a text"),
    ("stop", [None], "stop is a text"),
    ("stop", 5, "stop is a text"),
    ("stop", {"a": 1}, "stop is a text"),
    ("reasoning", "hihg", "reasoning is one of none, minimal, low, medium, high, xhigh, max, or a number"),
    ("reasoning", "", "reasoning is one of"),
    ("reasoning", 1.5, "reasoning is one of"),
    ("reasoning", [], "reasoning is one of"),
    ("reasoning", 0, "A reasoning budget is a positive number of tokens"),
    ("reasoning", -5, "A reasoning budget is a positive"),
    ("extra", [1], "extra must be a dict of body fields"),
    ("extra", "x", "extra must be a dict"),
    ("on_unsupported", "ignore", 'on_unsupported is "warn" or "raise", not \'ignore\''),
    ("timeout", "5", "timeout is a number of seconds for the whole call, or a dict of timers"),
    ("timeout", True, "timeout is a number"),
    ("timeout", [5], "timeout is a number"),
    ("tool_choice", "requird", "tool_choice 'requird' is neither"),
    ("tool_choice", "", "tool_choice '' is neither"),
    ("tool_choice", {}, "tool_choice must be a text, a tool or a dict"),
    ("tools", "x", "tools must be a list"),
    ("output", {}, "output is an empty schema"),
]


@pytest.mark.parametrize(("option", "value", "words"), WRONG, ids=[f"{name}={value!r}" for name, value, _ in WRONG])
def test_what_cannot_be_meant_is_refused(option: str, value: Any, words: str) -> None:
    """A wrong value is refused with the option's name, before anything is sent."""
    with pytest.raises(BadRequestError) as caught:
        read(**{option: value})
    assert words in str(caught.value)


def test_timeouts() -> None:
    """A number is the whole call, a dict the timers by name, 0 is off; a wrong one is refused by name."""
    assert read_call("hi", timeout=5)[1] == {"total": 5.0}
    assert read_call("hi", timeout={"silence": 1, "connect": 0})[1] == {"silence": 1.0, "connect": 0.0}
    for timeout in (-1, math.nan, math.inf, {"silence": True}):
        with pytest.raises(ConfigurationError, match=r"is a number of seconds, 0 for off"):
            read_call("hi", timeout=timeout)
    with pytest.raises(ConfigurationError, match=r"timeout: unknown key 'silense'\. Did you mean 'silence'"):
        read_call("hi", timeout={"silense": 1})


def test_tools_and_choice_belong_together() -> None:
    """The choice is read against the tools of the same call."""
    call = read(tools=[lookup], tool_choice=lookup)
    assert call.tool_choice == ToolChoice("named", "lookup")
    assert call.tools[0].function is lookup


def test_an_unknown_option_is_a_type_error() -> None:
    """A misspelt option is refused as Python does it, not sent."""
    emulator = Emulator("compatible")
    client = Client(emulator.config(), transport=emulator)
    with pytest.raises(TypeError, match="temprature"):
        client.chat("hi", model="compatible:emulated-model", temprature=1)  # type: ignore[call-overload]  # tested
    assert emulator.requests == []


def test_options_of_an_alias_hold_unless_the_call_says_otherwise() -> None:
    """An alias brings options; the call's own are stronger; None is no word."""
    table = {"a": {"targets": "compatible:emulated-model", "temperature": 1, "max_tokens": 5}}
    client = Client(Emulator("compatible").config(aliases=table))
    body = client.explain("hi", model="a", temperature=0, max_tokens=None).body
    assert (body["temperature"], body["max_tokens"]) == (0, 5)


def test_wrong_options_of_an_alias_are_refused() -> None:
    """The options of an alias are checked like a call's own."""
    client = Client(Emulator("compatible").config(aliases={"a": {"targets": "compatible:m", "temperature": "hot"}}))
    with pytest.raises(BadRequestError, match="temperature is a number"):
        client.explain("hi", model="a")


def test_a_loss_may_be_an_error() -> None:
    """With `on_unsupported="raise"` what would be dropped is an error that says what; else it is a warning."""
    emulator = Emulator("compatible")
    client = Client(emulator.config(), transport=emulator)
    reply = client.chat("hi", model="compatible:emulated-model", reasoning=500)
    assert [note.kind for note in reply.warnings] == ["dropped"]
    with pytest.raises(UnsupportedFeatureError, match=r"Not everything can be sent as asked: dropped reasoning"):
        client.chat("hi", model="compatible:emulated-model", reasoning=500, on_unsupported="raise")
    assert len(emulator.requests) == 1


def test_what_is_wrong_is_said_before_anything_is_sent() -> None:
    """Wrong messages, options and targets fail when the stream is made, not when it is read."""
    client = Client(Emulator("compatible").config())
    with pytest.raises(BadRequestError):
        client.stream([], model="compatible:m")
    with pytest.raises(ConfigurationError):
        client.stream("hi", model="m")
    with pytest.raises(ConfigurationError):
        AsyncClient(Emulator("compatible").config()).stream("hi", model="nobody:m")


def test_a_target_without_a_model_is_told_where_the_call_is_made() -> None:
    """Also one that would be asked later, or never."""
    emulator = Emulator("compatible")
    for targets in (["compatible:emulated-model", "openai:"], ["openai:", "compatible:emulated-model"]):
        config = emulator.config(aliases={"either": targets})
        with pytest.raises(ConfigurationError, match=r"'openai:' is not a target"):
            Client(config, transport=emulator).chat("hello", model="either")
    assert not emulator.requests


def test_a_provider_with_a_wrong_address_is_told_before_anything_is_sent() -> None:
    provider = Provider("q", "Q", "htp://127.0.0.1/v1", auth=Auth(required=False))
    with pytest.raises(ConfigurationError, match=r"The provider q: base_url"):
        Client({}, providers=[provider]).explain("hello", model="q:m")


def test_loops_in_several_threads_share_a_transport() -> None:
    transport = SocketsAsyncTransport()
    together = threading.Barrier(8)
    found: list[Any] = []

    def first_use() -> None:
        together.wait()
        found.append(transport._running())

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize("texts", ["", [], [""], ["a", ""], [5], [None]])
def test_embeddings_need_texts(texts: Any) -> None:
    """An empty text, or no text, is refused before anything is sent."""
    emulator = Emulator("compatible")
    with pytest.raises(BadRequestError, match="embed takes a text or a list of texts"):
        Client(emulator.config(), transport=emulator).embed(texts, model="compatible:emulated-model")
    assert emulator.requests == []


def test_a_client_shows_little() -> None:
    """A client's repr is its name."""
    assert repr(Client({})) == "<chatport.Client>"
    assert repr(AsyncClient({})) == "<chatport.AsyncClient>"


def test_clients_of_httpx_are_told_by_their_module() -> None:
    """Whether a value is an httpx client is told without importing httpx for it."""
    import httpx

    class Mine(httpx.Client): ...

    assert is_httpx(Mine())
    assert is_httpx(httpx.AsyncClient())
    assert not is_httpx("httpx")
    assert not is_httpx(None)


def test_a_call_that_may_go_nowhere_is_told_where_it_might_have_gone() -> None:
    emulator = Emulator("compatible")
    model = "compatible:emulated-model"
    targets = [{"target": model, "when": {"tools": True}}, {"target": "compatible:other", "when": {"stream": True}}]
    with Client(emulator.config(aliases={"picky": {"targets": targets}}), transport=emulator) as client:
        with pytest.raises(ConfigurationError) as caught:
            client.chat("hi", model="picky")
        assert caught.value.message == (
            "No target's conditions hold for this call. The alias has: compatible:emulated-model, compatible:other."
        )
        assert not emulator.requests
        assert client.chat("say: here", model="picky", tools=[Tool("look", "", {"type": "object"})]).text == "here"
