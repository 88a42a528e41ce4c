"""A misspelt option of a client or a call is our own error, with the nearest name that exists."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from chatport import AsyncClient, Client
from chatport.client import base
from chatport.errors import BadRequestError, ConfigurationError, UnknownOptionError
from chatport.inputs import options
from chatport.testing import Emulator

MODEL = "compatible:emulated-model"
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "chat": (
        lambda: emulated(Client).chat("hi", model=MODEL, temprature=0.2),
        "chat and stream has no option 'temprature'. Did you mean 'temperature'?",
    ),
    "chat, None": (lambda: emulated(Client).chat("hi", model=MODEL, temprature=None), "no option 'temprature'"),
    "chat, a vendor's field": (
        lambda: emulated(Client).chat("hi", model=MODEL, zzz=1),
        "no option 'zzz'. A field of the vendor's own goes into extra={...}.",
    ),
    "stream": (lambda: emulated(Client).stream("hi", model=MODEL, max_token=3), "Did you mean 'max_tokens'?"),
    "explain": (lambda: emulated(Client).explain("hi", model=MODEL, reasonin="low"), "Did you mean 'reasoning'?"),
    "embed": (
        lambda: emulated(Client).embed("hi", model=MODEL, timeot=3),
        "embed has no option 'timeot'. Did you mean 'timeout'?",
    ),
    "Client": (lambda: untyped(Client)({}, plugin=[]), "Client has no option 'plugin'. Did you mean 'plugins'?"),
    "AsyncClient": (
        lambda: untyped(AsyncClient)({}, transprt=1),
        "AsyncClient has no option 'transprt'. Did you mean 'transport'?",
    ),
    "async chat": (
        lambda: anyio.run(lambda: emulated(AsyncClient).chat("hi", model=MODEL, temprature=0.2)),
        "Did you mean 'temperature'?",
    ),
    "async stream": (
        lambda: emulated(AsyncClient).stream("hi", model=MODEL, max_token=3),
        "chat and stream has no option 'max_token'. Did you mean 'max_tokens'?",
    ),
    "async embed, trio": (
        lambda: anyio.run(lambda: emulated(AsyncClient).embed("hi", model=MODEL, timeot=3), backend="trio"),
        "Did you mean 'timeout'?",
    ),
}


def untyped(value: Any) -> Any:
    """Return a value as nobody's type checker sees it: to one that does, an unknown option is an error already."""
    return value


def emulated(kind: Any) -> Any:
    """Return a client that talks to the emulator."""
    emulator = Emulator("compatible")
    return kind(emulator.config(), transport=emulator)


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_an_unknown_option_is_our_error_with_its_near_miss(call: Callable[[], Any], words: str) -> None:
    """It is a TypeError too, as for any other function."""
    with pytest.raises(UnknownOptionError) as caught:
        call()
    assert words in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ConfigurationError)


def test_the_options_that_are_listed_are_those_that_are_taken() -> None:
    for function, listed in ((Client.__init__, base._CLIENT_OPTIONS), (Client.embed, options.EMBED_OPTIONS)):
        taken = list(inspect.signature(function).parameters)
        assert [name for name in taken if name not in ("self", "texts", "unknown")] == list(listed)


def test_an_option_that_does_not_exist_shows_no_key() -> None:
    arguments: Any = {"plugin": []}
    with pytest.raises(UnknownOptionError) as caught:
        Client({"providers": {"x": {"api_key": "sk-secret-1234"}}}, **arguments)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__) if frame.f_code.co_name == "__init__"]
    assert frames
    assert all("config" not in frame.f_locals for frame in frames)


@pytest.mark.parametrize("tools", [3, "x", [3], [{"type": "function"}, None], {"type": "function"}])
def test_tools_of_extra_are_objects(tools: Any) -> None:
    emulator = Emulator("compatible")
    with (
        Client(emulator.config(), transport=emulator) as client,
        pytest.raises(BadRequestError, match=r"extra\.tools must be a list of objects"),
    ):
        client.chat("a", model="compatible:emulated-model", extra={"tools": tools})
    assert not emulator.requests
