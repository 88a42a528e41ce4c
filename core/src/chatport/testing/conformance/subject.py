"""The provider under test: clients of its emulator, the bytes it streams, and failures that say what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NoReturn

import pytest

from ...call import Context
from ...client.sync import Client
from ...decoding.collector import Collector
from ...engine.commands import Head
from ...engine.route import Route
from ...errors import ChatportError
from ...events import Finished
from ...plugins.registry import load_provider
from ...provider import Provider
from ...setup.config import load_config
from ...setup.vendor import Vendor
from ...setup.vendors import Vendors
from ...types import Reply
from ..pytest_plugin import isolate
from ..recordings import play, route_of
from ..server import Emulator

__all__ = ["ConformanceTests", "Subject", "get_weather"]

_EVENT_STREAM = Head(200, {"content-type": "text/event-stream"})


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather in a city.

    Args:
        city: the city's name
        days: how many days ahead
    """
    return f"sunny in {city} for {days} days"


class Subject:
    """A provider under test, with one of its models."""

    def __init__(self, provider: Provider, model: str, given: bool) -> None:
        self.provider = provider
        self.name = provider.name
        self.model = model
        self.target = f"{provider.name}:{model}"
        self.providers = (provider,) if given else ()

    @classmethod
    def of(cls, provider: str | Provider, model: str | None) -> Subject:
        """Return it with the emulator's first model, unless one is named."""
        value = load_provider(provider) if isinstance(provider, str) else provider
        return cls(value, model or Emulator(value).vendor.models[0], not isinstance(provider, str))

    # --- to talk to it

    def emulator(self, **settings: Any) -> Emulator:
        """Return a new emulator."""
        return Emulator(self.provider, **settings)

    def client(self, emulator: Emulator, *, transport: Any = None) -> Client:
        """Return a client of an emulator, which asks once only."""
        config = emulator.config(retry={"attempts": 1})
        return Client(config=config, transport=transport or emulator, providers=self.providers)

    def ask(self, client: Client, messages: Any, stream: bool, **options: Any) -> Reply:
        """Return the reply, plain or streamed."""
        if not stream:
            return client.chat(messages, model=self.target, **options)
        with client.stream(messages, model=self.target, **options) as events:
            for _ in events:
                pass
        return events.reply

    def streamed(self, prompt: str, tools: Any = None) -> bytes:
        """Return the bytes of a stream as the emulator writes them."""
        emulator = self.emulator()
        transport = _Keeping(emulator)
        with self.trying("shape_request", prompt, "send what the emulator takes, or mend the emulator"):
            self.ask(self.client(emulator, transport=transport), prompt, True, tools=tools)
        return b"".join(transport.pieces)

    # --- to look inside

    @cached_property
    def _route(self) -> Route:
        """The route of the recorded streams: the same for all the thousands of cuts."""
        return route_of(self.provider, self.model, True)

    def events(self, pieces: list[bytes]) -> list[Any]:
        """Return the events of a stream that arrives in these pieces. Raises what a live call would raise."""
        return play(self._route, _EVENT_STREAM, pieces, deliver=True)[0]

    def check_sum(self, events: list[Any]) -> None:
        """Fail unless the events add up to the reply."""
        collector = Collector()
        for event in events:
            if not isinstance(event, Finished):
                collector.add(event)
            elif event.reply.text != collector.reply().text:
                self.fail("decode_chunk", "a stream of the emulator", "the deltas do not add up to the reply's text")

    def opened(self) -> tuple[Vendor, Context]:
        """Return the provider made ready, and the context of the model."""
        config = load_config(self.emulator().config(), environment={})
        vendors = Vendors(config, environment={}, providers=self.providers)
        vendor = vendors.provider(self.name)
        return vendor, vendor.context(self.model, vendors.facts(vendor, self.model))

    # --- to say what is wrong

    def fail(self, hook: str, given: object, found: str, change: str = "") -> NoReturn:
        """Fail the test with a text of four lines: what was found, the hook, its input, what to change."""
        __tracebackhide__ = True
        shown = given if isinstance(given, str) else repr(given)
        lines = [f"{self.name}: {found}", f"  hook:   {hook}", f"  input:  {shown[:600]}"]
        pytest.fail("\n".join([*lines, f"  change: {change}"] if change else lines), pytrace=False)

    def check(self, kept: object, hook: str, given: object, found: str, change: str = "") -> None:
        """Fail the test, as `fail` does, unless the rule was kept."""
        __tracebackhide__ = True
        if not kept:
            self.fail(hook, given, found, change)

    @contextmanager
    def trying(self, hook: str, given: object, change: str) -> Iterator[None]:
        """Turn an error of a call into a failure that says whose it is."""
        __tracebackhide__ = True
        try:
            yield
        except ChatportError as error:
            self.fail(hook, given, f"{type(error).__name__}: {error}", change)


class ConformanceTests:
    """What all parts of the suite share. Nothing of this machine's configuration reaches a test."""

    subject: Subject

    @pytest.fixture(autouse=True)
    def _isolated(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        isolate(self.subject.provider, monkeypatch, tmp_path)


class _Keeping:
    """A transport that keeps the bytes which an emulator answers."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.pieces: list[bytes] = []

    def send(self, request: Any, connect_seconds: float | None, head_seconds: float | None) -> Any:
        exchange = self._emulator.send(request, connect_seconds, head_seconds)
        read: Callable[[float | None], bytes] = exchange.read

        def keeping(seconds: float | None) -> bytes:
            piece = read(seconds)
            self.pieces.append(piece)
            return piece

        exchange.read = keeping  # type: ignore[method-assign]  # this one exchange only
        return exchange

    def close(self) -> None:
        """Nothing is open."""
