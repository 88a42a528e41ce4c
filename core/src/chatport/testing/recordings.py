"""Recorded bytes through the very machine a live call runs on, without a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from ..basics.secret import Secret
from ..basics.typed import expect
from ..call import Call
from ..engine.commands import Clock, Close, Deliver, Head, Read, Send, TransportFailure, Wait
from ..engine.machine import CallMachine, Given
from ..engine.route import Route
from ..engine.shared import Shared
from ..errors import ConfigurationError
from ..events import Event
from ..limits.retry import RetryPolicy
from ..provider import Provider
from ..setup.config import Config
from ..setup.routes import Routes
from ..setup.vendors import Vendors
from ..types import Message, Reply

__all__ = ["decode_events", "replay"]

_CLOCK = Clock(lambda: 0.0, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: 0.0)


def replay(
    provider: str | Provider,
    *,
    status: int | None = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | Iterable[bytes],
    stream: bool,
    model: str | None = None,
    request: Mapping[str, Any] | None = None,
    path: str | None = None,
) -> Reply:
    """Return the reply that recorded bytes mean, raising what a live call would raise. Nothing is sent.

    `provider` is an installed provider's name, a `Provider` value, or "compatible", the plain standard. `body` is the
    whole body, or the pieces in which it arrives. `stream` says whether the request asked for a stream. `request` is
    the body that was sent, for a provider whose decoders look into it, and `path` is where it went, which tells the
    protocol where the vendor speaks several: "/responses".
    """
    return _run(provider, status, headers, body, stream, model, request, path, deliver=False)[1]


def decode_events(
    provider: str | Provider,
    *,
    status: int | None = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | Iterable[bytes],
    stream: bool = True,
    model: str | None = None,
    request: Mapping[str, Any] | None = None,
    path: str | None = None,
) -> list[Event]:
    """Return the events that a caller of `stream` would get, `Finished` last. Raises as `replay` does."""
    return _run(provider, status, headers, body, stream, model, request, path, deliver=True)[0]


def _run(
    provider: str | Provider,
    status: int | None,
    headers: Mapping[str, str] | None,
    body: Any,
    stream: bool,
    model: str | None,
    request: Mapping[str, Any] | None,
    path: str | None,
    *,
    deliver: bool,
) -> tuple[list[Event], Reply]:
    _check_recording(status, headers, body, stream, request)
    pieces = [body.encode()] if isinstance(body, str) else [body] if isinstance(body, bytes) else list(body)
    for piece in pieces:
        expect(piece, bytes, "The pieces of a body are bytes", ConfigurationError)
    head = Head(200 if status is None else status, {name.lower(): value for name, value in (headers or {}).items()})
    route = route_of(provider, model or "recorded", stream, path)
    if request is not None:
        route = attrs.evolve(route, wire=attrs.evolve(route.wire, body=request))
    return play(route, head, pieces, deliver=deliver)


def _check_recording(status: Any, headers: Any, body: Any, stream: Any, request: Any) -> None:
    """Raise ConfigurationError for a part of a recording that is not of its kind."""
    for value, kinds, what in (
        (status, (int, type(None)), "status is a whole number"),
        (headers, (Mapping, type(None)), "headers are a dict"),
        (stream, bool, "stream is true or false"),
        (request, (Mapping, type(None)), "request is the body that was sent, a dict"),
        (body, (str, bytes, Iterable), "body is bytes, a text, or the pieces in which it came"),
    ):
        expect(value, kinds, what, ConfigurationError)
    for name, value in (headers or {}).items():
        expect(name, str, "The name of a header is a text", ConfigurationError)
        expect(value, str, f"The header {name} is a text", ConfigurationError)


def play(
    route: Route, head: Head, pieces: list[bytes], *, deliver: bool, end: Literal["clean", "reset"] = "clean"
) -> tuple[list[Event], Reply]:
    """Return the events and the reply of recorded pieces on a route, which many recordings may share.

    `end`: whether the body ends in order after them, or the connection is reset.
    """
    shared = Shared(_CLOCK, RetryPolicy(attempts=1))
    machine = CallMachine([Given(route.context.target, route)], shared, deliver)
    return _drive(machine, head, [piece for piece in pieces if piece], end)


def route_of(provider: str | Provider, model: str, stream: bool, path: str | None = None) -> Route:
    """Return the route on which a provider's recordings are decoded; where the request went tells the protocol."""
    expect(provider, (str, Provider), "provider is a name or a Provider", ConfigurationError)
    expect(model, str, "model is a text", ConfigurationError)
    name, given = (provider, ()) if isinstance(provider, str) else (provider.name, (provider,))
    table: dict[str, Any] = {"api_key": Secret("recorded-no-key")}
    if name == "compatible":
        table |= {"kind": "compatible", "base_url": "https://recorded.invalid/v1"}
    vendors = Vendors(_config(name, table), environment={}, providers=given)
    if not _has_address(vendors, name):
        table["base_url"] = "https://recorded.invalid/v1"
        vendors = Vendors(_config(name, table), environment={}, providers=given)
    call = Call((Message.user("recorded"),), stream)
    return Routes(vendors).recorded_route(call, f"{name}:{model}", path)


def _has_address(vendors: Vendors, provider: str) -> bool:
    """Whether the provider is somewhere without a search for running servers, which is no part of a replay."""
    try:
        return vendors.is_ready(provider) and bool(vendors.provider(provider).base_url)
    except ConfigurationError:
        return False


def _config(provider: str, table: Mapping[str, Any]) -> Config:
    from ..setup.config import load_config

    named = os.environ.get("CHATPORT_CONFIG", "")  # its patches are part of how bytes are read; keys and models are not
    return load_config({"providers": {provider: dict(table)}}, environment={"CHATPORT_CONFIG": named})


def _drive(machine: CallMachine, head: Head, pieces: list[bytes], end: str) -> tuple[list[Event], Reply]:
    """Play the driver: the response is there at once, and its body ends where the recording does."""
    run = machine.run()
    events: list[Event] = []
    waiting = iter(pieces)
    answer: Any = None
    thrown: TransportFailure | None = None
    try:
        while True:
            command = run.send(answer) if thrown is None else run.throw(thrown)
            answer = thrown = None
            match command:
                case Send():
                    answer = head
                case Read():
                    answer = next(waiting, b"")
                    if not answer and end == "reset":
                        thrown = TransportFailure("the connection was reset", stage="body", kind="reset")
                case Deliver(events=delivered):
                    events.extend(delivered)
                case Close() | Wait():
                    pass
    except StopIteration as stop:
        return events, stop.value
