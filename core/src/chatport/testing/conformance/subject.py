"""The provider under test: clients of its emulator, the bytes it streams, and failures that say what to change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NoReturn

import attrs
import pytest

from ...call import Context
from ...client.sync import Client
from ...decoding.collector import Collector
from ...engine.commands import Head
from ...engine.route import Route
from ...errors import BadRequestError, ChatportError, UnsupportedFeatureError
from ...events import Finished
from ...plugins.registry import load_provider
from ...provider import Provider
from ...setup.config import load_config
from ...setup.protocols import AUTO, form_of, in_protocol
from ...setup.vendor import Vendor
from ...setup.vendors import Vendors
from ...types import Reply
from ..emulator import Script, VendorEmulator
from ..pytest_plugin import isolate
from ..recordings import play, route_of
from ..server import Emulator

__all__ = ["MEND", "ConformanceTests", "Exchange", "Subject", "get_weather", "scripted", "values_of"]

MEND = "send what the vendor takes, with a note of what is lost; and read what the emulator answers, or mend it"

_EVENT_STREAM = Head(200, {"content-type": "text/event-stream"})


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather in a city.

    Args:
        city: the city's name
        days: how many days ahead
    """
    return f"sunny in {city} for {days} days"


@attrs.frozen
class Exchange:
    """One call and what became of it. `reply` is None where it was refused before anything was sent.

    `sent` is the body that reached the emulator, `answered` the bytes of its answer, `script` what it meant to say.
    """

    reply: Reply | None
    sent: Mapping[str, Any]
    answered: bytes
    script: Script

    def is_noted(self, *words: str) -> bool:
        """Whether a warning of the reply speaks of one of these."""
        notes = () if self.reply is None else self.reply.warnings
        return any(word in f"{note.field} {note.reason}" for note in notes for word in words)


class Subject:
    """A provider under test, with one of its models. `models` are all that the suite tries.

    `unchecked` collects what could not be checked, and why; the suite's last test tells it.
    """

    def __init__(self, provider: Provider, model: str, given: bool, models: Sequence[str] = ()) -> None:
        self.provider = provider
        self.name = provider.name
        self.model = self.main = model
        self.models = tuple(models) or (model,)
        self.target = f"{provider.name}:{model}"
        self.providers = (provider,) if given else ()
        self.unchecked: dict[str, str] = {}
        self.protocol = AUTO
        self.path: str | None = None
        """Where the last stream was asked for, which tells its protocol."""
        self._routes: dict[str | None, Route] = {}

    @classmethod
    def of(
        cls,
        provider: str | Provider,
        model: str | None,
        models: Sequence[str] | None = None,
        protocol: str | None = None,
    ) -> Subject:
        """Return it with the emulator's first model, and all of the emulator's to try, unless some are named."""
        value = load_provider(provider) if isinstance(provider, str) else provider
        known = models or ((model,) if model else Emulator(value).vendor.models)
        subject = cls(value, model or known[0], not isinstance(provider, str), known)
        if protocol is not None:
            subject.protocol = protocol
            subject.path = form_of(value, protocol).dialect.chat_path
        return subject

    def each(self) -> Iterator[Subject]:
        """Give the subject with each of its models in turn."""
        for model in self.models:
            one = copy.copy(self)
            one._routes = {}
            one.__dict__.pop("plain_route", None)
            one.model, one.target = model, f"{self.provider.name}:{model}"
            yield one

    # --- to talk to it

    def emulator(self, **settings: Any) -> Emulator:
        """Return a new emulator."""
        return Emulator(self.provider, **settings)

    def client(self, emulator: Emulator, *, transport: Any = None) -> Client:
        """Return a client of an emulator, which asks once only."""
        config = self.config(emulator, retry={"attempts": 1})
        return Client(config=config, transport=transport or emulator, providers=self.providers)

    def config(self, emulator: Emulator, **more: Any) -> dict[str, Any]:
        """Return the configuration of a client of an emulator, with the protocol that the suite is for."""
        tables: dict[str, Any] = emulator.config(**more)
        if self.protocol != AUTO:
            tables["providers"][self.name] |= {"protocol": self.protocol}
        return tables

    def ask(self, client: Client, messages: Any, stream: bool, **options: Any) -> Reply:
        """Return the reply, plain or streamed."""
        if not stream:
            return client.chat(messages, model=self.target, **options)
        with client.stream(messages, model=self.target, **options) as events:
            for _ in events:
                pass
        return events.reply

    def exchange(
        self,
        messages: Any,
        stream: bool = False,
        *,
        says: Mapping[str, Any] | None = None,
        emulate: Callable[[Emulator], None] | None = None,
        **options: Any,
    ) -> Exchange:
        """Return a call and what became of it, with a new emulator that `says` what these fields of `Script` say.

        `emulate` may change that emulator first.

        Fails where the call ends in an error, unless it was refused before anything was sent. What the vendor says of
        one of its further models is no failure, and no silent loss: it is told at the end of the suite.
        """
        emulator = self.emulator()
        said = scripted(emulator.vendor, says or {})
        if emulate is not None:
            emulate(emulator)
        transport = _Keeping(emulator)
        given = f"{self.model}{' (stream)' if stream else ''}: {options or messages}"
        try:
            reply = self.ask(self.client(emulator, transport=transport), messages, stream, **options)
        except ChatportError as error:
            if isinstance(error, BadRequestError) and self.model != self.main and emulator.requests:
                self.leave(given[:200], f"the vendor refuses it: {error}")
            elif not isinstance(error, UnsupportedFeatureError) or emulator.requests:
                self.fail("shape_request or decode_*", given, f"{type(error).__name__}: {error}", MEND)
            return Exchange(None, {}, b"", Script())
        return Exchange(reply, emulator.requests[-1].json(), b"".join(transport.pieces), said[-1])

    def streamed(self, prompt: str, tools: Any = None) -> bytes:
        """Return the bytes of a stream as the emulator writes them."""
        emulator = self.emulator()
        transport = _Keeping(emulator)
        with self.trying("shape_request", prompt, "send what the emulator takes, or mend the emulator"):
            self.ask(self.client(emulator, transport=transport), prompt, True, tools=tools)
        self.path = emulator.requests[-1].path if emulator.requests else self.path
        return b"".join(transport.pieces)

    # --- to look inside

    def _route(self) -> Route:
        """Return the route of the stream that was taken last: the same for all the thousands of cuts."""
        if self.path not in self._routes:
            self._routes[self.path] = route_of(self.provider, self.model, True, self.path)
        return self._routes[self.path]

    @cached_property
    def plain_route(self) -> Route:
        """The route of recorded plain replies, and of errors."""
        return route_of(self.provider, self.model, False, self.path)

    def events(self, pieces: list[bytes]) -> list[Any]:
        """Return the events of a stream that arrives in these pieces. Raises what a live call would raise."""
        return play(self._route(), _EVENT_STREAM, pieces, deliver=True)[0]

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
        config = load_config(self.config(self.emulator()), environment={})
        vendors = Vendors(config, environment={}, providers=self.providers)
        vendor = vendors.provider(self.name)
        if self.protocol != AUTO:
            vendor = in_protocol(vendor, self.protocol)
        return vendor, vendor.context(self.model, vendors.facts(vendor, self.model))

    # --- to say what is wrong

    def leave(self, what: str, why: str) -> None:
        """Say that something could not be checked; the last test of the suite tells it."""
        self.unchecked[what] = why

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


def scripted(vendor: VendorEmulator, says: Mapping[str, Any]) -> list[Script]:
    """Let an emulator say what these fields of `Script` say; return the list of all that it says from now on."""
    make, said = vendor.script, []

    def script(body: Mapping[str, Any]) -> Script:
        said.append(attrs.evolve(make(body), **says))
        return said[-1]

    vendor.script = script  # type: ignore[method-assign]  # this one emulator only
    return said


def values_of(answered: bytes) -> list[Any]:
    """Return the JSON values of an answer: of each event of a stream, or of the whole."""
    found = []
    for line in answered.splitlines():
        try:
            found.append(json.loads(line.removeprefix(b"data:")))
        except ValueError:
            continue
    return found


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
